"""Does anybody act on the decisions? The rate of an outcome is continuous in the score, unless people act at the
threshold.

So a jump there is evidence of action: a regression discontinuity (Thistlethwaite and Campbell 1960; Hahn, Todd and van
der Klaauw 2001). The jump is measured in the outcome less its probability, so that most of the curve is gone before a
parabola is fitted (on both sides one of its own, Fan and Gijbels 1996), within ``BANDWIDTH`` logits of each row's own
threshold, the closer the heavier. A line would take the bend of a model that has lost its calibration for a jump; the
parabola is the line less its estimated bias (Calonico, Cattaneo and Titiunik 2014, "Robust nonparametric confidence
intervals for regression-discontinuity designs", with one bandwidth for both). Outcomes of one day may move together, so
the variance is clustered by entity and by day (Cameron, Gelbach and Miller 2011), and never below that by entity alone.

A curve may bend more than a parabola within the bandwidth, and outcomes of days that follow each other may move
together; then such jumps "are" everywhere, also where no decision changes. So before a jump is told it is held against
those at ``PLACEBOS``, cut points of one side each, where nobody acts (Imbens and Lemieux 2008, section 4.7; Ganong and
Jaeger 2018, "A permutation test for the regression kink design"): its standard error is multiplied by the root mean
square of their t-statistics wherever that exceeds 1.

Windows are looked at one after another, for years. The jump since a month is an always-valid e-value
(``statistics/sequential.py``), and people may begin to act in any month, so the evidence is the mixture of those since
each month, the j-th with 1 / (j (j + 1)): these sum to 1, and so the mixture is an e-value as well (Shin, Ramdas and
Rinaldo 2023, "E-detectors").
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.sequential import one_sided_e_value

BANDWIDTH = 2.5  # logits to either side
MIN_SIDE = 100  # rows within the bandwidth, on each side
MIN_POSITIVES = 10  # right below the threshold: where hardly anything happens nobody can be seen to prevent it
SCALE = 0.1  # of a rate: the size of a jump that is worth finding; fixed before any row is seen
ALPHA = 0.005  # chance of ever finding one where nobody acts
PLACEBOS = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)  # logits from the threshold
MONTHS = 36  # the newest, in which an action may have begun
_ABOVE = 3  # the column of the design that is the jump

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Jump:
    """``size``: the rate of positive outcomes right above the threshold less that right below, -1 to 1, since the month
    that says most, and its standard error; ``below``: the rate expected there without action, by what is seen below.
    ``e``: evidence against "nobody acts", 1 / ``ALPHA`` is proof. ``rows``: near the threshold.
    """

    size: float
    standard_error: float
    below: float
    e: float
    rows: int

    @property
    def detected(self) -> bool:
        return self.e >= 1.0 / ALPHA

    @property
    def prevented(self) -> float:
        """The share of positive outcomes that the action prevents at the threshold, 0 to 1."""
        return min(max(-self.size / self.below, 0.0), 1.0) if self.below > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "standard_error": self.standard_error,
            "below": self.below,
            "prevented": self.prevented,
            "e": min(self.e, 1e12),
            "rows": self.rows,
            "found": self.detected,
        }


def jump_at(
    distance: Floats, residual: Floats, probability: Floats, entities: npt.NDArray[Any], months: Ints, days: Ints
) -> Jump | None:
    """The jump over all rows, None where too few lie near the threshold, or too few positive ones right below it.

    ``distance`` float64[n]: logit less the row's own threshold; ``residual`` float64[n]: outcome (0 or 1) less its
    ``probability``; ``entities`` [n]: whose rows they are; ``months`` and ``days`` int64[n]: when each was
    predicted, as numbers.
    """
    near = np.abs(distance) < BANDWIDTH
    if min(int((near & (distance >= 0)).sum()), int((near & (distance < 0)).sum())) < MIN_SIDE:
        return None
    _, codes = np.unique(entities, return_inverse=True)
    _, dates = np.unique(days, return_inverse=True)
    rows = _Rows(distance, residual, probability, codes, dates, months)
    jump = _since(rows, near, cautious=False)
    return _since(rows, near, cautious=True) if jump is not None and jump.detected else jump


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of ``jump_at``; entities and days as codes from 0."""

    x: Floats
    y: Floats
    p: Floats
    entities: Ints
    days: Ints
    months: Ints

    @property
    def positive(self) -> Bools:
        """bool[n]: the outcome, which is 0 or 1."""
        return self.y + self.p > 0.5

    def fit(self, chosen: Bools, at: float = 0.0) -> tuple[float, float, float] | None:
        return _fit(self.x[chosen] - at, self.y[chosen], self.entities[chosen], self.days[chosen])


