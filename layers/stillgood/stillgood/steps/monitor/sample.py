"""The newest predictions of the champion, as a population to place a threshold on: evenly spread over a window, or back
beyond a quiet one.

The lines of a window are kept while its profile is made, so that no hour is fetched a second time.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.capture_record import KIND, PREDICTION, REJECTION
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.vectorised import logits_of
from stillgood.domain.operating_point.decide import MAX_POPULATION
from stillgood.domain.outcomes.ledger import identity
from stillgood.domain.policy.senders import NOBODY, CallerWindow
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import Window, busy_hours, iso

_WORKERS = 16
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MAX_EXPLAINED = 1000  # rows whose contributions are looked at: a standard error of .03 of a single row's deviation
_FEATURES = msgspec.json.Decoder(dict[str, float | str | None])
# How far before a quiet window: a population of long ago is another one.
MAX_HOURS = 24 * 7


class _Scored(msgspec.Struct, tag_field=KIND, tag=PREDICTION, gc=False):
    time: str
    entity_id: str | None
    features: msgspec.Raw  # read of the rows only that are explained
    score: float
    model: str
    caller: str | None = None


class _Refused(msgspec.Struct, tag_field=KIND, tag=REJECTION, gc=False):
    pass


_DECODER = msgspec.json.Decoder(_Scored | _Refused)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """In order of time, ``logits`` float64[n] and whose they are, ``entities`` int64[n]; those from ``first`` on are of
    the window itself. ``frame``: up to MAX_EXPLAINED rows of these, evenly spread, and whose, ``explained`` int64[m].
    """

    logits: NDArray[np.float64]
    entities: NDArray[np.int64]
    first: int
    frame: Frame
    explained: NDArray[np.int64]


@dataclass(slots=True)
class KeptLines:
    """Every ``stride``-th captured line of each hour, at most 2 * MAX_POPULATION in all, in whatever order hours come.

    The stride doubles when they become too many, so what is kept depends on the lines alone: a window that is judged
    again from summaries, and read anew for this, has the same sample.
    """

    stride: int = 1
    by_hour: dict[datetime, list[bytes]] = field(default_factory=dict)

    def passing(self, hour: datetime, parts: Iterable[bytes]) -> Iterator[bytes]:
        """``parts`` as they are, each kept from as it passes."""
        kept, seen = self.by_hour.setdefault(hour, []), 0
        for part in parts:
            lines = part.splitlines()
            kept += lines[-seen % self.stride :: self.stride]
            seen += len(lines)
            while sum(map(len, self.by_hour.values())) > 2 * MAX_POPULATION:
                for of_hour in self.by_hour.values():
                    del of_hour[1::2]
                self.stride *= 2
            yield part


def sample(
    store: ObjectStore,
    contract: Contract,
    version: str,
    window: Window,
    kept: KeptLines,
    *,
    since: datetime,
    settled: datetime,
    without: Collection[str] = (),
) -> Sample:
    """Up to MAX_POPULATION of the newest predictions of model ``version`` made before the end of ``window``.

    ``kept``: lines of the window's hours that were read already; others are read now. A window with fewer is filled
    from before it, back to ``since`` at most. Rows of the callers ``without`` are no part of it. Raises
    StoreUnavailable.
    """
    with readers(store, _WORKERS) as pool:
        captured = CapturedHours(store, pool, settled)
        records = _of_window(store, captured, version, window, kept, without)
        if len(records) < MAX_POPULATION and since < window.start:
            for hour in captured.read(*_before(store, window, since)):
                records += _of_version(version, (line for part in hour.parts for line in part.splitlines()), without)
                if len(records) >= MAX_POPULATION:
                    break
    records.sort(key=lambda record: record.time)
    records = records[-MAX_POPULATION:]
    entities = np.array(
        [
            _number(identity(record.entity_id)) if record.entity_id else -1 - place
            for place, record in enumerate(records)
        ],
        dtype=np.int64,
    )
    first = bisect_left(records, iso(window.start), key=lambda record: record.time)
    places = range(first, len(records), max(1, -(-(len(records) - first) // MAX_EXPLAINED)))
    rows = [(place, row) for place in places if (row := _values(contract, records[place])) is not None]
    return Sample(
        logits_of(np.array([record.score for record in records], dtype=np.float64)),
        entities,
        first,
        Frame.from_values(contract, [row for _, row in rows]),
        entities[[place for place, _ in rows]],
    )


def senders(
    store: ObjectStore, version: str, window: Window, kept: KeptLines, *, settled: datetime
) -> dict[str, CallerWindow]:
    """Who sent the predictions of model ``version`` in ``window``, by name, sorted. Raises StoreUnavailable."""
    with readers(store, _WORKERS) as pool:
        records = _of_window(store, CapturedHours(store, pool, settled), version, window, kept, ())
    by_name: dict[str, list[_Scored]] = {}
    for record in sorted(records, key=lambda record: record.time):
        by_name.setdefault(record.caller or NOBODY, []).append(record)
    found = {}
    for name, own in sorted(by_name.items()):
        logits = logits_of(np.array([record.score for record in own], dtype=np.float64))
        entities = len({record.entity_id for record in own} - {None}) + sum(not record.entity_id for record in own)
        found[name] = CallerWindow(len(own) * kept.stride, entities, float(logits.mean()), float(logits.std()))
    return found


def _of_window(
    store: ObjectStore,
    captured: CapturedHours,
    version: str,
    window: Window,
    kept: KeptLines,
    without: Collection[str],
) -> list[_Scored]:
    missing = [hour for hour in busy_hours(store, window) if hour not in kept.by_hour]
    for hour in captured.read(missing, window):
        for _ in kept.passing(hour.start, hour.parts):
            pass
    return _of_version(version, (line for lines in kept.by_hour.values() for line in lines), without)


def _before(store: ObjectStore, window: Window, since: datetime) -> tuple[list[datetime], Window | None]:
    """The hours between ``since`` and ``window``, newest first, and the span of them; whole ones, which are packed."""
    begun = since.replace(minute=0, second=0, microsecond=0)
    whole = begun if begun == since else begun + timedelta(hours=1)
    earliest = max(whole, window.start - timedelta(hours=MAX_HOURS))
    if earliest >= window.start:
        return [], None
    span = Window(earliest, window.start)
    return list(reversed(busy_hours(store, span)))[:MAX_HOURS], span


def _of_version(version: str, lines: Iterable[bytes], without: Collection[str]) -> list[_Scored]:
    data = b"\n".join(lines)
    try:
        records = _DECODER.decode_lines(data)
    except _UNREADABLE:
        records = []
        for line in data.splitlines():
            with suppress(*_UNREADABLE):
                records.append(_DECODER.decode(line))
    return [
        record
        for record in records
        if isinstance(record, _Scored) and record.model == version and record.caller not in without
    ]


def _values(contract: Contract, record: _Scored) -> dict[str, Any] | None:
    """Personal data is not captured; it stands as missing and is left out of what is said of contributions. None for
    what cannot be read.
    """
    try:
        features = _FEATURES.decode(record.features)
    except _UNREADABLE:
        return None
    return {feature.name: features.get(feature.name) for feature in contract.features}


def _number(hashed: int) -> int:
    """A 64-bit hash as a signed number."""
    return hashed - 2**64 if hashed >= 2**63 else hashed
