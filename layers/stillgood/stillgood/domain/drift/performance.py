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

from stillgood.domain.contract.contract import Costs
from stillgood.domain.drift.histograms import ScoreHistogram
from stillgood.domain.model.evaluation import Estimate, Metrics, clustered, evaluate
from stillgood.domain.statistics.clustered import ratio_spread
from stillgood.domain.statistics.intervals import normal_sf
from stillgood.domain.statistics.sequential import always_valid_p, e_value, one_sided_e_value

# Differences worth finding, of ROC-AUC and of a share: they say where the evidence of accumulating outcomes grows
# fastest.
AUC_SCALE = 0.05
SHARE_SCALE = 0.1
CAVEAT = "believes the model's probabilities: follows a change in who is scored, blind to concept drift"


@dataclass(frozen=True, slots=True)
class EstimatedPerformance:
    """CBPE over ``rows`` scored rows. Shares 0 to 1; None where no row could define them (nobody flagged, nobody
    expected).
    """

    rows: int
    positive_share: float | None
    roc_auc: float | None
    recall: float | None
    precision: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"caveat": CAVEAT}


def estimate_performance(scores: ScoreHistogram) -> EstimatedPerformance:
    """Expected metrics if each row is positive with its calibrated probability p, independently.

    precision = mean p of flagged rows; recall = sum of p over flagged rows / sum of p over all;
    ROC-AUC = sum over pairs of p_i (1 - p_j) [p_i > p_j, ties half] / (sum p * sum (1 - p)), rows of the same
    thousandth of the logit's range counted as ties.
    Source: Kivimäki, Białek, Nurminen & Kuberski (2024), "Confidence-based Estimators for Predictive Performance in
    Model MonitorDeps", arXiv:2407.08649.

    >>> from stillgood.domain.drift.reference import Distribution
    >>> window = ScoreHistogram.of(Distribution.of([0.5]), [0.5, 0.5], [0.25, 0.75], [False, True])
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

    ``promised``: its metrics when it was promoted. ``drop_p`` and ``recall_drop_p``: one-sided p of "ROC-AUC (recall)
    is no lower than promised". ``calibration_gap``: share positive - mean probability (-1 to 1), ``calibration_p`` its
    two-sided p. ``calibration_variance``: of the gap. ``coverage``: share of the window's predictions that have a
    label; ``biased``: the labelled rows were selected, for example only those that were acted on, so the figures are
    not those of all customers.
    """

    metrics: Metrics
    promised: Metrics
    drop_p: float
    recall_drop_p: float
    calibration_gap: float
    calibration_p: float
    coverage: float
    biased: bool
    calibration_variance: float = 0.0

    @property
    def drop_always_p(self) -> float:
        """p of "the ROC-AUC is as promised", which may be looked at in every window while outcomes add up."""
        return _always_p(self.metrics.roc_auc, self.promised.roc_auc, AUC_SCALE, two_sided=True)

    @property
    def recall_drop_always_p(self) -> float:
        """The same of "recall is no lower than promised"."""
        return _always_p(self.metrics.recall, self.promised.recall, SHARE_SCALE, two_sided=False)

    @property
    def calibration_always_p(self) -> float:
        """The same of "the mean probability is the share of positives"."""
        if self.calibration_variance <= 0.0:
            return self.calibration_p
        return always_valid_p(e_value(self.calibration_gap, self.calibration_variance, SHARE_SCALE))

    @property
    def drop(self) -> float:
        """Promised minus realised ROC-AUC; above 0 is worse."""
        return self.promised.roc_auc.value - self.metrics.roc_auc.value

    @property
    def recall_drop(self) -> float:
        """Promised minus realised recall; above 0 is worse."""
        return self.promised.recall.value - self.metrics.recall.value

    def to_dict(self) -> Mapping[str, Any]:
        return {
            "metrics": self.metrics.to_dict(),
            "promised_roc_auc": self.promised.roc_auc.to_dict(),
            "promised_recall": self.promised.recall.to_dict(),
            "drop": self.drop,
            "drop_p": self.drop_p,
            "drop_always_p": self.drop_always_p,
            "recall_drop": self.recall_drop,
            "recall_drop_p": self.recall_drop_p,
            "recall_drop_always_p": self.recall_drop_always_p,
            "calibration_gap": self.calibration_gap,
            "calibration_p": self.calibration_p,
            "calibration_always_p": self.calibration_always_p,
            "coverage": self.coverage,
            "biased": self.biased,
        }


