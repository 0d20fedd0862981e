"""Steps and pairs: exact sums, the same bits in pure Python and NumPy, and documents that are whole or refused."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ModelUnusable
from stillgood.domain.model.model import Calibration, CategoricalTerm, CurveTerm, Model, NumericTerm
from stillgood.domain.model.pairs import UNIT, LevelAxis, NumericAxis, PairTerm, StepTerm, on_grid, split_evenly
from stillgood.domain.model.shapes import shapes, strongest
from stillgood.domain.model.vectorised import contributions, feature_contributions, logits

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "pairs",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "x", "kind": "numeric", "nullable": True},
            {"name": "y", "kind": "numeric", "nullable": True},
            {"name": "plan", "kind": "categorical", "levels": ["a", "b", "c"], "nullable": True, "unseen": "accept"},
        ],
    }
)


def units(dice: random.Random) -> float:
    return dice.randrange(-(2**46), 2**46) * UNIT


def drawn(seed: int = 0) -> Model:
    dice = random.Random(seed)
    x = StepTerm("x", (-1.0, 0.5, 2.0), tuple(units(dice) for _ in range(4)), units(dice), 0.1, 1.7, 0.37, -3.0, 4.0)
    y = StepTerm("y", (), (units(dice),), units(dice), 0.0, 1.0, 0.0, 0.0, 0.0)
    plan = CategoricalTerm("plan", {level: units(dice) for level in "abc"}, units(dice), units(dice))
    x_y = PairTerm(
        NumericAxis("x", (0.0,)),
        NumericAxis("y", (-1.0, 1.0)),
        tuple(tuple(dice.randrange(-(2**44), 2**44) for _ in range(4)) for _ in range(3)),
    )
    x_plan = PairTerm(
        NumericAxis("x", (1.0,)),
        LevelAxis("plan", {"a": 0, "b": 1, "c": 0}, 3),
        tuple(tuple(dice.randrange(-(2**44), 2**44) for _ in range(3)) for _ in range(3)),
    )
    return Model("v1", CONTRACT, (x, y, plan), units(dice), 0.0, Calibration(1.0, 0.0), {}, "boosted", (x_y, x_plan))


MODEL = drawn()
NUMBERS = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 1e300, -1e300]) | st.floats(-5, 5)
ROWS = st.fixed_dictionaries(
    {"x": NUMBERS, "y": NUMBERS, "plan": st.none() | st.sampled_from(["a", "b", "c", "never seen"])}
)


@given(ROWS, st.randoms(use_true_random=False))
def test_reasons_add_up_to_the_logit_to_the_last_bit_in_any_order_and_split_or_not(
    row: dict[str, Any], dice: random.Random
) -> None:
    scored = MODEL.score(row)
    split = split_evenly([term.name for term in MODEL.terms], MODEL.pairs, scored.contributions)
    for shares in (list(scored.contributions), list(split)):
        dice.shuffle(shares)
        total = MODEL.baseline
        for share in shares:
            total += share
        assert total == scored.logit


@given(st.lists(ROWS, min_size=1, max_size=20))
def test_numpy_gives_the_same_bits_as_pure_python(rows: list[dict[str, Any]]) -> None:
    frame = Frame.from_values(CONTRACT, rows)
    scored = [MODEL.score(row) for row in rows]
    assert logits(MODEL, frame).tolist() == [score.logit for score in scored]
    assert contributions(MODEL, frame).tolist() == [list(score.contributions) for score in scored]
    names = [term.name for term in MODEL.terms]
    assert feature_contributions(MODEL, frame).tolist() == [
        list(split_evenly(names, MODEL.pairs, score.contributions)) for score in scored
    ]


@given(st.lists(ROWS, min_size=1, max_size=20))
def test_a_broken_line_is_the_same_in_numpy_and_constant_beyond_its_ends(rows: list[dict[str, Any]]) -> None:
    curve = CurveTerm("x", (-2.0, 0.0, 1.5), (0.3, -0.1, 0.7), 0.25)
    model = Model(
        "v",
        CONTRACT,
        (curve, NumericTerm("y", 0.0, 1.0, 0.0), CategoricalTerm("plan", {"a": 0.5})),
        0.1,
        0.0,
        Calibration(1.0, 0.0),
    )
    assert contributions(model, Frame.from_values(CONTRACT, rows))[:, 0].tolist() == [
        curve.contribution(row["x"]) for row in rows
    ]
    assert curve.contribution(1e9) == curve.contribution(1.5) == pytest.approx(0.7)
    assert curve.contribution(-1e9) == 0.3
    assert curve.contribution(-1.0) == pytest.approx(0.1)
    assert Model.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_a_value_at_a_cut_belongs_to_its_left_and_beyond_the_training_range_nothing_changes() -> None:
    term = MODEL.terms[0]
    assert isinstance(term, StepTerm)
    line = on_grid(0.37 * ((0.5 - 0.1) / 1.7))
    assert term.contribution(0.5) == term.steps[1] + line
    assert term.contribution(4.0) == term.contribution(1e300)
    assert term.contribution(-3.0) == term.contribution(-1e300)


def test_a_model_of_pairs_survives_its_json_bit_for_bit_under_a_format_of_its_own() -> None:
    raw = json.loads(json.dumps(MODEL.to_dict()))
    assert raw["format"] == "stillgood.pairs"
    assert Model.from_dict(raw) == MODEL


def breaking(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    raw = json.loads(json.dumps(MODEL.to_dict()))
    change(raw)
    return dict(raw)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.pop("pairs"),
        lambda raw: raw["pairs"][0]["table"].pop(),
        lambda raw: raw["pairs"][0]["table"][0].pop(),
        lambda raw: raw["pairs"][0]["table"][0].__setitem__(0, 0.5),
        lambda raw: raw["pairs"][0]["table"][0].__setitem__(0, 2**60),
        lambda raw: raw["pairs"][0]["table"][0].__setitem__(0, True),
        lambda raw: raw["pairs"][0]["first"].update(feature="nobody"),
        lambda raw: raw["pairs"][0]["first"].update(cuts=[1.0, 1.0]),
        lambda raw: raw["pairs"][1]["second"]["groups"].update(a=3),
        lambda raw: raw["pairs"][1]["second"].update(size="3"),
        lambda raw: raw["terms"][0].update(steps=[0.0]),
        lambda raw: raw["terms"][0].update(scale=0),
        lambda raw: raw["terms"][0].update(low=9.0),
        lambda raw: raw["terms"][0].update(cuts=[2.0, 1.0, 3.0]),
        lambda raw: raw.update(format_version=2),
    ],
)
def test_what_is_not_a_whole_model_of_pairs_is_unusable(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(ModelUnusable):
        Model.from_dict(breaking(change))


def test_shapes_are_data_and_their_points_lie_on_the_terms() -> None:
    made = json.loads(json.dumps(shapes(MODEL)))
    x, _, plan = made["features"]
    for at, share in x["points"]:
        below, above = MODEL.terms[0].contribution(at), MODEL.terms[0].contribution(np.nextafter(at, np.inf))
        assert share in (below, pytest.approx(above, abs=1e-12))
    assert plan["levels"]["b"] == MODEL.terms[2].contribution("b")
    assert made["pairs"][1]["rows"] == ["x up to 1", "x above 1", "x missing"]
    assert made["pairs"][1]["columns"] == ["plan a, c", "plan b", "plan missing or unseen"]
    assert made["pairs"][1]["table"][2][1] == MODEL.pairs[1].contribution({"x": None, "plan": "b"})


def test_the_shapes_that_matter_are_said_in_words_the_largest_first() -> None:
    table = ((0, 0, 0), (-(2**45), 2**46, 0), (0, 0, 0))
    pair = PairTerm(NumericAxis("x", (1.0,)), LevelAxis("plan", {"a": 0, "b": 1}, 3), table)
    rising = StepTerm("x", (0.0,), (-0.25, 0.25), 0.0, 0.0, 1.0, 0.0, -1.0, 3.0)
    flat = CategoricalTerm("plan", {"a": 0.0, "b": 0.0})
    y = NumericTerm("y", 0.0, 2.0, -0.1)
    model = Model("v", CONTRACT, (rising, y, flat), 0.0, 0.0, Calibration(1.0, 0.0), {}, "boosted", (pair,))
    assert strongest(model)[:3] == [
        "x x plan: +0.50 at x above 1 and plan b, -0.25 at x above 1 and plan a",
        "x: rises, +0.25 at 0, -0.25 at -1",
        "y: -0.10 per 2",
    ]
