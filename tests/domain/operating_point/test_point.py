"""The stored operating point: what it changes of a model, and that only a whole one is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ModelUnusable
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.operating_point.objective import objective_of
from stillgood.domain.operating_point.point import OperatingPoint, point_of


def contract(**more: object) -> Contract:
    return read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "c",
            "version": "1",
            "target": {"name": "left", "positive": "1", "negative": "0"},
            "features": [{"name": "x", "kind": "numeric"}],
            "floors": {"recall": 0.75},
            **more,
        }
    )


def model(version: str = "v1") -> Model:
    return Model(version, contract(), (NumericTerm("x", 0.0, 1.0, 2.0),), 0.1, 0.3, Calibration(1.0, 0.0))


POINT = OperatingPoint("v1", "ab" * 32, "recall", 0.75, Calibration(0.5, -0.25), 1.5, "2026-06-12T00:00:00Z")


def test_it_changes_probability_and_decision_and_nothing_else():
    before, after = model().score({"x": 0.4}), POINT.applied_to(model()).score({"x": 0.4})
    assert (after.logit, after.contributions, after.score) == (before.logit, before.contributions, before.score)
    assert (before.decision, after.decision) == (True, False)
    assert after.threshold == POINT.threshold == Calibration(0.5, -0.25).probability(1.5)


def test_generation_0_is_the_models_own():
    own = point_of(model(), "ab" * 32, "recall", 0.75, "2026-06-12T00:00:00Z")
    assert own.applied_to(model()) == model()


def test_a_point_of_another_model_is_refused():
    with pytest.raises(ModelUnusable, match="is of v1, not of v2"):
        POINT.applied_to(model("v2"))


def test_it_comes_back_from_its_document():
    assert OperatingPoint.from_dict(POINT.to_dict()) == POINT


@pytest.mark.parametrize(
    "broken",
    [
        {"format": "stillgood.model"},
        {"format_version": 2},
        {"threshold_logit": float("nan")},
        {"threshold_logit": "1"},
        {"calibration": {"slope": -1.0, "intercept": 0.0, "covariance": [0, 0, 0], "rows": 1}},
        {"calibration": None},
        {"evidence": 7},
    ],
)
def test_what_is_not_a_whole_point_is_refused(broken):
    with pytest.raises(ModelUnusable):
        OperatingPoint.from_dict(POINT.to_dict() | broken)


PLAIN = st.none() | st.booleans() | st.floats() | st.text(max_size=5)
VALUES = PLAIN | st.dictionaries(st.sampled_from(["slope", "intercept", "covariance", "rows"]), PLAIN, max_size=4)


@given(st.dictionaries(st.sampled_from(list(POINT.to_dict())), VALUES, max_size=3))
def test_no_document_breaks_the_reader(changes):
    try:
        read = OperatingPoint.from_dict(POINT.to_dict() | changes)
    except ModelUnusable:
        return
    assert read.calibration.slope > 0


def test_the_objective_is_stated_or_follows_from_costs_and_floors():
    assert objective_of(contract())[1] == 0.75
    objective, wanted = objective_of(contract(costs={"miss": 500.0, "offer": 50.0}))
    assert (objective.kind, wanted) == ("cost", 0.1)
    objective, wanted = objective_of(contract(objective={"precision": 0.6}, costs={"miss": 500.0, "offer": 50.0}))
    assert (objective.kind, wanted) == ("precision", 0.6)
