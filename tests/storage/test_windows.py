"""Windows are half-open, whole and named by their ends; everything that hangs on them is found again."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.errors import DocumentUnusable, InvalidEvent, ObjectExists, PreconditionFailed
from stillgood.storage.keys import STATE_KEY, capture_key, report_key, summary_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import (
    Window,
    busy_hours,
    captures,
    hour_window,
    hours,
    iso,
    read_report,
    read_state,
    read_summary,
    reports,
    utc,
    write_report,
    write_state,
    write_summary,
)

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
DAY = Window.ending(MIDNIGHT, 24)

moments = st.integers(946_684_800, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_a_day_has_its_hours_and_its_name() -> None:
    assert DAY.id == "20261123T000000Z_20261124T000000Z"
    assert len(hours(DAY)) == 24
    assert hours(DAY)[0] == datetime(2026, 11, 23, 0, tzinfo=UTC)
    assert hours(DAY)[-1] == datetime(2026, 11, 23, 23, tzinfo=UTC)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert DAY.start in DAY
    assert DAY.end not in DAY
    assert DAY.end - timedelta(microseconds=1) in DAY


@given(moments, st.integers(1, 40 * 86400))
def test_the_hours_of_a_window_cover_it_and_nothing_else(start: datetime, seconds: int) -> None:
    window = Window(start, start + timedelta(seconds=seconds))
    covering = hours(window)
    assert covering[0] <= window.start < covering[0] + timedelta(hours=1)
    assert covering[-1] < window.end <= covering[-1] + timedelta(hours=1)
    assert [later - earlier for earlier, later in itertools.pairwise(covering)] == [timedelta(hours=1)] * (
        len(covering) - 1
    )
    assert Window.from_id(window.id) == window


@given(moments, moments)
def test_ids_sort_like_time(moment: datetime, another: datetime) -> None:
    first, second = Window.ending(moment, 1), Window.ending(another, 1)
    assert (first.id < second.id) == (first.start < second.start)


def test_windows_speak_utc_whatever_zone_they_are_asked_in() -> None:
    berlin = timezone(timedelta(hours=1))
    assert Window.ending(MIDNIGHT.astimezone(berlin), 24).id == DAY.id
    assert hours(Window.ending(MIDNIGHT.astimezone(berlin), 24)) == hours(DAY)
    assert hour_window(datetime(2026, 11, 24, 0, 30, tzinfo=berlin)).id == "20261123T230000Z_20261124T000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "20261123T000000Z",
        "20261124T000000Z_20261123T000000Z",
        "20261124T000000Z_20261124T000000Z",
        "20261323T000000Z_20261324T000000Z",
        "../20261123T000000Z_20261124T000000Z",
        "20261123T000000Z_20261124T000000Z\n",
    ],
)
def test_what_is_no_window_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent):
        Window.from_id(text)


def test_a_window_must_be_a_span_of_known_time() -> None:
    with pytest.raises(InvalidEvent, match="ends after it starts"):
        Window(MIDNIGHT, MIDNIGHT)
    with pytest.raises(InvalidEvent, match="offset"):
        Window(MIDNIGHT.replace(tzinfo=None), MIDNIGHT)
    with pytest.raises(InvalidEvent, match="whole second"):
        Window(MIDNIGHT, MIDNIGHT + timedelta(microseconds=1))
    with pytest.raises(InvalidEvent, match="before time"):
        Window.ending(MIDNIGHT, 1e9)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T00:00:00Z", MIDNIGHT),
        ("2026-11-24T01:00:00+01:00", MIDNIGHT),
        ("2026-11-24T00:00:00.5Z", MIDNIGHT + timedelta(seconds=0.5)),
    ],
)
def test_times_are_read_as_utc(text: str, moment: datetime) -> None:
    assert utc(text) == moment
    assert utc(iso(moment)) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-24",
        "2026-11-24T00:00:00",
        "2026-13-01T00:00:00Z",
        None,
        3,
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent, match="2026-11-24T00:00:00Z"):
        utc(text)


def test_captures_of_a_window_are_found_by_hour(store: ObjectStore) -> None:
    inside = [
        datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 5, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 11, 23, 23, tzinfo=UTC),
    ]
    for moment in [*inside, MIDNIGHT, datetime(2026, 11, 22, 23, 59, tzinfo=UTC)]:
        store.put(capture_key(moment, "a1"), b"{}\n")
    assert [info.key for info in captures(store, DAY)] == [capture_key(moment, "a1") for moment in inside]


def test_captures_of_one_microsecond_stay_apart_and_tricks_stay_in_their_hour() -> None:
    assert capture_key(MIDNIGHT, "a") != capture_key(MIDNIGHT, "b")
    assert capture_key(MIDNIGHT, "../../x") == "capture/dt=2026-11-24/hour=00/000000000000-.._.._x.jsonl"
    with pytest.raises(InvalidEvent):
        capture_key(MIDNIGHT.replace(tzinfo=None), "a")


def test_the_first_report_of_a_window_stands(store: ObjectStore) -> None:
    assert read_report(store, DAY) is None
    assert write_report(store, DAY, {"by": "first"}) == {"by": "first"}
    assert write_report(store, DAY, {"by": "second"}) == {"by": "first"}
    assert read_report(store, DAY) == {"by": "first"}
    store.put(report_key(DAY.id), b"{")
    with pytest.raises(DocumentUnusable):
        read_report(store, DAY)


def test_reports_are_listed_in_order_of_time() -> None:
    store = MemoryObjectStore()
    days = [Window.ending(MIDNIGHT + timedelta(days=number), 24) for number in range(5)]
    for day in reversed(days):
        write_report(store, day, {})
    store.put("monitoring/reports/README.md", b"")
    assert list(reports(store)) == days
    assert list(reports(store, after=days[2])) == days[3:]


def test_summaries_are_kept_per_version_and_hour(store: ObjectStore) -> None:
    hour = datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert summary_key("v1", hour + timedelta(minutes=59)) == "monitoring/summaries/v1/20261124T090000Z.json"
    assert read_summary(store, "v1", hour) is None
    write_summary(store, "v1", hour, b'{"rows":1}')
    write_summary(store, "v1", hour, b'{"rows":2}')
    assert read_summary(store, "v1", hour) == b'{"rows":2}'
    assert read_summary(store, "v2", hour) is None


def test_of_two_writers_of_the_state_one_wins(store: ObjectStore) -> None:
    assert read_state(store) == ({}, None)
    etag = write_state(store, {"last": DAY.id}, None)
    with pytest.raises(ObjectExists):
        write_state(store, {"last": "other"}, None)
    assert read_state(store) == ({"last": DAY.id}, etag)
    write_state(store, {"last": "next"}, etag)
    with pytest.raises(PreconditionFailed):
        write_state(store, {"last": "late"}, etag)
    assert read_state(store)[0] == {"last": "next"}
    store.put(STATE_KEY, b"[]")
    with pytest.raises(DocumentUnusable):
        read_state(store)


def test_a_long_window_is_searched_for_the_hours_that_hold_captures() -> None:
    store, start = MemoryObjectStore(), datetime(2026, 1, 1, tzinfo=UTC)
    for hours_later in (-1, 0, 30, 31, 500, 900):
        moment = start + timedelta(hours=hours_later, minutes=59)
        store.put(capture_key(moment, "a"), b"{}\n")
        store.put(capture_key(moment, "b"), b"{}\n")
    store.put("capture/dt=2026-01-03/hour=07/../readme".replace("/../", "/"), b"no capture, but in its hour")
    window = Window(start, start + timedelta(days=30))

    busy = busy_hours(store, window)

    assert [(hour - start) / timedelta(hours=1) for hour in busy] == [0, 30, 31, 55, 500]
    assert sum(info.key.endswith(".jsonl") for info in captures(store, window)) == 8
    assert len(busy_hours(store, Window(start, start + timedelta(days=1)))) == 24
