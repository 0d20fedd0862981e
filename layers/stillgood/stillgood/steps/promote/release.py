"""release: let automatic promotions go on after a rollback by hand, by one event, recorded like any other decision."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.promotion.decision import Proposal
from stillgood.steps.promote.hold import held_since
from stillgood.steps.promote.promote import PromoteDeps, outcome, text
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


def release(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "release", "request_id": "...", "reason": "..."}``, once per request id; see events/release.json.

    Where nothing holds, that is a recorded refusal. Raises InvalidEvent, StoreUnavailable, ModelUnusable (damaged
    registry).
    """
    request_id, why = text(event, "request_id"), text(event, "reason")
    asked = {"action": "release", "version": None}
    registry = Registry(deps.store)
    decision, new = registry.decide(request_id, lambda head: _draft(why, request_id, asked, deps, registry, head))
    return outcome(decision, asked, new)


def _draft(
    why: str, request_id: str, asked: Mapping[str, Any], deps: PromoteDeps, registry: Registry, head: LogHead
) -> Proposal:
    held = held_since(registry, head)
    done = (
        "Refused, because nothing holds automatic promotions."
        if held is None
        else f"Released: the rollback of decision {held.n} no longer stops automatic promotions."
    )
    return Proposal(
        at=iso(deps.clock()),
        action="refuse" if held is None else "release",
        request_id=request_id,
        candidate=None,
        reasons=(done, f"Asked because: {why}"),
        figures={"asked": asked, "serving": head.pointer.version if head.pointer else None},
    )
