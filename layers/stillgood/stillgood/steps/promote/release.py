"""release: let automatic promotions go on after a rollback by hand, by one event, recorded like any other decision."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.promotion.decision import Proposal
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE
from stillgood.steps.promote.promote import PromoteDeps, outcome, text, who
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso


def release(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "release", "request_id": "...", "reason": "..."}``, once per request id; see events/release.json.

    Without a hold it is a recorded refusal. Raises InvalidEvent, StoreUnavailable, DocumentUnusable (damaged registry).
    """
    request_id, why, by = text(event, "request_id"), text(event, "reason"), who(event)
    request = {"action": "release", "version": None}
    registry = Registry(deps.store)
    decision, new = registry.decide(request_id, lambda head: _draft(why, request_id, request, by, deps, registry, head))
    return outcome(registry, decision, request, new)


def _draft(
    why: str,
    request_id: str,
    request: Mapping[str, Any],
    by: Mapping[str, str],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    held = registry.orders(head).hold
    done = (
        "Refused, because nothing holds automatic promotions."
        if held is None
        else f"Released: the rollback of decision {held.said.decision} no longer stops automatic promotions."
    )
    return Proposal(
        at=iso(deps.clock()),
        action="refuse" if held is None else "release",
        request_id=request_id,
        candidate=None,
        reasons=(done, f"{ASKED_BECAUSE}{why}"),
        figures={"asked": request, "serving": head.serving, **by},
    )
