"""rollback: point back to an earlier champion, by one event, recorded like any other decision."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import ModelUnusable
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.steps.promote.promote import PromoteDeps, outcome, text
from stillgood.storage.champion import load_model
from stillgood.storage.keys import checked_version
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


def roll_back(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "rollback", "request_id": "...", "to": "<version>" | null, "reason": "..."}``, once per request id.

    ``to`` null means the champion before this one. Only a version that served before can be rolled back to: anything
    else goes through the gate. Returns ``promote.outcome``; what cannot be done is a recorded refusal.
    Raises InvalidEvent, UnknownVersion (not a version's name), StoreUnavailable, ModelUnusable (damaged registry).
    """
    request_id, why = text(event, "request_id"), text(event, "reason")
    to = None if event.get("to") is None else checked_version(text(event, "to"))
    asked = {"action": "rollback", "version": to}
    registry = Registry(deps.store)
    decision, new = registry.decide(request_id, lambda head: _draft(to, why, request_id, asked, deps, registry, head))
    return outcome(decision, asked, new)


def _draft(
    to: str | None,
    why: str,
    request_id: str,
    asked: Mapping[str, Any],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    serving = head.pointer.version if head.pointer else None
    target, problem = _target(to, registry, head)
    if target is not None:
        try:
            load_model(deps.store, target)
        except ModelUnusable as error:
            problem = f"Refused, because {target.version} cannot serve: {error.detail}"
            target = None
    done = (
        f"Rolled back from {serving} to {target.version}; its artifact is the one that served." if target else problem
    )
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
