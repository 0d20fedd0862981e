"""The promotion gate: may a candidate replace the champion? It answers with reasons, and anything it cannot judge is
refused.

| gate | used | promotes when |
|---|---|---|
| first-model | nothing serves yet | no figure is demonstrably under its floor in the contract |
| simple | by name | ROC-AUC is higher and recall is not lower, taken at face value |
| guarded | the default | ROC-AUC is demonstrably higher, and nothing else is lost; or, for the champion's own ranking
under another calibration and threshold, probabilities are demonstrably better or a recall under its floor is mended,
and nothing is lost |

Why these margins: docs/decisions/0006; what error rates they give: tests/domain/promotion/test_gate_rates.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from stillgood.domain.contract.contract import Costs, Floors
from stillgood.domain.errors import NotEnoughData
from stillgood.domain.model.evaluation import Metrics, evaluate
from stillgood.domain.model.net_value import value_report
from stillgood.domain.promotion.checks import (
    MIN_PER_CLASS,
    GateCheck,
    alpha_for,
    better_ranking,
    calibration_kept,
    enough,
    precision_kept,
    reaches,
    recalibrated,
    recall_kept,
    segments_kept,
)
from stillgood.domain.promotion.comparison import HoldoutScores, compare, segment_recalls
from stillgood.domain.promotion.cross_fitted import CrossFitted, challenger, first_model, report
from stillgood.domain.statistics.delong import Flags

_SAME = "The candidate gives every row the champion's score, probability and decision; there is nothing to gain."


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
class GateInputs:
    """What the gate judges: both models on the same holdout rows.

    ``y`` is 0 or 1 [n]; ``champion`` is None when nothing serves; ``segments`` name the rows (bool[n]) of each slice of
    the contract; ``attempts`` counts earlier decisions on the same holdout.
    """

    candidate: HoldoutScores
    champion: HoldoutScores | None
    y: npt.ArrayLike
    floors: Floors
    costs: Costs | None = None
    segments: Mapping[str, Flags] = field(default_factory=dict)
    attempts: int = 0


def decide(gate: str, case: GateInputs) -> GateDecision:
    """The decision of ``gate`` ("simple" or "guarded"; "first-model" takes over when nothing serves). Never raises:
    whatever
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


def decide_cross_fitted(case: CrossFitted) -> GateDecision:
    """The decision of the guarded gate's second version. Never raises: whatever goes wrong is a refusal that says
    so.
    """
    name = "first-model" if case.champion is None else "guarded"
    try:
        if case.champion is not None:
            if case.candidate.version == case.champion.version:
                return refusal(name, f"{case.candidate.version} is the champion already.", "Another version.")
            if case.candidate.decides_like(case.champion):
                return refusal(name, _SAME, "A model that ranks the rows differently, or is calibrated anew.")
        checks, figures, metrics = first_model(case) if case.champion is None else challenger(case)
    except NotEnoughData as error:
        return refusal(
            name, f"Not enough evidence: {error.detail}.", "More labelled rows.", gate_version=case.gate_version
        )
    except Exception as error:  # fails closed: an unknown error is no ground to change what serves
        why = f"The gate could not judge: {type(error).__name__}: {error}"
        return refusal(name, why, "A candidate and rows that can be scored.", gate_version=case.gate_version)
    failed = [check for check in checks if not check.passed]
    return GateDecision(
        promote=not failed,
        gate=name,
        reasons=tuple(check.message for check in failed or checks),
        would_change=tuple(check.would_change for check in failed),
        figures={**report(case, metrics, checks), **figures},
    )


def refusal(gate: str, reason: str, would_change: str, **figures: Any) -> GateDecision:
    """A refusal for one reason."""
    return GateDecision(False, gate, (reason,), (would_change,), figures)


