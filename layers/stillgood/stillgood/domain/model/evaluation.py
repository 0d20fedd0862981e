"""How good a model is on labelled rows: the metrics of ``metrics.json``, each with its 95% interval."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import OneClassOnly
from stillgood.domain.model.threshold import threshold_for_contract, threshold_for_costs, threshold_for_recall
from stillgood.domain.statistics.clustered import auc_spread, ratio_spread
from stillgood.domain.statistics.delong import auc_estimate, checked, delong_variance, paired_delong, roc_auc
from stillgood.domain.statistics.intervals import Z95, Estimate, wilson
from stillgood.domain.statistics.skewed import Spread

__all__ = [
    "Estimate",
    "Metrics",
    "auc_estimate",
    "brier",
    "calibration_error",
    "clustered",
    "delong_variance",
    "evaluate",
    "f1_estimate",
    "paired_delong",
    "roc_auc",
    "threshold_for_contract",
    "threshold_for_costs",
    "threshold_for_recall",
    "wilson",
]

_ESTIMATES = ("roc_auc", "recall", "precision", "f1", "brier")


@dataclass(frozen=True, slots=True)
class Metrics:
    """One model on one set of rows. Shares are 0 to 1; ``rows``, ``positives`` and ``flagged`` are counts."""

    roc_auc: Estimate
    recall: Estimate
    precision: Estimate
    f1: Estimate
    brier: Estimate
    calibration_error: float
    rows: int
    positives: int
    flagged: int

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name).to_dict() for name in _ESTIMATES} | {
            "calibration_error": self.calibration_error,
            "rows": self.rows,
            "positives": self.positives,
            "flagged": self.flagged,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError for a missing metric, ValueError for one that is not finite."""
        error = float(data["calibration_error"])
        if not math.isfinite(error):
            raise ValueError(f"calibration_error must be finite, got {error}")
        roc_auc, recall, precision, f1, brier = (Estimate.from_dict(data[name]) for name in _ESTIMATES)
        counts = {name: int(data[name]) for name in ("rows", "positives", "flagged")}
        return cls(roc_auc, recall, precision, f1, brier, error, **counts)


def evaluate(logits: npt.ArrayLike, probabilities: npt.ArrayLike, y: npt.ArrayLike, threshold_logit: float) -> Metrics:
    """All metrics of a model that flags a row when its logit >= ``threshold_logit``.

    ``logits`` and ``probabilities`` (calibrated) are float64[n], ``y`` is 0 or 1 [n]. Nobody flagged: precision is 0
    with the interval [0, 1]. Raises OneClassOnly, TooFewRows; ValueError for NaN or different lengths.
    """
    values, positive = checked(logits, y)
    if not math.isfinite(threshold_logit):
        raise ValueError(f"the threshold must be finite, got {threshold_logit}")
    flagged = values >= threshold_logit
    hits, positives, offers = int((flagged & positive).sum()), int(positive.sum()), int(flagged.sum())
    if positives in (0, len(values)):
        raise OneClassOnly(f"metrics need both outcomes; {positives} of {len(values)} rows are positive")
    return Metrics(
        roc_auc=auc_estimate(values, positive),
        recall=wilson(hits, positives),
        precision=wilson(hits, offers),
        f1=f1_estimate(hits, offers - hits, positives - hits),
        brier=brier(probabilities, positive),
        calibration_error=calibration_error(probabilities, positive),
        rows=len(values),
        positives=positives,
        flagged=offers,
    )


def clustered(
    metrics: Metrics,
    logits: npt.NDArray[np.float64],
    flagged: npt.NDArray[np.bool_],
    positive: npt.NDArray[np.bool_],
    entities: npt.NDArray[Any],
    strata: npt.NDArray[np.int64] | None = None,
    probabilities: npt.NDArray[np.float64] | None = None,
) -> Metrics:
    """``metrics`` with the intervals of ROC-AUC, recall and precision as wide as repeated entities make them, never
    narrower.

    ``entities`` [n]: whose row it is; ``strata`` int64[n]: as of ``stratified_spread``: some rows stand for others, so
    the figures are skewed, and the intervals with them (docs/decisions/0075); with ``probabilities`` float64[n] the
    Brier score's interval is widened, too. Raises TooFewRows for fewer than two entities with an outcome.
    """
    _, roc_auc = auc_spread(logits, positive, entities, strata=strata)
    hits, yes = flagged.astype(np.float64), positive.astype(np.float64)
    if strata is None:
        recall = ratio_spread(hits[positive], np.ones(int(positive.sum())), entities[positive])
        precision = ratio_spread(yes[flagged], np.ones(int(flagged.sum())), entities[flagged])
        roc_auc, recall, precision = (Spread(spread.variance) for spread in (roc_auc, recall, precision))
    else:
        recall = ratio_spread(hits * yes, yes, entities, strata)
        precision = ratio_spread(hits * yes, hits, entities, strata) if flagged.any() else Spread(0.0)
    if strata is not None and probabilities is not None:
        spread = ratio_spread((probabilities - yes) ** 2, np.ones(len(yes)), entities, strata)
        metrics = replace(metrics, brier=_widened(metrics.brier, spread))
    return replace(
        metrics,
        roc_auc=_widened(metrics.roc_auc, roc_auc),
        recall=_widened(metrics.recall, recall),
        precision=_widened(metrics.precision, precision),
    )


def _widened(estimate: Estimate, spread: Spread) -> Estimate:
    low, high = spread.limits(estimate.value)
    return Estimate(estimate.value, max(min(estimate.low, low), 0.0), min(max(estimate.high, high), 1.0))


def f1_estimate(hits: int, false_alarms: int, misses: int) -> Estimate:
    """F1 = 2 hits / (2 hits + false alarms + misses), 0 to 1.

    F1 = 2J / (1 + J) grows with the Jaccard share J = hits / (hits + false alarms + misses), so the Wilson interval
    of J maps onto one of F1. No such rows: 0 with the interval [0, 1].

    >>> print(f1_estimate(hits=8, false_alarms=2, misses=2))
    0.800 [0.562, 0.926]
    """
    jaccard = wilson(hits, hits + false_alarms + misses)
    return Estimate(*(2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high)))


def brier(probabilities: npt.ArrayLike, y: npt.ArrayLike) -> Estimate:
    """Mean squared error of the probabilities, 0 (sure and right) to 1, with a normal 95% interval cut to [0, 1].

    Source: G. W. Brier (1950), Monthly Weather Review 78, 1-3.

    >>> brier([0.0, 0.5, 1.0, 0.5], [0, 0, 1, 1]).value
    0.125
    """
    values, positive = _probabilities(probabilities, y)
    errors = (values - positive) ** 2
    mean = float(errors.mean())
    reach = Z95 * float(errors.std(ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else 1.0
    return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach))


def calibration_error(probabilities: npt.ArrayLike, y: npt.ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: the mean over rows of |mean probability - share positive| of the row's bin, 0 to 1.

    Bins hold equally many rows (fewer bins than 10 when there are fewer rows); equal probabilities may straddle bins.

    >>> calibration_error([0.25, 0.25, 0.25, 0.25], [0, 0, 0, 1], bins=1)
    0.0
    """
    values, positive = _probabilities(probabilities, y)
    order = np.argsort(values, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(values[part].mean()) - float(positive[part].mean())) * len(part) for part in parts]
    return sum(gaps) / len(values)


def _probabilities(probabilities: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
    values, positive = checked(probabilities, y)
    if not len(values) or values.min() < 0.0 or values.max() > 1.0:
        raise ValueError("probabilities are between 0 and 1, at least one")
    return values, positive
