"""The tests behind drift give scipy's answers to 1e-12, whatever the data look like."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from stillgood.domain.drift.histograms import Histogram
from stillgood.domain.drift.reference import Distribution
from stillgood.domain.drift.two_sample import (
    chi_square,
    holm,
    kolmogorov_smirnov,
    kolmogorov_smirnov_between,
    total_variation,
)
from stillgood.domain.statistics.kolmogorov import sf

EXACT = 1e-12

# Few distinct values make ties, within a sample and across; the rest is anything a float can be.
tied = st.integers(-3, 3).map(float)
anything = st.floats(allow_nan=False, allow_infinity=False)
samples = st.one_of(st.lists(tied, min_size=1, max_size=60), st.lists(anything, min_size=1, max_size=60))


def ks(before, now):
    reference = Distribution.of(before)
    return kolmogorov_smirnov(reference, Histogram.of(reference, now))


def effective_rows(n, m):
    return round(n * m / (n + m))


@settings(max_examples=150, deadline=None)
@given(before=samples, now=samples)
def test_the_kolmogorov_smirnov_test_equals_scipys_on_any_two_samples(before, now):
    assume(effective_rows(len(before), len(now)) > 0)
    expected = stats.ks_2samp(before, now, method="asymp")

    statistic = ks(before, now)

    assert statistic.value == pytest.approx(expected.statistic, abs=EXACT)
    assert statistic.p == pytest.approx(expected.pvalue, abs=EXACT)
    assert statistic.effect == statistic.value


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([5.0] * 9, [5.0] * 4, id="the same constant"),
        pytest.param([5.0] * 9, [6.0] * 4, id="another constant"),
        pytest.param([1.0, 2.0, 3.0], [2.0], id="one row against three"),
        pytest.param(range(100), range(50, 150), id="integers"),
        pytest.param([0.0, -0.0, 1.0], [-0.0, 0.0, 0.0, 2.0], id="both zeros"),
        pytest.param([1.0] * 99 + [2.0], [1.0] * 50 + [2.0] * 50, id="heavy ties"),
        pytest.param([1e308, -1e308, 5e-324], [0.0, 5e-324, 1e308], id="the ends of the floats"),
    ],
)
def test_hard_cases_equal_scipy(before, now):
    expected = stats.ks_2samp(list(before), list(now), method="asymp")

    statistic = ks(list(before), list(now))

    assert (statistic.value, statistic.p) == pytest.approx((expected.statistic, expected.pvalue), abs=EXACT)


@pytest.mark.parametrize("rows", [200, 2_000, 50_000])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1, 1.0])
def test_windows_of_real_size_equal_scipy(rows, shift):
    rng = np.random.default_rng(rows)
    before, now = rng.normal(size=7043).round(2), (rng.normal(size=rows) + shift).round(2)
    expected = stats.ks_2samp(before, now, method="asymp")

    statistic = ks(before, now)

    assert (statistic.value, statistic.p) == pytest.approx((expected.statistic, expected.pvalue), abs=EXACT)


def test_one_row_against_one_row_is_no_evidence_where_scipy_has_none():
    statistic = ks([1.0], [2.0])

    assert (statistic.value, statistic.p) == (1.0, 1.0)


def test_nulls_are_not_values():
    nan = math.nan

    assert ks([1.0, nan, 2.0], [nan, 2.0, 3.0]) == ks([1.0, 2.0], [2.0, 3.0])


@pytest.mark.parametrize(("before", "now"), [([1.0], [math.nan] * 3), ([math.nan] * 3, [1.0]), ([], []), ([1.0], [])])
def test_no_values_on_one_side_is_no_evidence(before, now):
    assert (ks(before, now).value, ks(before, now).p) == (0.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 300), d=st.floats(0, 1))
def test_the_kolmogorov_distribution_equals_scipys_for_few_rows(n, d):
    assert sf(n, d) == pytest.approx(float(stats.kstwo.sf(d, n)), abs=EXACT)


@settings(max_examples=150, deadline=None)
@given(n=st.integers(1, 150_000), z=st.floats(0, 6))
def test_the_kolmogorov_distribution_equals_scipys_for_many_rows(n, z):
    d = min(z / math.sqrt(n), 1.0)

    assert sf(n, d) == pytest.approx(float(stats.kstwo.sf(d, n)), abs=EXACT)


@given(n=st.integers(1, 200), k=st.integers(0, 200))
def test_the_kolmogorov_distribution_equals_scipys_where_its_pieces_meet(n, k):
    d = min(k / n, 1.0)

    assert sf(n, d) == pytest.approx(float(stats.kstwo.sf(d, n)), abs=EXACT)


@pytest.mark.parametrize("d", [0.05, 0.06, 0.1])
def test_a_tiny_p_keeps_its_order_of_magnitude(d):
    assert math.log10(sf(7043, d)) == pytest.approx(math.log10(stats.kstwo.sf(d, 7043)), rel=0.01)


tables = arrays(np.int64, st.tuples(st.just(2), st.integers(1, 8)), elements=st.integers(0, 400))


@settings(deadline=None)
@given(table=tables)
def test_chi_square_equals_scipys_once_empty_columns_are_dropped(table):
    kept = table[:, table.any(axis=0)]
    assume(kept.shape[1] >= 1 and kept.sum(axis=1).all())
    expected = stats.chi2_contingency(kept, correction=False)

    statistic = chi_square(table[0], table[1])

    assert statistic.value == pytest.approx(expected.statistic, rel=EXACT, abs=EXACT)
    assert statistic.p == pytest.approx(expected.pvalue, abs=EXACT)


@pytest.mark.parametrize(
    "table",
    [[[0, 0], [0, 0]], [[5, 5], [0, 0]], [[0, 0], [5, 5]], [[5, 0], [7, 0]]],
    ids=["nothing", "no window", "no reference", "one level"],
)
def test_chi_square_of_a_table_that_cannot_differ_is_no_evidence(table):
    statistic = chi_square(np.array(table[0]), np.array(table[1]))

    assert (statistic.value, statistic.p, statistic.effect) == (0.0, 1.0, 0.0)


@given(table=tables)
def test_total_variation_is_the_largest_difference_of_any_set_of_levels(table):
    n, m = table.sum(axis=1)
    gained = [b / m - a / n for a, b in table.T.tolist() if n and m and b / m > a / n]

    assert total_variation(*table) == pytest.approx(sum(gained), abs=1e-12)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_step_down_definition_rejects(p):
    alpha, rejected = 0.05, set()
    for step, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[index] * (len(p) - step) >= alpha:
            break
        rejected.add(index)

    assert {index for index, adjusted in enumerate(holm(p)) if adjusted < alpha} == rejected


@settings(deadline=None)
@given(first=st.lists(tied, min_size=1, max_size=40), second=st.lists(tied, min_size=1, max_size=40))
def test_two_windows_on_the_grid_of_a_reference_compare_as_their_rows_would(first, second):
    assume(effective_rows(len(first), len(second)) > 0)
    reference = Distribution.of([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    expected = stats.ks_2samp(first, second, method="asymp")

    statistic = kolmogorov_smirnov_between(Histogram.of(reference, first), Histogram.of(reference, second))

    assert (statistic.value, statistic.p) == pytest.approx((expected.statistic, expected.pvalue), abs=EXACT)


@given(first=samples, second=samples, grid=samples)
def test_off_the_grid_two_windows_never_look_further_apart_than_they_are(first, second, grid):
    reference = Distribution.of(grid)

    statistic = kolmogorov_smirnov_between(Histogram.of(reference, first), Histogram.of(reference, second))

    assert (
        statistic.value <= stats.ks_2samp(first, second, method="asymp").statistic + EXACT
        if len(first) * len(second) > 1
        else True
    )
