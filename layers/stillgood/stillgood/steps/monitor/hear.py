"""Hear labels: read each new batch once, find the predictions it speaks of, and keep what became of them in the outcome
ledger.

Nothing is lost by a crash: a day of the ledger is written before the progress that counts on it, and hearing a label
twice changes nothing.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import groupby
from typing import Any

import msgspec
import numpy as np

from stillgood.domain.actions.assignment import GROUPS, NONE
from stillgood.domain.contract.capture_record import KIND, PREDICTION, REJECTION
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import (
    DocumentUnusable,
    InvalidEvent,
    ObjectExists,
    PreconditionFailed,
    StillgoodError,
    StoreUnavailable,
)
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.outcomes.feeds import DAY, GRACE_DAYS, Feed
from stillgood.domain.outcomes.ledger import (
    CLOCK_SKEW,
    Bools,
    Ids,
    Labels,
    OutcomeDay,
    Records,
    apply,
    blank,
    identity,
    labels_of,
    spoken_of,
)
from stillgood.domain.outcomes.sources import UPLOAD
from stillgood.steps.monitor.hours import CapturedHour, CapturedHours, ahead, readers
from stillgood.storage.keys import CAPTURE_PREFIX, LEDGER_PREFIX, captured_in
from stillgood.storage.labels import LabelBatch, ledger, read_batch
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.outcomes import (
    Progress,
    change_touched,
    ledger_days,
    read_day,
    read_progress,
    read_touched,
    write_day,
    write_progress,
)
from stillgood.storage.windows import Window, busy_hours, utc

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_HOUR = timedelta(hours=1)
_LATE = timedelta(days=2)  # after which a day's captures are looked at once more
_TOLD_AGAIN = timedelta(days=2)  # of captures, that labels which wait are told of twice
# microseconds: what matures sooner is taken in before its hour is over, at the price of reading it again
_SOON = 3_600_000_000
_MAX_OBJECTS = 200_000  # captures read in one run; a bucket's history is caught up with over several
_ROUNDS = 5
_BECAME = ("matched", "without_prediction", "before_prediction", "repeated", "superseding", "future")
_NAME_LENGTH = 16  # hexadecimal digits of a batch's hash that are remembered


class _Scored(msgspec.Struct, tag_field=KIND, tag=PREDICTION, gc=False):
    """What the ledger keeps of a captured prediction."""

    prediction_id: str
    time: str
    entity_id: str | None
    score: float
    probability: float
    decision: bool
    model: str
    group: str = NONE
    caller: str | None = None


class _Refused(msgspec.Struct, tag_field=KIND, tag=REJECTION, gc=False):
    """A captured line that predicted nothing."""


_DECODER = msgspec.json.Decoder(_Scored | _Refused)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """``touched``: the days on which an outcome changed since training rows were written. ``complete``: up to when
    silence says something, in microseconds.

    ``unreadable``: keys of batches that were overwritten by hand. ``late``: how many objects were captured after their
    hour was read.
    """

    progress: Progress
    touched: frozenset[date]
    complete: int | None
    unreadable: tuple[str, ...]
    late: int


def hear(store: ObjectStore, contract: Contract, pool: Executor, *, settled: datetime) -> Heard | None:
    """Bring the ledger up to ``settled``; None while no label was ever sent. Raises StoreUnavailable."""
    progress, etag = read_progress(store)
    infos, since, seen = _new_batches(store, progress)
    if not infos and progress.since is None:
        return None
    feed, captured = Feed.of(contract), CapturedHours(store, pool, settled)
    before = progress.until
    progress, etag = _index(store, captured, progress, etag, settled)
    if feed.matures < _SOON and progress.until is not None:
        _index_hours(store, captured, progress.until.date(), [progress.until], again=True)
    labels, progress, unreadable, places = _read_batches(store, contract, pool, infos, progress)
    late, changed, progress = _find_late(store, captured, progress, settled)
    settled_before, came = labels[:0], dict[date, Ids]()
    if changed:
        old = [info for info in ledger(store, min(changed)) if info not in infos]
        told = _read_batches(store, contract, pool, old, progress)[0]
        came = {
            day: _index_late(store, captured, day, hours, partial(_tell, told, progress.sources, feed))
            for day, hours in changed.items()
        }
        settled_before = _without(told, progress.waiting)
    pending = np.concatenate([labels, settled_before, progress.waiting])
    fresh = np.arange(len(pending)) < len(labels) + len(settled_before)
    heard = _apply(store, pool, feed, pending, progress.sources, fresh | bool(came), before, came)
    progress = _settle(replace(progress, since=since, seen=seen), pending, heard, places, len(settled_before))
    touched = read_touched(store) | heard.touched
    with suppress(PreconditionFailed, ObjectExists):  # another monitor heard the same labels, and said so first
        write_progress(store, progress, etag)
    return Heard(progress, touched, feed.complete_until(progress.watermarks), unreadable, late)


def hear_now(store: ObjectStore, contract: Contract, now: datetime) -> dict[str, dict[str, Any]]:
    """Hear the labels that came since, up to this hour, and say what became of them: count and example by outcome.

    What monitor does by itself; a person who brought a file need not wait for it. Raises StoreUnavailable.
    """
    before = read_progress(store)[0]
    with readers(store) as pool:
        heard = hear(store, contract, pool, settled=now)
    if heard is None:
        return {}
    after = heard.progress
    counts = {
        name: max(count - before.totals.get(name, 0), 0) for name, count in after.totals.items() if name in _BECAME
    }
    counts["waiting"] = max(len(after.waiting) - len(before.waiting), 0)
    became = {}
    for name in (*_BECAME, "waiting"):
        example = after.examples.get(name, "")
        news = example and example != before.examples.get(name)
        became[name] = {"count": counts.get(name, 0)} | ({"example": example} if news else {})
    return became


def _new_batches(store: ObjectStore, progress: Progress) -> tuple[list[ObjectInfo], date | None, frozenset[str]]:
    """The batches that were not heard yet; the newest day of arrival, and the names to remember.

    A day's batches are in no order of time, so the names of the newest two days are remembered.
    """
    since = date.min if progress.since is None else progress.since - timedelta(days=1)
    listed = [(info, *_place(info.key)) for info in ledger(store, since)]
    newest = max((day for _, day, _ in listed), default=progress.since)
    recent = frozenset(name for _, day, name in listed if newest is not None and day >= newest - timedelta(days=1))
    return [info for info, _, name in listed if name not in progress.seen], newest, recent


def _place(key: str) -> tuple[date, str]:
    day, _, name = key.removeprefix(LEDGER_PREFIX).partition("/")
    with suppress(ValueError):
        return date.fromisoformat(day), name[:_NAME_LENGTH]
    return date.min, name[:_NAME_LENGTH]


def _read_batches(
    store: ObjectStore,
    contract: Contract,
    pool: Executor,
    infos: Sequence[ObjectInfo],
    progress: Progress,
) -> "tuple[Labels, Progress, tuple[str, ...], _Places]":
    """The labels of ``infos``, progress with the sources and watermarks that they bring, the keys that cannot be read,
    and which label of which batch each is.
    """

    def read(info: ObjectInfo) -> LabelBatch | None:
        with suppress(DocumentUnusable):
            return read_batch(store, info.key)
        return None

    sources, watermarks, newest = list(progress.sources), dict(progress.watermarks), progress.newest
    rows: list[tuple[str, str, int, int, bool, int]] = []
    unreadable, future, places, dated = [], 0, _Places(), ""
    for info, batch in zip(infos, ahead(pool, ((partial(read, info), info.size) for info in infos)), strict=True):
        if batch is None:
            unreadable.append(info.key)
            continue
        try:
            events = [microseconds(utc(label.event_time)) for label in batch.labels]
            complete = None if batch.complete_until is None else microseconds(utc(batch.complete_until))
        except InvalidEvent:  # it was written or overwritten by hand
            unreadable.append(info.key)
            continue
        arrived, source = microseconds(batch.arrived or info.modified), batch.source or UPLOAD
        if source not in sources:
            sources.append(source)
        newest = arrived if newest is None else max(arrived, newest)
        if complete is not None:
            until = min(complete, arrived)
            watermarks[source] = max(until, watermarks.get(source, until))
        place = sources.index(source)
        places.begin(info.key, len(rows))
        for number, (label, event) in enumerate(zip(batch.labels, events, strict=True), 1):
            if event > arrived + CLOCK_SKEW:
                future, dated = future + 1, f"label {number} of {info.key}"
                continue
            positive = label.label == contract.target.positive
            rows.append((label.prediction_id, label.entity_id, event, arrived, positive, place))
            places.numbers.append(number)
    totals = _added(progress.totals, heard=len(rows) + future, future=future)
    examples = progress.examples | ({"future": dated} if dated else {})
    known = replace(progress, sources=tuple(sources), watermarks=watermarks, newest=newest, totals=totals)
    return labels_of(rows), replace(known, examples=examples), tuple(unreadable), places


def _without(labels: Labels, others: Labels) -> Labels:
    """``labels`` but for those that are among ``others``, too."""
    return labels[~np.isin(labels, others)]


@dataclass(slots=True)
class _Places:
    """Which label of which batch each row is. ``starts``: the first row of each batch of ``keys``."""

    keys: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("L"))

    def begin(self, key: str, row: int) -> None:
        self.keys.append(key)
        self.starts.append(row)

    def name(self, row: int) -> str:
        """Where ``row`` was read: by place, since the id in it may be a person's."""
        return f"label {self.numbers[row]} of {self.keys[bisect_right(self.starts, row) - 1]}"


