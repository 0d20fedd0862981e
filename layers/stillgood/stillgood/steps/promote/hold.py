"""A rollback by hand stops automatic promotions until somebody releases them; the log alone says so."""

from stillgood.domain.promotion.decision import Decision
from stillgood.storage.registry import LogHead, Registry

AUTOMATIC = "monitor:"  # what a request id of the schedule begins with
_LOOK_BACK = 400


def held_since(registry: Registry, head: LogHead) -> Decision | None:
    """The rollback by hand that holds: none was released, and nothing promoted by hand, after it. None when nothing
    holds.
    """
    held: Decision | None = None
    for decision in registry.decisions(start_after=max(0, head.n - _LOOK_BACK)):
        by_hand = not decision.request_id.startswith(AUTOMATIC)
        moved = decision.pointer_after is not None and decision.pointer_after.version != decision.figures.get("serving")
        if decision.action == "rollback" and by_hand and moved:
            held = decision
        elif decision.action == "release" or (decision.action == "promote" and by_hand):
            held = None
    return held
