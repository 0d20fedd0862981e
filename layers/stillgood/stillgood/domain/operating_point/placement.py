"""The threshold at which the estimated figure of unlabelled predictions meets an objective, and how sure the estimate
is.

A calibrated probability is the expected outcome of its row, so sums of probabilities stand for counts of positives.
That follows a change in who is scored before any label comes. It is blind to a change of P(y | score); the labels
notice that.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Objective
from stillgood.domain.operating_point.calibration import FittedCalibration, Floats, summed_by
from stillgood.domain.statistics.intervals import Z95, Estimate

# A share of rows times their number may come out a hair below the whole number that it is.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Unlabelled predictions, oldest first: ``logits`` float64[n] and whose they are, ``entities`` int64[n]."""

    logits: Floats
    entities: NDArray[np.int64]

    @property
    def n(self) -> int:
        return len(self.logits)

    def newest(self, n: int) -> Self:
        """The last ``n`` rows, fewer where there are fewer."""
        cut = slice(max(0, self.n - n), self.n)
        return type(self)(self.logits[cut], self.entities[cut])

    def oldest(self, n: int) -> Self:
        """The first ``n`` rows, fewer where there are fewer."""
        return type(self)(self.logits[:n], self.entities[:n])


@dataclass(frozen=True, slots=True)
class EstimatedFigure:
    """A figure, 0 to 1, and its standard error by the rows at hand (``sampling``) and by the calibration's own
    uncertainty.
    """

    value: float
    sampling: float
    calibration: float

    @property
    def standard_error(self) -> float:
        return math.hypot(self.sampling, self.calibration)

    def interval(self) -> Estimate:
        """The 95% interval, cut to [0, 1]."""
        reach = Z95 * self.standard_error
        value = min(1.0, max(0.0, self.value))
        return Estimate(value, max(0.0, value - reach), min(1.0, value + reach))


def estimate(kind: str, fitted: FittedCalibration, population: Population, threshold: float) -> EstimatedFigure:
    """The figure of ``kind`` for rows flagged at logit >= ``threshold``; p is a row's calibrated probability, f whether
    it is flagged.

    recall = sum f p / sum p;  precision = sum f p / sum f;  capacity (share flagged) = mean f;  cost = p at the
    threshold. Standard error by the delta method: a row's influence is (f - recall) p / sum p, f (p - precision) / sum
    f, or (f - share) / n, summed by entity before it is squared (Taylor linearisation, Woodruff 1971), and the gradient
    in (slope, intercept) times their covariance. Nobody flagged: the precision of the highest row. Raises ValueError
    without rows.

    >>> from stillgood.domain.model.model import Calibration
    >>> sure = FittedCalibration(Calibration(1.0, 0.0), (0.0, 0.0, 0.0), 1000)
    >>> rows = Population(np.log([1 / 9, 1.0, 9.0, 9.0]), np.arange(4))
    >>> figure = estimate("recall", sure, rows, 1.0)
    >>> round(figure.value, 6), round(figure.standard_error, 4)
    (0.75, 0.2394)
    """
    if population.n == 0:
        raise ValueError("an estimate needs rows")
    x = population.logits
    p = fitted.probabilities(x)
    flagged = (x >= threshold).astype(np.float64)
    slope = p * (1.0 - p)
    if kind == "cost":
        at = fitted.probabilities(np.array([threshold]))[0]
        gradient = at * (1.0 - at) * np.array([threshold, 1.0])
        return EstimatedFigure(float(at), 0.0, _by_calibration(fitted, gradient))
    if kind == "recall":
        whole = float(p.sum())
        value = float((flagged * p).sum()) / whole
        influence, weight = (flagged - value) * p / whole, (flagged - value) * slope / whole
    elif kind == "precision":
        if not flagged.any():
            flagged = (x >= x.max()).astype(np.float64)
        whole = float(flagged.sum())
        value = float((flagged * p).sum()) / whole
        influence, weight = flagged * (p - value) / whole, flagged * slope / whole
    elif kind == "capacity":
        value = float(flagged.mean())
        influence, weight = (flagged - value) / population.n, np.zeros(population.n)
    else:
        raise ValueError(f"unknown objective {kind!r}")
    sums = summed_by(population.entities, influence[:, None])[:, 0]
    groups = len(sums)
    sampling = math.sqrt(float((sums**2).sum()) * groups / max(groups - 1, 1))
    # Where all rows fall on one side the linearisation sees no spread; one more row could fall on the other.
    sampling = max(sampling, 1.0 / groups if value in (0.0, 1.0) else 0.0)
    return EstimatedFigure(value, sampling, _by_calibration(fitted, np.array([(weight * x).sum(), weight.sum()])))