def _first_model(case: GateInputs) -> GateDecision:
    enough(case.y)
    metrics = _metrics(case.candidate, case.y)
    floors = {"ROC-AUC": case.floors.roc_auc, "Recall": case.floors.recall, "Precision": case.floors.precision}
    figures = {"ROC-AUC": metrics.roc_auc, "Recall": metrics.recall, "Precision": metrics.precision}
    checks = [reaches(name, figures[name], floor) for name, floor in floors.items()]
    return _conclude("first-model", case, checks, {"candidate": metrics})


def _simple(case: GateInputs) -> GateDecision:
    candidate, champion = _both(case)
    auc, auc2 = candidate.roc_auc.value, champion.roc_auc.value
    recall, recall2 = candidate.recall.value, champion.recall.value
    checks = [
        GateCheck(
            auc > auc2,
            f"ROC-AUC {auc:.4f} is {'above' if auc > auc2 else 'not above'} the champion's {auc2:.4f}.",
            f"ROC-AUC above {auc2:.4f}.",
        ),
        GateCheck(
            recall >= recall2,
            f"Recall {recall:.4f} is {'not below' if recall >= recall2 else 'below'} the champion's {recall2:.4f}.",
            f"Recall of at least {recall2:.4f}.",
        ),
    ]
    return _conclude("simple", case, checks, {"candidate": candidate, "champion": champion})


def _guarded(case: GateInputs) -> GateDecision:
    assert case.champion is not None
    if case.candidate.version == case.champion.version:
        return refusal("guarded", f"{case.candidate.version} is the champion already.", "Another version.")
    if case.candidate.decides_like(case.champion):
        return refusal("guarded", _SAME, "A model that ranks the rows differently, or is calibrated anew.")
    enough(case.y)
    candidate, champion = _both(case)
    pair = compare(case.candidate, case.champion, case.y)
    alpha = alpha_for(case.attempts)
    if case.candidate.ranks_like(case.champion):
        checks = recalibrated(pair, candidate, champion, case.floors, alpha, by_floor=case.costs is None)
        figures = {"paired": pair.to_dict(), "alpha": alpha, "attempt": case.attempts + 1, "recalibration": True}
        return _conclude("guarded", case, checks, {"candidate": candidate, "champion": champion}, figures)
    recalls = segment_recalls(case.candidate, case.champion, case.y, case.segments, MIN_PER_CLASS)
    checks = [
        better_ranking(pair, alpha, case.attempts),
        recall_kept(pair),
        precision_kept(pair),
        calibration_kept(pair),
        *segments_kept(recalls, len(case.segments)),
    ]
    figures = {"paired": pair.to_dict(), "alpha": alpha, "attempt": case.attempts + 1}
    return _conclude("guarded", case, checks, {"candidate": candidate, "champion": champion}, figures)


def _both(case: GateInputs) -> tuple[Metrics, Metrics]:
    assert case.champion is not None
    return _metrics(case.candidate, case.y), _metrics(case.champion, case.y)


def _metrics(model: HoldoutScores, y: npt.ArrayLike) -> Metrics:
    return evaluate(model.logits, model.probabilities, y, model.threshold_logit)


def _conclude(
    gate: str,
    case: GateInputs,
    checks: list[GateCheck],
    metrics: Mapping[str, Metrics],
    figures: Mapping[str, Any] | None = None,
) -> GateDecision:
    failed = [check for check in checks if not check.passed]
    return GateDecision(
        promote=not failed,
        gate=gate,
        reasons=tuple(check.message for check in failed or checks),
        would_change=tuple(check.would_change for check in failed),
        figures={
            **{name: value.to_dict() for name, value in metrics.items()},
            **(figures or {}),
            "value": value_report(case.costs, metrics),
            "checks": [{"passed": check.passed, "says": check.message} for check in checks],
        },
    )


_RULES: Mapping[str, Callable[[GateInputs], GateDecision]] = {
    "first-model": _first_model,
    "simple": _simple,
    "guarded": _guarded,
}
