"""Two models on the same labelled rows: every difference is paired, so that what both share cancels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.delong import Flags, Floats, PairedAuc, checked, paired_delong
from stillgood.domain.statistics.intervals import normal_sf

# One-sided 95%: the gate asks "is it demonstrably lower than the margin", never "is it different".
Z_ONE_SIDED = 1.6448536269514722


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutScores:
    """What one model says of the holdout: logits and calibrated probabilities, float64[n]; flagged when logit >=
    threshold.
    """

    version: str
    logits: Floats
    probabilities: Floats
    threshold_logit: float

    @property
    def flagged(self) -> Flags:
        return np.asarray(self.logits >= self.threshold_logit, dtype=np.bool_)

    def ranks_like(self, other: "HoldoutScores") -> bool:
        """Whether both give every row the same logit."""
        return np.array_equal(self.logits, other.logits)

    def decides_like(self, other: "HoldoutScores") -> bool:
        """Whether both give every row the same logit, probability and decision."""
        same = self.ranks_like(other) and np.array_equal(self.probabilities, other.probabilities)
        return same and np.array_equal(self.flagged, other.flagged)


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference, candidate - champion, and its standard error, in the figure's own unit."""

    value: float
    standard_error: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.standard_error)):
            raise ValueError(f"a difference must be finite, got {self.value} +- {self.standard_error}")

    @property
    def low(self) -> float:
        """One-sided 95% lower limit."""
        return self.value - Z_ONE_SIDED * self.standard_error

    @property
    def high(self) -> float:
        """One-sided 95% upper limit."""
        return self.value + Z_ONE_SIDED * self.standard_error

    def p_below(self, limit: float) -> float:
        """One-sided p-value of "the difference is no lower than ``limit``"; small = demonstrably lower."""
        if self.standard_error == 0.0:
            return 0.0 if self.value < limit else 1.0
        return normal_sf((limit - self.value) / self.standard_error)

    def to_dict(self) -> dict[str, float]:
        return {"difference": self.value, "standard_error": self.standard_error, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against champion. ``brier`` above 0 means that the candidate's probabilities are worse."""

    auc: PairedAuc
    recall: Difference
    precision: Difference
    brier: Difference

    def to_dict(self) -> dict[str, Any]:
        auc = self.auc
        return {
            "roc_auc": {"difference": auc.difference, "standard_error": auc.standard_error, "p": auc.p},
            "recall": self.recall.to_dict(),
            "precision": self.precision.to_dict(),
            "brier": self.brier.to_dict(),
        }


def compare(candidate: HoldoutScores, champion: HoldoutScores, y: npt.ArrayLike) -> Comparison:
    """All paired differences on the rows whose outcomes are ``y``. Raises OneClassOnly, TooFewRows; ValueError for
    NaN, probabilities outside 0 to 1, or columns of different lengths."""
    auc = paired_delong(candidate.logits, champion.logits, y)
    errors = [_squared_errors(model, y) for model in (candidate, champion)]
    _, positive = checked(candidate.logits, y)
    flagged, before = candidate.flagged, champion.flagged
    return Comparison(
        auc,
        recall_difference(flagged, before, positive),
        precision_difference(flagged, before, positive),
        _mean_difference(errors[0] - errors[1]),
    )


def recall_difference(flagged: Flags, before: Flags, positive: Flags) -> Difference:
    """Recall of ``flagged`` - recall of ``before``: the mean over positives of the difference of the two flags.

    >>> y = np.array([1, 1, 1, 1, 0], dtype=bool)
    >>> recall_difference(np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 1, 0, 0, 1], dtype=bool), y)
    Difference(value=0.25, standard_error=0.25)
    """
    return _mean_difference(flagged[positive].astype(np.float64) - before[positive])


def precision_difference(flagged: Flags, before: Flags, positive: Flags) -> Difference:
    """Precision of ``flagged`` - precision of ``before``, with the standard error of its linearisation (delta method).

    Row i moves a precision P = hits / F by flagged_i (y_i - P) / F; the difference of the two models' moves is summed
    in quadrature. Nobody flagged counts as precision 0, as in ``evaluate``.

    >>> y = np.array([1, 1, 0, 0], dtype=bool)
    >>> precision_difference(y, y, y)
    Difference(value=0.0, standard_error=0.0)
    """
    precision, moves = _precision(flagged, positive)
    precision2, moves2 = _precision(before, positive)
    return Difference(precision - precision2, float(np.sqrt(((moves - moves2) ** 2).sum())))


def _precision(flagged: Flags, positive: Flags) -> tuple[float, Floats]:
    offers = int(flagged.sum())
    if offers == 0:
        return 0.0, np.zeros(len(flagged))
    share = float(positive[flagged].mean())
    return share, np.where(flagged, (positive - share) / offers, 0.0)


def _squared_errors(model: HoldoutScores, y: npt.ArrayLike) -> Floats:
    probabilities, positive = checked(model.probabilities, y)
    if not math.isfinite(model.threshold_logit):
        raise ValueError(f"the threshold of {model.version} must be finite, got {model.threshold_logit}")
    if len(probabilities) and not 0.0 <= probabilities.min() <= probabilities.max() <= 1.0:
        raise ValueError(f"a probability of {model.version} is not between 0 and 1")
    return np.asarray((probabilities - positive) ** 2, dtype=np.float64)


def _mean_difference(differences: Floats) -> Difference:
    return Difference(float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(len(differences)))


def segment_recalls(
    candidate: HoldoutScores,
    champion: HoldoutScores,
    y: npt.ArrayLike,
    segments: Mapping[str, Flags],
    min_positives: int,
) -> dict[str, Difference]:
    """The recall difference within each segment (name -> bool[n]) that holds at least ``min_positives`` positives."""
    _, positive = checked(candidate.logits, y)
    flagged, before = candidate.flagged, champion.flagged
    return {
        name: recall_difference(flagged[rows], before[rows], positive[rows])
        for name, rows in segments.items()
        if int(positive[rows].sum()) >= max(min_positives, 2)
    }
