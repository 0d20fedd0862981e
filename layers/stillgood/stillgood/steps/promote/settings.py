"""settings: put a contract's settings in force without a model, by one event, recorded like any other decision."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.contract.settings import split
from stillgood.domain.errors import DocumentUnusable, StoreUnavailable
from stillgood.domain.promotion.decision import Proposal
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE
from stillgood.steps.promote.promote import PromoteDeps, outcome, text, who
from stillgood.storage.champion import load_model
from stillgood.storage.keys import checked_version, settings_key
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.settings import effective, read_settings
from stillgood.storage.windows import iso


def put_settings(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "settings", "contract": "<sha256>", "request_id": "...", "reason": "..."}``, once per request id.

    ``contract`` names what ``storage/settings.py`` wrote. The reasons say each difference to what held before. A change
    that only a candidate can bring is a recorded refusal. Returns ``promote.outcome``. Raises InvalidEvent,
    UnknownVersion (not a hash), StoreUnavailable, DocumentUnusable (damaged registry).
    """
    request_id, why, by = text(event, "request_id"), text(event, "reason"), who(event)
    digest = checked_version(text(event, "contract"))
    request = {"action": "settings", "contract": digest}
    registry = Registry(deps.store)

    def draft(head: LogHead) -> Proposal:
        figures: dict[str, Any] = {"asked": request, "serving": head.serving, **by}
        inputs = {"contract": {"key": settings_key(digest), "sha256": digest}}
        reasons: tuple[str, ...] = ("Refused, because nothing serves yet: the first model learns by the contract.",)
        done = False
        try:
            if head.pointer is not None:
                model = load_model(deps.store, head.pointer)
                before = effective(deps.store, model.contract, registry.orders(head))
                new = read_settings(deps.store, digest)
                now, later = split(before, new)
                done = bool(now)
                reasons = tuple(f"{change.place}: {change.what}." for change in now) or (
                    "Refused, because no setting changes.",
                )
                figures |= {"learnt_by": new.sha256, "later": [f"{change.place}: {change.what}" for change in later]}
        except StoreUnavailable:
            raise
        except DocumentUnusable as error:
            reasons = (f"Refused: {error.detail}",)
        return Proposal(
            at=iso(deps.clock()),
            action="settings" if done else "refuse",
            request_id=request_id,
            candidate=None,
            reasons=(*reasons, f"{ASKED_BECAUSE}{why}"),
            figures=figures,
            inputs=inputs,
        )

    decision, new = registry.decide(request_id, draft)
    return outcome(registry, decision, request, new)
