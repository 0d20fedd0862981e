"""Never silent: states that last are told once when they begin, stand in every report until they end, and then are
over.

A message says nothing that changes from window to window, so that the same state is the same message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from stillgood.domain.contract.times import iso
from stillgood.domain.model.evaluation import Estimate
from stillgood.domain.policy.acted import ACTED, message_of
from stillgood.domain.policy.evidence import Evidence, Policy, PolicyDecision
from stillgood.domain.policy.refusals import broken_upstream, set_aside
from stillgood.domain.policy.senders import LEFT_OUT
from stillgood.domain.policy.spans import span_of

_STRICT = 3.2905 / 1.96  # two-sided 99.9% against the 95% of an Estimate
MIN_REFUSED = 20  # refused rows that are no accident
# In how many windows in a row a state must hold before it is told: some heal by themselves.
WINDOWS = {
    "labels": 1,
    "selected": 2,
    "coverage": 2,
    "unlabelled": 2,
    "unsigned": 1,
    "contradicting": 1,
    "recall": 2,
    "roc_auc": 2,
    "refused": 1,
    "refused_alone": 1,
    "caller_jumped": 1,
    "fault": 1,
    "traffic": 3,
    "budget": 1,
    ACTED: 1,
    "point": 1,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A state that holds since ``since`` (ISO 8601) and was seen in ``windows`` windows in a row; ``announced`` once it
    counts.
    """

    name: str
    since: str
    message: str
    waits_for: str
    windows: int = 1

    @property
    def announced(self) -> bool:
        return self.windows >= WINDOWS[self.name]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "since": self.since,
            "message": self.message,
            "waits_for": self.waits_for,
            "windows": self.windows,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is none."""
        name = str(raw["name"])
        if name not in WINDOWS:
            raise ValueError(f"{name[:40]!r} is not the name of a standing state")
        return cls(name, str(raw["since"]), str(raw["message"]), str(raw["waits_for"]), int(raw["windows"]))


def stand(
    evidence: Evidence, policy: Policy, decision: PolicyDecision, before: tuple[Standing, ...], point: str = ""
) -> tuple[Standing, ...]:
    """What stands after a window; ``before``: what stood after the window before. A state keeps the time at which it
    began. ``point``: what the operating point waits for a person with, empty for nothing.
    """
    known = {state.name: state for state in before}
    states = []
    for state in _current_states(evidence, policy, decision, point):
        if (old := known.get(state.name)) is not None:
            states.append(replace(old, windows=old.windows + 1))
        else:
            states.append(state)
    # A state that a window cannot judge goes on: a window without rows does not show that a fault is over.
    seen = {state.name for state in states}
    unjudged = {"fault"} if evidence.drift is None else set()
    if evidence.trusted_realised is None:
        unjudged |= {"recall", "roc_auc"}
    if not evidence.outcomes.actions.declared:  # people who were found to act are not forgotten
        unjudged.add(ACTED)
    return (*states, *(state for state in before if state.name in unjudged - seen))


def with_standing(
    decision: PolicyDecision, before: tuple[Standing, ...], after: tuple[Standing, ...]
) -> PolicyDecision:
    """``decision``, but never silent: a state that begins is an alert, one that goes on is said with what is waited
    for.
    """
    known = {state.name for state in before if state.announced}
    began = [state for state in after if state.announced and state.name not in known]
    on = [state for state in after if state.announced and state.name in known]
    news = tuple(state.message for state in began)
    # The policy's own reasons come first. If it decided nothing, the states that begin are the alert's reasons.
    own = (*news, *decision.reasons) if decision.action == "nothing" else (*decision.reasons, *news)
    reasons = (*own, *(f"still: {state.message}" for state in on))
    waits = tuple(state.waits_for for state in (*began, *on))
    action = "alert" if began and decision.action == "nothing" else decision.action
    return replace(decision, action=action, reasons=reasons, would_change=(*decision.would_change, *waits))


def watched(decision: PolicyDecision) -> PolicyDecision:
    """``decision`` in mode watch: what would be done is an alert, and nothing is done."""
    if decision.action in ("nothing", "alert"):
        return decision
    would = f"mode watch: nothing was started; it would {decision.action.replace('_', ' ')}"
    return replace(decision, action="alert", reasons=(would, *decision.reasons))


def _current_states(evidence: Evidence, policy: Policy, decision: PolicyDecision, point: str) -> list[Standing]:
    states: list[Standing] = []

    def add(name: str, message: str, waits_for: str, since: datetime | None = None) -> None:
        moment = since or evidence.at
        states.append(Standing(name, iso(moment), message, waits_for))

    outcomes, realised, total = evidence.outcomes, evidence.trusted_realised, evidence.rows + evidence.refused
    if outcomes.deaf_since is not None:
        add(
            "labels",
            f"deaf since {outcomes.deaf_since:%Y-%m-%d}: predictions have matured since then and no label of them has"
            " come",
            outcomes.waits_for,
            outcomes.deaf_since,
        )
    if (acted := message_of(outcomes.actions)) is not None:
        add(ACTED, *acted)
    if outcomes.biased:
        add(
            "selected",
            "the labels that come are of selected customers; nothing is judged by them or learnt from them",
            "labels of all predictions, or of a random sample; or labels.absent: negative in the contract for a feed of"
            " positives",
        )
    if outcomes.thin:
        add(
            "coverage",
            "fewer predictions get a label than the contract's labels.min_coverage; nothing is judged by them or learnt"
            " from them",
            "more labels, or a lower labels.min_coverage",
        )
    if outcomes.unlabelled:
        add(
            "unlabelled",
            "most predictions, or more than labels.min_coverage allows, are of callers whose rows nobody labels; the"
            " others are judged and learnt from without them",
            "their labels; or fewer such rows, if they are a stranger's",
        )
    if outcomes.unsigned:
        add(
            "unsigned",
            "labels come that nobody signed; nothing is judged by them or learnt from them",
            "callers that API Gateway knows (ApiAuth iam or jwt), files under labels/incoming/, or api among the"
            " contract's labels.vouched_sources",
        )
    look = (
        "somebody who looks at them: stillgood labels revoke, or the name among the contract's labels.vouched_sources"
    )
    if outcomes.contradicting:
        add(
            "contradicting",
            f"the labels of {', '.join(outcomes.contradicting)} contradict everybody else's; nothing is judged by them"
            " or learnt from them",
            look,
        )
    elif outcomes.opposite:
        add(
            "contradicting",
            f"the newest labels of {', '.join(map(str, outcomes.opposite))} say the opposite of the scores: they are"
            " wrong, or the world has turned and nobody else has told of it yet; until they mature nothing is judged by"
            " them or learnt from them",
            look,
        )
    if realised is not None and evidence.recall_floor and _under(realised.metrics.recall, evidence.recall_floor):
        add(
            "recall",
            f"the champion's realised recall is under the contract's floor {evidence.recall_floor:g}",
            "a better threshold or model, or another floor",
        )
    if realised is not None and _under(realised.metrics.roc_auc, evidence.roc_auc_floor):
        add(
            "roc_auc",
            f"the champion's realised ROC-AUC is under the contract's floor {evidence.roc_auc_floor:g}",
            "a better model, or another floor",
        )
    alone = set_aside(evidence, policy.violation_rate)
    if alone is not None and alone.refused >= MIN_REFUSED:
        add(
            "refused_alone",
            f"the rows of {alone.name} break the contract and are refused; all others are judged without them",
            "rows that keep the contract, or no right to predict for who sends them",
        )
    if evidence.left_out:
        add(
            "caller_jumped",
            f"the rows of {', '.join(map(str, evidence.left_out))} jumped; drift and the operating point are judged"
            " without them",
            f"{LEFT_OUT.days} days as usual of who sends them, no right to predict for it, or its name among the"
            " contract's labels.vouched_sources if it is welcome",
        )
    if evidence.refused >= MIN_REFUSED and broken_upstream(evidence, policy.violation_rate):
        add("refused", "predictions are refused: their rows break the contract", "rows that keep the contract")
    if evidence.drift is not None and evidence.drift.faults:
        names = ", ".join(sorted(check.name for check in evidence.drift.faults))
        add(
            "fault",
            f"a data fault upstream: {names}",
            "values as they were, or a retrain by hand if the change is meant",
        )
    if total < evidence.min_rows or _long_pool(evidence):
        add(
            "traffic",
            f"too few predictions to judge a window by: fewer than {evidence.min_rows}; windows are judged together",
            "more predictions a window, longer windows, or a smaller monitoring.min_rows",
        )
    rules = decision.figures.get("rules", {})
    spent = decision.figures.get("retrains_in_period", 0)
    if decision.action == "alert" and "budget" in rules and spent >= rules["budget"]:
        add("budget", "the budget of retrains is spent while there is something to learn", "time, or a retrain by hand")
    if point:
        add("point", point, "a person: the report's operating_point says why, with figures")
    return states


def _long_pool(evidence: Evidence) -> bool:
    """Whether more windows had to be put together than are waited for before few predictions are told."""
    start = span_of(evidence.window)
    if evidence.pooled_since is None or start is None:
        return False
    return evidence.at - evidence.pooled_since > WINDOWS["traffic"] * (evidence.at - start[0])


def _under(estimate: Estimate, floor: float) -> bool:
    """Whether a figure is under its floor beyond chance: by 3.29 standard errors, since it is looked at in every
    window.
    """
    return estimate.value + _STRICT * (estimate.high - estimate.value) < floor
