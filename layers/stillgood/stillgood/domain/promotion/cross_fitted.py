"""The gate: every row is scored by a model that has not seen it, and both models stand at the
objective.

It judges the newest labelled rows that the champion has not learnt from. The candidate is fitted on all of them, so
each is scored by one of its fold models; a customer counts once. Why these margins, and what was measured:
docs/decisions/0020, 0034 and 0071.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Costs, Floors, Objective
from stillgood.domain.model.evaluation import Metrics, clustered, evaluate
from stillgood.domain.model.net_value import value_report
from stillgood.domain.promotion.checks import (
    BRIER_MARGIN,
    MIN_AUC_GAIN,
    MIN_PER_CLASS,
    SEGMENT_MARGIN,
    GateCheck,
    enough,
    reaches,
)
from stillgood.domain.promotion.comparison import Difference, HoldoutScores
from stillgood.domain.promotion.objective import clustered_mean, gain, name_of, slice_gain
from stillgood.domain.promotion.spending import FAILED, alpha_of
from stillgood.domain.statistics.clustered import paired_clustered
from stillgood.domain.statistics.delong import Flags, PairedAuc, roc_auc
from stillgood.domain.statistics.intervals import Estimate, normal_sf
from stillgood.domain.statistics.jackknife import jackknife_variance

GATE_VERSION = 4
OBJECTIVE_MARGIN = 0.05  # of a share at the objective; more than that may not be lost (one-sided 5%)
COST_MARGIN = 0.01  # of net value per row, in units of a miss
SLICE_LIMIT = 0.20  # of recall in one slice; more may not be lost (one-sided 5%)
RECALL_SLACK = 0.02  # a threshold this far above the recall that is asked for still stands at the objective
PRECISION_MARGIN = 0.02
FAILED_P = 0.01
FAILED_DROP = 0.02  # ROC-AUC under the promise


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """Both models on the same rows, each row by a model that had not seen it.

    ``y`` 0 or 1 [n], ``clusters`` uint64[n] whose row it is, ``promised`` the champion's metrics of when it was
    promoted, ``fold_logits`` and ``champion_fold_logits`` float64[k, n] what each of a model's fold models says of
    every row: how much its ranking owes to the rows that it happened to learn from; None where there are none.
    ``gate_version`` 2 judges by the error of the rows alone, 3 by what the candidate owes as well, 4 by what both owe.
    ``attempts`` how often a candidate was compared with this champion before, ``segments`` bool[n] by slice.
    """

    candidate: HoldoutScores
    champion: HoldoutScores | None
    y: npt.ArrayLike
    clusters: npt.NDArray[np.uint64]
    floors: Floors
    objective: Objective
    costs: Costs | None = None
    promised: Metrics | None = None
    segments: Mapping[str, Flags] = field(default_factory=dict)
    attempts: int = 0
    fold_logits: npt.NDArray[np.float64] | None = None
    champion_fold_logits: npt.NDArray[np.float64] | None = None
    gate_version: int = GATE_VERSION


def first_model(case: CrossFitted) -> tuple[list[GateCheck], dict[str, Any], dict[str, Metrics]]:
    """Nothing serves: no figure may be demonstrably under its floor. Raises NotEnoughData."""
    enough(case.y)
    metrics = _metrics(case, case.candidate)
    floors = {"ROC-AUC": case.floors.roc_auc, "Recall": case.floors.recall, "Precision": case.floors.precision}
    figures = {"ROC-AUC": metrics.roc_auc, "Recall": metrics.recall, "Precision": metrics.precision}
    return [reaches(name, figures[name], floor) for name, floor in floors.items()], {}, {"candidate": metrics}


def challenger(case: CrossFitted) -> tuple[list[GateCheck], dict[str, Any], dict[str, Metrics]]:
    """The checks of a candidate against a champion, their figures, and both models' metrics. Raises NotEnoughData."""
    enough(case.y)
    assert case.champion is not None
    candidate, champion = _metrics(case, case.candidate), _metrics(case, case.champion)
    auc, learnt = _compared(case)
    failed = _failed(case, champion)
    alpha = max(FAILED if failed else 0.0, alpha_of(case.attempts, case.gate_version))
    figures: dict[str, Any] = {
        "paired": {"roc_auc": {"difference": auc.difference, "standard_error": auc.standard_error, "p": auc.p}},
        "alpha": alpha,
        "attempt": case.attempts + 1,
        "champion_failed": failed,
        "objective": {"kind": case.objective.kind, "value": case.objective.value},
    }
    if case.gate_version > 3:
        figures["paired"]["roc_auc"]["learning_error"] = learnt
    brier = _brier(case)
    figures["paired"]["brier"] = brier.to_dict()
    lenient = bool(failed) and case.gate_version > 2
    if case.candidate.ranks_like(case.champion):
        figures["recalibration"] = True
        checks = _recalibrated(case, candidate, champion, brier, alpha)
    else:
        new, old, at = gain(
            case.objective, case.costs, case.candidate.logits, case.champion.logits, case.y, case.clusters
        )
        figures["paired"]["objective"] = {"candidate": new, "champion": old, **at.to_dict()}
        checks = [
            _better(auc, alpha, case.attempts, failed, learnt if case.gate_version > 3 else 0.0),
            _objective_kept(case, new, old, at, lenient),
            *_not_overflagging(case, candidate, champion),
            _calibration_kept(brier),
            *_floors(case, candidate, champion),
            *([] if lenient else _slices(case)),  # what has failed sets no standard in a slice
        ]
    return checks, figures, {"candidate": candidate, "champion": champion}


