"""mode: say at run time what the stack may do by itself, by one event, recorded like any other decision."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import InvalidEvent
from stillgood.domain.promotion.decision import Proposal
from stillgood.domain.promotion.orders import Mode, checked_mode
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE
from stillgood.steps.promote.promote import PromoteDeps, deployed_mode, outcome, text, who
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso

MEANS: Mapping[Mode, str] = {
    "watch": "monitor judges and tells; nothing is retrained, promoted, moved or rolled back by itself",
    "ask": "it retrains and judges; what the gate lets pass waits for a person",
    "automatic": "what the gate lets pass is put in force",
}


def set_mode(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "mode", "mode": "watch" | "ask" | "automatic", "request_id": "...", "reason": "..."}``, once per
    request id; see events/mode.json.

    It holds until another one is said, whatever the deployment's parameter. Raises InvalidEvent, StoreUnavailable,
    DocumentUnusable (damaged registry).
    """
    request_id, why, by = text(event, "request_id"), text(event, "reason"), who(event)
    try:
        mode = checked_mode(event.get("mode"))
    except ValueError as error:
        raise InvalidEvent(f"The event has an {error}.") from error
    request = {"action": "mode", "mode": mode}
    registry = Registry(deps.store)

    def draft(head: LogHead) -> Proposal:
        orders = registry.orders(head)
        before = orders.mode_or(deps.mode)
        done = f"The mode is {mode}, before {before}: {MEANS[mode]}."
        return Proposal(
            at=iso(deps.clock()),
            action="mode",
            request_id=request_id,
            candidate=None,
            reasons=(done, f"{ASKED_BECAUSE}{why}"),
            figures={
                "asked": request,
                "serving": head.serving,
                **by,
                **deployed_mode(orders, deps),
            },
        )

    decision, new = registry.decide(request_id, draft)
    return outcome(registry, decision, request, new)
