"""Differences between two models on the same rows have the standard errors that resampling those rows gives."""

import math

import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.slices import segments
from stillgood.domain.promotion.comparison import (
    Difference,
    HoldoutScores,
    compare,
    precision_difference,
    recall_difference,
    segment_recalls,
)


def pair(rows=2000, seed=1):
    """Two noisy readings of one signal, the second with a lower threshold."""
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < 0.3
    first, second = (2.0 * y - 1 + rng.normal(scale=1.2, size=rows) for _ in range(2))
    return (
        HoldoutScores("a", first, 1 / (1 + np.exp(-first)), 0.0),
        HoldoutScores("b", second, 1 / (1 + np.exp(-second)), -0.4),
        y,
    )


def resampled(statistic, *columns, times=2000):
    rng = np.random.default_rng(2)
    size = len(columns[0])
    values = [statistic(*(c[i] for c in columns)).value for i in (rng.integers(0, size, size) for _ in range(times))]
    return float(np.std(values))


@pytest.mark.parametrize("statistic", [recall_difference, precision_difference])
def test_a_standard_error_is_that_of_the_bootstrap(statistic):
    first, second, y = pair()
    columns = (first.flagged, second.flagged, y)
    assert statistic(*columns).standard_error == pytest.approx(resampled(statistic, *columns), rel=0.06)


def test_precision_of_nobody_counts_as_0():
    nobody, y = np.zeros(4, dtype=bool), np.array([1, 1, 0, 0], dtype=bool)
    assert precision_difference(nobody, y, y).value == -1.0
    assert precision_difference(y, nobody, y).value == 1.0


def test_a_row_on_the_threshold_is_flagged():
    assert HoldoutScores("a", np.array([0.9, 1.0, 1.1]), np.zeros(3), 1.0).flagged.tolist() == [False, True, True]


def test_swapping_the_models_turns_every_difference_around():
    first, second, y = pair()
    there, back = compare(first, second, y), compare(second, first, y)
    for name in ("recall", "precision", "brier"):
        assert getattr(there, name).value == -getattr(back, name).value
        assert getattr(there, name).standard_error == getattr(back, name).standard_error


def test_worse_probabilities_have_a_brier_difference_above_0():
    first, _, y = pair()
    blunt = HoldoutScores("blunt", first.logits, np.full(len(y), 0.5), 0.0)
    difference = compare(blunt, first, y).brier
    assert difference.low > 0
    assert difference.value == pytest.approx(0.25 - ((first.probabilities - y) ** 2).mean())


def test_how_sure_a_loss_is():
    loss = Difference(-0.05, 0.01)
    assert loss.high == pytest.approx(-0.05 + 0.01 * 1.6448536, abs=1e-7)
    assert loss.p_below(-0.05) == 0.5
    assert loss.p_below(-0.02) == pytest.approx(0.00135, abs=1e-5)
    assert Difference(-0.05, 0.0).p_below(-0.02) == 0.0
    assert Difference(-0.02, 0.0).p_below(-0.02) == 1.0


def test_a_difference_is_a_number():
    with pytest.raises(ValueError, match="must be finite"):
        Difference(math.nan, 0.1)


def test_only_slices_with_enough_positives_are_judged():
    first, second, y = pair()
    few = np.zeros(len(y), dtype=bool)
    few[np.flatnonzero(y)[:29]] = True
    enough = few.copy()
    enough[np.flatnonzero(y)[29]] = True
    recalls = segment_recalls(first, second, y, {"few": few, "enough": enough}, min_positives=30)
    assert recalls == {"enough": recall_difference(first.flagged[enough], second.flagged[enough], y[enough])}


def test_slices_are_the_values_of_the_contracts_slice_features():
    contract = read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "plans",
            "version": "1",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [
                {
                    "name": "plan",
                    "kind": "categorical",
                    "levels": ["basic", "gold"],
                    "nullable": True,
                    "unseen": "accept",
                },
                {"name": "senior", "kind": "boolean", "nullable": True},
                {"name": "paid", "kind": "numeric"},
            ],
            "slices": ["senior", "plan"],
        }
    )
    rows = [("basic", 1.0), ("gold", 0.0), (None, None), ("platinum", 1.0)]
    frame = Frame.from_values(contract, [{"plan": plan, "senior": senior, "paid": 1.0} for plan, senior in rows])
    assert {name: mask.tolist() for name, mask in segments(frame).items()} == {
        "senior = yes": [True, False, False, True],
        "senior = no": [False, True, False, False],
        "plan = basic": [True, False, False, False],
        "plan = gold": [False, True, False, False],
    }
