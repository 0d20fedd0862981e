"""rollback: point back to an earlier champion, by one event, recorded like any other decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stillgood.domain.errors import DocumentUnusable, InvalidEvent
from stillgood.domain.promotion.approval import expiry, waits_for_person
from stillgood.domain.promotion.decision import Decision, Pointer, Proposal, Release
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE, by_hand
from stillgood.steps.promote.promote import PromoteDeps, deployed_mode, outcome, text, who
from stillgood.storage.champion import load_model, load_served
from stillgood.storage.keys import checked_version
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where to go back to: version ``to``, or operating point ``point`` of the champion, or one back in the order of
    service. ``force``: also to a version that a person rejected. ``former``: by the rule of records before that
    order."""

    to: str | None
    point: str | None
    why: str
    force: bool = False
    former: bool = False


def roll_back(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "rollback", "request_id": "...", "to": "<version>" | null, "reason": "..."}``, once per request
    id.

    ``"point": "previous" | "own" | "<id>"`` in place of ``to`` goes back by operating point: the champion stays, and
    takes the point before this one, the calibration and threshold of its training, or a point that it served with.
    ``to`` null goes back in the order of service, with the operating point that the version last served with, and never
    to one that was rolled back from. Only a version that served before can be rolled back to: anything else goes
    through the gate; one that a person rejected needs ``"force": true``. Returns ``promote.outcome``; what cannot
    be done is a recorded refusal. Raises InvalidEvent, UnknownVersion (not a version's name), StoreUnavailable,
    DocumentUnusable (damaged registry).
    """
    request_id, why = text(event, "request_id"), text(event, "reason")
    to = None if event.get("to") is None else checked_version(text(event, "to"))
    point = None if event.get("point") is None else checked_version(text(event, "point"))
    if point is not None and to is not None:
        raise InvalidEvent("A rollback goes by 'to', a version, or by 'point', an operating point of the champion.")
    force = event.get("force") is True
    request: dict[str, Any] = {"action": "rollback", "version": to} | ({} if point is None else {"point": point})
    request |= {"force": True} if force else {}
    wanted = Wanted(to, point, why, force, former=not deps.approvals)
    registry = Registry(deps.store)
    decision, new = registry.decide(
        request_id, lambda head: rollback_proposal(wanted, request_id, request, who(event), deps, registry, head)
    )
    return outcome(registry, decision, request, new)


def rollback_proposal(
    wanted: Wanted,
    request_id: str,
    request: Mapping[str, Any],
    figures: Mapping[str, Any],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    """The rollback, asked of a person where the schedule wants it and the mode is not automatic, or its refusal."""
    at, orders = deps.clock(), registry.orders(head)
    serving = head.serving
    point = wanted.point
    target, problem = (
        _target(wanted, orders.rejected, registry, head) if point is None else _point(point, deps, registry, head)
    )
    if target is not None:
        try:
            load_served(deps.store, target)
        except DocumentUnusable as error:
            problem = f"Refused, because {target.version} cannot serve: {error.detail}"
            target = None
    done = problem
    if target is not None and point is None:
        done = f"Rolled back from {serving} to {target.version}; its artifact is the one that served."
    elif target is not None:
        named = "its own, of its training" if target.point is None else target.point.id
        done = f"{target.version} stays and goes back to operating point {named}."
    waits = None if by_hand(request_id) or not deps.approvals else waits_for_person(orders.mode_or(deps.mode))
    recorded: dict[str, Any] = {"asked": request, "serving": serving, **figures, **deployed_mode(orders, deps)}
    if target is not None and waits is not None:
        expires = iso(expiry(at))
        recorded["asks"] = {"kind": "rollback", "expires": expires, "because": [waits]}
        done = f"Would go back from {serving} to {target.version}, and waits for a person until {expires}."
    return Proposal(
        at=iso(at),
        action="refuse" if target is None else "rollback" if waits is None else "ask",
        request_id=request_id,
        candidate=target.version if target else wanted.to,
        reasons=(done, f"{ASKED_BECAUSE}{wanted.why}"),
        figures=recorded,
        inputs={"target": {"key": target.model_key, "sha256": target.model_sha256}} if target else {},
        release=target if waits is None else None,
    )


def in_order_of_service(decisions: Sequence[Decision]) -> list[Pointer]:
    """Who served, first to last, without the versions that were rolled back from; the last one serves now.

    A version once: at the place of its newest service, with the operating point that it had last.
    """
    served: list[Pointer] = []
    for decision in decisions:
        after = decision.pointer_after
        if after is None:
            continue
        if served and after.version == served[-1].version:
            served[-1] = after
        elif decision.action == "rollback" and after.version in (names := [pointer.version for pointer in served]):
            served = [*served[: names.index(after.version)], after]
        else:
            served = [*(pointer for pointer in served if pointer.version != after.version), after]
    return served


def _target(wanted: Wanted, rejected: Sequence[str], registry: Registry, head: LogHead) -> tuple[Release | None, str]:
    """The release to go back to, or None and why there is none."""
    to = wanted.to
    if head.pointer is None:
        return None, "Refused, because nothing was promoted yet: there is no champion to roll back from."
    if to is None and wanted.former:
        missing = f"Refused, because {head.pointer.version} is the first champion: there is no earlier one."
        return head.pointer.previous, missing
    if to is None:
        earlier = in_order_of_service(list(registry.decisions()))[:-1]
        left = [pointer.release for pointer in earlier if pointer.version not in rejected]
        if left:
            return left[-1], ""
        if earlier:
            names = ", ".join(pointer.version for pointer in earlier)
            return None, f"Refused, because a person rejected every champion before {head.pointer.version}: {names}."
        return None, (
            f"Refused, because {head.pointer.version} is the first champion in the order of service: there is no"
            " earlier one that was not rolled back from."
        )
    if to in rejected and not wanted.force and not wanted.former:
        return None, f"Refused, because a person rejected {to}; only a rollback with force goes back to it."
    if to == head.pointer.version:
        return None, f"Refused, because {to} is the champion already."
    served = [after.release for decision in registry.decisions() if (after := decision.pointer_after) is not None]
    match = [release for release in served if release.version == to]
    if not match:
        names = ", ".join(dict.fromkeys(release.version for release in reversed(served)))
        return None, f"Refused, because {to} never served, so no gate has approved it; served so far: {names}."
    return match[-1], ""


def _point(wanted: str, deps: PromoteDeps, registry: Registry, head: LogHead) -> tuple[Release | None, str]:
    """The champion with an earlier operating point, or None and why there is none."""
    now = head.pointer
    if now is None:
        return None, "Refused, because nothing was promoted yet: there is no operating point to go back to."
    current = None if now.point is None else now.point.id
    served = [
        after.release
        for decision in registry.decisions()
        if (after := decision.pointer_after) is not None and after.version == now.version
    ]
    if wanted == "own":
        if current is None:
            return None, f"Refused, because {now.version} serves with its own operating point already."
        return replace(now.release, point=None, threshold=load_model(deps.store, now).threshold), ""
    others = [release for release in served if (None if release.point is None else release.point.id) != current]
    match = (
        others
        if wanted == "previous"
        else [release for release in others if release.point is not None and release.point.id == wanted]
    )
    if not match:
        names = (
            ", ".join(dict.fromkeys(release.point.id for release in reversed(served) if release.point is not None))
            or "none"
        )
        return (
            None,
            (
                f"Refused, because {now.version} has no such operating point but {current or 'its own'}; served so far:"
                f" {names}."
            ),
        )
    return match[-1], ""
