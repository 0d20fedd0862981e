"""Is the model as sure of itself as it was? Mean |score - 0.5| of the window against the reference, both ways.

A unit error upstream makes a model more sure, not less, so a one-sided look misses it.
"""

import math
from dataclasses import dataclass

from stillgood.domain.drift.histograms import ScoreHistogram
from stillgood.domain.drift.reference import Reference
from stillgood.domain.drift.two_sample import INDEPENDENT, NOTHING, Design, Statistic
from stillgood.domain.statistics import student_t

MIN_ROWS = 30  # of the champion's own, on either side: below, its scores say nothing


@dataclass(frozen=True, slots=True)
class Confidence:
    """Means of |score - 0.5|, 0 (a coin) to 0.5 (certain), over ``rows`` and ``reference_rows``; ``test`` is two-sided.

    The test's value is z, its effect the relative change |mean / reference mean - 1|.
    """

    mean: float
    reference_mean: float
    rows: int
    reference_rows: int
    test: Statistic

    @property
    def change(self) -> float:
        """mean / reference mean - 1; below 0 is less sure. 0 when there is nothing to compare."""
        comparable = self.rows and self.reference_mean > 0
        return self.mean / self.reference_mean - 1.0 if comparable else 0.0

    def degraded(self, tolerance: float) -> bool:
        """The plain one-sided rule: the window's mean is more than ``tolerance`` (a share) below the reference's."""
        return self.change < -tolerance


def compare_confidence(reference: Reference, scores: ScoreHistogram, design: Design = INDEPENDENT) -> Confidence:
    """t = (mean - reference mean) / sqrt(variance / n + reference variance / m), two-sided p of Student's t with Welch
    and
    Satterthwaite's degrees of freedom; n and m count an entity's rows once (``design``).

    The champion's own rows only. Fewer than ``MIN_ROWS`` on one side: t = 0, p = 1. No spread on either side: p is 1
    for equal means, else 0. Source: Welch (1947), Biometrika 34.

    >>> from stillgood.domain.drift.reference import Distribution
    >>> reference = Reference("v1", 40, {}, {}, Distribution.of([0.1, 0.3, 0.7, 0.9] * 10))
    >>> window = ScoreHistogram.of(reference.score, [0.4, 0.6, 0.5, 0.5] * 10, [0.2] * 40, [False] * 40)
    >>> compared = compare_confidence(reference, window)
    >>> round(compared.change, 6), round(compared.test.value, 4), compared.degraded(0.05)
    (-0.833333, -13.9642, True)
    """
    before, now = (reference.score.n, *reference.confidence), _moments(scores)
    return Confidence(now[1], before[1], now[0], before[0], _welch(before, now, design))


def compare_confidence_between(
    season: ScoreHistogram, scores: ScoreHistogram, design: Design = INDEPENDENT
) -> Statistic:
    """The same test between two windows of one champion."""
    return _welch(_moments(season), _moments(scores), design)


def _moments(scores: ScoreHistogram) -> tuple[int, float, float]:
    """Rows, mean and variance (n - 1) of |score - 0.5|."""
    n, (total, squares) = scores.n, scores.confidence
    mean = total / n if n else 0.0
    return n, mean, max(squares - n * mean * mean, 0.0) / (n - 1) if n > 1 else 0.0


def _welch(before: tuple[int, float, float], now: tuple[int, float, float], design: Design) -> Statistic:
    (m, mean_before, variance_before), (n, mean, variance) = before, now
    if min(n, m) < MIN_ROWS:
        return NOTHING
    rows_before, rows = m / design[0], n / design[1]
    parts = variance / rows, variance_before / rows_before
    spread = math.sqrt(sum(parts))
    difference = mean - mean_before
    # Sums leave rounding behind: means of constants are equal when they agree to 1e-12.
    constant = 0.0 if abs(difference) < 1e-12 else math.copysign(math.inf, difference)
    z = difference / spread if spread > 1e-12 else constant
    freedom = (
        spread**4 / (parts[0] ** 2 / max(rows - 1, 1.0) + parts[1] ** 2 / max(rows_before - 1, 1.0))
        if spread > 1e-12
        else 1.0
    )
    p = 2.0 * student_t.sf(freedom, abs(z))
    effect = abs(difference) / mean_before if mean_before > 0 else float(difference > 0)
    # A report is JSON, which has no infinity; beyond 1e9 standard errors the figure says nothing anyway.
    return Statistic(max(min(z, 1e9), -1e9), p, effect)
