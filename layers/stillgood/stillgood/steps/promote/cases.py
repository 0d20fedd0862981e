"""approve and refuse: a person's answer to a case that waits, recorded like any other decision.

A case is judged anew where what it was judged on has moved: another champion serves, or an artifact is another one. The
answer closes it, unless the yes could not be carried out.
"""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import InvalidEvent, StillgoodError, StoreUnavailable
from stillgood.domain.promotion.decision import Decision, Proposal, Release
from stillgood.domain.promotion.gate import GateDecision, refusal
from stillgood.domain.promotion.orders import Case, Orders
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE
from stillgood.steps.promote.gather import gather
from stillgood.steps.promote.move import move_proposal
from stillgood.steps.promote.promote import (
    PromoteDeps,
    figures_of,
    outcome,
    release_of,
    text,
    verdict_of,
    who,
)
from stillgood.steps.promote.rollback import Wanted, rollback_proposal
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


def approve(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "approve", "case": 7, "request_id": "...", "reason": "..."}``, once per request id.

    An expired or answered case is a recorded refusal; so is one that the gate refuses when it has to judge anew.
    Returns ``promote.outcome``. Raises InvalidEvent, StoreUnavailable, DocumentUnusable (damaged registry).
    """
    return _answer("approve", event, deps)


def refuse_case(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "refuse", "case": 7, "request_id": "...", "reason": "..."}``, once per request id.

    A candidate that a person refused is rejected: it returns only by force. Returns and raises as ``approve``.
    """
    return _answer("refuse", event, deps)


def _answer(verb: str, event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    request_id, why, by = text(event, "request_id"), text(event, "reason"), who(event)
    number = event.get("case")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidEvent("The event needs 'case', the number of the decision that asks.")
    request = {"action": verb, "case": number}
    registry = Registry(deps.store)

    def draft(head: LogHead) -> Proposal:
        orders = registry.orders(head)
        case = orders.case(number)
        figures = {"asked": request, "serving": head.serving, **by, "case": number}
        problem = _problem(number, case, orders, iso(deps.clock()))
        if case is None or problem:
            return _refused(request_id, case.candidate if case else None, (problem,), why, figures, deps)
        figures["closes"] = True
        if verb == "refuse":
            done = f"Case {number} is refused: {case.candidate} is not put in force."
            return _refused(request_id, case.candidate, (done,), why, figures, deps)
        return _approved(case, why, request_id, figures, deps, registry, head)

    decision, new = registry.decide(request_id, draft)
    return outcome(registry, decision, request, new)


def _problem(number: int, case: Case | None, orders: Orders, now: str) -> str:
    if case is None:
        waiting = (
            ", ".join(f"{open_case.n} ({open_case.kind} {open_case.candidate})" for open_case in orders.waiting)
            or "none"
        )
        return f"Refused, because decision {number} does not wait for anybody (any more); waiting: {waiting}."
    if now > case.expires:
        return f"Refused, because case {number} expired at {case.expires}; let {case.candidate} be judged anew."
    return ""


def _refused(
    request_id: str,
    candidate: str | None,
    reasons: tuple[str, ...],
    why: str,
    figures: Mapping[str, Any],
    deps: PromoteDeps,
) -> Proposal:
    said = (*reasons, f"{ASKED_BECAUSE}{why}")
    return Proposal(iso(deps.clock()), "refuse", request_id, candidate, said, figures)


def _approved(
    case: Case,
    why: str,
    request_id: str,
    figures: Mapping[str, Any],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    before = registry.decision(case.n)
    if case.kind == "rollback":
        wanted = Wanted(case.candidate, None, why, force=True)
        return rollback_proposal(wanted, request_id, figures["asked"], figures, deps, registry, head)
    if case.kind == "move":
        digest = str(before.figures["asked"]["evidence"])
        return move_proposal(digest, request_id, figures["asked"], figures, deps, registry, head, why)
    inputs: dict[str, dict[str, str]] = {}
    release: Release | None = None
    try:
        material = gather(deps.store, case.candidate, head.pointer, inputs, at_point=deps.at_point)
        moved = _moved(case, before, inputs, head)
        verdict = _as_judged(before) if not moved else verdict_of(material, deps.gate, registry, head, inputs)
        if verdict.promote:
            release = release_of(case.candidate, material, verdict, inputs)
    except StoreUnavailable:
        raise  # an outage says nothing about the candidate: the retry decides
    except StillgoodError as error:
        moved = "its artifacts changed"
        verdict = refusal(deps.gate, f"The candidate cannot be judged: {error.detail}", "Artifacts that can be read.")
    done = f"Approved: case {case.n} of {case.since}."
    if moved:
        done = f"Case {case.n} was judged anew, because {moved}."
    return Proposal(
        at=iso(deps.clock()),
        action="promote" if release else "refuse",
        request_id=request_id,
        candidate=case.candidate,
        reasons=(done, *verdict.reasons, f"{ASKED_BECAUSE}{why}"),
        figures={**figures_of(verdict), **figures},
        inputs=inputs,
        release=release,
    )


def _moved(case: Case, before: Decision, inputs: Mapping[str, Any], head: LogHead) -> str:
    """What has moved since the case was judged; empty if nothing has."""
    if (head.pointer.generation if head.pointer else None) != case.generation:
        return f"{head.serving or 'nothing'} serves in another generation than then"
    return "" if dict(before.inputs) == dict(inputs) else "what it was judged on is not what it was"


def _as_judged(before: Decision) -> GateDecision:
    """The verdict of the case as the log has it."""
    kept = ("asked", "serving", "asks", "by", "mode", "gate", "would_change")
    figures = {name: value for name, value in before.figures.items() if name not in kept}
    waits = 1 + len(before.figures["asks"]["because"])
    return GateDecision(True, str(before.figures["gate"]), before.reasons[waits:], (), figures)