def report(case: CrossFitted, metrics: Mapping[str, Metrics], checks: list[GateCheck]) -> dict[str, Any]:
    """The figures every decision of this version carries, JSON-able."""
    return {
        **{name: value.to_dict() for name, value in metrics.items()},
        "gate_version": case.gate_version,
        "customers": len(np.unique(case.clusters)),
        "value": value_report(case.costs, metrics),
        "checks": [{"passed": check.passed, "says": check.message} for check in checks],
    }


def _compared(case: CrossFitted) -> tuple[PairedAuc, float]:
    """The paired test by customers, its error that of the rows that judge and of those that the models learnt from;
    and the second of the two alone, as a standard error of the difference in ROC-AUC.

    Without the second, two models of the same population are "better" than each other too often.
    """
    assert case.champion is not None
    auc = paired_clustered(case.candidate.logits, case.champion.logits, case.y, case.clusters)
    learnt = _learning_variance(case)
    error = math.sqrt(auc.standard_error**2 + learnt)
    if learnt == 0.0:
        return auc, 0.0
    return replace(auc, standard_error=error, p=normal_sf(auc.difference / error)), math.sqrt(learnt)


def _learning_variance(case: CrossFitted) -> float:
    """Half of the jackknife variance of the fold models' differences in ROC-AUC, candidate - champion, fold by fold.

    Half, because the jackknife errs on the large side and the whole of it refuses equal models twice as often as is
    asked. Where the champion has no fold models, the candidate's variance stands for both: half of twice that. The
    third version of the gate had just this everywhere.
    """
    if case.gate_version == 2 or case.fold_logits is None:
        return 0.0
    own = [roc_auc(logits, case.y) for logits in case.fold_logits]
    if case.gate_version == 3 or case.champion_fold_logits is None:
        return jackknife_variance(own)
    others = [roc_auc(logits, case.y) for logits in case.champion_fold_logits]
    return jackknife_variance(np.subtract(own, others)) / 2


def _metrics(case: CrossFitted, model: HoldoutScores) -> Metrics:
    metrics = evaluate(model.logits, model.probabilities, case.y, model.threshold_logit)
    return clustered(metrics, model.logits, model.flagged, np.asarray(case.y) == 1, case.clusters)


