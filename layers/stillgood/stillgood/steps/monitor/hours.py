"""Captured objects by clock hour: fetched by threads, a bounded number of bytes ahead of their use.

An hour that is over and came as several small objects is written once more as one object. A later read, for its labels,
for another champion or as a season, takes one request instead of thousands. A reader takes either that object or the
captures, so it sees each record once, and one PUT makes or replaces it whole. The captures stay as they were written:
only they are evidence, and the packed hour can be made again of them (docs/decisions/0051).
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

from stillgood.domain.errors import ObjectNotFound
from stillgood.steps.monitor.batches import captured_lines
from stillgood.steps.monitor.delivered import is_delivered, mark, neighbours, once
from stillgood.storage.keys import BATCH_CAPTURE, FORGOTTEN_PREFIX, HOURS_PREFIX, capture_prefix, hour_key
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.windows import Window, hour_window

WORKERS = 64  # GETs at once; waiting for S3 is what takes time, not the processor
_AHEAD_BYTES = 8 << 20  # fetched and not yet used
_MIN_OBJECTS, _SMALL_BYTES = 2, 64 << 10  # so many objects, smaller on average, are worth packing
_FORGETTING = timedelta(
    hours=6
)  # so long after an entity was forgotten nothing is packed: a reader may have had its rows
_FORMAT = "stillgood.captured-hour"


class _InTurn(Executor):
    """Calls at once, in the caller's own thread: for a store that answers without waiting."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def readers(store: ObjectStore, workers: int = WORKERS) -> Executor:
    """What reads many objects of ``store``: threads, unless the store says that its answers take no waiting.

    Such a store is in memory, or a simulated one, which the same calls in the same order must find each time.
    """
    return _InTurn() if getattr(store, "answers_at_once", False) else ThreadPoolExecutor(workers)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Which objects an hour was read from: how many, and a hash of their names. Another one means that captures came
    late.
    """

    objects: int
    names: str

    @classmethod
    def of(cls, infos: Sequence[ObjectInfo]) -> "Inventory":
        digest = hashlib.sha256("\n".join(info.key for info in infos).encode())
        return cls(len(infos), digest.hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class CapturedHour:
    """The captures of one clock hour. ``parts``: the bytes of lines, to be consumed before the next hour is asked
    for. ``requests``: objects that are one request to the API each. ``batches``: outputs of batch. ``delivered``: marks
    of the objects that Firehose wrote.
    """

    start: datetime
    inventory: Inventory
    parts: Iterable[bytes]
    requests: int = 0
    batches: int = 0
    delivered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Packed:
    """``references``: the captures that name outputs of batch, of which nothing is copied."""

    inventory: Inventory
    lines: bytes
    references: tuple[str, ...]
    requests: int
    delivered: frozenset[str]


class CapturedHours:
    """Reads the captures of whole hours. Those that ended by ``settled`` are complete: nothing is captured into them
    any more.
    """

    def __init__(self, store: ObjectStore, pool: Executor, settled: datetime) -> None:
        self._store, self._pool, self._settled = store, pool, settled

    def read(self, hours: Sequence[datetime], window: Window | None = None) -> Iterator[CapturedHour]:
        """In order. Of an hour that ``window`` covers in part, only the objects written in ``window``."""
        packed = self._packed_hours(hours)
        finds = ((partial(self._find, hour, window, packed), _AHEAD_BYTES // 3) for hour in hours)
        for hour, objects in zip(hours, ahead(self._pool, finds), strict=True):
            if isinstance(objects, _Packed):
                counts = objects.requests, len(objects.references), objects.delivered
                yield CapturedHour(hour, objects.inventory, self._parts(objects), *counts)
            else:
                inventory, parts = Inventory.of(objects), self._fetch(hour, objects, window)
                yield CapturedHour(hour, inventory, parts, *_counts(objects))

    def inventories(self, hours: Sequence[datetime]) -> Iterator[Inventory]:
        """What the hours hold now, by listing."""
        lists = ((partial(self._list, hour, None), _AHEAD_BYTES // 3) for hour in hours)
        for infos in ahead(self._pool, lists):
            yield Inventory.of(infos)

    def pack(self, hours: Sequence[datetime]) -> list[datetime]:
        """Have those of ``hours`` packed that are worth it and were not yet; returns them."""
        packed, done = self._packed_hours(hours), []
        for hour in hours:
            if hour_key(hour) in packed:
                continue
            infos = self._list(hour, None)
            if self._worth(hour, infos, None):
                for _ in self._fetch(hour, infos, None):
                    pass
                done.append(hour)
        return done

    def count(self, hours: Sequence[datetime], window: Window) -> Iterator[tuple[int, frozenset[str]]]:
        """What each hour holds of ``window`` now, by listing: objects of requests and batches, and the marks of those
        that Firehose delivered.
        """
        for objects in ahead(self._pool, ((partial(self._list, hour, window), _AHEAD_BYTES // 3) for hour in hours)):
            requests, batches, delivered = _counts(objects)
            yield requests + batches, delivered

    def rows_of(self, marks: Container[str], hour: datetime, window: Window) -> int:
        """How many rows of ``window`` and ``hour`` stand in the delivered objects of these ``marks`` alone."""
        infos = [info for info in self._list(hour, window) if not info.key.endswith(BATCH_CAPTURE)]
        others = [info for info in infos if not (is_delivered(info.key) and mark(info.key) in marks)]
        all_rows, known = (self._rows(some, self._span(hour, window)) for some in (infos, others))
        return all_rows - known

    def _rows(self, infos: Sequence[ObjectInfo], span: Window) -> int:
        fetched = ahead(self._pool, ((partial(self._get, info.key), info.size) for info in infos))
        return sum(part.count(b"\n") for part in once(fetched, span))

    def forget(self, hour: datetime) -> None:
        """Have ``hour`` read from its objects again."""
        self._store.put(hour_key(hour), b"")

    def _packed_hours(self, hours: Sequence[datetime]) -> set[str]:
        """The keys of those that were packed, by listing: most hours of little traffic were not, and asking each costs
        a request.
        """
        if not hours:
            return set()
        first, last = hour_key(min(hours)), hour_key(max(hours))
        listed = (info.key for info in self._store.list(HOURS_PREFIX, first[:-1]))  # sorts before the key itself
        return set(takewhile(lambda key: key <= last, listed))

    def _find(self, hour: datetime, window: Window | None, packed: Container[str]) -> "_Packed | list[ObjectInfo]":
        if hour_key(hour) in packed and self._whole(hour, window) and (pack := self._packed(hour)) is not None:
            return pack
        return self._list(hour, window)

    def _packed(self, hour: datetime) -> "_Packed | None":
        try:
            head, _, body = self._store.get(hour_key(hour)).data.partition(b"\n")
            raw = json.loads(head)
            if raw["format"] != _FORMAT:
                return None
            references = tuple(map(str, raw.get("references", ())))
            requests = int(raw.get("requests", raw["objects"] - len(references)))
            if "delivered" not in raw and requests + len(references) < raw["objects"]:  # by code that kept no marks
                return None
            delivered = frozenset(map(str, raw.get("delivered", ())))
            return _Packed(Inventory(raw["objects"], raw["names"]), body, references, requests, delivered)
        except (
            ObjectNotFound,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):  # the captures still say it
            return None

    def _parts(self, packed: "_Packed") -> Iterator[bytes]:
        yield packed.lines
        for key in packed.references:
            yield from captured_lines(self._store, self._get(key), key)

    def _list(self, hour: datetime, window: Window | None) -> list[ObjectInfo]:
        """A key starts with the time of day of its record; what Firehose delivered is looked through line by line."""
        own = [
            info
            for info in self._store.list(capture_prefix(hour))
            if is_delivered(info.key) or is_named_in(info.key, hour, window)
        ]
        return own + neighbours(self._store, hour_window(hour).start)

    def _fetch(self, hour: datetime, infos: list[ObjectInfo], window: Window | None) -> Iterator[bytes]:
        pack = self._worth(hour, infos, window)
        kept: list[bytes] = []
        lines = [info for info in infos if not info.key.endswith(BATCH_CAPTURE)]
        references = [info for info in infos if info.key.endswith(BATCH_CAPTURE)]  # whose rows are not copied
        fetched = ahead(self._pool, ((partial(self._get, info.key), info.size) for info in lines))
        if any(is_delivered(info.key) for info in lines):
            fetched = once(fetched, self._span(hour, window))
        for data in fetched:
            if pack:
                kept.append(data if data.endswith(b"\n") or not data else data + b"\n")
            yield data
        for info in references:
            yield from captured_lines(self._store, self._get(info.key), info.key)
        if pack:
            self._pack(hour, infos, kept, [info.key for info in references])

    def _worth(self, hour: datetime, infos: Sequence[ObjectInfo], window: Window | None) -> bool:
        small = sum(info.size for info in infos) < _SMALL_BYTES * len(infos)
        mixed = any(is_delivered(info.key) for info in infos)  # to be looked through once, and no more
        over = hour + timedelta(hours=1) <= self._settled
        return len(infos) >= _MIN_OBJECTS and (small or mixed) and over and self._whole(hour, window)

    def _pack(self, hour: datetime, infos: Sequence[ObjectInfo], lines: list[bytes], references: list[str]) -> None:
        """What was read may have been forgotten meanwhile. That is recorded before a row goes, and packed hours are
        looked through once more after the last went: so either the record is seen here, or the rows are found there.
        """
        inventory = Inventory.of(infos)
        head: dict[str, Any] = {"objects": inventory.objects, "names": inventory.names, "references": references}
        head["requests"], _, delivered = _counts(infos)
        head["delivered"] = sorted(delivered)
        text = json.dumps({"format": _FORMAT, "format_version": 1, **head}, sort_keys=True)
        self._store.put(hour_key(hour), b"".join((text.encode(), b"\n", *lines)))
        since = self._settled - _FORGETTING
        records = self._store.list(FORGOTTEN_PREFIX, f"{FORGOTTEN_PREFIX}{since:%Y-%m-%d}")
        if any(info.modified > since for info in records):
            self.forget(hour)

    def _get(self, key: str) -> bytes:
        try:
            return self._store.get(key).data
        except ObjectNotFound:  # expired or erased since it was listed
            return b""

    @staticmethod
    def _span(hour: datetime, window: Window | None) -> Window:
        whole = hour_window(hour)
        if window is None:
            return whole
        return Window(max(window.start, whole.start), min(window.end, whole.end))

    @staticmethod
    def _whole(hour: datetime, window: Window | None) -> bool:
        whole = hour_window(hour)
        return window is None or (window.start <= whole.start and whole.end <= window.end)


def is_named_in(key: str, hour: datetime, window: Window | None) -> bool:
    """Whether the capture ``key`` of ``hour`` was written in ``window``; None: at any time. A key starts with the time
    of day of its record.
    """
    if window is None:
        return True
    prefix, whole = capture_prefix(hour), hour_window(hour)
    begun = window.start <= whole.start or key >= f"{prefix}{window.start:%H%M%S}"
    return begun and (window.end >= whole.end or key < f"{prefix}{window.end:%H%M%S}")


def _counts(infos: Sequence[ObjectInfo]) -> tuple[int, int, frozenset[str]]:
    """Requests to the API, outputs of batch, and the marks of what Firehose delivered."""
    delivered = frozenset(mark(info.key) for info in infos if is_delivered(info.key))
    batches = sum(info.key.endswith(BATCH_CAPTURE) for info in infos)
    requests = sum(not info.key.endswith(BATCH_CAPTURE) and not is_delivered(info.key) for info in infos)
    return requests, batches, delivered


def ahead[T](pool: Executor, calls: Iterable[tuple[Callable[[], T], int]]) -> Iterator[T]:
    """The results of ``calls`` in order, fetched ahead of their use: at most so many bytes that memory stays flat."""
    waiting: deque[tuple[Future[T], int]] = deque()
    held = 0
    for call, size in calls:
        waiting.append((pool.submit(call), size))
        held += size
        while len(waiting) >= 2 * WORKERS or held > _AHEAD_BYTES:
            held -= waiting[0][1]
            yield waiting.popleft()[0].result()  # no name of its own, so that what was used is let go
    while waiting:
        yield waiting.popleft()[0].result()
