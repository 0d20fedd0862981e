"""The clauses of the gate and their margins: each judges one figure and says so in a sentence. Why these:
docs/decisions/0006.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Floors
from stillgood.domain.errors import TooFewRows
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.promotion.comparison import Comparison, Difference
from stillgood.domain.statistics.intervals import Estimate

ALPHA = 0.05  # chance of promoting an equal model, over ALL attempts on one holdout
MIN_AUC_GAIN = 0.002  # ROC-AUC; below it a promotion is churn, however sure
NON_INFERIORITY_MARGIN = 0.02  # recall and precision, as shares
RECALL_LIMIT = 0.05  # recall may not fall further than this, however few positives blur it
SEGMENT_MARGIN = 0.05  # recall within one slice
BRIER_MARGIN = 0.01
MIN_PER_CLASS = 30  # rows of each outcome


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One clause of a gate: ``message`` is a sentence with the figures, ``would_change`` what would have passed."""

    passed: bool
    message: str
    would_change: str


def alpha_for(attempts: int) -> float:
    """The significance level of the next attempt: ALPHA / (k (k + 1)) for the k-th, which sums to ALPHA over all k.

    >>> [round(alpha_for(earlier), 4) for earlier in (0, 1, 2)]
    [0.025, 0.0083, 0.0042]
    """
    if attempts < 0:
        raise ValueError(f"attempts cannot be negative, got {attempts}")
    return ALPHA / ((attempts + 1) * (attempts + 2))


def reaches(name: str, estimate: Estimate, floor: float) -> GateCheck:
    """A figure against its floor."""
    # A threshold tuned to exactly the floor lands under it half of the time; only a figure whose whole interval lies
    # under the floor is evidence against the model, and without a champion a refusal means that nobody is served.
    if estimate.high < floor:
        return GateCheck(
            False,
            f"{name} {estimate} is demonstrably under the floor {floor:.3f}.",
            f"{name} within reach of {floor:.3f}.",
        )
    verb = "reaches" if estimate.value >= floor else "is within chance of"
    return GateCheck(True, f"{name} {estimate} {verb} the floor {floor:.3f}.", "")


def better_ranking(pair: Comparison, alpha: float, attempts: int) -> GateCheck:
    """ROC-AUC is demonstrably higher, by enough to matter."""
    auc = pair.auc
    passed = auc.p < alpha and auc.difference >= MIN_AUC_GAIN
    tried = f", corrected for {attempts} earlier attempt{'s'[: attempts != 1]} on this holdout" if attempts else ""
    return GateCheck(
        passed,
        f"ROC-AUC {auc.first:.4f} against {auc.second:.4f}: {auc.difference:+.4f}, paired DeLong p = {auc.p:.4f}"
        f" ({'under' if auc.p < alpha else 'not under'} {alpha:.4f}{tried}; a gain of {MIN_AUC_GAIN} is the least that"
        " counts).",
        f"A ROC-AUC gain of at least {MIN_AUC_GAIN} with p < {alpha:.4f}.",
    )


def recall_kept(pair: Comparison) -> GateCheck:
    """Recall is not demonstrably lost, nor much of it at all."""
    recall = pair.recall
    return GateCheck(
        recall.high >= -NON_INFERIORITY_MARGIN and recall.value >= -RECALL_LIMIT,
        f"Recall {recall.value:+.4f} (one-sided 95% limit {recall.high:+.4f}); it may not be demonstrably more than"
        f" {NON_INFERIORITY_MARGIN} lower, nor lower by more than {RECALL_LIMIT}.",
        f"Recall that is not demonstrably more than {NON_INFERIORITY_MARGIN} below the champion's.",
    )


def precision_kept(pair: Comparison) -> GateCheck:
    """Precision is kept."""
    # IngestedLabels at its value: recall bought with precision (a lowered threshold) moves it many standard errors.
    precision = pair.precision
    return GateCheck(
        precision.value >= -NON_INFERIORITY_MARGIN,
        f"Precision {precision.value:+.4f} (one-sided 95% limit {precision.low:+.4f}); it may not be lower by more than"
        f" {NON_INFERIORITY_MARGIN}.",
        f"Precision at most {NON_INFERIORITY_MARGIN} below the champion's.",
    )


def calibration_kept(pair: Comparison) -> GateCheck:
    """The probabilities are not demonstrably worse."""
    brier = pair.brier
    return GateCheck(
        brier.low <= BRIER_MARGIN,
        f"Brier score {brier.value:+.4f} (lower is better; one-sided 95% limit {brier.low:+.4f}); it may not be"
        f" demonstrably more than {BRIER_MARGIN} higher.",
        f"Probabilities whose Brier score is at most {BRIER_MARGIN} above the champion's.",
    )


def recalibrated(
    pair: Comparison, candidate: Metrics, champion: Metrics, floors: Floors, alpha: float, *, by_floor: bool
) -> list[GateCheck]:
    """The same ranking under another calibration and threshold: what must be gained, and what may not be lost.

    ROC-AUC is the same by construction. Gained is a Brier score that is demonstrably lower, or, where the threshold
    comes from the recall floor (``by_floor``), recall where the champion is demonstrably under that floor; such recall
    is bought with precision, which then has to stay within reach of its own floor only.
    """
    brier, mends = pair.brier, by_floor and champion.recall.high < floors.recall and pair.recall.low > 0.0
    p = brier.p_below(0.0)
    gained = GateCheck(
        mends or p < alpha,
        f"Brier score {brier.value:+.4f} (lower is better), p = {p:.4f} ({'under' if p < alpha else 'not under'}"
        f" {alpha:.4f}); recall {candidate.recall} against {champion.recall}, floor {floors.recall:.3f}.",
        f"A Brier score lower with p < {alpha:.4f}, or a champion demonstrably under the recall floor.",
    )
    return [
        gained,
        recall_kept(pair),
        reaches("Precision", candidate.precision, floors.precision) if mends else precision_kept(pair),
        calibration_kept(pair),
    ]


def segments_kept(recalls: Mapping[str, Difference], slices: int) -> list[GateCheck]:
    """``recalls`` of the slices that could be judged, out of ``slices``."""
    lost = {name: r for name, r in recalls.items() if r.p_below(-SEGMENT_MARGIN) < ALPHA / len(recalls)}
    fewer = f"fewer than {MIN_PER_CLASS} positives"
    if not recalls:
        skipped = f"No slice was judged ({slices} have {fewer})." if slices else ""
        return [GateCheck(True, skipped, "")] if skipped else []
    message = (
        f"Recall holds in {len(recalls) - len(lost)} of {len(recalls)} slices ({slices - len(recalls)} more have"
        f" {fewer})."
    )
    checks = [GateCheck(True, message, "")]
    for name, recall in lost.items():
        worse = f"Recall among {name} is {recall.value:+.4f}, demonstrably more than {SEGMENT_MARGIN} lower."
        checks.append(GateCheck(False, worse, f"Recall among {name} at most {SEGMENT_MARGIN} below the champion's."))
    return checks


def enough(y: npt.ArrayLike) -> None:
    """Raises TooFewRows unless there are MIN_PER_CLASS rows of each outcome."""
    positives = int((np.asarray(y) == 1).sum())
    negatives = int(np.asarray(y).size) - positives
    if min(positives, negatives) < MIN_PER_CLASS:
        raise TooFewRows(
            f"the holdout has {positives} positives and {negatives} negatives; the gate needs {MIN_PER_CLASS} of each"
        )
