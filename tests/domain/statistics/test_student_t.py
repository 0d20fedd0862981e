"""Student's tail by hand is SciPy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from stillgood.domain.statistics.student_t import sf


@given(st.floats(1, 1e5), st.floats(-40, 40))
def test_the_tail_is_scipys(degrees, t):
    assert sf(degrees, t) == pytest.approx(stats.t.sf(t, degrees), rel=1e-8, abs=1e-12)


def test_beyond_all_numbers_nothing_is_left():
    assert (sf(5.0, float("inf")), sf(5.0, float("-inf"))) == (0.0, 1.0)
