"""Analysis windows, and the records of each: captures, reports, hour summaries, the monitor's state."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stillgood.domain.contract import times
from stillgood.domain.errors import InvalidEvent, ObjectExists, ObjectNotFound
from stillgood.storage.codec import decode, decode_any, encode, sha256
from stillgood.storage.keys import (
    AGAIN_PREFIX,
    BASIC_TIME,
    CAPTURE_PREFIX,
    REPORTS_PREFIX,
    STATE_KEY,
    again_index_key,
    again_key,
    again_versions,
    aware,
    capture_prefix,
    captured_in,
    report_key,
    summary_key,
)
from stillgood.storage.objects import ObjectInfo, ObjectStore

AGAIN_INDEX_FORMAT = "stillgood.again-index"
_HOUR = timedelta(hours=1)
_PAGE = 1000  # keys that one request to list answers with
_SEARCHED_HOURS = 72  # a longer window is searched for the hours that hold captures
_WINDOW_ID = re.compile(r"(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)")


def utc(text: str) -> datetime:
    """An ISO-8601 time with an offset or "Z", as aware UTC. Raises InvalidEvent.

    >>> utc("2026-11-24T01:00:00+01:00")
    datetime.datetime(2026, 11, 24, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("it has no offset; add 'Z' for UTC")
        return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidEvent(f"{str(text)[:80]!r} is not a time such as 2026-11-24T00:00:00Z: {error}") from error


def iso(moment: datetime) -> str:
    """An aware time as ISO-8601 in UTC with "Z"; microseconds only if there are any.

    >>> iso(datetime(2026, 11, 24, tzinfo=UTC))
    '2026-11-24T00:00:00Z'
    """
    return times.iso(aware(moment))


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span [start, end), whole seconds, aware UTC. Raises InvalidEvent when it is empty, reversed or
    naive.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidEvent("A window needs times with an offset.")
        if self.start >= self.end:
            raise InvalidEvent(f"A window ends after it starts; {iso(self.start)} to {iso(self.end)} does not.")
        if self.start.microsecond or self.end.microsecond:
            raise InvalidEvent("A window starts and ends on a whole second.")

    @classmethod
    def ending(cls, end: datetime, hours: float) -> "Window":
        """The window of ``hours`` that ends at ``end``: a schedule's time is its window's end. Cut to whole seconds."""
        end = aware(end).replace(microsecond=0)
        try:
            return cls(end - timedelta(seconds=round(hours * 3600)), end)
        except OverflowError as error:
            raise InvalidEvent(f"A window of {hours} hours before {iso(end)} starts before time does.") from error

    @classmethod
    def from_id(cls, text: str) -> "Window":
        """The window whose ``id`` is ``text``. Raises InvalidEvent."""
        match = _WINDOW_ID.fullmatch(text)
        if match is None:
            raise InvalidEvent(f"{text[:80]!r} is not a window id such as 20261123T000000Z_20261124T000000Z.")
        try:
            start, end = (datetime.strptime(part, BASIC_TIME).replace(tzinfo=UTC) for part in match.groups())
        except ValueError as error:
            raise InvalidEvent(f"{text[:80]!r} is not a window id: {error}") from error
        return cls(start, end)

    @property
    def id(self) -> str:
        """Fit for keys, and sorting like time.

        >>> Window.ending(datetime(2026, 11, 24, tzinfo=UTC), 24).id
        '20261123T000000Z_20261124T000000Z'
        """
        return f"{aware(self.start):{BASIC_TIME}}_{aware(self.end):{BASIC_TIME}}"

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def hours(window: Window) -> tuple[datetime, ...]:
    """The clock hours that ``window`` touches, by their starts. The first and last may be touched in part only.

    >>> [f"{hour:%H:%M}" for hour in hours(Window.ending(datetime(2026, 11, 24, 2, 30, tzinfo=UTC), 2))]
    ['00:00', '01:00', '02:00']
    """
    first = _hour(window.start)
    return tuple(first + index * _HOUR for index in range(-((first - aware(window.end)) // _HOUR)))


def hour_window(hour: datetime) -> Window:
    """The clock hour that ``hour`` lies in."""
    return Window(_hour(hour), _hour(hour) + _HOUR)


def busy_hours(store: ObjectStore, window: Window) -> tuple[datetime, ...]:
    """The hours of ``window`` to look for captures in.

    All of them for a window of days; of a longer one those that hold any, by listing: a year of monthly batches has
    8,760 hours and twelve that matter. Costs at most two requests for each hour that holds more than a page of keys.
    """
    touched = hours(window)
    if len(touched) <= _SEARCHED_HOURS:
        return touched
    busy: list[datetime] = []
    after: str | None = f"{capture_prefix(touched[0])[:-1]}"  # without its slash it sorts before the hour's keys
    while after is not None:
        after = _search(store, after, touched[-1], busy)
    return tuple(busy)


def _search(store: ObjectStore, after: str, last: datetime, busy: list[datetime]) -> str | None:
    """Adds the hours that hold captures to ``busy``, in order, up to ``last``; None when there is no more, else the
    key to go on after: an hour of more than a listing's page is skipped by a new listing.
    """
    listed = 0
    for info in store.list(CAPTURE_PREFIX, after):
        if (hour := captured_in(info.key)) is None:
            continue
        if hour > last:
            return None
        if not busy or busy[-1] != hour:
            busy.append(hour)
            listed = 0
        listed += 1
        if listed >= _PAGE:
            return f"{capture_prefix(hour)}~"  # after every key of the hour, which begin with digits
    return None


def captures(store: ObjectStore, window: Window) -> Iterator[ObjectInfo]:
    """The capture objects of every hour that ``window`` touches, in order of time; their records must be filtered by
    ``time in window``.
    """
    for hour in busy_hours(store, window):
        yield from store.list(capture_prefix(hour))


def write_report(store: ObjectStore, window: Window, report: Mapping[str, Any]) -> dict[str, Any]:
    """Keep ``report`` unless one is there, and return the one that stands: two monitors of one window agree on the
    first.
    """
    with contextlib.suppress(ObjectExists):
        store.create(report_key(window.id), encode(report))
    standing = read_report(store, window)
    assert standing is not None
    return standing


def read_report(store: ObjectStore, window: Window) -> dict[str, Any] | None:
    """The report of ``window``, None if it was not judged yet. Raises ModelUnusable when it is damaged."""
    return _read(store, report_key(window.id))


def read_versions(store: ObjectStore, window: Window) -> list[dict[str, Any]]:
    """Every report of ``window``, the first one first, then those that it was judged again with; empty if it was not
    judged yet. Raises ModelUnusable when one is damaged.
    """
    first = read_report(store, window)
    if first is None:
        return []
    written, _ = versions_judged_again(store, window)
    later = (_read(store, again_key(*version)) for version in sorted(written))
    return [first, *(report for report in later if report is not None)]


def versions_judged_again(
    store: ObjectStore, window: Window | None = None
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """(window id, version) of the reports with which ``window`` (None: any) was judged again, and of their hashes."""
    prefix = AGAIN_PREFIX if window is None else f"{AGAIN_PREFIX}{window.id}/"
    return again_versions(info.key for info in store.list(prefix))


def write_version(store: ObjectStore, window: Window, report: Mapping[str, Any]) -> int:
    """Keep ``report`` as the next version of the window's, then its hash; returns its number, from 2 on.

    A writer that stopped between the two is finished first. Raises StoreUnavailable.
    """
    written, hashed = versions_judged_again(store, window)
    for _, version in sorted(written - hashed):
        _vouch(store, window, version, store.get(again_key(window.id, version)).data)
    version = 1 + max((number for _, number in written | hashed), default=1)
    data = encode(report)
    while True:
        try:
            store.create(again_key(window.id, version), data)
            break
        except ObjectExists:  # somebody else judged it again at once
            version += 1
    _vouch(store, window, version, data)
    return version


def _vouch(store: ObjectStore, window: Window, version: int, data: bytes) -> None:
    entry = {"format": AGAIN_INDEX_FORMAT, "format_version": 1, "sha256": sha256(data)}
    with contextlib.suppress(ObjectExists):
        store.create(again_index_key(window.id, version), encode(entry))


def read_version_hash(store: ObjectStore, window_id: str, version: int) -> str:
    """The sha256 that was written after a version. Raises ObjectNotFound, DocumentUnusable."""
    key = again_index_key(window_id, version)
    return str(decode(store.get(key).data, format=AGAIN_INDEX_FORMAT, what=key).get("sha256"))


def reports(store: ObjectStore, after: Window | None = None) -> Iterator[Window]:
    """The windows that have a report, in order of time, those after ``after``."""
    for info in store.list(REPORTS_PREFIX, "" if after is None else report_key(after.id)):
        name = info.key.removeprefix(REPORTS_PREFIX).removesuffix(".json")
        if _WINDOW_ID.fullmatch(name):
            yield Window.from_id(name)


def read_summary(store: ObjectStore, model_version: str, hour: datetime) -> bytes | None:
    """An hour's summary as it was written, None if there is none."""
    try:
        return store.get(summary_key(model_version, hour)).data
    except ObjectNotFound:
        return None


def summarised(store: ObjectStore, model_version: str, since: datetime) -> Iterator[datetime]:
    """The clock hours from ``since`` on that have a summary, in order of time."""
    first = summary_key(model_version, since)
    folder = first.rpartition("/")[0] + "/"
    for info in store.list(folder, first[:-1]):  # one character less sorts before the key itself
        with contextlib.suppress(ValueError):
            name = info.key.removeprefix(folder).removesuffix(".json")
            yield datetime.strptime(name, BASIC_TIME).replace(tzinfo=UTC)


def write_summary(store: ObjectStore, model_version: str, hour: datetime, summary: bytes) -> None:
    """Keep an hour's summary. A cache of what the captures say: the last writer stands."""
    store.put(summary_key(model_version, hour), summary)


def read_state(store: ObjectStore) -> tuple[dict[str, Any], str | None]:
    """The monitor's state and its ETag for ``write_state``; ``({}, None)`` before the first window."""
    try:
        stored = store.get(STATE_KEY)
    except ObjectNotFound:
        return {}, None
    return decode_any(stored.data, what=STATE_KEY), stored.etag


def write_state(store: ObjectStore, state: Mapping[str, Any], etag: str | None) -> str:
    """Write the state over the one that was read. Raises PreconditionFailed, or ObjectExists for the first, when it
    changed since.

    Keep a counter or the last window's id in it: an ETag names content, so a state that returns to an old value would
    let a stale writer in.
    """
    data = encode(state)
    return store.create(STATE_KEY, data) if etag is None else store.swap(STATE_KEY, data, etag)


def _read(store: ObjectStore, key: str) -> dict[str, Any] | None:
    try:
        return decode_any(store.get(key).data, what=key)
    except ObjectNotFound:
        return None


def _hour(moment: datetime) -> datetime:
    return aware(moment).replace(minute=0, second=0, microsecond=0)
