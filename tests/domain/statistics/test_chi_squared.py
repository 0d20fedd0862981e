"""The tail of the chi-squared distribution is scipy's to 1e-12, for few and for many degrees of freedom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from stillgood.domain.statistics.chi_squared import sf


@given(st.integers(1, 400), st.floats(0, 4000))
def test_it_equals_scipys(degrees, x):
    assert sf(degrees, x) == pytest.approx(chi2.sf(x, degrees), rel=1e-12, abs=1e-12)


@given(st.integers(400, 3000), st.floats(-5, 5))
def test_it_equals_scipys_where_many_terms_count(degrees, deviations):
    x = degrees + deviations * (2 * degrees) ** 0.5
    assert sf(degrees, x) == pytest.approx(chi2.sf(x, degrees), rel=1e-11, abs=1e-11)


def test_the_ends():
    assert [sf(degrees, 0.0) for degrees in (1, 2, 7)] == [1.0, 1.0, 1.0]
    assert [sf(degrees, float("inf")) for degrees in (1, 2, 7)] == [0.0, 0.0, 0.0]


def test_a_hand_computed_value():
    """With two degrees of freedom the tail is exp(-x/2)."""
    assert sf(2, 2.0) == pytest.approx(0.36787944117144233, abs=1e-15)
