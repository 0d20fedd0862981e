"""From evidence to an action: the policies by name, and what monitoring remembers of a decision.

``simple`` is the plain rule: any drift or less confidence, then retrain. ``guarded`` asks first whether the data can be
trusted, whether the finding lasts, and whether there is anything new to learn from. Both are pure functions of their
arguments, so a decision can be replayed from its report.
"""

from collections.abc import Mapping
from dataclasses import replace

from stillgood.domain.policy.evidence import Action, Evidence, Policy, PolicyDecision
from stillgood.domain.policy.guarded import GRAVE, Guarded, streaks
from stillgood.domain.policy.repairs import remembered
from stillgood.domain.policy.simple import Simple
from stillgood.domain.policy.spans import pooled_since
from stillgood.domain.policy.state import MonitorState, Retrain

__all__ = ["POLICIES", "Action", "Evidence", "Guarded", "Policy", "PolicyDecision", "Simple", "advance"]

POLICIES: Mapping[str, Policy] = {"simple": Simple(), "guarded": Guarded()}
_RETRAINS_KEPT = 100


def advance(policy: Policy, evidence: Evidence, decision: PolicyDecision, state: MonitorState) -> MonitorState:
    """The state after ``decision`` on a window that is not late. A retrain ends the streaks of drift
    that led to it, and so does a recalibration, which counts as one: both learn from the same labelled rows.
    """
    guarded = policy if isinstance(policy, Guarded) else Guarded(thresholds=policy.thresholds)
    counts = remembered(evidence, state, guarded.thresholds.alpha)
    after = replace(
        state,
        last_window=evidence.window,
        version=evidence.version,
        repairs=counts,
        pooled_since=pooled_since(evidence, guarded.violation_rate),
    )
    if decision.action not in ("retrain", "recalibrate"):
        return replace(after, streaks=streaks(guarded, evidence, state))
    # Findings from labels keep their streaks, and the cooldown spaces the attempts. Drift has to last anew.
    grave_streaks = {name: lasted for name, lasted in streaks(guarded, evidence, state).items() if name in GRAVE}
    grave = any(lasted >= guarded.persistence for lasted in grave_streaks.values())
    learnt = evidence.unlearnt_rows if decision.action == "retrain" else 0  # a recalibration keeps the weights
    retrain = Retrain(evidence.window, evidence.at, evidence.data_sha256, evidence.version, grave, learnt)
    return replace(after, streaks=grave_streaks, retrains=(*state.retrains, retrain)[-_RETRAINS_KEPT:])
