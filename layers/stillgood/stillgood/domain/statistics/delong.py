"""ROC-AUC with DeLong's variance, alone and paired.

Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845; computed by sorting, O(n log n), after
Sun & Xu (2014), IEEE Signal Processing Letters 21, 1389-1393.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.statistics.intervals import Z95, Estimate, normal_sf, wilson

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PairedAuc:
    """The difference of two AUCs on the same rows: ``difference`` = first - second, its standard error, and ``p``,
    the one-sided p-value of "first is no better than second"."""

    first: float
    second: float
    difference: float
    standard_error: float
    p: float


def checked(scores: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Flags]:
    """Scores float64[n] and outcomes bool[n], or a ValueError: shapes differ, a score is not finite, y is not 0/1."""
    values, outcomes = np.asarray(scores, dtype=np.float64), np.asarray(y)
    if values.ndim != 1 or values.shape != outcomes.shape:
        raise ValueError(f"scores and outcomes are two columns of one length, got {values.shape} and {outcomes.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} scores are NaN or infinite")
    positive = outcomes == 1
    if not (positive | (outcomes == 0)).all():
        raise ValueError("outcomes are 0 or 1")
    return values, positive


def roc_auc(scores: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """P(a positive scores above a negative), a tie counting half; 0 to 1. Raises OneClassOnly.

    >>> roc_auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
    0.875
    """
    above, _ = _placements(*checked(scores, y))
    return float(above.mean())


def delong_variance(scores: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Variance of the AUC: var(V10) / positives + var(V01) / negatives, where V10 of a positive is the share of
    negatives it beats and V01 of a negative the share of positives that beat it. Raises OneClassOnly, TooFewRows.

    >>> round(delong_variance([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]), 6)
    0.03125
    """
    return _variance(*_placements(*checked(scores, y)))


def auc_estimate(scores: npt.ArrayLike, y: npt.ArrayLike) -> Estimate:
    """The AUC with its 95% interval, on the logit scale so that it stays inside 0 to 1.

    Where DeLong's variance is 0 (perfect separation), the Wilson interval over the smaller class stands in, which is
    wide rather than empty. Raises OneClassOnly, TooFewRows.

    >>> print(auc_estimate([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]))
    1.000 [0.342, 1.000]
    """
    above, beaten = _placements(*checked(scores, y))
    auc, variance = float(above.mean()), _variance(above, beaten)
    if variance == 0.0 or not 0.0 < auc < 1.0:
        smaller = min(len(above), len(beaten))
        around = wilson(round(auc * smaller), smaller)
        return Estimate(auc, min(around.low, auc), max(around.high, auc))
    odds = math.log(auc / (1 - auc))
    reach = Z95 * math.sqrt(variance) / (auc * (1 - auc))
    return Estimate(auc, min(_sigmoid(odds - reach), auc), max(_sigmoid(odds + reach), auc))


def paired_delong(first: npt.ArrayLike, second: npt.ArrayLike, y: npt.ArrayLike) -> PairedAuc:
    """Compare two scores of the same rows: z = (AUC1 - AUC2) / se, p = P(Z > z), one-sided for "first is better".

    The variance of the difference is that of the per-row differences of V10 and V01, so what both models share
    cancels. Standard error 0 (the same ranking, or nothing varies): p = 1, as there is nothing to judge by.
    Raises OneClassOnly, TooFewRows.

    >>> y = [0, 0, 0, 1, 1, 1]
    >>> test = paired_delong([1, 2, 3, 4, 5, 6], [1, 2, 5, 4, 3, 6], y)
    >>> round(test.difference, 4), round(test.p, 4)
    (0.2222, 0.1855)
    >>> paired_delong([1, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60], y).p
    1.0
    """
    values, positive = checked(first, y)
    others, _ = checked(second, y)
    above, beaten = _placements(values, positive)
    above2, beaten2 = _placements(others, positive)
    error = math.sqrt(_variance(above - above2, beaten - beaten2))
    auc, auc2 = float(above.mean()), float(above2.mean())
    p = normal_sf((auc - auc2) / error) if error > 0.0 else 1.0
    return PairedAuc(auc, auc2, auc - auc2, error, p)


def _placements(values: Floats, positive: Flags) -> tuple[Floats, Floats]:
    """V10[positives] and V01[negatives], each 0 to 1, ties counting half."""
    winners, losers = values[positive], values[~positive]
    if not len(winners) or not len(losers):
        raise OneClassOnly(f"an AUC needs both outcomes; {len(winners)} of {len(values)} rows are positive")
    return _share_below(losers, winners), 1.0 - _share_below(winners, losers)


def _share_below(of: Floats, than: Floats) -> Floats:
    ordered = np.sort(of)
    twice = np.searchsorted(ordered, than, "left") + np.searchsorted(ordered, than, "right")
    return np.asarray(twice / (2.0 * len(of)), dtype=np.float64)


def _variance(above: Floats, beaten: Floats) -> float:
    if len(above) < 2 or len(beaten) < 2:
        raise TooFewRows(f"a variance needs two rows of each outcome, got {len(above)} and {len(beaten)}")
    return float(above.var(ddof=1) / len(above) + beaten.var(ddof=1) / len(beaten))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
