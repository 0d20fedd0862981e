"""A skewed estimate's interval is skewed, and holds the truth as often on either side as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.statistics.clustered import ratio_spread
from stillgood.domain.statistics.skewed import Spread, unskewed


@given(st.floats(-1, 1), st.floats(-4, 4))
def test_limits_are_where_the_unskewed_ratio_reaches_z(skewness: float, value: float) -> None:
    low, high = Spread(0.25, skewness).limits(value)
    assert low < value < high
    assert unskewed((value - low) / 0.5, skewness) == pytest.approx(1.959964, abs=1e-4)
    assert unskewed((value - high) / 0.5, skewness) == pytest.approx(-1.959964, abs=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_mean_of_few_skewed_rows_is_held_on_either_side(sign: int) -> None:
    random = np.random.default_rng(5)
    under, over, plain = [], [], []
    for _ in range(4000):
        rows = sign * random.exponential(size=30)
        spread = ratio_spread(rows, np.ones(30), np.arange(30))
        low, high = spread.limits(float(rows.mean()))
        under.append(high < sign)
        over.append(low > sign)
        plain.append(abs(rows.mean() - sign) > 1.96 * spread.error)
    assert np.mean(plain) > 0.08  # .0735 of it on one side
    assert max(np.mean(under), np.mean(over)) < 0.05
    assert np.mean(under) + np.mean(over) < 0.07


def test_a_difference_of_alike_groups_is_not_skewed() -> None:
    group = ratio_spread(np.array([0.0, 0.0, 0.0, 0.0, 1.0]), np.ones(5), np.arange(5))
    assert group.skewness > 0.5
    assert group.less(group) == Spread(2 * group.variance)
    assert Spread.of(np.zeros(3), 0.0).limits(0.4) == (0.4, 0.4)
