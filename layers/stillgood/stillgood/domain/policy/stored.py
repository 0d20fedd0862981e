"""Evidence as a report stores it, so that the decision of a window can be made again from its report alone.

What a report tells in a section of its own is read from there: ``drift`` and ``estimated_performance``. Rows with
labels are not stored, but how many of them a policy would have counted since each moment that it could have asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.actions.evidence import ActionEvidence
from stillgood.domain.actions.jump import Jump
from stillgood.domain.drift.callers import CallerRows
from stillgood.domain.drift.confidence import Confidence
from stillgood.domain.drift.detect import DriftCheck, DriftReport, Thresholds
from stillgood.domain.drift.performance import EstimatedPerformance, RealisedPerformance
from stillgood.domain.drift.two_sample import Statistic
from stillgood.domain.model.evaluation import Estimate, Metrics
from stillgood.domain.outcomes.coverage import Span
from stillgood.domain.outcomes.evidence import OutcomeEvidence, microseconds
from stillgood.domain.outcomes.trust import Opposite
from stillgood.domain.policy.evidence import Evidence
from stillgood.domain.policy.senders import CallerJump
from stillgood.domain.policy.spans import span_of

_PLAIN = (
    "window", "version", "rows", "min_rows", "refused", "new_labelled_rows", "data_sha256", "late", "recall_floor",
    "roc_auc_floor", "learnt_rows", "unlearnt_rows", "weights",
)  # fmt: skip
_OUTCOMES = ("waits_for", "min_coverage", "unsigned")
_JUDGED = ("drop_p", "recall_drop_p", "calibration_gap", "calibration_p", "coverage", "biased", "calibration_variance")
_SPAN = ("predictions", "labelled", "positives", "selected", "trusted")


def evidence_to_dict(evidence: Evidence, streaks: Collection[int]) -> dict[str, Any]:
    """The section ``evidence`` of a report, JSON-able. ``streaks``: how long findings lasted, in windows; they say
    since when a policy counts labelled rows.
    """
    return {
        **{name: getattr(evidence, name) for name in _PLAIN},
        "at": evidence.at.isoformat(),
        "violations": [[*of, count] for of, count in sorted(evidence.violations.items())],
        "repairs": dict(evidence.repairs),
        "callers": {name: [rows.accepted, rows.refused] for name, rows in evidence.callers.items()},
        "largest_refusal": evidence.largest_refusal,
        "left_out": [jump.to_dict() for jump in evidence.left_out],
        "accepted": sorted(evidence.drift.accepted) if evidence.drift else [],
        "realised": _performance(evidence.realised),
        "realised_recent": _performance(evidence.realised_recent),
        "previous_gain": evidence.previous_gain.to_dict() if evidence.previous_gain else None,
        "pooled_since": evidence.pooled_since.isoformat() if evidence.pooled_since else None,
        "outcomes": _outcomes(evidence, streaks),
    }


def evidence_of(report: Mapping[str, Any]) -> Evidence:
    """What the policy looked at when it made ``report``. Raises KeyError, TypeError or ValueError for a report that
    does not tell it, such as one of an older version.
    """
    raw = report["evidence"]
    return Evidence(
        **{name: raw[name] for name in _PLAIN},
        at=datetime.fromisoformat(raw["at"]),
        violations={(str(name), str(rule)): int(count) for name, rule, count in raw["violations"]},
        repairs=dict(raw["repairs"]),
        callers={str(name): CallerRows(*rows) for name, rows in raw.get("callers", {}).items()},
        largest_refusal=int(raw.get("largest_refusal", 0)),
        left_out=tuple(CallerJump(**jump) for jump in raw.get("left_out", ())),
        drift=_drift(report["drift"], raw["accepted"]) if report["drift"] else None,
        estimated=_estimated(report["estimated_performance"]),
        realised=_realised(raw["realised"]),
        realised_recent=_realised(raw["realised_recent"]),
        previous_gain=Estimate.from_dict(raw["previous_gain"]) if raw["previous_gain"] else None,
        labels=report["labels"],
        pooled_since=datetime.fromisoformat(raw["pooled_since"]) if raw["pooled_since"] else None,
        outcomes=_outcomes_of(raw["outcomes"]),
    )


def _performance(realised: RealisedPerformance | None) -> dict[str, Any] | None:
    if realised is None:
        return None
    plain = {name: getattr(realised, name) for name in _JUDGED}
    return {**plain, "metrics": realised.metrics.to_dict(), "promised": realised.promised.to_dict()}


def _realised(raw: Mapping[str, Any] | None) -> RealisedPerformance | None:
    if raw is None:
        return None
    plain = {name: raw[name] for name in _JUDGED}
    return RealisedPerformance(
        metrics=Metrics.from_dict(raw["metrics"]), promised=Metrics.from_dict(raw["promised"]), **plain
    )


def _estimated(raw: Mapping[str, Any] | None) -> EstimatedPerformance | None:
    return None if raw is None else EstimatedPerformance(**{k: value for k, value in raw.items() if k != "caveat"})


def _drift(raw: Mapping[str, Any], accepted: Collection[str]) -> DriftReport:
    checks = tuple(
        DriftCheck(**{**check, "season": Statistic(**check["season"]) if check["season"] else None})
        for check in raw["checks"]
    )
    fields = {name: value for name, value in raw["confidence"].items() if name not in ("change", "test")}
    confidence = Confidence(**fields, test=Statistic(**raw["confidence"]["test"]))
    return DriftReport(checks, confidence, Thresholds(**raw["thresholds"]), frozenset(accepted))


def _outcomes(evidence: Evidence, streaks: Collection[int]) -> dict[str, Any]:
    outcomes = evidence.outcomes
    newest = next((span for span in reversed(outcomes.spans) if span.labelled), None)
    actions = outcomes.actions
    return {
        **{name: getattr(outcomes, name) for name in _OUTCOMES},
        "contradicting": list(outcomes.contradicting),
        "opposite": [found.to_dict() for found in outcomes.opposite],
        "deaf_since": outcomes.deaf_since.isoformat() if outcomes.deaf_since else None,
        "newest": newest.to_dict() if newest else None,
        "learnable": len(outcomes.learnable),
        "learnable_since": [[at, _counted(outcomes.learnable, at)] for at in _moments(evidence.window, streaks)],
        "actions": {
            "declared": actions.declared,
            "control": actions.control,
            "treated": actions.treated,
            "effective": actions.effective,
            "observed": actions.observed,
            "jump": asdict(actions.jump) if actions.jump else None,
        },
    }


def _outcomes_of(raw: Mapping[str, Any]) -> OutcomeEvidence:
    newest, actions = raw["newest"], raw["actions"]
    spans: tuple[Span, ...] = ()
    if newest:
        start, end = (datetime.fromisoformat(newest[name]) for name in ("start", "end"))
        figures = {name: newest[name] for name in _SPAN}
        spans = (Span(start, end, **figures, unlabelled=int(newest.get("unlabelled", 0))),)
    jump = Jump(**actions["jump"]) if actions["jump"] else None
    return OutcomeEvidence(
        **{name: raw[name] for name in _OUTCOMES},
        spans=spans,
        learnable=_learnable(int(raw["learnable"]), raw["learnable_since"]),
        deaf_since=datetime.fromisoformat(raw["deaf_since"]) if raw["deaf_since"] else None,
        actions=ActionEvidence(**{**actions, "jump": jump}),
        contradicting=tuple(map(str, raw["contradicting"])),
        opposite=tuple(Opposite(**found) for found in raw.get("opposite", ())),
    )


def _moments(window: str, streaks: Collection[int]) -> list[int]:
    """When findings that lasted so many windows began, in microseconds, oldest first."""
    span = span_of(window)
    if span is None:
        return []
    return sorted({microseconds(span[0] - (span[1] - span[0]) * (lasted - 1)) for lasted in streaks if lasted > 0})


def _counted(learnable: npt.NDArray[np.int64], at: int) -> int:
    return len(learnable) - int(np.searchsorted(learnable, at))


def _learnable(total: int, since: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Times of which as many lie after each moment as after the real ones.

    >>> _learnable(5, [(10, 4), (20, 1)])
    array([ 9, 10, 10, 10, 20])
    """
    if not since:
        return np.zeros(total, np.int64)
    counts = [total, *(int(count) for _, count in since), 0]
    moments = [int(since[0][0]) - 1, *(int(at) for at, _ in since)]
    return np.repeat(np.array(moments, np.int64), -np.diff(counts))