def _failed(case: CrossFitted, champion: Metrics) -> list[str]:
    """Why the champion has demonstrably failed, empty if it has not: under a floor, or not what was promised."""
    why = []
    if champion.roc_auc.high < case.floors.roc_auc:
        why.append(f"its ROC-AUC {champion.roc_auc} is under the floor {case.floors.roc_auc:.3f}")
    if case.promised is not None:
        drop = case.promised.roc_auc.value - champion.roc_auc.value
        spread = math.hypot(champion.roc_auc.standard_error, case.promised.roc_auc.standard_error)
        if drop > FAILED_DROP and spread > 0 and normal_sf(drop / spread) < FAILED_P:
            why.append(f"its ROC-AUC {champion.roc_auc} is not the {case.promised.roc_auc} that was promised")
    if case.costs is None and _under(champion.precision, case.floors.precision):
        why.append(f"its precision {champion.precision} is under the floor {case.floors.precision:.3f}")
    if case.costs is None and _under(champion.recall, case.floors.recall):
        why.append(f"its recall {champion.recall} is under the floor {case.floors.recall:.3f}")
    return why


def _under(estimate: Estimate, floor: float) -> bool:
    return estimate.high < floor


def _better(auc: PairedAuc, alpha: float, attempts: int, failed: list[str], learnt: float) -> GateCheck:
    tried = f"attempt {attempts + 1} on this champion" if not failed else f"the champion has failed: {failed[0]}"
    error = f" (standard error {auc.standard_error:.4f}, of what was learnt from alone {learnt:.4f})" if learnt else ""
    return GateCheck(
        auc.p < alpha and auc.difference >= MIN_AUC_GAIN,
        f"ROC-AUC {auc.first:.4f} against {auc.second:.4f}: {auc.difference:+.4f}{error}, paired DeLong by customers"
        f" p = {auc.p:.4f} ({'under' if auc.p < alpha else 'not under'} {alpha:.4f}, {tried}; a gain of {MIN_AUC_GAIN}"
        " is the least that counts).",
        f"A ROC-AUC gain of at least {MIN_AUC_GAIN} with p < {alpha:.4f}.",
    )


def _objective_kept(case: CrossFitted, new: float, old: float, at: Difference, lenient: bool) -> GateCheck:
    """Not lost beyond doubt; in place of a champion that has failed (``lenient``), not demonstrably lost."""
    margin = COST_MARGIN if case.objective.kind == "cost" else OBJECTIVE_MARGIN
    name = name_of(case.objective)
    if lenient:
        return GateCheck(
            at.high >= -margin,
            f"{name[0].upper()}{name[1:]}: {new:.4f} against {old:.4f}, {at.value:+.4f} (one-sided 95% limit"
            f" {at.high:+.4f}); in place of a champion that has failed it may not be demonstrably {margin} lower.",
            f"An upper limit of at least {-margin} of the difference in {name}.",
        )
    return GateCheck(
        at.low > -margin,
        f"{name[0].upper()}{name[1:]}: {new:.4f} against {old:.4f}, {at.value:+.4f} (one-sided 95% limit"
        f" {at.low:+.4f}); it must demonstrably not fall by {margin}.",
        f"A lower limit above {-margin} of the difference in {name}.",
    )


def _not_overflagging(case: CrossFitted, candidate: Metrics, champion: Metrics) -> list[GateCheck]:
    """Recall beyond what is asked for may not be bought with precision, unless the champion has too little recall."""
    if case.objective.kind != "recall" or candidate.recall.value <= case.objective.value + RECALL_SLACK:
        return []
    lost = champion.precision.value - candidate.precision.value
    return [
        GateCheck(
            lost <= PRECISION_MARGIN or _under(champion.recall, case.floors.recall),
            f"At its own threshold the candidate's recall {candidate.recall.value:.4f} is above the"
            f" {case.objective.value:.2f} asked for, at a precision {-lost:+.4f} against the champion's; it may not be"
            f" lower by more than {PRECISION_MARGIN}.",
            f"A threshold at recall {case.objective.value:.2f}.",
        )
    ]


def _brier(case: CrossFitted) -> Difference:
    assert case.champion is not None
    y = np.asarray(case.y, dtype=np.float64)
    errors = [(model.probabilities - y) ** 2 for model in (case.candidate, case.champion)]
    return clustered_mean(np.asarray(errors[0] - errors[1]), case.clusters)


def _calibration_kept(brier: Difference) -> GateCheck:
    return GateCheck(
        brier.high < BRIER_MARGIN,
        f"Brier score {brier.value:+.4f} (lower is better; one-sided 95% limit {brier.high:+.4f}); it must demonstrably"
        f" not rise by {BRIER_MARGIN}.",
        f"Probabilities whose Brier score is demonstrably less than {BRIER_MARGIN} above the champion's.",
    )


