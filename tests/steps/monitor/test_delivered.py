"""Captures that Firehose delivered: each prediction is counted once and under its own hour, however they lie."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.storage.keys import capture_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import Window, iso

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR, LATER = timedelta(hours=1), NINE + timedelta(days=1)


def line(at: datetime, name: str) -> bytes:
    return json.dumps({"kind": "prediction", "prediction_id": name, "time": iso(at)}).encode() + b"\n"


def deliver(store: MemoryObjectStore, arrived: datetime, name: str, data: bytes) -> None:
    """As the template's prefix has it: the hour and time of day at which the first record arrived."""
    store.put(f"capture/dt={arrived:%Y-%m-%d}/hour={arrived:%H}/firehose-{arrived:%H%M%S}-s-1-{name}.jsonl", data)


def read(store: MemoryObjectStore, hour: datetime, window: Window | None = None) -> list[str]:
    with readers(store) as pool:
        parts = [part for captured in CapturedHours(store, pool, LATER).read([hour], window) for part in captured.parts]
    return sorted(json.loads(line)["prediction_id"] for line in b"".join(parts).splitlines())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-600, 7800),  # seconds after nine
            st.integers(0, 60),  # until the first record of the same object arrived, before it
            st.sampled_from(["s3", "firehose", "both", "twice"]),
        ),
        max_size=25,
    )
)
def test_each_prediction_is_read_once_in_its_own_hour(rows: list[tuple[int, int, str]]) -> None:
    store = MemoryObjectStore()
    wanted: dict[datetime, list[str]] = {NINE + number * HOUR: [] for number in range(-1, 3)}
    for number, (seconds, buffered, how) in enumerate(rows):
        at, name = NINE + timedelta(seconds=seconds), f"p{number}"
        if how in ("s3", "both"):
            store.put(capture_key(at, name), line(at, name))
        if how != "s3":
            arrived = at + timedelta(seconds=1) - timedelta(seconds=buffered)
            deliver(store, arrived, name, line(at, name))
            if how == "twice":
                deliver(store, arrived, f"{name}-again", line(at, name) + line(at, name))
        wanted[at.replace(minute=0, second=0)].append(name)
    for _ in range(2):  # from the captures, then packed
        assert {hour: read(store, hour) for hour in wanted} == {hour: sorted(names) for hour, names in wanted.items()}


def test_a_window_within_an_hour_takes_what_is_its_own() -> None:
    store = MemoryObjectStore()
    times = [NINE + timedelta(minutes=minutes) for minutes in (10, 29, 31, 50)]
    deliver(store, NINE + timedelta(minutes=10), "a", b"".join(line(at, f"{at:%M}") for at in times))
    half = NINE + timedelta(minutes=30)
    assert read(store, NINE, Window(NINE, half)) == ["10", "29"]
    assert read(store, NINE, Window(half, NINE + HOUR)) == ["31", "50"]


def test_refused_rows_that_look_alike_count_as_often_as_one_delivery_has_them() -> None:
    store = MemoryObjectStore()
    refused = b'{"kind":"rejection","time":"2026-11-24T09:10:00Z","violations":[],"model":"v"}\n'
    deliver(store, NINE + timedelta(minutes=10), "a", refused * 3)
    deliver(store, NINE + timedelta(minutes=10), "b", refused * 3)
    with readers(store) as pool:
        parts = [part for captured in CapturedHours(store, pool, LATER).read([NINE]) for part in captured.parts]
    assert b"".join(parts) == refused * 3


def test_unreadable_lines_pass_on_to_be_counted() -> None:
    store = MemoryObjectStore()
    deliver(store, NINE, "a", b"not json\n" + line(NINE, "p"))
    with readers(store) as pool:
        parts = [part for captured in CapturedHours(store, pool, LATER).read([NINE]) for part in captured.parts]
    assert b"".join(parts).splitlines()[0] == b"not json"