def _index(
    store: ObjectStore, captured: CapturedHours, progress: Progress, etag: str | None, settled: datetime
) -> tuple[Progress, str | None]:
    """Take the captures of all hours that are over into the ledger, oldest first."""
    start = progress.until or first_hour(store)
    if start is None:
        return progress, etag
    progress = replace(progress, until=start)
    end, read = settled.replace(minute=0, second=0, microsecond=0), 0
    busy = busy_hours(store, Window(start, end)) if start < end else ()
    for day, hours in groupby(busy, key=lambda hour: hour.date()):
        listed = list(hours)
        read += _index_hours(store, captured, day, listed)
        progress = replace(progress, until=listed[-1] + _HOUR)
        # Catching up: keep what was done, unless labels wait, which were told of no hour from the first of these on.
        if progress.until is not None and progress.until + timedelta(days=1) < end and not len(progress.waiting):
            try:
                etag = write_progress(store, progress, etag)
            except (PreconditionFailed, ObjectExists):
                return progress, etag
        if read > _MAX_OBJECTS:
            return progress, etag
    return replace(progress, until=max(start, end)), etag


def _find_late(
    store: ObjectStore, captured: CapturedHours, progress: Progress, settled: datetime
) -> tuple[int, dict[date, list[datetime]], Progress]:
    """Look once more at days that ended two days ago: how many objects came late, and by day the hours they are of."""
    if progress.until is None:
        return 0, {}, progress
    last = min((settled - _LATE).date(), progress.until.date()) - timedelta(days=1)
    if progress.verified is None:  # all was read just now
        return 0, {}, replace(progress, verified=last)
    late, changed = 0, dict[date, list[datetime]]()
    span = Window(_bounds(progress.verified)[1], _bounds(last)[1]) if last > progress.verified else None
    for day, busy in groupby(busy_hours(store, span) if span else (), key=lambda hour: hour.date()):
        known = read_day(store, day)[0]
        hours = list(busy)
        for hour, inventory in zip(hours, captured.inventories(hours), strict=True):
            had = known.hours.get(hour.hour, (0, "")) if known is not None else (0, "")
            if inventory.objects > had[0]:  # fewer: captures expire
                late += inventory.objects - had[0]
                changed.setdefault(day, []).append(hour)
    return late, changed, replace(progress, verified=max(last, progress.verified))


