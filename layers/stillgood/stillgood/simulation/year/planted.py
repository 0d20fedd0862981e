"""Bugs planted on purpose, each one line of the code done wrong: what a simulation is worth is what it finds.

A bug is planted in the source as it is today: the text that it replaces must stand there once, or planting it is an
error. So none is dead because the code moved on.
"""

import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from stillgood.aws.capture import Capture
from stillgood.domain.outcomes import ledger
from stillgood.domain.policy.state import MonitorState
from stillgood.steps import forget
from stillgood.steps.labels import ingest
from stillgood.steps.monitor import hear
from stillgood.steps.promote import promote
from stillgood.storage import windows
from stillgood.storage.registry import Registry


@dataclass(frozen=True, slots=True)
class Planted:
    """``what`` is done wrong: of the source of ``function``, ``new`` in the place of ``old``. ``seed`` and ``days``: a
    life that finds it, None before one was looked for.
    """

    name: str
    what: str
    function: Callable[..., Any]
    old: str
    new: str
    seed: int | None = None
    days: int = 15

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The code with the bug in it, whoever imported the function. Raises ValueError where ``old`` is not there."""
        function: Any = self.function
        before, function.__code__ = function.__code__, self._code()
        try:
            yield
        finally:
            function.__code__ = before

    def _code(self) -> CodeType:
        source = textwrap.dedent(inspect.getsource(self.function))
        if source.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: {self.function.__qualname__} has {self.old!r} {source.count(self.old)} times"
            )
        made: dict[str, Any] = {}
        names = {**self.function.__globals__}
        exec(compile(source.replace(self.old, self.new), f"<{self.name}>", "exec"), names, made)  # noqa: S102 -- our own
        code: CodeType = made[self.function.__name__].__code__
        return code


PLANTED = (
    Planted(
        "lost index",
        "a decision is not indexed by its request",
        Registry._index,
        "self._store.create(request_key(request_id), encode_index(IndexEntry(request_id, n, sha256(record))))",
        "pass",
        seed=0,
    ),
    Planted(
        "request decided twice",
        "nobody looks for an earlier answer",
        Registry.decide,
        "if (before := self.find(request_id)) is not None:",
        "if (before := None) is not None:",
        seed=0,
    ),
    Planted(
        "pointer without condition",
        "the pointer is put, not swapped",
        Registry._put_in_force,
        "self._store.swap(POINTER_KEY, wanted.data, stored.etag)",
        "self._store.put(POINTER_KEY, wanted.data)",
        seed=140,
    ),
    Planted(
        "slot without condition",
        "a decision is put, not created",
        Registry.record,
        "self._store.create(decision_key(decision.n), data)",
        "self._store.put(decision_key(decision.n), data)",
        seed=1,
    ),
    Planted(
        "state without condition",
        "monitor's state is put, not swapped",
        windows.write_state,
        "store.swap(STATE_KEY, data, etag)",
        "store.put(STATE_KEY, data)",
        seed=0,
    ),
    Planted(
        "hold not asked",
        "a schedule passes for a person",
        promote._stopped,
        "if orders.hold is not None and not by_hand(request_id):",
        "if orders.hold is not None and not True:",
        seed=152,
    ),
    Planted(
        "budget not counted",
        "no earlier retrain counts",
        MonitorState.retrains_within,
        "until - period < retrain.at <= until",
        "False",
        seed=0,
    ),
    Planted(
        "labels lost",
        "an outage while labels are written is taken for success",
        ingest.ingest_labels,
        "    new = append(store, accepted, arrived=now, source=source, complete_until=complete)",
        "    from stillgood.domain.errors import StoreUnavailable\n"
        "    try:\n"
        "        new = append(store, accepted, arrived=now, source=source, complete_until=complete)\n"
        "    except StoreUnavailable:\n"
        "        new = True",
        seed=5,
    ),
    Planted(
        "capture gives up",
        "a capture that failed is not tried again",
        Capture._drain,
        "            return\n",
        "",
        seed=1,
    ),
    Planted(
        "capture overwritten",
        "two requests of a microsecond share a key",
        Capture.write,
        "capture_key(now, unique)",
        'capture_key(now, "x")',
        seed=0,
    ),
    Planted(
        "swapped condition",
        "labels after the horizon hold before those within it",
        ledger._pairs,
        "WITHIN, LATER)",
        "LATER, WITHIN)",
        seed=0,
    ),
    Planted(
        "late captures not seen",
        "captures that come after their hour was read are not looked for",
        hear._find_late,
        "if inventory.objects > had[0]:",
        "if False:",
        seed=11,
    ),
    Planted(
        "forgotten in part",
        "captures are left out of what is forgotten",
        forget.forget,
        "for prefix in ROW_PREFIXES:",
        "for prefix in ROW_PREFIXES[1:]:",
        seed=0,
    ),
    Planted(
        "forgotten over others",
        "what others wrote since an object was searched is overwritten",
        forget.forget,
        "rewrite(store, key, partial(_left, key, contract, search), change.made)",
        "store.put(key, change.made.data) if change.made.data else store.delete(key)",
    ),
    Planted(
        "lost update",
        "a day of outcomes that another monitor changed is not written again",
        hear._apply_to_days,
        "change_day(store, day, partial(",
        "(lambda *_: None)(store, day, partial(",
    ),
)
