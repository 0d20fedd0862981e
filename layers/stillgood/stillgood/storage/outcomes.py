"""The outcome ledger's objects: one a day of captures, and one that says how far labels were heard.

All of it can be made again from captures, labels and training rows, so whatever is damaged is made again.
A day is written by compare-and-swap before the progress that counts on it: labels applied twice change nothing.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np

from stillgood.domain.errors import DocumentUnusable, ObjectExists, ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.domain.formats import NEWEST
from stillgood.domain.outcomes.ledger import (
    LABEL,
    STORED,
    Labels,
    OutcomeDay,
    Records,
    identity,
    upgraded,
)
from stillgood.storage.codec import decode, encode
from stillgood.storage.keys import OUTCOMES_PREFIX, TOUCHED_KEY, outcomes_key
from stillgood.storage.objects import ObjectStore

FORMAT, STATE_FORMAT = "stillgood.outcomes", "stillgood.outcomes-progress"
TOUCHED_FORMAT = "stillgood.touched-days"
STATE_NAME = "progress"
_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far labels were heard.

    ``since``: the newest day of arrival that was listed, ``seen`` the batches of it and the day before it. ``until``:
    captures before it are in the ledger, and days until ``verified`` were looked at again for captures that came late.
    ``waiting``: labels that found no prediction yet. ``sources``: what ``waiting`` counts into. ``watermarks``: up to
    when each source has sent everything, in microseconds. ``totals``: labels by what became of them. ``newest``: when
    the last label arrived, in microseconds. ``examples``: by the names of ``totals``, the newest label of each:
    its place and batch, since an id is nothing for a report.
    """

    since: date | None = None
    seen: frozenset[str] = frozenset()
    until: datetime | None = None
    verified: date | None = None
    waiting: Labels = field(default_factory=lambda: np.empty(0, LABEL))
    sources: tuple[str, ...] = ()
    watermarks: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    newest: int | None = None


def read_day(store: ObjectStore, day: date) -> tuple[OutcomeDay | None, str | None]:
    """The day's records and the ETag for ``write_day``; None for a day that is not in the ledger, or damaged."""
    head, body, etag = _read(store, outcomes_key(f"{day}"), FORMAT)
    try:
        if head is None:
            return None, etag
        hours = {int(hour): (int(objects), str(names)) for hour, objects, names in head["hours"]}
        known = OutcomeDay(
            day,
            _records(head, body),
            hours,
            tuple(head["models"]),
            tuple(head["sources"]),
            head["previous_model"],
        )
        return known, etag
    except (KeyError, TypeError, ValueError):
        return None, etag


def write_day(store: ObjectStore, day: OutcomeDay, etag: str | None) -> None:
    """Raises PreconditionFailed or ObjectExists when it changed since it was read."""
    head = {
        "format": FORMAT,
        "format_version": NEWEST["outcomes"],
        "hours": [[hour, *inventory] for hour, inventory in day.hours.items()],
        "models": list(day.models),
        "sources": list(day.sources),
        "previous_model": day.previous_model,
    }
    _write(store, outcomes_key(f"{day.day}"), b"".join((encode(head), day.records.data)), etag)


def ledger_days(store: ObjectStore) -> dict[date, int]:
    """The days in the ledger, oldest first, and how many bytes each takes."""
    sizes = {}
    for info in store.list(OUTCOMES_PREFIX):
        name = info.key.removeprefix(OUTCOMES_PREFIX).partition(".")[0]
        with suppress(ValueError):
            sizes[date.fromisoformat(name)] = info.size
    return sizes