def _index_late(
    store: ObjectStore,
    captured: CapturedHours,
    day: date,
    hours: Sequence[datetime],
    tell: Callable[[OutcomeDay], OutcomeDay],
) -> Ids:
    """Take captures that came late in, and return the ids of their predictions. ``tell`` says what their labels say:
    both are one write, since after a crash nothing would be late any more.
    """
    for hour in hours:
        captured.forget(hour)
    before = _ids(store, day)
    change_touched(store, add=[day])
    _index_hours(store, captured, day, hours, again=True, tell=tell)
    after = _ids(store, day)
    return after[~np.isin(after, before)]


def _ids(store: ObjectStore, day: date) -> Ids:
    known = read_day(store, day)[0]
    ids: Ids = (blank(0) if known is None else known.records)["id"]
    return ids


def _tell(labels: Labels, sources: Sequence[str], feed: Feed, day: OutcomeDay) -> OutcomeDay:
    return apply(day, labels, sources, feed.reach, feed.standing).day


def _index_hours(
    store: ObjectStore,
    captured: CapturedHours,
    day: date,
    hours: Sequence[datetime],
    *,
    again: bool = False,
    tell: Callable[[OutcomeDay], OutcomeDay] | None = None,
) -> int:
    """Take ``hours`` of ``day`` into the ledger; returns how many objects were read. ``tell``: what else to make of the
    day.
    """
    present = read_day(store, day)[0]
    missing = [hour for hour in hours if again or present is None or hour.hour not in present.hours]
    del present  # as large as all that was predicted on the day
    taken: list[tuple[int, Records, list[str], tuple[int, str]]] = []
    for hour in captured.read(missing):
        records, models = _records(hour)
        if hour.inventory.objects:
            taken.append((hour.start.hour, records, models, (hour.inventory.objects, hour.inventory.names)))
    if not taken:
        return 0

    def change(known: OutcomeDay | None) -> OutcomeDay:
        made = OutcomeDay(day, blank(0), {}) if known is None else known
        for number, records, models, inventory in taken:
            if again or number not in made.hours:
                made = made.with_hour(number, records, models, inventory)
        return made if tell is None else tell(made)

    change_day(store, day, change)
    return sum(inventory[0] for *_, inventory in taken)


