"""A threshold found by one sort is the one that trying every threshold finds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.model.threshold import (
    threshold_for_capacity,
    threshold_for_contract,
    threshold_for_costs,
    threshold_for_precision,
    threshold_for_recall,
)

rows = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30)


def columns(pairs):
    return np.array([float(x) for x, _ in pairs]), np.array([y for _, y in pairs])


@given(rows, st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_no_threshold_that_keeps_the_recall_floor_is_more_precise(pairs, floor):
    logits, y = columns(pairs)
    if not y.any():
        return
    tried = []
    for cut in np.unique(logits):
        flagged = logits >= cut
        recall, precision = y[flagged].sum() / y.sum(), y[flagged].mean()
        if recall >= floor:
            tried.append((precision, recall, cut))
    assert threshold_for_recall(logits, y, floor) == max(tried)[2]


@given(
    rows,
    st.sampled_from([0.0, 1.0, 2.5, 10.0]),
    st.sampled_from([0.0, 1.0, 3.0]),
    st.sampled_from([None, 0.0, 0.3, 1.0]),
)
def test_no_threshold_within_capacity_is_cheaper(pairs, miss, offer, capacity):
    logits, y = columns(pairs)
    limit = math.inf if capacity is None else capacity * len(y)

    def cost(cut):
        flagged = logits >= cut
        return (miss * y[~flagged].sum() + offer * flagged.sum(), flagged.sum())

    tried = [cost(cut) for cut in [*np.unique(logits), math.inf] if (logits >= cut).sum() <= limit]
    assert cost(threshold_for_costs(logits, y, miss=miss, offer=offer, capacity=capacity)) == min(tried)


def test_when_no_offer_pays_nobody_is_flagged():
    threshold = threshold_for_costs([1.0, 2.0], [1, 0], miss=1.0, offer=5.0)
    assert threshold > 2.0
    assert math.isfinite(threshold)


def test_a_contract_asks_for_its_recall_floor_or_for_its_costs_and_capacity_per_1000_rows():
    terms = {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "t",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "x", "kind": "numeric"}],
    }
    logits, y = [1.0, 2.0, 3.0, 4.0], [1, 1, 0, 1]

    def threshold(**more):
        return threshold_for_contract(logits, y, read_contract({**terms, **more}))

    assert threshold(floors={"recall": 0.6}) == 1.0
    assert threshold(floors={"recall": 0.3}) == 4.0
    assert threshold(costs={"miss": 5, "offer": 1}) == 1.0
    assert threshold(costs={"miss": 5, "offer": 1, "capacity": 250}) == 4.0
    assert threshold(objective={"recall": 0.3}, floors={"recall": 0.6}) == 4.0
    assert threshold(objective={"recall": 0.6}, costs={"miss": 5, "offer": 1, "capacity": 250}) == 1.0
    assert threshold(objective={"precision": 0.7}) == 1.0
    assert threshold(objective={"precision": 0.8}) == 4.0
    assert threshold(objective={"capacity": 0.5}) == 3.0
    assert threshold(objective={"cost": True}, costs={"miss": 5, "offer": 1}) == 1.0


@given(rows, st.floats(0.0, 1.0))
def test_a_precision_is_reached_with_the_most_recall_or_come_nearest_to(pairs, least):
    logits, y = columns(pairs)
    tried = {cut: y[logits >= cut].mean() for cut in np.unique(logits)}
    enough = min(least, max(tried.values()))
    assert threshold_for_precision(logits, y, least) == min(
        cut for cut, precision in tried.items() if precision >= enough
    )


@given(rows, st.floats(0.0, 1.0))
def test_a_share_is_filled_and_never_passed(pairs, share):
    logits, y = columns(pairs)
    found = threshold_for_capacity(logits, y, share)
    assert (logits >= found).mean() <= share + 1e-9
    lower = logits[logits < found]
    assert not len(lower) or (logits >= lower.max()).mean() > share


def test_a_recall_floor_needs_a_positive():
    with pytest.raises(OneClassOnly, match="none in 2"):
        threshold_for_recall([1.0, 2.0], [0, 0], 0.8)


def test_a_threshold_needs_rows():
    with pytest.raises(TooFewRows):
        threshold_for_costs([], [], miss=1.0, offer=1.0)


@pytest.mark.parametrize("floor", [-1.0, 1.01, math.nan])
def test_a_recall_floor_is_a_share(floor):
    with pytest.raises(ValueError, match="recall floor"):
        threshold_for_recall([1.0], [1], floor)


@pytest.mark.parametrize(
    ("miss", "offer", "capacity"), [(-1, 1, None), (1, math.nan, None), (1, 1, 1.5), (1, 1, math.nan)]
)
def test_costs_and_capacity_must_make_sense(miss, offer, capacity):
    with pytest.raises(ValueError, match=r"costs are|capacity is"):
        threshold_for_costs([1.0], [1], miss=miss, offer=offer, capacity=capacity)


def test_twenty_nine_of_a_hundred_may_be_flagged_at_a_capacity_of_29_percent():
    """D24: .29 x 100 is 28.999999999999996."""
    logits = np.arange(100.0)
    threshold = threshold_for_costs(logits, [1] * 100, miss=5.0, offer=1.0, capacity=0.29)
    assert (logits >= threshold).sum() == 29
