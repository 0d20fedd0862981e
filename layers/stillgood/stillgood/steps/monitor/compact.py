"""compact: between windows, pack hours that are over and hear the labels that came, so that a window's run finds little
to read.

Nothing is decided, and whatever this does, monitor would do, too: it may run twice, late, beside monitor, or never.
"""

from datetime import timedelta
from typing import Any

from stillgood.steps.monitor.gather import contract_of
from stillgood.steps.monitor.hear import hear
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.steps.monitor.monitor import MonitorDeps
from stillgood.steps.monitor.outcomes import take_label_files
from stillgood.steps.performed import ingest_action_files
from stillgood.storage.champion import load_model
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, busy_hours, iso

COMPACT = "compact"
_LATE = timedelta(minutes=20)  # captures that had to wait arrive within it; later ones are looked for two days after
_LOOKED_BACK = timedelta(hours=6)  # a schedule that paused for longer leaves the rest to monitor


def compact(deps: MonitorDeps) -> dict[str, Any]:
    """Handle ``{"action": "compact"}``; returns which hours were packed and how many labels were heard so far.

    Raises StoreUnavailable, ModelUnusable.
    """
    pointer = Registry(deps.store).pointer()
    if pointer is None:
        return {"step": "monitor", "result": "no champion", "hours": [], "labels": 0}
    take_label_files(deps.store, pointer, deps.clock)
    ingest_action_files(deps.store, deps.clock)
    settled = deps.clock() - max(_LATE, timedelta(seconds=deps.settle_seconds))
    contract = contract_of(deps.store, load_model(deps.store, pointer))
    with readers(deps.store) as pool:
        recent = busy_hours(deps.store, Window.ending(settled, _LOOKED_BACK / timedelta(hours=1)))
        packed = CapturedHours(deps.store, pool, settled).pack(recent)
        heard = hear(deps.store, contract, pool, settled=settled)
    return {
        "step": "monitor",
        "result": "compacted",
        "hours": [iso(hour) for hour in packed],
        "labels": 0 if heard is None else heard.progress.totals.get("heard", 0),
    }
