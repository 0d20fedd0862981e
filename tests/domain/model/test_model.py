"""The scorer: reasons that sum to the logit, and the same bits in pure Python and in NumPy."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame, concat
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import ModelUnusable
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm, sigmoid
from stillgood.domain.model.vectorised import contributions, decisions, logits, probabilities, scores

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "toy",
        "version": "1",
        "target": {"name": "y", "positive": "1", "negative": "0"},
        "features": [
            {"name": "a", "kind": "numeric", "nullable": True},
            {"name": "b", "kind": "boolean", "nullable": True},
            {"name": "c", "kind": "categorical", "levels": ["x", "y"], "unseen": "accept", "nullable": True},
        ],
    }
)
MODEL = Model(
    "20260101-0123456789ab",
    CONTRACT,
    (
        NumericTerm("a", 0.3, 1.7, -1.1, 0.25),
        NumericTerm("b", 0.1, 0.9, 0.7, -0.5),
        CategoricalTerm("c", {"x": 0.11, "y": -0.37}, 0.05, 0.013),
    ),
    0.21,
    -0.1,
    Calibration(0.93, -0.61),
    {"rows": 10},
)
ROWS = st.fixed_dictionaries(
    {
        "a": st.none() | st.floats(-1e6, 1e6),
        "b": st.none() | st.sampled_from([0.0, 1.0]),
        "c": st.none() | st.sampled_from(["x", "y", "new"]),
    }
)


@given(st.lists(ROWS, min_size=1, max_size=20))
def test_pure_and_columnar_scores_agree_to_the_last_bit_of_the_decision(rows: list[dict[str, Any]]) -> None:
    frame = Frame.from_values(CONTRACT, rows)
    values = logits(MODEL, frame)
    alone = [MODEL.score(row) for row in rows]
    assert values.tolist() == [score.logit for score in alone]
    assert decisions(MODEL, values).tolist() == [score.decision for score in alone]
    assert contributions(MODEL, frame).tolist() == [list(score.contributions) for score in alone]
    assert np.allclose(scores(values), [score.score for score in alone], rtol=1e-14, atol=0)
    assert np.allclose(probabilities(MODEL, values), [score.probability for score in alone], rtol=1e-14, atol=0)


@given(ROWS)
def test_baseline_and_contributions_added_left_to_right_are_the_logit(row: dict[str, Any]) -> None:
    score = MODEL.score(row)
    total = MODEL.baseline
    for contribution in score.contributions:
        total += contribution
    assert total == score.logit
    assert score.decision == (score.logit >= MODEL.threshold_logit)
    assert score.confidence == abs(score.score - 0.5)
    assert score.threshold == MODEL.calibration.probability(MODEL.threshold_logit)


def test_the_threshold_itself_is_flagged() -> None:
    at = Model(
        **{name: getattr(MODEL, name) for name in ("version", "contract", "terms", "baseline", "calibration")},
        threshold_logit=MODEL.score({"a": 1.0, "b": 1.0, "c": "x"}).logit,
    )
    assert at.score({"a": 1.0, "b": 1.0, "c": "x"}).decision is True


def test_a_model_survives_its_json_bit_for_bit() -> None:
    again = Model.from_dict(json.loads(json.dumps(MODEL.to_dict())))
    assert again == MODEL


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pickle"},
        {"format_version": 2},
        {"terms": []},
        {"baseline": "0"},
        {"baseline": float("nan")},
        {"calibration": {"slope": -1, "intercept": 0}},
        {"contract": {}},
        {"terms": [{"kind": "forest"}]},
        {"threshold_logit": None},
    ],
)
def test_what_is_not_a_whole_model_of_this_format_is_unusable(change: dict[str, Any]) -> None:
    with pytest.raises(ModelUnusable):
        Model.from_dict(MODEL.to_dict() | change)
    for name in change:
        with pytest.raises(ModelUnusable):
            Model.from_dict({key: value for key, value in MODEL.to_dict().items() if key != name})


def test_sigmoid_stays_within_its_range() -> None:
    assert (sigmoid(-1e9), sigmoid(1e9)) == (0.0, 1.0)
    assert sigmoid(2.0) + sigmoid(-2.0) == pytest.approx(1.0, abs=1e-15)


@given(st.lists(ROWS, max_size=8))
def test_a_frame_survives_its_json_and_can_be_cut_and_joined(rows: list[dict[str, Any]]) -> None:
    frame = Frame.from_values(CONTRACT, rows)
    again = Frame.from_dict(CONTRACT, json.loads(json.dumps(frame.to_dict())))
    halves = concat([again.take(np.arange(frame.n // 2)), again.take(np.arange(frame.n // 2, frame.n))])
    for name, column in frame.columns.items():
        assert np.array_equal(column, halves.columns[name], equal_nan=column.dtype == np.float64)


@pytest.mark.parametrize(
    "change", [{"rows": 3}, {"columns": {}}, {"columns": {"a": [1.0], "b": [0.0], "c": [9]}}, {"columns": {"a": ["x"], "b": [0], "c": [0]}}]  # noqa: E501
)  # fmt: skip
def test_columns_that_do_not_fit_the_contract_are_unusable(change: dict[str, Any]) -> None:
    whole = Frame.from_values(CONTRACT, [{"a": 1.0, "b": 0.0, "c": "x"}]).to_dict()
    with pytest.raises(ModelUnusable):
        Frame.from_dict(CONTRACT, whole | change)


def test_every_contract_that_ships_can_be_scored(telco: Contract, draw_model: Callable[..., Model]) -> None:
    model = draw_model(telco, "20260101-000000000000", 3)
    values = RowChecker(telco).check(telco.example()).values
    assert logits(model, Frame.from_values(telco, [values])).tolist() == [model.score(values).logit]
