"""How well the champion does: estimated before the labels come, realised once they have.

The estimate (confidence-based performance estimation, CBPE) believes the model's calibrated probabilities. It follows a
change in *who* is scored (covariate shift), and is **blind to concept drift**: when the same customers start to behave
differently, the probabilities are wrong and the estimate with them. Only labels find that. It means nothing while the
contract is violated either, so a report leaves it out then.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle.domain.evaluation import Estimate, Metrics, evaluate
from lifecycle.domain.intervals import Z95, upper_tail
from lifecycle.domain.placed import Scores

CAVEAT = "believes the model's probabilities: follows a change in who is scored, blind to concept drift"


@dataclass(frozen=True, slots=True)
class EstimatedPerformance:
    """CBPE over ``rows`` scored rows. Shares 0 to 1; None where no row could define them (nobody flagged, nobody expected)."""

    rows: int
    positive_share: float | None
    roc_auc: float | None
    recall: float | None
    precision: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"caveat": CAVEAT}


def estimate_performance(scores: Scores) -> EstimatedPerformance:
    """Expected metrics if each row is positive with its calibrated probability p, independently.

    precision = mean p of flagged rows; recall = sum of p over flagged rows / sum of p over all;
    ROC-AUC = sum over pairs of p_i (1 - p_j) [p_i > p_j, ties half] / (sum p * sum (1 - p)), rows of the same
    thousandth of probability counted as ties.
    Source: Kivimäki, Białek, Nurminen & Kuberski (2024), "Confidence-based Estimators for Predictive Performance in
    Model Monitoring", arXiv:2407.08649.

    >>> from lifecycle.domain.reference import Distribution
    >>> window = Scores.of(Distribution.of([0.5]), [0.5, 0.5], [0.25, 0.75], [False, True])
    >>> estimate_performance(window)
    EstimatedPerformance(rows=2, positive_share=0.5, roc_auc=0.75, recall=0.75, precision=0.75)
    """
    left, acted = scores.bins
    number, positive = left + acted
    negative = np.maximum(number - positive, 0.0)
    rows, positives, negatives = int(number.sum()), float(positive.sum()), float(negative.sum())
    below = np.cumsum(negative) - negative
    pairs = positives * negatives
    flagged, hits = float(acted[0].sum()), float(acted[1].sum())
    return EstimatedPerformance(
        rows=rows,
        positive_share=positives / rows if rows else None,
        roc_auc=float((positive * (below + negative / 2)).sum()) / pairs if pairs > 0 else None,
        recall=hits / positives if positives > 0 else None,
        precision=hits / flagged if flagged > 0 else None,
    )


@dataclass(frozen=True, slots=True)
class RealisedPerformance:
    """The champion on rows whose outcome is known.

    ``expected``: its ROC-AUC when it was promoted. ``drop_p``: one-sided p of "the AUC is no lower than expected".
    ``calibration_gap``: share positive - mean probability (-1 to 1), ``calibration_p`` its two-sided p.
    ``coverage``: share of the window's predictions that have a label; ``biased``: the labelled rows were selected, for
    example only those that were acted on, so the figures are not those of all customers.
    """

    metrics: Metrics
    expected: Estimate
    drop_p: float
    calibration_gap: float
    calibration_p: float
    coverage: float
    biased: bool

    @property
    def drop(self) -> float:
        """Expected minus realised ROC-AUC; above 0 is worse."""
        return self.expected.value - self.metrics.roc_auc.value

    def to_dict(self) -> Mapping[str, Any]:
        return {
            "metrics": self.metrics.to_dict(),
            "expected_roc_auc": self.expected.to_dict(),
            "drop": self.drop,
            "drop_p": self.drop_p,
            "calibration_gap": self.calibration_gap,
            "calibration_p": self.calibration_p,
            "coverage": self.coverage,
            "biased": self.biased,
        }


def realise_performance(
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    decisions: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    expected: Estimate,
    coverage: float = 1.0,
    biased: bool = False,
) -> RealisedPerformance:
    """``scores``, ``probabilities`` float64[n] in 0..1, ``decisions`` bool[n] as captured; ``outcomes`` 0 or 1 [n].

    drop_p: upper tail of z = (expected - realised) / sqrt(se^2 + se_expected^2), the standard errors from the 95% intervals.
    calibration_p: of z = (sum y - sum p) / sqrt(sum p (1 - p)), two-sided: Spiegelhalter's test in the large.
    Raises OneClassOnly, TooFewRows; ValueError for NaN or lengths that differ.
    """
    score, probability = np.asarray(scores, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    acted, outcome = np.asarray(decisions, dtype=bool), np.asarray(outcomes)
    # Decisions are monotone in the score, so the least score acted on is a threshold that gives exactly them back.
    metrics = evaluate(score, probability, outcome, float(score[acted].min()) if acted.any() else 2.0)
    spread = math.hypot(_standard_error(metrics.roc_auc), _standard_error(expected))
    difference = expected.value - metrics.roc_auc.value
    gap = float(outcome.mean() - probability.mean())
    chance = math.sqrt(float((probability * (1.0 - probability)).sum())) / len(score)
    return RealisedPerformance(
        metrics=metrics,
        expected=expected,
        drop_p=upper_tail(difference / spread) if spread > 0 else float(difference <= 0),
        calibration_gap=gap,
        calibration_p=2.0 * upper_tail(abs(gap) / chance) if chance > 0 else float(gap == 0),
        coverage=coverage,
        biased=biased,
    )


def _standard_error(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / (2.0 * Z95)
