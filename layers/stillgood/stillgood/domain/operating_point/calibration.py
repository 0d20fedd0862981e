"""Probabilities from the newest matured labels: a Platt line that is drawn towards the old one when labels are few.

Monotone by construction and never inverted: a slope that is not demonstrably above zero means that the ranking is lost.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.model.model import Calibration
from stillgood.domain.statistics.intervals import Z95

type Floats = NDArray[np.float64]

PRIOR_ROWS = 200  # what the old line counts for, in rows
MIN_OF_EACH = 20  # positives and negatives, for a line that says something
SLOPE_Z = 2.3263478740408408  # one-sided 99%
_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Matured predictions, oldest first: ``logits`` float64[n], ``y`` bool[n], whose they are ``entities`` int64[n],
    and
    whether they were flagged when they were made, ``flagged`` bool[n]."""

    logits: Floats
    y: NDArray[np.bool_]
    entities: NDArray[np.int64]
    flagged: NDArray[np.bool_]

    @property
    def n(self) -> int:
        return len(self.logits)

    @property
    def of_the_rarer(self) -> int:
        """How many rows have the rarer outcome."""
        return int(min(self.y.sum(), self.n - self.y.sum()))

    def newest(self, n: int) -> Self:
        """The last ``n`` rows, fewer where there are fewer."""
        cut = slice(max(0, self.n - n), self.n)
        return type(self)(self.logits[cut], self.y[cut], self.entities[cut], self.flagged[cut])


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """A Platt line with the covariance of (slope, intercept), row by row: three numbers, the matrix being symmetric."""

    line: Calibration
    covariance: tuple[float, float, float]  # var(slope), cov, var(intercept)
    rows: int

    @property
    def slope_z(self) -> float:
        """The slope in standard errors; how sure it is that higher scores are more often positive."""
        return (
            self.line.slope / math.sqrt(self.covariance[0]) if self.covariance[0] > 0.0 else math.inf * self.line.slope
        )

    @property
    def keeps_ranking(self) -> bool:
        return self.line.slope > 0.0 and self.slope_z > SLOPE_Z

    def matrix(self) -> Floats:
        """float64[2, 2]."""
        a, ab, b = self.covariance
        return np.array([[a, ab], [ab, b]])

    def probabilities(self, logits: Floats) -> Floats:
        """float64[n], 0 to 1."""
        return sigmoid(self.line.slope * logits + self.line.intercept)

    def to_dict(self) -> dict[str, Any]:
        return {
            "slope": self.line.slope,
            "intercept": self.line.intercept,
            "covariance": list(self.covariance),
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError."""
        a, ab, b = (float(number) for number in raw["covariance"])
        return cls(Calibration(float(raw["slope"]), float(raw["intercept"])), (a, ab, b), int(raw["rows"]))


def sigmoid(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))`` of each, without overflow."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))


def calibrate(labelled: Labelled, prior: Calibration, prior_rows: float = PRIOR_ROWS) -> FittedCalibration:
    """The line with the highest posterior: minimises

    sum of log-loss(y, sigmoid(slope * logit + intercept)) + (t - t0)' H (t - t0) / 2,    t = (slope, intercept)

    where t0 is ``prior`` and H the information that ``prior_rows`` average rows would give at it, so that few labels
    move it little. The covariance is the sandwich A^-1 B A^-1 with B summed by entity, because a customer's rows are
    not so many customers (Liang and Zeger 1986). Newton's steps, halved until the loss falls, as far slopes overshoot.
    Sources: Platt (1999); Lin, Lin and Weng (2007), Machine Learning 68.

    >>> rows = Labelled(np.array([-1.0, 1.0] * 500), np.array([False, True] * 400 + [True, False] * 100),
    ...                 np.arange(1000), np.zeros(1000, dtype=bool))
    >>> fitted = calibrate(rows, Calibration(1.0, 0.0))
    >>> round(fitted.line.slope, 2), abs(round(fitted.line.intercept, 2)), fitted.keeps_ranking
    (1.31, 0.0, True)
    """
    x, y = labelled.logits, labelled.y.astype(np.float64)
    design = np.column_stack([x, np.ones(len(x))])
    start = np.array([prior.slope, prior.intercept])
    # The prior as rows of its own: their information is what prior_rows average rows would give.
    p = sigmoid(design @ start)
    prior_design = design * np.sqrt(np.maximum(p * (1.0 - p), 0.01) * (prior_rows / max(len(x), 1)))[:, None]
    information = prior_design.T @ prior_design

    def loss(t: Floats) -> float:
        z = design @ t
        return float((np.logaddexp(0.0, z) - y * z).sum() + 0.5 * (t - start) @ information @ (t - start))

    t, current = start, loss(start)
    for _ in range(_STEPS):
        p = sigmoid(design @ t)
        gradient = design.T @ (y - p) - information @ (t - start)
        step = np.linalg.solve(_regular(_information(design, p) + information), gradient)
        size = 1.0
        while size > 1e-6 and not loss(t + size * step) <= current:
            size /= 2
        before, t = current, t + size * step
        current = loss(t)
        if before - current <= 1e-10 * abs(current):
            break
    p = sigmoid(design @ t)
    bread = np.linalg.inv(_regular(_information(design, p) + information))
    scores = summed_by(labelled.entities, design * (y - p)[:, None])
    # The prior's rows vary, too; without them a line drawn wholly from it would claim to be certain.
    spread = bread @ np.concatenate([scores, prior_design]).T
    covariance = spread @ spread.T
    line = Calibration(float(t[0]), float(t[1]))
    return FittedCalibration(line, (float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])), len(x))


def slope_holds(labelled: Labelled, line: Calibration) -> bool:
    """Whether a logit of score is worth what ``line`` takes it for: with r = slope of the labels alone / line.slope,
    the 95% interval of r lies between 1/2 and 2, and reaches between 4/5 and 5/4. False for fewer than ``MIN_OF_EACH``
    of either outcome.

    A number in another unit may keep the ranking, by the other features, but changes what a logit is worth.

    >>> rows = Labelled(np.array([-1.0, 1.0] * 500), np.array([False, True] * 400 + [True, False] * 100),
    ...                 np.arange(1000), np.zeros(1000, dtype=bool))
    >>> [slope_holds(rows, Calibration(slope, 0.0)) for slope in (1.4, 2.0, 0.5)]
    [True, False, False]
    """
    if labelled.of_the_rarer < MIN_OF_EACH:
        return False
    fitted = calibrate(labelled, line, prior_rows=1.0)
    reach = Z95 * math.sqrt(fitted.covariance[0])
    low, high = (fitted.line.slope - reach) / line.slope, (fitted.line.slope + reach) / line.slope
    return 0.5 < low < 1.25 and 0.8 < high < 2.0


def summed_by(entities: NDArray[np.int64], rows: Floats) -> Floats:
    """Sums of ``rows`` float64[n, k] by entity, float64[entities, k].

    >>> summed_by(np.array([7, 3, 7]), np.array([[1.0], [2.0], [4.0]])).tolist()
    [[2.0], [5.0]]
    """
    _, place = np.unique(entities, return_inverse=True)
    groups = int(place.max()) + 1 if len(place) else 0
    return np.column_stack([np.bincount(place, column, minlength=groups) for column in rows.T])


def _regular(matrix: Floats) -> Floats:
    """``matrix`` float64[2, 2] made invertible: one row, or rows alike, tell of one direction only."""
    return matrix + (1e-6 * float(np.trace(matrix)) + 1e-9) * np.eye(2)


def _information(design: Floats, p: Floats) -> Floats:
    return np.asarray(design.T @ (design * (p * (1.0 - p))[:, None]))
