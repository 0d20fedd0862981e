"""Counts that are small are tested exactly or pooled, and many levels raise no more alarms than few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from stillgood.domain.statistics.contingency import distance, fisher, independence, pooled

CELLS = st.integers(0, 60)


@given(CELLS, CELLS, CELLS, CELLS)
def test_fisher_is_scipys(a, b, c, d):
    assert fisher((a, b), (c, d)) == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, rel=1e-6, abs=1e-12)


def test_two_rows_of_a_level_seen_once_are_not_proof():
    """Pearson's p of this table is 2e-29."""
    _, p, *_ = independence(np.array([19_999, 1]), np.array([198, 2]))
    assert p == pytest.approx(stats.fisher_exact([[19_999, 1], [198, 2]]).pvalue, rel=1e-6)


def test_large_counts_are_pearsons():
    before, now = np.array([500, 300, 200]), np.array([230, 170, 100])
    x2, p, *_ = independence(before, now)
    expected = stats.chi2_contingency([before, now], correction=False)
    assert (x2, p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


def test_choosing_what_is_rare_sees_totals_only():
    first, second = np.array([900, 95, 3, 2]), np.array([90, 5, 4, 1])
    moved = first + np.array([0, 0, 1, -1]), second - np.array([0, 0, 1, -1])
    assert pooled(first, second)[0].shape == pooled(*moved)[0].shape


@pytest.mark.parametrize(("levels", "n"), [(105, 200), (500, 200), (105, 2000)])
def test_many_levels_fire_as_seldom_as_few(levels, n):
    """Zipf levels, 4,000 windows of the reference's distribution at a nominal .005; Pearson's fires in 4 to 20 of
    100.
    """
    rng = np.random.default_rng(levels + n)
    share = 1 / np.arange(1, levels + 1)
    share /= share.sum()
    fired, far = 0, []
    for _ in range(1000):
        before, now = rng.multinomial(20_000, share), rng.multinomial(n, share)
        _, p, pooled_before, pooled_now = independence(before, now)
        fired += p < 0.005
        far.append(distance(pooled_before, pooled_now))
    assert fired <= 14  # 1,000 x .005 and four standard deviations


def test_a_new_level_in_a_fifth_of_the_rows_is_found_among_five_hundred():
    before = np.append(np.full(500, 40), 0)
    now = np.append(np.random.default_rng(1).multinomial(160, np.full(500, 1 / 500)), 40)
    assert independence(before, now)[1] < 1e-10


def test_copies_of_rows_are_no_evidence():
    before, now = np.array([500, 500]), np.array([60, 40])
    alone = independence(before, now)[1]
    assert independence(before, now * 8, (1.0, 8.0))[1] == pytest.approx(alone, rel=0.2)
    assert independence(before, now * 8)[1] < alone / 100


def test_chance_is_taken_off_the_distance():
    rng = np.random.default_rng(3)
    share = np.full(100, 0.01)
    naive = debiased = 0.0
    for _ in range(50):
        before, now = rng.multinomial(20_000, share), rng.multinomial(300, share)
        naive += np.abs(before / 20_000 - now / 300).sum() / 2 / 50
        debiased += distance(before, now) / 50
    assert naive > 0.2
    assert debiased < naive / 1.8


def test_nothing_on_one_side_says_nothing():
    assert independence(np.array([3, 4]), np.array([0, 0]))[:2] == (0.0, 1.0)
    assert distance(np.array([3, 4]), np.array([0, 0])) == 0.0
    assert fisher((0, 0), (3, 4)) == 1.0
