"""rollback: point back to an earlier champion, by one event, recorded like any other decision."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stillgood.domain.errors import DocumentUnusable, InvalidEvent
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.steps.promote.promote import PromoteDeps, outcome, text
from stillgood.storage.champion import load_model, load_served
from stillgood.storage.keys import checked_version
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


def roll_back(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "rollback", "request_id": "...", "to": "<version>" | null, "reason": "..."}``, once per request
    id.

    ``"point": "previous" | "own" | "<id>"`` in place of ``to`` goes back by operating point: the champion stays, and
    takes the point before this one, the calibration and threshold of its training, or a point that it served with.
    ``to`` null means the champion before this one, with the operating point that it last served with. Only a version
    that served before can be rolled back to: anything else goes through the gate. Returns ``promote.outcome``; what
    cannot be done is a recorded refusal. Raises InvalidEvent, UnknownVersion (not a version's name), StoreUnavailable,
    DocumentUnusable (damaged registry).
    """
    request_id, why = text(event, "request_id"), text(event, "reason")
    to = None if event.get("to") is None else checked_version(text(event, "to"))
    point = None if event.get("point") is None else checked_version(text(event, "point"))
    if point is not None and to is not None:
        raise InvalidEvent("A rollback goes by 'to', a version, or by 'point', an operating point of the champion.")
    asked = {"action": "rollback", "version": to} | ({} if point is None else {"point": point})
    registry = Registry(deps.store)
    decision, new = registry.decide(
        request_id, lambda head: _draft(to, point, why, request_id, asked, deps, registry, head)
    )
    return outcome(decision, asked, new)


def _draft(
    to: str | None,
    point: str | None,
    why: str,
    request_id: str,
    asked: Mapping[str, Any],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    serving = head.pointer.version if head.pointer else None
    target, problem = _target(to, registry, head) if point is None else _point(point, deps, registry, head)
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
    return Proposal(
        at=iso(deps.clock()),
        action="rollback" if target else "refuse",
        request_id=request_id,
        candidate=target.version if target else to,
        reasons=(done, f"Asked because: {why}"),
        figures={"asked": asked, "serving": serving},
        inputs={"target": {"key": target.model_key, "sha256": target.model_sha256}} if target else {},
        release=target,
    )


def _target(to: str | None, registry: Registry, head: LogHead) -> tuple[Release | None, str]:
    """The release to go back to, or None and why there is none."""
    if head.pointer is None:
        return None, "Refused, because nothing was promoted yet: there is no champion to roll back from."
    if to is None:
        missing = f"Refused, because {head.pointer.version} is the first champion: there is no earlier one."
        return head.pointer.previous, missing
    if to == head.pointer.version:
        return None, f"Refused, because {to} is the champion already."
    served = [after.release for one in registry.decisions() if (after := one.pointer_after) is not None]
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
        for one in registry.decisions()
        if (after := one.pointer_after) is not None and after.version == now.version
    ]
    if wanted == "own":
        if current is None:
            return None, f"Refused, because {now.version} serves with its own operating point already."
        return replace(now.release, point=None, threshold=load_model(deps.store, now).threshold), ""
    others = [one for one in served if (None if one.point is None else one.point.id) != current]
    match = (
        others if wanted == "previous" else [one for one in others if one.point is not None and one.point.id == wanted]
    )
    if not match:
        names = ", ".join(dict.fromkeys(one.point.id for one in reversed(served) if one.point is not None)) or "none"
        return (
            None,
            (
                f"Refused, because {now.version} has no such operating point but {current or 'its own'}; served so far:"
                f" {names}."
            ),
        )
    return match[-1], ""
