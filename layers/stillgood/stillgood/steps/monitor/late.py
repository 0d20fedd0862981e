"""Captures that came after their window was judged: counted once, in the next report. The window's own report stays, as
it was decided on; the outcome ledger reads them, so their labels are judged once.

What was written by request or batch is counted by object. Firehose puts many rows into one object, also rows of other
windows, so there its new objects are read and their rows of the window are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stillgood.domain.drift.profile import Profile
from stillgood.domain.errors import InvalidEvent
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import Window, busy_hours

LOOKED_BACK = 2  # windows before the judged one
_MARK = 8  # digits


@dataclass(frozen=True, slots=True)
class Captures:
    """By window id, of the judged window and of those before it: ``counted`` objects of requests and batches, and the
    marks of those that Firehose ``delivered``. Of windows judged by the report before, what came since: ``late``
    objects and ``late_rows`` that Firehose delivered.
    """

    counted: Mapping[str, int]
    late: Mapping[str, int]
    delivered: Mapping[str, frozenset[str]] = field(default_factory=dict)
    late_rows: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "counted": dict(self.counted),
            "late": dict(self.late),
            "delivered": {name: "".join(sorted(found)) for name, found in self.delivered.items() if found},
            "late_rows": dict(self.late_rows),
        }


def count_captures(
    store: ObjectStore, window: Window, read: Profile, before: Mapping[str, Any] | None, settled: datetime
) -> Captures:
    """What was read of ``window``, and what came late of up to ``LOOKED_BACK`` windows before it.

    ``read``: the window's profile. ``before``: the report before, whose counts are compared with; older ones have none.
    Raises StoreUnavailable.
    """
    last = (before or {}).get("captures") or {}
    known = last.get("counted") or {}
    counted, delivered = {window.id: read.requests + read.batches}, {window.id: read.delivered}
    late, late_rows = {}, {}
    with readers(store) as pool:
        captured = CapturedHours(store, pool, settled)
        for name in sorted(name for name in known if name < window.id)[-LOOKED_BACK:]:
            try:
                earlier = Window.from_id(name)
            except InvalidEvent:  # a damaged report; the audit names it
                continue
            hours = busy_hours(store, earlier)
            found = list(captured.count(hours, earlier))
            counted[name] = sum(objects for objects, _ in found)
            delivered[name] = frozenset().union(*(marks for _, marks in found))
            if (more := counted[name] - int(known[name])) > 0:  # fewer: captures expire
                late[name] = more
            if "delivered" not in last:  # by code that did not remember them
                continue
            new = delivered[name] - _marks(last["delivered"].get(name, ""))
            changed = [hour for hour, (_, marks) in zip(hours, found, strict=True) if marks & new]
            if rows := sum(captured.rows_of(new, hour, earlier) for hour in changed):
                late_rows[name] = rows
    return Captures(dict(sorted(counted.items())), late, dict(sorted(delivered.items())), late_rows)


def _marks(text: object) -> frozenset[str]:
    joined = str(text)
    return frozenset(joined[at : at + _MARK] for at in range(0, len(joined), _MARK))