def _floors(case: CrossFitted, candidate: Metrics, champion: Metrics) -> list[GateCheck]:
    """A floor that the champion reaches, the candidate has to reach; under one that both miss the better model
    serves.
    """
    checks = [
        (
            reaches("ROC-AUC", candidate.roc_auc, case.floors.roc_auc)
            if not _under(champion.roc_auc, case.floors.roc_auc)
            else _both_under("ROC-AUC", candidate.roc_auc, champion.roc_auc, case.floors.roc_auc)
        )
    ]
    if case.costs is None and case.objective.kind == "recall":
        checks.append(
            reaches("Precision", candidate.precision, case.floors.precision)
            if not _under(champion.precision, case.floors.precision)
            else _both_under("Precision", candidate.precision, champion.precision, case.floors.precision)
        )
        if not _under(champion.recall, case.floors.recall):
            checks.append(reaches("Recall", candidate.recall, case.floors.recall))
    return checks


def _both_under(name: str, candidate: Estimate, champion: Estimate, floor: float) -> GateCheck:
    return GateCheck(
        True, f"The champion's {name} {champion} is under the floor {floor:.3f}; the candidate has {candidate}.", ""
    )


def _recalibrated(
    case: CrossFitted, candidate: Metrics, champion: Metrics, brier: Difference, alpha: float
) -> list[GateCheck]:
    """The same ranking under another calibration and threshold: better probabilities, or a recall under its floor
    mended.
    """
    assert case.champion is not None
    positive = np.asarray(case.y) == 1
    moved = case.candidate.flagged[positive].astype(np.float64) - case.champion.flagged[positive]
    recall = clustered_mean(moved, case.clusters[positive])
    mends = case.costs is None and _under(champion.recall, case.floors.recall) and recall.low > 0.0
    p = brier.p_below(0.0)
    gained = GateCheck(
        mends or p < alpha,
        f"Brier score {brier.value:+.4f} (lower is better), p = {p:.4f} ({'under' if p < alpha else 'not under'}"
        f" {alpha:.4f}); recall {candidate.recall} against {champion.recall}, floor {case.floors.recall:.3f}.",
        f"A Brier score lower with p < {alpha:.4f}, or a champion demonstrably under the recall floor.",
    )
    checks = [gained, _calibration_kept(brier), reaches("Precision", candidate.precision, case.floors.precision)]
    if not mends:
        checks += [
            reaches("Recall", candidate.recall, case.floors.recall),
            *_not_overflagging(case, candidate, champion),
        ]
    return checks


def _slices(case: CrossFitted) -> list[GateCheck]:
    assert case.champion is not None
    positive = np.asarray(case.y) == 1
    judged = {name: rows for name, rows in case.segments.items() if int((rows & positive).sum()) >= MIN_PER_CLASS}
    fewer = f"fewer than {MIN_PER_CLASS} positives"
    if not judged:
        none = f"No slice was judged ({len(case.segments)} have {fewer})."
        return [GateCheck(True, none, "")] if case.segments else []
    checks = []
    for name, rows in judged.items():
        change = slice_gain(
            case.objective, case.costs, case.candidate.logits, case.champion.logits, positive, rows, case.clusters
        )
        if change.low <= -SLICE_LIMIT or change.p_below(-SEGMENT_MARGIN) < 0.05 / len(judged):
            says = (
                f"Recall among {name} is {change.value:+.4f} (one-sided 95% limit {change.low:+.4f}): demonstrably more"
                f" than {SEGMENT_MARGIN} lower, or perhaps {SLICE_LIMIT} lower."
            )
            checks.append(
                GateCheck(
                    False, says, f"Recall among {name} demonstrably less than {SLICE_LIMIT} below the champion's."
                )
            )
    kept = (
        f"Recall holds in {len(judged) - len(checks)} of {len(judged)} slices ({len(case.segments) - len(judged)} more"
        f" have {fewer})."
    )
    return [GateCheck(True, kept, ""), *checks]
