"""Captures that came after their window was judged: counted once, in the next report. The window's own report stays, as
it was decided on; the outcome ledger reads them, so their labels are judged once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.errors import InvalidEvent
from stillgood.steps.monitor.delivered import is_delivered
from stillgood.steps.monitor.hours import is_named_in
from stillgood.storage.keys import capture_prefix
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import Window, busy_hours

LOOKED_BACK = 2  # windows before the judged one


@dataclass(frozen=True, slots=True)
class Captures:
    """``counted``: captured objects by window id, of the judged window and of those before it; ``late``: how many came
    since the report before, of windows judged by then. An object is a request to the API, or an output of batch.
    """

    counted: Mapping[str, int]
    late: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        return {"counted": dict(self.counted), "late": dict(self.late)}


def count_captures(store: ObjectStore, window: Window, before: Mapping[str, Any] | None) -> Captures:
    """What lies there of ``window``, and what came late of up to ``LOOKED_BACK`` windows before it.

    ``before``: the report before, whose counts are compared with; older ones have none. Raises StoreUnavailable.
    """
    known = ((before or {}).get("captures") or {}).get("counted") or {}
    earlier = sorted(name for name in known if name < window.id)[-LOOKED_BACK:]
    counted, late = {}, {}
    for name in earlier:
        try:
            counted[name] = _objects(store, Window.from_id(name))
        except InvalidEvent:  # a damaged report; the audit names it
            continue
        if (more := counted[name] - int(known[name])) > 0:  # fewer: captures expire
            late[name] = more
    return Captures({**counted, window.id: _objects(store, window)}, late)


def _objects(store: ObjectStore, window: Window) -> int:
    """Without what Firehose delivered: its keys tell when it was delivered."""
    count = 0
    for hour in busy_hours(store, window):
        count += sum(
            is_named_in(info.key, hour, window) and not is_delivered(info.key)
            for info in store.list(capture_prefix(hour))
        )
    return count
