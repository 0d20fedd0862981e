"""The AUC and DeLong's tests are those of the paper, ties included, however fast they are computed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.statistics.delong import auc_estimate, delong_variance, paired_delong, roc_auc


@st.composite
def labelled(draw, models=1):
    """Columns of scores on a coarse grid, so that ties are the rule, and outcomes with at least two of each."""
    size = draw(st.integers(4, 40))
    column = st.lists(st.integers(-3, 3), min_size=size, max_size=size)
    outcomes = draw(
        st.permutations([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), min_size=size - 4, max_size=size - 4))])
    )
    return [np.array(draw(column), dtype=float) for _ in range(models)], np.array(outcomes)


def by_the_paper(scores, y):
    """V10 and V01 by the definition, comparing every positive with every negative."""
    winners, losers = scores[y == 1], scores[y == 0]
    beats = np.array([[1.0 if w > x else 0.5 if w == x else 0.0 for x in losers] for w in winners])
    return beats.mean(axis=1), beats.mean(axis=0)


@given(labelled())
def test_the_auc_is_that_of_scikit_learn_ties_included(rows):
    (scores,), y = rows
    assert roc_auc(scores, y) == pytest.approx(roc_auc_score(y, scores), abs=1e-12)


@given(labelled(models=2))
def test_the_paired_test_is_the_direct_formula(rows):
    (first, second), y = rows
    above, beaten = by_the_paper(first, y)
    above2, beaten2 = by_the_paper(second, y)
    ten, zero = np.cov(above, above2), np.cov(beaten, beaten2)
    variance = sum((s[0, 0] + s[1, 1] - 2 * s[0, 1]) / n for s, n in ((ten, len(above)), (zero, len(beaten))))

    test = paired_delong(first, second, y)

    assert test.difference == pytest.approx(above.mean() - above2.mean(), abs=1e-12)
    assert test.standard_error**2 == pytest.approx(variance, abs=1e-12)
    assert delong_variance(first, y) == pytest.approx(ten[0, 0] / len(above) + zero[0, 0] / len(beaten), abs=1e-12)


@given(labelled(models=2))
def test_swapping_the_models_mirrors_the_test(rows):
    (first, second), y = rows
    there, back = paired_delong(first, second, y), paired_delong(second, first, y)
    assert there.difference == -back.difference
    if there.standard_error > 0:
        assert there.p + back.p == pytest.approx(1.0, abs=1e-9)


@given(labelled())
def test_a_model_is_never_better_than_itself_however_its_scores_are_stretched(rows):
    (scores,), y = rows
    assert paired_delong(np.exp(scores), scores, y).p == 1.0


def test_the_p_value_is_uniform_when_two_models_are_equally_good():
    """Two noisy readings of one signal, 400 times 300 rows: 5% of one-sided tests fall under .05, give or take 3 sd."""
    rng = np.random.default_rng(20261123)
    fired = 0
    for _ in range(400):
        y = rng.random(300) < 0.3
        signal = y + rng.normal(size=300)
        fired += paired_delong(signal + rng.normal(size=300), signal + rng.normal(size=300), y).p < 0.05
    assert 7 <= fired <= 33


def test_the_interval_of_an_auc_covers_the_truth_95_times_in_100():
    """Normal scores a standard deviation apart have AUC Phi(1 / sqrt 2) = .7602."""
    rng = np.random.default_rng(7)
    truth = 0.5 * math.erfc(-0.5)
    covered = 0
    for _ in range(400):
        y = np.arange(200) < 60
        estimate = auc_estimate(y + rng.normal(size=200), y)
        covered += estimate.low <= truth <= estimate.high
    assert 367 <= covered <= 393


def test_one_outcome_only_has_no_auc():
    with pytest.raises(OneClassOnly, match="0 of 3 rows are positive"):
        roc_auc([1, 2, 3], [0, 0, 0])


def test_one_positive_has_no_variance():
    with pytest.raises(TooFewRows, match="got 1 and 2"):
        delong_variance([1, 2, 3], [0, 0, 1])


@pytest.mark.parametrize(
    ("scores", "y", "says"),
    [
        ([0.1, math.nan], [0, 1], "1 scores are NaN"),
        ([0.1, math.inf], [0, 1], "1 scores are NaN or infinite"),
        ([0.1, 0.2, 0.3], [0, 1], "one length"),
        ([0.1, 0.2], [0, 2], "0 or 1"),
        ([0.1, 0.2], [0, math.nan], "0 or 1"),
    ],
)
def test_columns_that_cannot_be_compared_are_an_error(scores, y, says):
    with pytest.raises(ValueError, match=says):
        roc_auc(scores, y)
