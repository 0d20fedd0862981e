"""A figure with its uncertainty, and the Wilson interval of a share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

Z95 = 1.959963984540054  # two-sided 95% of the normal distribution


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95% interval, in the figure's own unit. Never NaN: an undefined figure is an error, not a
    value.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(part) for part in (self.value, self.low, self.high)):
            raise ValueError(f"an estimate must be finite, got {self.value}, [{self.low}, {self.high}]")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an estimate lies inside its interval, got {self.value}, [{self.low}, {self.high}]")

    @property
    def standard_error(self) -> float:
        """Of the normal distribution whose 95% interval is as wide."""
        return (self.high - self.low) / (2.0 * Z95)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def to_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> Self:
        return cls(float(data["value"]), float(data["low"]), float(data["high"]))


def normal_sf(z: float) -> float:
    """P(Z > z) for a standard normal Z; 0 to 1.

    >>> round(normal_sf(1.6448536269514722), 12)
    0.05
    """
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def wilson(successes: int, trials: int, z: float = Z95) -> Estimate:
    """The Wilson score interval of a share, 0 to 1.

    With p = successes / trials, the limits are the q that solve |p - q| = z * sqrt(q (1 - q) / trials).
    No trials: 0 with the interval [0, 1], which claims nothing (scikit-learn's ``zero_division=0``).
    Source: E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.

    >>> print(wilson(8, 10))
    0.800 [0.490, 0.943]
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes lie between 0 and trials, got {successes} of {trials}")
    if trials == 0:
        return Estimate(0.0, 0.0, 1.0)
    share = successes / trials
    shrink = 1.0 + z * z / trials
    middle = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At 0 and 1 the limit is the share itself; rounding must not push it past.
    low = 0.0 if successes == 0 else min(middle - half, share)
    high = 1.0 if successes == trials else max(middle + half, share)
    return Estimate(share, low, high)
