"""The promotion gate: may a candidate replace the champion? It answers with reasons, and anything it cannot judge is refused.

| gate | used | promotes when |
|---|---|---|
| first-model | nothing serves yet | no figure is demonstrably under its floor in the contract |
| seed | by name | ROC-AUC is higher and recall is not lower, taken at face value |
| guarded | the default | ROC-AUC is demonstrably higher, and nothing else is lost |

Why these margins: docs/decisions/0006; what error rates they give: tests/domain/test_gate_rates.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lifecycle.domain.comparison import Comparison, Scored, compare, segment_recalls
from lifecycle.domain.contract import Costs, Floors
from lifecycle.domain.delong import Flags
from lifecycle.domain.errors import NotEnoughData, TooFewRows
from lifecycle.domain.evaluation import Metrics, evaluate
from lifecycle.domain.intervals import Estimate
from lifecycle.domain.value import value_report

GateName = Literal["seed", "guarded"]

ALPHA = 0.05  # chance of promoting an equal model, over ALL attempts on one holdout
LEAST_GAIN = 0.002  # ROC-AUC; below it a promotion is churn, however sure
MARGIN = 0.02  # recall and precision, as shares
RECALL_LIMIT = 0.05  # recall may not fall further than this, however few positives blur it
SEGMENT_MARGIN = 0.05  # recall within one slice
BRIER_MARGIN = 0.01
LEAST_OF_EACH = 30  # rows of each outcome


@dataclass(frozen=True, slots=True)
class GateDecision:
    """``reasons`` are sentences with the figures: of a refusal what stood against it, of a promotion what spoke for it.
    ``would_change`` says what would have turned a refusal."""

    promote: bool
    gate: str
    reasons: tuple[str, ...]
    would_change: tuple[str, ...]
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What the gate judges: both models on the same holdout rows.

    ``y`` is 0 or 1 [n]; ``champion`` is None when nothing serves; ``segments`` name the rows (bool[n]) of each slice of
    the contract; ``attempts`` counts earlier decisions on the same holdout.
    """

    candidate: Scored
    champion: Scored | None
    y: npt.ArrayLike
    floors: Floors
    costs: Costs | None = None
    segments: Mapping[str, Flags] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Check:
    passed: bool
    says: str
    would_change: str


def decide(gate: str, case: Case) -> GateDecision:
    """The decision of ``gate`` ("seed" or "guarded"; "first-model" takes over when nothing serves). Never raises: whatever
    goes wrong is a refusal that says so."""
    name = "first-model" if case.champion is None else gate
    try:
        return _RULES[name](case)
    except NotEnoughData as error:
        return refusal(name, f"Not enough evidence: {error.detail}.", "More labelled holdout rows.")
    except Exception as error:  # fails closed: an unknown error is no ground to change what serves
        return refusal(
            name,
            f"The gate could not judge: {type(error).__name__}: {error}",
            "A candidate and a holdout that can be scored.",
        )


def refusal(gate: str, reason: str, would_change: str, **figures: Any) -> GateDecision:
    """A refusal for one reason."""
    return GateDecision(False, gate, (reason,), (would_change,), figures)


def alpha_for(attempts: int) -> float:
    """The significance level of the next attempt: ALPHA / (k (k + 1)) for the k-th, which sums to ALPHA over all k.

    >>> [round(alpha_for(earlier), 4) for earlier in (0, 1, 2)]
    [0.025, 0.0083, 0.0042]
    """
    if attempts < 0:
        raise ValueError(f"attempts cannot be negative, got {attempts}")
    return ALPHA / ((attempts + 1) * (attempts + 2))


def _first_model(case: Case) -> GateDecision:
    _enough(case.y)
    metrics = _metrics(case.candidate, case.y)
    floors = {"ROC-AUC": case.floors.roc_auc, "Recall": case.floors.recall, "Precision": case.floors.precision}
    figures = {"ROC-AUC": metrics.roc_auc, "Recall": metrics.recall, "Precision": metrics.precision}
    checks = [_reaches(name, figures[name], floor) for name, floor in floors.items()]
    return _conclude("first-model", case, checks, {"candidate": metrics})


def _reaches(name: str, estimate: Estimate, floor: float) -> _Check:
    # A threshold tuned to exactly the floor lands under it half of the time; only a figure whose whole interval lies
    # under the floor is evidence against the model, and without a champion a refusal means that nobody is served.
    if estimate.high < floor:
        return _Check(
            False,
            f"{name} {estimate} is demonstrably under the floor {floor:.3f}.",
            f"{name} within reach of {floor:.3f}.",
        )
    reaches = "reaches" if estimate.value >= floor else "is within chance of"
    return _Check(True, f"{name} {estimate} {reaches} the floor {floor:.3f}.", "")


def _seed(case: Case) -> GateDecision:
    candidate, champion = _both(case)
    auc, auc2 = candidate.roc_auc.value, champion.roc_auc.value
    recall, recall2 = candidate.recall.value, champion.recall.value
    checks = [
        _Check(
            auc > auc2,
            f"ROC-AUC {auc:.4f} is {'above' if auc > auc2 else 'not above'} the champion's {auc2:.4f}.",
            f"ROC-AUC above {auc2:.4f}.",
        ),
        _Check(
            recall >= recall2,
            f"Recall {recall:.4f} is {'not below' if recall >= recall2 else 'below'} the champion's {recall2:.4f}.",
            f"Recall of at least {recall2:.4f}.",
        ),
    ]
    return _conclude("seed", case, checks, {"candidate": candidate, "champion": champion})