def realise_performance(
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    decisions: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    promised: Metrics,
    coverage: float = 1.0,
    biased: bool = False,
    entities: npt.ArrayLike | None = None,
    strata: npt.NDArray[np.int64] | None = None,
) -> RealisedPerformance:
    """``scores``, ``probabilities`` float64[n] in 0..1, ``decisions`` bool[n] as captured; ``outcomes`` 0 or 1 [n];
    ``entities`` [n]: whose row it is, None for one row each; with some, an entity's rows are one piece of evidence
    (Obuchowski 1997).

    drop_p, recall_drop_p: upper tail of z = (promised - realised) / sqrt(se^2 + se_promised^2), the standard errors
    from the 95% intervals. calibration_p: two-sided, of z = gap / sqrt(sum p (1 - p) / n^2 + brier / m), the second
    term for a calibration that is itself only known from the m rows of the promise, of that Brier score. Raises
    OneClassOnly, TooFewRows; ValueError for NaN or lengths that differ.
    """
    score, probability = np.asarray(scores, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    acted, outcome = np.asarray(decisions, dtype=bool), np.asarray(outcomes)
    # Decisions are monotone in the score, so the least score acted on is a threshold that gives exactly them back.
    metrics = evaluate(score, probability, outcome, float(score[acted].min()) if acted.any() else 2.0)
    gap = float(outcome.mean() - probability.mean())
    own = float((probability * (1.0 - probability)).sum()) / len(score) ** 2
    if entities is not None:
        metrics = clustered(metrics, score, acted, outcome == 1, np.asarray(entities), strata, probability)
        spread = ratio_spread(outcome - probability, np.ones(len(score)), np.asarray(entities), strata)
        own = max(own, spread.variance)
    variance = own + promised.brier.value / promised.rows
    chance = math.sqrt(variance)
    return RealisedPerformance(
        metrics=metrics,
        promised=promised,
        drop_p=_p_no_lower(metrics.roc_auc, promised.roc_auc),
        recall_drop_p=_p_no_lower(metrics.recall, promised.recall),
        calibration_gap=gap,
        calibration_p=2.0 * normal_sf(abs(gap) / chance) if chance > 0 else float(gap == 0),
        coverage=coverage,
        biased=biased,
        calibration_variance=variance,
    )


def _always_p(realised: Estimate, promised: Estimate, scale: float, *, two_sided: bool) -> float:
    variance = realised.standard_error**2 + promised.standard_error**2
    difference = promised.value - realised.value
    if variance <= 0.0:
        return float(difference == 0.0)
    return always_valid_p((e_value if two_sided else one_sided_e_value)(difference, variance, scale))


def _p_no_lower(realised: Estimate, promised: Estimate) -> float:
    spread = math.hypot(realised.standard_error, promised.standard_error)
    difference = promised.value - realised.value
    return normal_sf(difference / spread) if spread > 0 else float(difference <= 0)


def expected_value(scores: ScoreHistogram, costs: Costs) -> float:
    """``net_value`` of a window before its labels: flagged rows hit as often as their calibrated probabilities say.

    >>> from stillgood.domain.drift.reference import Distribution
    >>> window = ScoreHistogram.of(Distribution.of([0.5]), [0.5, 0.5], [0.25, 0.75], [False, True])
    >>> expected_value(window, Costs(miss=500.0, offer=50.0))
    162500.0
    """
    _, acted = scores.bins
    return (costs.miss * float(acted[1].sum()) - costs.offer * float(acted[0].sum())) / scores.n * 1000
