"""Drift in logits: the parts add up to the change of the mean score, and the interval knows that customers come
back.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.contributions import contribution_drift
from stillgood.domain.drift.reference import Reference, build_reference
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm
from stillgood.domain.model.vectorised import logits

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "c",
        "version": "1",
        "target": {"name": "y", "positive": "1", "negative": "0"},
        "features": [
            {"name": "a", "kind": "numeric", "nullable": True},
            {"name": "b", "kind": "numeric"},
            {"name": "flag", "kind": "boolean", "nullable": True},
            {"name": "kind", "kind": "categorical", "levels": ["u", "v"], "unseen": "accept", "nullable": True},
        ],
    }
)
MODEL = Model(
    "v1",
    CONTRACT,
    (
        NumericTerm("a", 1.0, 3.0, 0.7, missing=0.2),
        NumericTerm("b", 0.0, 1.0, 0.0),
        NumericTerm("flag", 0.0, 1.0, 1.1, missing=-0.1),
        CategoricalTerm("kind", {"u": 0.3, "v": -0.4}, missing=0.05, unseen=0.15),
    ),
    -0.3,
    0.0,
    Calibration(1.0, 0.0),
)


def frame(seed: int, n: int = 500, a: float = 0.0, b: float = 0.0) -> Frame:
    random = np.random.default_rng(seed)
    columns = {
        "a": np.where(random.uniform(size=n) < 0.1, np.nan, random.normal(a, 2.0, n)),
        "b": random.normal(b, 1.0, n),
        "flag": random.choice([0.0, 1.0, np.nan], n),
        "kind": random.choice([-2, -1, 0, 1], n).astype(np.int32),
    }
    return Frame(CONTRACT, n, columns)


def reference(seed: int = 0) -> Reference:
    return build_reference(MODEL, frame(seed), np.full(500, 0.5))


@given(st.integers(0, 10_000), st.floats(-5, 5), st.integers(2, 400))
@settings(max_examples=40, deadline=None)
def test_the_parts_add_up_to_the_change_of_the_mean_logit(seed: int, shift: float, n: int) -> None:
    """To the last bits that floating point allows: a few units in the last place of sums of some logits."""
    rows = frame(seed, n, a=shift)
    moved = contribution_drift(MODEL, reference(), rows, np.arange(n))
    assert moved is not None
    change = math.fsum(logits(MODEL, rows)) / n - math.fsum(logits(MODEL, frame(0))) / 500
    assert math.fsum(part.change for part in moved.parts) == pytest.approx(moved.total.change, abs=1e-14)
    assert moved.total.change == pytest.approx(change, abs=1e-13)


def test_a_feature_that_moves_no_score_is_last_however_far_it_moved() -> None:
    moved = contribution_drift(MODEL, reference(), frame(1, 4000, a=1.0, b=100.0), np.arange(4000))
    assert moved is not None
    assert moved.parts[0].name == "a"
    assert moved.parts[0].change == pytest.approx(0.9 * 0.7 / 3, abs=0.06)
    assert (moved.parts[-1].name, moved.parts[-1].change, moved.parts[-1].p) == ("b", 0.0, 1.0)


def test_the_same_population_is_seldom_said_to_have_changed() -> None:
    changes = [contribution_drift(MODEL, reference(2 * s), frame(2 * s + 1), np.arange(500)) for s in range(200)]
    assert sum(change.total.p < 0.05 for change in changes if change is not None) <= 20


def test_ten_rows_of_a_customer_are_not_ten_customers() -> None:
    """Without clusters the same customers' copies would be significant 40% of the time."""
    alarms = 0
    for seed in range(1, 101):
        copies = frame(seed, 60).take(np.repeat(np.arange(60), 10))
        moved = contribution_drift(MODEL, reference(0), copies, np.repeat(np.arange(60), 10))
        assert moved is not None
        assert moved.entities == 60
        alarms += moved.total.p < 0.05
    assert alarms <= 15


def test_no_rows_and_one_customer_alone_say_nothing_and_personal_data_is_left_out() -> None:
    assert contribution_drift(MODEL, reference(), frame(1, 0), np.arange(0)) is None
    assert contribution_drift(MODEL, reference(), frame(1, 5), np.zeros(5)) is None
    known = reference()
    without = replace(known, numeric={"b": known.numeric["b"]})
    moved = contribution_drift(MODEL, without, frame(1), np.arange(500))
    assert moved is not None
    assert {part.name for part in moved.parts} == {"b", "flag", "kind"}


def test_a_reference_comes_back_with_what_its_pairs_added() -> None:
    known = replace(reference(), contributions={"a x b": (0.25, 1.5)})
    again = Reference.from_dict(known.to_dict())
    assert again.contributions == known.contributions
    assert "contributions" not in reference().to_dict()