def _guarded(case: Case) -> GateDecision:
    assert case.champion is not None
    if case.candidate.version == case.champion.version:
        return refusal("guarded", f"{case.candidate.version} is the champion already.", "Another version.")
    if case.candidate.ranks_like(case.champion):
        same = "The candidate gives every row the champion's score; there is nothing to gain."
        return refusal("guarded", same, "A model that ranks the rows differently.")
    _enough(case.y)
    candidate, champion = _both(case)
    pair = compare(case.candidate, case.champion, case.y)
    checks = [
        _better_ranking(pair, alpha_for(case.attempts), case.attempts),
        _recall_kept(pair),
        _precision_kept(pair),
        _calibration_kept(pair),
        *_segments_kept(case),
    ]
    figures = {"paired": pair.to_dict(), "alpha": alpha_for(case.attempts), "attempt": case.attempts + 1}
    return _conclude("guarded", case, checks, {"candidate": candidate, "champion": champion}, figures)


def _better_ranking(pair: Comparison, alpha: float, attempts: int) -> _Check:
    auc = pair.auc
    passed = auc.p < alpha and auc.difference >= LEAST_GAIN
    tried = f", corrected for {attempts} earlier attempt{'s'[: attempts != 1]} on this holdout" if attempts else ""
    return _Check(
        passed,
        f"ROC-AUC {auc.first:.4f} against {auc.second:.4f}: {auc.difference:+.4f}, paired DeLong p = {auc.p:.4f}"
        f" ({'under' if auc.p < alpha else 'not under'} {alpha:.4f}{tried}; a gain of {LEAST_GAIN} is the least that counts).",
        f"A ROC-AUC gain of at least {LEAST_GAIN} with p < {alpha:.4f}.",
    )


def _recall_kept(pair: Comparison) -> _Check:
    recall = pair.recall
    return _Check(
        recall.high >= -MARGIN and recall.value >= -RECALL_LIMIT,
        f"Recall {recall.value:+.4f} (one-sided 95% limit {recall.high:+.4f}); it may not be demonstrably more than {MARGIN}"
        f" lower, nor lower by more than {RECALL_LIMIT}.",
        f"Recall that is not demonstrably more than {MARGIN} below the champion's.",
    )


def _precision_kept(pair: Comparison) -> _Check:
    # Taken at its value: recall bought with precision (a lowered threshold) moves it many standard errors.
    precision = pair.precision
    return _Check(
        precision.value >= -MARGIN,
        f"Precision {precision.value:+.4f} (one-sided 95% limit {precision.low:+.4f}); it may not be lower by more than {MARGIN}.",
        f"Precision at most {MARGIN} below the champion's.",
    )


def _calibration_kept(pair: Comparison) -> _Check:
    brier = pair.brier
    return _Check(
        brier.low <= BRIER_MARGIN,
        f"Brier score {brier.value:+.4f} (lower is better; one-sided 95% limit {brier.low:+.4f}); it may not be demonstrably more than {BRIER_MARGIN} higher.",
        f"Probabilities whose Brier score is at most {BRIER_MARGIN} above the champion's.",
    )


def _segments_kept(case: Case) -> list[_Check]:
    assert case.champion is not None
    recalls = segment_recalls(case.candidate, case.champion, case.y, case.segments, LEAST_OF_EACH)
    lost = {name: r for name, r in recalls.items() if r.p_below(-SEGMENT_MARGIN) < ALPHA / len(recalls)}
    fewer = f"fewer than {LEAST_OF_EACH} positives"
    if not recalls:
        skipped = f"No slice was judged ({len(case.segments)} have {fewer})." if case.segments else ""
        return [_Check(True, skipped, "")] if skipped else []
    says = f"Recall holds in {len(recalls) - len(lost)} of {len(recalls)} slices ({len(case.segments) - len(recalls)} more have {fewer})."
    checks = [_Check(True, says, "")]
    for name, recall in lost.items():
        worse = f"Recall among {name} is {recall.value:+.4f}, demonstrably more than {SEGMENT_MARGIN} lower."
        checks.append(_Check(False, worse, f"Recall among {name} at most {SEGMENT_MARGIN} below the champion's."))
    return checks


def _both(case: Case) -> tuple[Metrics, Metrics]:
    assert case.champion is not None
    return _metrics(case.candidate, case.y), _metrics(case.champion, case.y)


def _metrics(model: Scored, y: npt.ArrayLike) -> Metrics:
    return evaluate(model.logits, model.probabilities, y, model.threshold_logit)


def _enough(y: npt.ArrayLike) -> None:
    positives = int((np.asarray(y) == 1).sum())
    negatives = int(np.asarray(y).size) - positives
    if min(positives, negatives) < LEAST_OF_EACH:
        raise TooFewRows(
            f"the holdout has {positives} positives and {negatives} negatives; the gate needs {LEAST_OF_EACH} of each"
        )


def _conclude(
    gate: str,
    case: Case,
    checks: list[_Check],
    metrics: Mapping[str, Metrics],
    figures: Mapping[str, Any] | None = None,
) -> GateDecision:
    failed = [check for check in checks if not check.passed]
    return GateDecision(
        promote=not failed,
        gate=gate,
        reasons=tuple(check.says for check in failed or checks),
        would_change=tuple(check.would_change for check in failed),
        figures={
            **{name: value.to_dict() for name, value in metrics.items()},
            **(figures or {}),
            "value": value_report(case.costs, metrics),
            "checks": [{"passed": check.passed, "says": check.says} for check in checks],
        },
    )


_RULES: Mapping[str, Callable[[Case], GateDecision]] = {"first-model": _first_model, "seed": _seed, "guarded": _guarded}
