"""What a step asks of the store does not grow with what was there before: counted on a bucket that lives for weeks."""

import tracemalloc
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from stillgood.domain.outcomes.ledger import RECORD, OutcomeDay, blank
from stillgood.steps.forget import forget
from stillgood.steps.monitor.hear import change_day
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import capture_key, hour_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.outcomes import write_day
from stillgood.storage.training_data import labelled_data, sources_of
from stillgood.storage.windows import Window, busy_hours
from stillgood.testing.counting import CountingObjectStore

from benchmarks.growth.life import BEGIN, DAY, HOUR, Life, together


@pytest.fixture(scope="module")
def life() -> Life:
    """Sixteen days of 48 single predictions each, and a file of labels and one of rows an hour."""
    lived = Life(daily=48)
    lived.live(16)
    return lived


@pytest.mark.parametrize("step", ["predict", "status", "monitor", "pages"])
def test_calls_of_a_day_do_not_grow_with_the_days_before(life: Life, step: str) -> None:
    counts = life.of(step)
    # The sample of the operating point looks back for a week.
    settled, newest = counts[9][1], counts[-1][1]
    assert newest.total <= settled.total * 1.02 + 2 * 6  # six more days of the outcome ledger, each asked for twice
    assert newest.read_bytes <= settled.read_bytes * 1.5


def test_captures_labels_and_uploads_are_read_at_most_twice_in_their_life(life: Life) -> None:
    every = together([counts for _, _, counts in life.steps])
    for prefix in ("capture/", "labels/dt=", "labels/incoming/"):
        assert 1 <= every.most_read(prefix) <= 2, prefix
    monitor = together([counts for _, counts in life.of("monitor")])
    assert monitor.most_read("data/") == 1  # for counting its rows


def test_a_year_of_hourly_label_files_is_one_listing_a_run(life: Life) -> None:
    newest = life.of("monitor")[-1][1]
    assert newest.lists["labels/incoming/"] == newest.lists["labels/taken/"] == 1
    assert sum(count for key, count in newest.reads.items() if key.startswith("labels/incoming/")) == 24


def test_a_life_that_is_compacted_every_hour_ends_as_one_that_is_not(life: Life) -> None:
    other = Life(daily=48, compacting=True)
    other.live(16)
    for prefix in ("monitoring/reports/", "monitoring/state.json", "data/", "registry/", "capture/"):
        kept, made = (
            {info.key: lived.inner.get(info.key).data for info in lived.inner.list(prefix)} for lived in (life, other)
        )
        assert kept == made, prefix
    newest = other.of("monitor")[-1][1]
    assert len([key for key in newest.reads if key.startswith("capture/")]) == 4  # of the last two hours


def test_train_fetches_no_object_from_before_its_window_and_that_is_no_news() -> None:
    life = Life(daily=0, files=False)
    for day in range(1, 60):
        life.now = BEGIN + day * DAY
        life.upload(20, "export")
    trained = life.retrain("again")
    days = {key.split("/")[1] for key in life.of("train")[-1][1].reads if key.startswith("data/")}
    newest = life.now.date()
    # window_days is 10; a week of margin, should the newest rows all contradict each other, and the day itself
    assert days == {f"{newest - timedelta(days=ago)}" for ago in range(19)}
    assert (trained["rows"]["older_objects"], trained["rows"]["accepted"]) == (41, 19 * 20)
    known = sources_of(life.inner, trained["version"])
    assert known is not None
    assert labelled_data(life.inner, known).new_rows == 0


def test_a_long_look_back_lists_pages_and_not_hours() -> None:
    store = MemoryObjectStore()
    hours = [BEGIN + number * HOUR for number in range(400) if number % 3]
    for hour in hours:
        for name in ("a", "b"):
            store.put(capture_key(hour, name), b"{}\n")
    for number in range(1500):  # more than a page
        store.put(capture_key(BEGIN + HOUR, f"n{number}"), b"{}\n")
    counted = CountingObjectStore(store)
    assert busy_hours(counted, Window(BEGIN, BEGIN + 400 * HOUR)) == tuple(hours)
    assert counted.counts.calls["list"] <= 4


class _Forgetting(MemoryObjectStore):
    """Somebody is forgotten just before an hour is packed, by captures that were read already."""

    def put(self, key: str, data: bytes) -> str:
        if key.startswith("monitoring/hours/") and data and not self.forgotten:
            self.forgotten = True
            forget(self, "c-3", lambda: BEGIN + 2 * HOUR)
        return super().put(key, data)

    forgotten = False


def test_an_hour_that_is_packed_while_somebody_is_forgotten_keeps_nothing_of_them() -> None:
    store = _Forgetting(lambda: BEGIN + 2 * HOUR)
    for number in range(6):
        line = f'{{"kind":"prediction","prediction_id":"p-{number}","entity_id":"c-{number}"}}\n'
        store.put(capture_key(BEGIN + timedelta(minutes=number), f"u{number}"), line.encode())
    with readers(store) as pool:
        hours = CapturedHours(store, pool, BEGIN + 2 * HOUR)
        assert sum(len(list(hour.parts)) for hour in hours.read([BEGIN])) == 6
        assert store.forgotten
        assert b"c-3" not in store.get(hour_key(BEGIN)).data
        left = b"".join(part for hour in hours.read([BEGIN]) for part in hour.parts)
    assert left.count(b"\n") == 5
    assert b"c-3" not in left


def test_a_row_count_that_is_lost_or_damaged_is_counted_again(life: Life) -> None:
    store = life.inner
    said = labelled_data(store, frozenset())
    for damaged in (b"", b"{", b'{"format":"stillgood.counted-rows","format_version":1,"rows":[]}'):
        store.put("monitoring/counted.json", damaged)
        assert labelled_data(store, frozenset()) == said
    assert said.new_rows > 1000


def test_an_hour_of_a_large_day_is_added_with_the_day_in_memory_three_times_at_most(tmp_path: Path) -> None:
    """As it was read or will be, and as its bytes; a copy more of a day of 864,000 predictions is 70 MB."""
    store, day, n = FolderObjectStore(tmp_path), BEGIN.date(), 500_000
    write_day(store, OutcomeDay(day, blank(n), {0: (1, "a")}, ("v1",)), None)
    hour = blank(1_000)
    hour["time"] = np.int64(3_600_000_000)

    def add(known: OutcomeDay | None) -> OutcomeDay:
        assert known is not None
        return known.with_hour(1, hour, ["v1"] * len(hour), (1, "b"))

    tracemalloc.start()
    try:
        change_day(store, day, add)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * n * RECORD.itemsize