def read_progress(store: ObjectStore) -> tuple[Progress, str | None]:
    """A fresh one where there is none, or a damaged one: then all labels are heard again."""
    head, body, etag = _read(store, outcomes_key(STATE_NAME), STATE_FORMAT)
    try:
        if head is None:
            return Progress(), etag
        return (
            Progress(
                since=None if head["since"] is None else date.fromisoformat(head["since"]),
                seen=frozenset(head["seen"]),
                until=None if head["until"] is None else datetime.fromisoformat(head["until"]),
                verified=None if head["verified"] is None else date.fromisoformat(head["verified"]),
                waiting=np.frombuffer(body, LABEL),
                sources=tuple(head["sources"]),
                watermarks={str(name): int(at) for name, at in head["watermarks"].items()},
                totals={str(name): int(count) for name, count in head["totals"].items()},
                examples={str(name): str(where) for name, where in head.get("examples", {}).items()},
                newest=head["newest"],
            ),
            etag,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return Progress(), etag


def write_progress(store: ObjectStore, progress: Progress, etag: str | None) -> str:
    """Returns the new ETag. Raises PreconditionFailed or ObjectExists when it changed since it was read."""
    head = {
        "format": STATE_FORMAT,
        "format_version": 1,
        "since": None if progress.since is None else progress.since.isoformat(),
        "seen": sorted(progress.seen),
        "until": None if progress.until is None else progress.until.isoformat(),
        "verified": None if progress.verified is None else progress.verified.isoformat(),
        "sources": list(progress.sources),
        "watermarks": progress.watermarks,
        "totals": progress.totals,
        "examples": progress.examples,
        "newest": progress.newest,
    }
    return _write(store, outcomes_key(STATE_NAME), encode(head) + progress.waiting.tobytes(), etag)


def read_touched(store: ObjectStore) -> frozenset[date]:
    """Days whose outcomes changed and of which no training rows were written since; none where that is lost."""
    return _touched(store)[0]


def change_touched(store: ObjectStore, *, add: Iterable[date] = (), remove: Iterable[date] = ()) -> None:
    """Remember days, or that their rows are written. Raises StoreUnavailable."""
    for _ in range(_ROUNDS):
        known, etag = _touched(store)
        after = (known | frozenset(add)) - frozenset(remove)
        if after == known:
            return
        days = sorted(day.isoformat() for day in after)
        data = encode({"format": TOUCHED_FORMAT, "format_version": 1, "days": days})
        with suppress(PreconditionFailed, ObjectExists):
            _write(store, TOUCHED_KEY, data, etag)
            return
    raise StoreUnavailable(f"Others changed {TOUCHED_KEY} {_ROUNDS} times in a row; try again later.")


def _touched(store: ObjectStore) -> tuple[frozenset[date], str | None]:
    try:
        stored = store.get(TOUCHED_KEY)
    except ObjectNotFound:
        return frozenset(), None
    try:
        raw = decode(stored.data, format=TOUCHED_FORMAT, what=TOUCHED_KEY)
        return frozenset(date.fromisoformat(day) for day in raw["days"]), stored.etag
    except (DocumentUnusable, KeyError, TypeError, ValueError):
        return frozenset(), stored.etag


def without(data: bytes, ids: Iterable[str]) -> tuple[bytes, int]:
    """An object of the ledger without the records and labels of some entities or predictions, and how many those
    were.
    """
    line, mark, body = data.partition(b"\n")
    if b'"' + FORMAT.encode() + b'"' in line:
        rows = np.frombuffer(body, STORED[json.loads(line)["format_version"]])
    elif b'"' + STATE_FORMAT.encode() + b'"' in line:
        rows = np.frombuffer(body, LABEL)
    else:
        return data, 0
    hashes = np.array([identity(text) for text in ids], np.uint64)
    gone = np.isin(rows["id"], hashes) | np.isin(rows["entity"], hashes)
    return line + mark + rows[~gone].tobytes(), int(gone.sum())


def _records(head: dict[str, Any], body: memoryview) -> Records:
    """Raises ValueError for a body of another length."""
    version = head["format_version"]
    records = np.frombuffer(body, STORED[version])
    return records if version == NEWEST["outcomes"] else upgraded(records)


def _read(store: ObjectStore, key: str, format: str) -> tuple[dict[str, Any] | None, memoryview, str | None]:
    """The first line, as JSON, and what follows it."""
    try:
        stored = store.get(key)
    except ObjectNotFound:
        return None, memoryview(b""), None
    end = stored.data.find(b"\n") % (len(stored.data) + 1)
    body = memoryview(stored.data)[end + 1 :]  # a day of many predictions is not copied
    try:
        head = json.loads(stored.data[:end])
        known = isinstance(head, dict) and head.get("format") == format and head.get("format_version") in STORED
    except (ValueError, RecursionError):
        known = False
    return (head if known else None), body, stored.etag


def _write(store: ObjectStore, key: str, data: bytes, etag: str | None) -> str:
    return store.create(key, data) if etag is None else store.swap(key, data, etag)