def change_day(store: ObjectStore, day: date, change: Callable[[OutcomeDay | None], OutcomeDay]) -> OutcomeDay:
    """Write what ``change`` makes of a day, whoever else writes it. Raises StoreUnavailable."""
    for _ in range(_ROUNDS):
        known, etag = read_day(store, day)
        made = change(known)
        if made is known:
            return made
        del known  # as large as all that was predicted on the day, and written from another copy
        try:
            write_day(store, made, etag)
        except (PreconditionFailed, ObjectExists):
            continue
        return made
    raise StoreUnavailable(f"Others changed the outcomes of {day} {_ROUNDS} times in a row; try again later.")


def _records(hour: CapturedHour) -> tuple[Records, list[str]]:
    """The predictions of an hour, and the model of each. Unreadable lines are skipped; monitor counts them."""
    scored = [prediction for part in hour.parts for prediction in _decoded(part)]
    rows, models = [], []
    for prediction in scored:
        with suppress(StillgoodError):
            at = utc(prediction.time)
            if hour.start <= at < hour.start + _HOUR:
                entity = identity(prediction.entity_id) if prediction.entity_id else 0
                group = GROUPS.index(prediction.group) if prediction.group in GROUPS else 0
                caller = identity(prediction.caller) if prediction.caller else 0
                numbers = (prediction.score, prediction.probability, prediction.decision, group, caller)
                rows.append((identity(prediction.prediction_id), entity, microseconds(at), *numbers))
                models.append(prediction.model)
    records = blank(len(rows))
    names = ("id", "entity", "time", "score", "probability", "decision", "group", "caller")
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        records[name] = column
    return records, models


def _decoded(data: bytes) -> Iterator[_Scored]:
    try:
        lines: Iterable[_Scored | _Refused] = _DECODER.decode_lines(data)
    except UNREADABLE:
        lines = _each(data)
    return (line for line in lines if isinstance(line, _Scored))


def _each(data: bytes) -> Iterator[_Scored | _Refused]:
    for line in data.splitlines():
        with suppress(*UNREADABLE):
            yield _DECODER.decode(line)


@dataclass(slots=True)
class _Applying:
    """What became of each label, as ``Applied`` says it, bool[n]; and of the ledger. ``matched_before`` and
    ``early_before``: without the predictions that came late.
    """

    matched: Bools
    early: Bools
    matched_before: Bools
    early_before: Bools
    repeated: Bools
    superseding: Bools
    touched: set[date] = field(default_factory=set)
    corrected: int = 0

    @classmethod
    def nothing(cls, n: int) -> "_Applying":
        """Of ``n`` labels that were told to no day."""
        return cls(*np.zeros((6, n), bool))


def _apply(
    store: ObjectStore,
    pool: Executor,
    feed: Feed,
    labels: Labels,
    sources: Sequence[str],
    fresh: Bools,
    before: datetime | None,
    came: Mapping[date, Ids],
) -> _Applying:
    """Tell each day of the labels that may speak of it. Labels that waited (not ``fresh``) were told to all days
    before ``before``; the newest of those are told once more, since a listing may have lacked a day just written.
    ``came``: ids of predictions that came late, by day.
    """
    known = None if before is None else microseconds(before - _TOLD_AGAIN)
    applying = _Applying.nothing(len(labels))
    if not len(labels):
        return applying
    sizes = ledger_days(store)
    days = sorted(sizes, reverse=True)
    reach = feed.reach
    usual = {"id": feed.matures + round(2 * GRACE_DAYS * DAY), "entity": reach.limit}

    def near(day: date) -> Bools:
        start, end = map(microseconds, _bounds(day))
        mask = np.zeros(len(labels), bool)
        for name, limit in usual.items():
            mask |= (labels[name] != 0) & (labels["event"] >= start) & (labels["event"] <= end + limit)
        return mask & (fresh | (known is None or end > known))

    first = {day: mask for day in days if (mask := near(day)).any()}
    _apply_to_days(store, pool, first, sizes, labels, sources, feed, came, applying)
    # An id whose label is dated long after its prediction, or before it: look through all other days, once.
    lost = fresh & (labels["id"] != 0) & ~applying.matched & ~applying.early
    if lost.any():
        rest = {day: lost & ~first.get(day, np.zeros(len(labels), bool)) for day in days}
        some = {day: mask for day, mask in rest.items() if mask.any()}
        _apply_to_days(store, pool, some, sizes, labels, sources, feed, came, applying)
    return applying