def _since(rows: _Rows, near: Bools, *, cautious: bool) -> Jump | None:
    """The mixture over the months in which an action may have begun; ``cautious``: held against placebos."""
    when = rows.months[near]
    first = int(when.min())
    since = [month for month in np.unique(when).tolist() if month > int(when.max()) - MONTHS]
    total, strongest = 0.0, 0.0
    best: Jump | None = None
    for month in since:
        newer = rows.months >= month
        chosen = near & newer
        fitted = rows.fit(chosen)
        if fitted is None or int(rows.positive[chosen & (rows.x < 0)].sum()) < MIN_POSITIVES:
            continue
        size, variance, level = fitted
        variance *= _inflation(rows, newer) if cautious else 1.0
        order = month - first + 1
        evidence = one_sided_e_value(-size, variance, SCALE) / (order * (order + 1))
        total += evidence
        if evidence >= strongest:
            close = chosen & (np.abs(rows.x) < BANDWIDTH / 3)
            below = float(rows.p[close].mean()) + level if close.any() else level
            strongest, best = evidence, Jump(size, math.sqrt(variance), below, evidence, int(chosen.sum()))
    return None if best is None else replace(best, e=total)


def _inflation(rows: _Rows, newer: Bools) -> float:
    """By how much the variance of a jump is too small, at least 1: the mean squared t-statistic at the placebos."""
    squares = []
    for at in PLACEBOS:
        side = rows.x >= 0 if at > 0 else rows.x < 0
        fitted = rows.fit(newer & side & (np.abs(rows.x - at) < BANDWIDTH), at)
        if fitted is not None:
            size, variance, _ = fitted
            squares.append(size * size / variance)
    return max(1.0, math.fsum(squares) / len(squares)) if squares else 1.0


def _fit(x: Floats, y: Floats, codes: Ints, days: Ints) -> tuple[float, float, float] | None:
    """The jump at 0, its variance (the sandwich), and the level below; None where a side is too thin."""
    above = x >= 0
    if min(int(above.sum()), int((~above).sum())) < MIN_SIDE:
        return None
    weight = 1.0 - np.abs(x) / BANDWIDTH
    design = np.column_stack([np.ones(len(x)), x, x * x, above, above * x, above * x * x])
    bread = np.linalg.pinv(design.T @ (design * weight[:, None]))
    fitted = bread @ (design.T @ (weight * y))
    scores = design * (weight * (y - design @ fitted))[:, None]

    def variance(clusters: Ints) -> float:
        names, members = np.unique(clusters, return_inverse=True)
        sums = np.column_stack([np.bincount(members, column, len(names)) for column in scores.T])
        meat = sums.T @ sums * (len(names) / max(len(names) - 1, 1))
        return float((bread @ meat @ bread)[_ABOVE, _ABOVE])

    of_entity = variance(codes)
    both = variance(codes * (int(days.max()) + 1) + days)
    greatest = max(of_entity, of_entity + variance(days) - both)
    return (float(fitted[_ABOVE]), greatest, float(fitted[0])) if greatest > 0 else None


def thresholds(logits: Floats, flagged: Bools, blocks: Ints) -> Floats:
    """float64[n]: each row's own threshold, as the decisions tell: midway between the highest row that was not flagged
    and the lowest that was, over adjoining ``blocks`` (int64[n], ascending: days of one model) as far as one threshold
    explains all of them. NaN where a block has rows of one kind only, or more than one threshold.

    >>> logits, flagged = np.array([0.0, 2.0, 1.0, 3.0]), np.array([False, True, False, True])
    >>> thresholds(logits, flagged, np.array([0, 0, 1, 1])).tolist()
    [1.5, 1.5, 1.5, 1.5]
    """
    by_row = np.full(len(logits), np.nan)
    edges = np.flatnonzero(np.diff(blocks)) + 1
    starts = np.concatenate([[0], edges, [len(logits)]]).tolist() if len(logits) else [0]
    begin, low, high = 0, -math.inf, math.inf
    for start, end in pairwise(starts):
        part, acted = logits[start:end], flagged[start:end]
        below = float(part[~acted].max()) if not acted.all() else -math.inf
        above = float(part[acted].min()) if acted.any() else math.inf
        if max(low, below) >= min(high, above):  # another threshold: what came before is complete
            by_row[begin:start] = (
                (low + high) / 2 if math.isfinite(low) and math.isfinite(high) and low < high else np.nan
            )
            begin, low, high = start, -math.inf, math.inf
        low, high = max(low, below), min(high, above)
    by_row[begin:] = (low + high) / 2 if math.isfinite(low) and math.isfinite(high) and low < high else np.nan
    return by_row
