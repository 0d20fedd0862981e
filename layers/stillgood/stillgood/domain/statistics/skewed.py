"""The error of a figure whose estimate is skewed: few rows that stand for many pull it further up than down, or the
other way, and an interval that reaches equally far to both sides misses the truth on one of them.

Source: P. Hall (1992), "On the removal of skewness by transformation", J. R. Stat. Soc. B 54, 221-228.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.intervals import Z95


@dataclass(frozen=True, slots=True)
class Spread:
    """How an estimate scatters: its ``variance`` (the figure's unit squared) and its ``skewness``, the third central
    moment over variance^1.5. The skewness of a mean of n observations is theirs over sqrt(n).
    """

    variance: float
    skewness: float = 0.0

    @classmethod
    def of(cls, moves: npt.NDArray[np.float64], variance: float) -> Self:
        """``moves`` float64[n]: what each independent piece of evidence moves the figure by (its influence); they sum
        to about 0. Skewness: sum m^3 / (sum m^2)^1.5, -1 to 1; 0 where nothing moves.

        >>> round(Spread.of(np.array([-1.0, -1.0, 2.0]), 6.0).skewness, 6)
        0.408248
        """
        squares = float((moves**2).sum())
        return cls(variance, float((moves**3).sum()) / squares**1.5 if squares > 0.0 else 0.0)

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)

    def less(self, other: Self) -> Self:
        """Of the difference of two independent figures: variances add up, third moments are taken from each other.

        >>> Spread(1.0, 0.5).less(Spread(1.0, 0.5))
        Spread(variance=2.0, skewness=0.0)
        """
        variance = self.variance + other.variance
        third = self.skewness * self.variance**1.5 - other.skewness * other.variance**1.5
        return type(self)(variance, third / variance**1.5 if variance > 0.0 else 0.0)

    def limits(self, value: float, z: float = Z95) -> tuple[float, float]:
        """The interval of a figure estimated at ``value``: all truths t with abs(g((value - t) / error)) <= z.

        That is from value - error h(z) to value - error h(-z) with h the inverse of g, ``unskewed``,
        h(x) = (3 / s) ((1 + s (x - s / 6))^(1/3) - 1).

        >>> [round(limit, 3) for limit in Spread(1.0).limits(0.0)]
        [-1.96, 1.96]
        >>> low, high = Spread(1.0, 0.3).limits(0.0)
        >>> round(low, 3), round(high, 3), round(unskewed(-high, 0.3), 3)
        (-1.63, 2.65, -1.96)
        """
        return value - self.error * _skewed(z, self.skewness), value - self.error * _skewed(-z, self.skewness)


def unskewed(t: float, skewness: float) -> float:
    """Student's ratio t = (estimate - truth) / standard error, made as symmetric as a normal variable:

    g(t) = t + s t^2 / 3 + s^2 t^3 / 27 + s / 6, which grows with t everywhere; s is the estimate's skewness.

    >>> unskewed(2.0, 0.0), round(unskewed(2.0, 0.3), 3), round(unskewed(-2.0, 0.3), 3)
    (2.0, 2.477, -1.577)
    """
    return t + skewness * t**2 / 3.0 + skewness**2 * t**3 / 27.0 + skewness / 6.0


def _skewed(x: float, skewness: float) -> float:
    """The inverse of ``unskewed``."""
    if abs(skewness) < 1e-6:  # the limit; the formula would lose its digits
        return x
    return 3.0 / skewness * (math.cbrt(1.0 + skewness * (x - skewness / 6.0)) - 1.0)