def _apply_to_days(
    store: ObjectStore,
    pool: Executor,
    days: dict[date, Bools],
    sizes: dict[date, int],
    labels: Labels,
    sources: Sequence[str],
    feed: Feed,
    came: Mapping[date, Ids],
    applying: _Applying,
) -> None:
    found = ahead(pool, ((partial(read_day, store, day), sizes[day]) for day in days))
    for day, mask in days.items():
        known, etag = next(found)
        if known is None:
            continue
        which = np.flatnonzero(mask)
        applied = apply(known, labels[which], sources, feed.reach, feed.standing)
        if applied.changed:  # before the day, by which a retry finds nothing new: its training rows are to be written
            change_touched(store, add=[day])
        news = applied.day is not known
        del known  # as large as all that was predicted on the day
        if news:
            try:
                write_day(store, applied.day, etag)
            except (PreconditionFailed, ObjectExists):
                change_day(store, day, partial(_again, applied.day, labels[which], sources, feed))
        if applied.changed:
            applying.touched.add(day)
        matched, early = applied.matched, applied.early
        applying.matched[which[matched]] = True
        applying.early[which[early]] = True
        if day in came:
            records = applied.day.records
            matched, early = spoken_of(records[~np.isin(records["id"], came[day])], labels[which], feed.reach)
        applying.matched_before[which[matched]] = True
        applying.early_before[which[early]] = True
        applying.repeated[which[applied.repeated]] = True
        applying.superseding[which[applied.superseding]] = True
        applying.corrected += applied.corrected


def _again(known: OutcomeDay, labels: Labels, sources: Sequence[str], feed: Feed, now: OutcomeDay | None) -> OutcomeDay:
    return apply(now or known, labels, sources, feed.reach, feed.standing).day


def _settle(progress: Progress, labels: Labels, heard: _Applying, places: _Places, again: int) -> Progress:
    """Which labels wait for predictions that are still to be captured or to arrive, and what became of the others.

    ``places``: of the labels that are new, which are the first of ``labels``. The ``again`` after them were counted
    in an earlier run, and are counted now only where a prediction that came late made something else of them.
    """
    until = 0 if progress.until is None else microseconds(progress.until)
    coming = labels["event"] >= until  # predictions before it may be missing yet
    arriving = (
        (labels["id"] != 0) & ~heard.matched & ~heard.early & (labels["arrived"] + round(GRACE_DAYS * DAY) > until)
    )
    waits = ((labels["entity"] != 0) & coming) | arriving
    place = np.arange(len(labels))
    new = place < len(places.numbers)
    counted = ~new & (place < len(places.numbers) + again)
    waits &= ~counted
    done = ~waits
    former = {
        "matched": heard.matched_before,
        "before_prediction": ~heard.matched_before & heard.early_before,
        "without_prediction": ~heard.matched_before & ~heard.early_before,
    }
    became = {
        "matched": done & heard.matched,
        "before_prediction": done & ~heard.matched & heard.early,
        "without_prediction": done & ~heard.matched & ~heard.early,
        "repeated": new & heard.repeated & ~heard.superseding,
        "superseding": new & heard.superseding,
    }
    counts = {name: int(mask.sum()) for name, mask in became.items()}
    for name, mask in former.items():
        counts[name] -= int((counted & mask).sum())
    totals = _added(progress.totals, **counts, corrected=heard.corrected)
    examples = dict(progress.examples)
    for name, mask in (became | {"waiting": waits}).items():
        rows = np.flatnonzero(mask & new)
        if len(rows):
            examples[name] = places.name(int(rows[-1]))
    return replace(progress, waiting=labels[waits], totals=totals, examples=examples)


def _added(totals: dict[str, int], **more: int) -> dict[str, int]:
    return totals | {name: totals.get(name, 0) + count for name, count in more.items()}


def first_hour(store: ObjectStore) -> datetime | None:
    """The first clock hour with a capture."""
    return next((hour for info in store.list(CAPTURE_PREFIX) if (hour := captured_in(info.key)) is not None), None)


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)
