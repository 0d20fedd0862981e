"""The drift report: every statistic, threshold and reason of one window, and the decision that was made of them.
JSON-able.
"""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.contract.contract import Costs
from stillgood.domain.contract.times import iso
from stillgood.domain.drift.performance import expected_value
from stillgood.domain.drift.profile import Profile, Reference
from stillgood.domain.drift.summary import distributions, score_summary
from stillgood.domain.model.net_value import value_report
from stillgood.domain.policy.evidence import Evidence, PolicyDecision
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.policy.stored import evidence_to_dict

FORMAT = "stillgood.report"


def build_report(
    evidence: Evidence,
    decision: PolicyDecision,
    state: MonitorState,
    judged: Profile,
    own: Profile,
    reference: Reference,
    *,
    span: Mapping[str, str],
    made_at: str,
    champion: Mapping[str, Any],
    effect: Mapping[str, Any] | None,
    season: str | None,
    costs: Costs | None = None,
    operating_point: Mapping[str, Any] | None = None,
    contributions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``own``: the window's rows; ``judged``: those, and of the small windows before that were judged with them.

    ``span``: the window's id, start and end. ``champion``: who served, by version and keys. ``state``: as it was
    before.

    ``effect``: the step and event that the decision leads to. ``season``: id of the window that stood for the season.
    ``operating_point``: what was estimated, decided and asked for; ``contributions``: what moved the mean score, in
    logits. ``costs``: of the contract; where it has any, ``value`` is what the champion's decisions are worth per 1,000
    rows.
    """
    total = own.rows + own.refused
    return {
        "format": FORMAT,
        "format_version": 1,
        "window": dict(span),
        "made_at": made_at,
        "champion": dict(champion),
        "season": season,
        "rows": own.rows,
        "requests": own.requests,
        **_pooled(evidence),
        "rows_by_model": dict(own.models),
        "champion_rows": judged.scores.n,
        "reference_rows": reference.rows,
        "unreadable_records": own.unreadable,
        "contract": {
            "refused": own.refused,
            "violation_rate": own.refused / total if total else 0.0,
            "violations": [
                {"field": name, "rule": rule, "rows": count, "share": count / total}
                for (name, rule), count in sorted(own.violations.items(), key=lambda item: (-item[1], item[0]))
            ],
            "callers": [
                {"caller": name, "refused": rows.refused, "accepted": rows.accepted}
                for name, rows in sorted(own.callers.items(), key=lambda item: (-item[1].refused, item[0]))
                if rows.refused
            ],
            "largest_refusal": own.largest_refusal,
        },
        "drift": evidence.drift.to_dict() if evidence.drift else None,
        "distributions": distributions(reference, judged),
        "scores": score_summary(reference, judged.scores),
        "contributions": contributions,
        "operating_point": operating_point,
        "estimated_performance": evidence.estimated.to_dict() if evidence.estimated else None,
        "realised_performance": evidence.realised.to_dict() if evidence.realised else None,
        "value": _value(evidence, judged, costs),
        "previous_gain": evidence.previous_gain.to_dict() if evidence.previous_gain else None,
        "labels": dict(evidence.labels),
        "decision": decision.to_dict(),
        "effect": effect,
        "evidence": evidence_to_dict(evidence, set(decision.figures.get("streaks", {}).values())),
        "state_before": state.to_dict(),
    }


def _pooled(evidence: Evidence) -> dict[str, Any]:
    """Which rows were judged: all since then, the window's own among them; nothing where those alone were."""
    if evidence.pooled_since is None:
        return {}
    return {"pooled": {"since": iso(evidence.pooled_since), "rows": evidence.rows, "refused": evidence.refused}}


def _value(evidence: Evidence, window: Profile, costs: Costs | None) -> dict[str, float] | None:
    """``estimated`` by the probabilities of this window, ``realised`` by the labels that matured with it, where there
    are such figures.
    """
    if costs is None:
        return None
    values = {}
    if evidence.estimated is not None and window.scores.n:
        values["estimated"] = expected_value(window.scores, costs)
    if evidence.realised is not None:
        values |= value_report(costs, {"realised": evidence.realised.metrics}) or {}
    return values