@dataclass(frozen=True, slots=True)
class Placed:
    """A threshold in logits, the share of rows that it flags, and whether the objective can be reached at all."""

    threshold: float
    share: float
    reached: bool


def place(
    objective: Objective,
    aim: float,
    fitted: FittedCalibration,
    population: Population,
    *,
    capacity: float | None = None,
) -> Placed:
    """The threshold for ``aim``, 0 to 1: the figure that ``objective`` should have.

    recall: the fewest rows whose probabilities add up to ``aim`` of all. precision: the most rows with a mean
    probability of at least ``aim``. capacity: as many rows as fit into it (.29 of 100 are 29). cost: rows from the
    probability ``aim`` on. ``capacity`` is the largest share (0 to 1) that may be flagged beside a cost. Rows of one
    logit fall on one side; the threshold lies midway between two logits, so that it does not hang on the rounding of
    one. An objective that nobody meets flags nobody.

    >>> from stillgood.domain.model.model import Calibration
    >>> sure = FittedCalibration(Calibration(1.0, 0.0), (0.0, 0.0, 0.0), 1000)
    >>> rows = Population(np.log([1 / 9, 1.0, 9.0, 9.0]), np.arange(4))
    >>> place(Objective("recall", 0.7), 0.7, sure, rows)
    Placed(threshold=1.0986122886681098, share=0.5, reached=True)
    """
    order = np.argsort(-population.logits, kind="stable")
    x = population.logits[order]
    p = fitted.probabilities(x)
    ends = np.append(np.flatnonzero(np.diff(x)), len(x) - 1)  # the last row of each logit, highest logit first
    flagged, hits = ends + 1, np.cumsum(p)[ends]
    allowed = _fitting(flagged, len(x), 1.0 if capacity is None else capacity)
    if objective.kind == "recall":
        reaching = np.flatnonzero(hits >= aim * hits[-1] * (1.0 - _ROUNDING))
        count = int(reaching[0]) + 1
    elif objective.kind == "precision":
        good = np.flatnonzero(hits >= aim * flagged * (1.0 - _ROUNDING))
        count = int(good[-1]) + 1 if len(good) else 0
    elif objective.kind == "capacity":
        count = _fitting(flagged, len(x), aim)
    else:
        count = int(np.searchsorted(-p[ends], -aim, side="right"))
    reached = count > 0 or objective.kind in ("capacity", "cost")
    count = min(count, allowed)
    return Placed(_between(x[ends], count), float(flagged[count - 1]) / len(x) if count else 0.0, reached)


def _fitting(flagged: NDArray[np.int64], n: int, share: float) -> int:
    """How many distinct logits, from the highest, fit into a share of ``n`` rows."""
    return int(np.searchsorted(flagged, math.floor(share * n + _ROUNDING * n), side="right"))


def _between(levels: Floats, count: int) -> float:
    """A threshold that flags the first ``count`` of the distinct ``levels``, highest first."""
    if count == 0:
        return float(np.nextafter(levels[0], np.inf))
    if count == len(levels):
        return float(levels[-1])
    return float(levels[count] + (levels[count - 1] - levels[count]) / 2)


def _by_calibration(fitted: FittedCalibration, gradient: Floats) -> float:
    return math.sqrt(max(float(gradient @ fitted.matrix() @ gradient), 0.0))
