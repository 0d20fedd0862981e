"""Rows of one customer are one piece of evidence: the clustered AUC reduces to DeLong's, and errs as often as it
says.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.statistics.clustered import clustered_auc, paired_clustered
from stillgood.domain.statistics.delong import delong_variance, paired_delong, roc_auc


def customers(rng, number, each):
    """Customers with ``each`` rows: a trait of their own in both scores, and an outcome that follows the first
    trait.
    """
    trait, noise = rng.normal(size=(2, number))
    y = np.repeat(rng.random(number) < 1 / (1 + np.exp(1 - trait)), each)
    who = np.repeat(np.arange(number), each)
    first = (trait + 0.5 * noise)[who] + 0.1 * rng.normal(size=len(who))
    second = (trait - 0.5 * noise)[who] + 0.1 * rng.normal(size=len(who))
    return first, second, y, who


def test_one_row_a_customer_is_delong():
    first, second, y, who = customers(np.random.default_rng(1), 400, 1)

    auc, variance = clustered_auc(first, y, who)

    assert auc == roc_auc(first, y)
    assert variance == pytest.approx(delong_variance(first, y), rel=1e-12)
    ours, theirs = paired_clustered(first, second, y, who), paired_delong(first, second, y)
    assert (ours.difference, ours.p) == (pytest.approx(theirs.difference), pytest.approx(theirs.p))


def test_rows_that_are_copied_say_nothing_new():
    first, second, y, who = customers(np.random.default_rng(2), 300, 1)
    once = paired_clustered(first, second, y, who)

    twelve = paired_clustered(*(np.tile(column, 12) for column in (first, second, y, who)))

    assert twelve.standard_error == pytest.approx(once.standard_error, rel=1e-9)
    assert (
        paired_delong(*(np.tile(column, 12) for column in (first, second, y))).standard_error < once.standard_error / 3
    )


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=30, max_size=30))
def test_a_weight_is_that_many_copies(seed, weights):
    first, second, y, who = customers(np.random.default_rng(seed), 15, 2)
    if len(set(y)) < 2 or min(y.sum(), (~y).sum()) < 4:
        return
    weighted = paired_clustered(first, second, y, who, weights)
    copied = paired_clustered(*(np.repeat(column, weights) for column in (first, second, y, who)))
    assert weighted.difference == pytest.approx(copied.difference, abs=1e-12)
    assert weighted.standard_error == pytest.approx(copied.standard_error, abs=1e-12)


@pytest.mark.parametrize("each", [1, 4, 12])
def test_equal_scores_are_told_apart_as_seldom_as_promised(each):
    rng, differences = np.random.default_rng(each), 0
    for _ in range(400):
        first, second, y, who = customers(rng, 250, each)
        differences += paired_clustered(first, second, y, who).p < 0.05
    assert differences / 400 <= 0.08  # three standard errors above .05


def test_one_outcome_or_one_customer_of_an_outcome_cannot_be_judged():
    with pytest.raises(OneClassOnly):
        clustered_auc([1, 2], [1, 1], [1, 2])
    with pytest.raises(TooFewRows, match="1 with positives"):
        clustered_auc([1, 2, 3, 4], [1, 1, 0, 0], [1, 1, 2, 3])


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 1, 1, 0], [1, 1, 1, np.nan]])
def test_weights_that_are_none_are_an_error(weights):
    with pytest.raises(ValueError, match="one weight a row"):
        clustered_auc([1, 2, 3, 4], [1, 0, 1, 0], range(4), weights)
