import json
from datetime import UTC, datetime

from stillgood.aws.capture import FIRST_PAUSE_SECONDS, Capture
from stillgood.domain.errors import StoreUnavailable
from stillgood.storage.memory import MemoryObjectStore

NOW = datetime(2026, 11, 23, 18, 5, 7, 250, tzinfo=UTC)


class Outage(MemoryObjectStore):
    """A store whose writes fail while ``down``; with ``late``, they are done and the answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.down = self.late = False
        self.tried = 0

    def create(self, key: str, data: bytes) -> str:
        self.tried += 1
        if self.late:
            super().create(key, data)
        if self.down or self.late:
            raise StoreUnavailable("S3 does not answer.")
        return super().create(key, data)


class Watch:
    """A monotonic clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def captured(store: MemoryObjectStore) -> list[object]:
    return [json.loads(line)["n"] for info in store.list("capture/") for line in store.get(info.key).data.splitlines()]


def test_a_request_is_one_object_of_json_lines_under_its_hour() -> None:
    store = MemoryObjectStore()
    Capture(store).write([{"n": 1, "text": "ü"}, {"n": 2}], NOW, "id-1")
    (info,) = store.list("")
    assert info.key == "capture/dt=2026-11-23/hour=18/180507000250-id-1.jsonl"
    assert store.get(info.key).data == b'{"n":1,"text":"\xc3\xbc"}\n{"n":2}\n'


def test_nothing_is_written_for_a_request_without_rows() -> None:
    store = MemoryObjectStore()
    Capture(store).write([], NOW, "id-1")
    assert list(store.list("")) == []


def test_a_failing_store_fails_no_request_and_is_counted() -> None:
    store = Outage()
    store.down = True
    capture = Capture(store, monotonic=Watch())
    capture.write([{"n": 1}, {"n": 2}], NOW, "id-1")
    assert capture.status() == {"written": 0, "pending": 2, "lost": 0, "failures": 1, "last_error": "StoreUnavailable"}


def test_an_error_nobody_foresaw_fails_no_request_either() -> None:
    class Broken(MemoryObjectStore):
        def create(self, key: str, data: bytes) -> str:
            raise RuntimeError

    capture = Capture(Broken())
    capture.write([{"n": 1}], NOW, "id-1")
    assert capture.status()["last_error"] == "RuntimeError"


def test_while_the_store_is_down_few_requests_pay_for_trying() -> None:
    store, watch = Outage(), Watch()
    store.down = True
    capture = Capture(store, monotonic=watch)
    tries = []
    for n in range(300):
        capture.write([{"n": n}], NOW, f"id-{n}")
        tries.append(store.tried)
        watch.seconds += 0.125
    # At 0 s, then after pauses of 1, 2, 4, 8 and 8 s.
    assert [tries.index(number) / 8 for number in range(1, 7)] == [0, 1, 3, 7, 15, 23]


def test_asking_for_the_status_sends_what_waits() -> None:
    store, watch = Outage(), Watch()
    store.down = True
    capture = Capture(store, monotonic=watch)
    capture.write([{"n": 1}], NOW, "id-1")
    store.down = False
    assert capture.status()["pending"] == 1
    watch.seconds += FIRST_PAUSE_SECONDS
    assert (capture.status()["pending"], captured(store)) == (0, [1])


def test_after_an_outage_every_record_is_there_exactly_once() -> None:
    store, watch = Outage(), Watch()
    capture = Capture(store, monotonic=watch)
    for n in range(300):
        store.down, store.late = 20 <= n < 150, 150 <= n < 200
        watch.seconds += 0.1
        capture.write([{"n": n}], NOW, f"id-{n}")
    assert sorted(captured(store), key=str) == sorted(range(300), key=str)
    assert (capture.status()["written"], capture.status()["pending"], capture.status()["lost"]) == (300, 0, 0)


def test_a_full_backlog_drops_the_oldest_and_says_how_many() -> None:
    store, watch = Outage(), Watch()
    store.down = True
    capture = Capture(store, monotonic=watch, max_pending_bytes=len(b'{"n":0}\n') * 3)
    for n in range(5):
        capture.write([{"n": n}], NOW, f"id-{n}")
    assert (capture.status()["pending"], capture.status()["lost"]) == (3, 2)
    store.down = False
    watch.seconds += FIRST_PAUSE_SECONDS
    capture.write([{"n": 5}], NOW, "id-5")
    assert captured(store) == [2, 3, 4, 5]
