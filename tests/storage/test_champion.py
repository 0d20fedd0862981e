"""The prediction path always has the last good champion, whole, and says when it is not the newest."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stillgood.domain.contract.contract import Contract, Feature, Target
from stillgood.domain.errors import DocumentUnusable, NoChampion, StillgoodError, StoreUnavailable
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.artifacts import publish
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, POINTER_KEY, REFERENCE, artifact_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore, Stored
from stillgood.storage.registry import Registry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTRACT = Contract("tiny", "1", None, None, Target("churn", "Yes", "No"), (Feature("age", "numeric"),))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Watched(MemoryObjectStore):
    """Counts reads, and answers with ``down`` instead while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.down: StillgoodError | None = None

    def get(self, key: str) -> Stored:
        self.reads.append(key)
        if self.down is not None:
            raise self.down
        return super().get(key)

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        self.reads.append(f"{key}?")
        if self.down is not None:
            raise self.down
        stored = MemoryObjectStore.get(self, key)
        return None if stored.etag == etag else stored


def model_bytes(version: str, **changes: Any) -> bytes:
    model = Model(version, CONTRACT, (NumericTerm("age", 40.0, 10.0, 0.5),), -0.25, 0.0, Calibration(1.0, 0.0))
    return encode(model.to_dict() | changes)


def promote(store: ObjectStore, version: str, data: bytes | None = None, model_sha256: str | None = None) -> None:
    data = model_bytes(version) if data is None else data
    store.put(artifact_key(version, MODEL), data)
    release = Release(
        version, artifact_key(version, MODEL), model_sha256 or sha256(data), artifact_key(version, REFERENCE), {}, 0.5
    )
    registry = Registry(store)
    head = registry.recover()
    registry.record(head, Proposal("2026-11-24T00:00:00Z", "promote", f"r{head.n}", version, (), release=release))


@pytest.fixture
def watched() -> Watched:
    store = Watched()
    promote(store, "A")
    store.reads.clear()
    return store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(watched: Watched, clock: Clock) -> ChampionSource:
    return ChampionSource(watched, clock, ttl_seconds=10)


def test_a_champion_is_loaded_with_two_reads(watched: Watched, source: ChampionSource) -> None:
    champion = source.current()
    assert (champion.pointer.version, champion.model.version) == ("A", "A")
    assert watched.reads == [POINTER_KEY, artifact_key("A", MODEL)]


def test_then_one_conditional_read_per_ttl(watched: Watched, source: ChampionSource, clock: Clock) -> None:
    first = source.current()
    watched.reads.clear()
    for _ in range(100):
        clock.later(0.25)
        assert source.current() is first
    assert watched.reads == [f"{POINTER_KEY}?"] * 2
    assert source.status().checked_at == NOON + timedelta(seconds=20)


def test_a_promotion_is_picked_up_after_the_ttl(store: ObjectStore, clock: Clock) -> None:
    promote(store, "A")
    source = ChampionSource(store, clock, ttl_seconds=10)
    assert source.current().model.version == "A"
    promote(store, "B")
    clock.later(9.9)
    assert source.current().model.version == "A"
    clock.later(0.1)
    champion = source.current()
    assert (champion.pointer.version, champion.model.version, champion.pointer.generation) == ("B", "B", 2)
    assert source.status().loaded_at == clock.now


def test_a_rollback_to_the_loaded_model_reads_no_model_again(
    watched: Watched, source: ChampionSource, clock: Clock
) -> None:
    """A -> B -> A between two looks: a new generation, the same model."""
    first = source.current()
    promote(watched, "B")
    promote(watched, "A")
    watched.reads.clear()
    clock.later(10)
    champion = source.current()
    assert champion.model is first.model
    assert champion.pointer.generation == 3
    assert watched.reads == [f"{POINTER_KEY}?"]


def test_without_a_ttl_every_call_looks(watched: Watched, clock: Clock) -> None:
    source = ChampionSource(watched, clock, ttl_seconds=0)
    source.current()
    promote(watched, "B")
    assert source.current().model.version == "B"


def test_the_first_start_without_a_champion_says_how_to_get_one(store: ObjectStore, clock: Clock) -> None:
    source = ChampionSource(store, clock, ttl_seconds=10)
    with pytest.raises(NoChampion, match="promote"):
        source.current()
    assert source.status().version is None
    assert source.status().stale
    promote(store, "A")
    assert source.current().model.version == "A"  # at once: nobody waits a ttl for the first champion
    assert not source.status().stale


DAMAGE: dict[str, Callable[[Watched], None]] = {
    "the store is down": lambda store: setattr(store, "down", StoreUnavailable("S3 does not answer.")),
    "the model is missing": lambda store: (promote(store, "B"), store.delete(artifact_key("B", MODEL)))[-1],
    "the model is truncated": lambda store: promote(store, "B", model_bytes("B")[:-40], sha256(model_bytes("B"))),
    "the model was truncated before it was promoted": lambda store: promote(store, "B", model_bytes("B")[:-40]),
    "the model is tampered with": lambda store: promote(
        store, "B", model_bytes("B", baseline=9.0), sha256(model_bytes("B"))
    ),
    "the model is from the future": lambda store: promote(store, "B", model_bytes("B", format_version=2)),
    "the model is another one": lambda store: promote(store, "B", model_bytes("C")),
    "the model is no model": lambda store: promote(store, "B", b"[]"),
    "the model lacks a part": lambda store: promote(store, "B", model_bytes("B", terms=None)),
    "the model has a number that is none": lambda store: promote(store, "B", model_bytes("B", baseline="0.5")),
    "the model is nested deeply": lambda store: promote(store, "B", b'{"a":' * 100_000),
    "the pointer is gone": lambda store: store.delete(POINTER_KEY),
    "the pointer is empty": lambda store: store.put(POINTER_KEY, b"") and None,
    "the pointer is garbled": lambda store: (
        store.put(POINTER_KEY, b'{"format":"stillgood.production","format_version":1}') and None
    ),
    "the pointer is from the future": lambda store: (
        store.put(POINTER_KEY, b'{"format":"stillgood.production","format_version":2}') and None
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_breaks_the_last_good_champion_serves_says_so_and_recovers(
    watched: Watched, source: ChampionSource, clock: Clock, damage: str
) -> None:
    good = source.current()
    DAMAGE[damage](watched)
    clock.later(10)
    assert source.current() is good
    broken = source.status()
    assert (broken.stale, broken.version, broken.since, broken.failures) == (True, "A", clock.now, 1)
    assert broken.last_error
    clock.later(10)
    assert source.current() is good
    assert source.status().since == broken.since
    assert source.status().failures == 2
    watched.down = None
    Registry(watched).recover()
    promote(watched, "D")
    clock.later(10)
    assert source.current().model.version == "D"
    well = source.status()
    assert (well.stale, well.last_error, well.since, well.failures, well.version) == (False, None, None, 0, "D")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_first_start_on_damage_is_an_error_that_says_what(watched: Watched, clock: Clock, damage: str) -> None:
    DAMAGE[damage](watched)
    source = ChampionSource(watched, clock, ttl_seconds=10)
    with pytest.raises((NoChampion, DocumentUnusable, StoreUnavailable)) as caught:
        source.current()
    assert source.status().last_error == caught.value.detail


def test_a_store_that_is_down_is_asked_once_per_ttl(watched: Watched, source: ChampionSource, clock: Clock) -> None:
    source.current()
    watched.down = StoreUnavailable("slow")
    clock.later(10)
    watched.reads.clear()
    for _ in range(99):
        source.current()
        clock.later(0.1)
    assert len(watched.reads) == 1


def test_a_clock_that_is_set_back_does_not_freeze_the_champion(
    watched: Watched, source: ChampionSource, clock: Clock
) -> None:
    source.current()
    promote(watched, "B")
    clock.later(-3600)
    assert source.current().model.version == "B"


def test_while_one_thread_looks_the_others_serve_what_they_have(watched: Watched, clock: Clock) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Watched):
        def get_if_changed(self, key: str, etag: str) -> Stored | None:
            entered.set()
            assert leave.wait(10)
            return watched.get_if_changed(key, etag)

        def get(self, key: str) -> Stored:
            return watched.get(key)

    source = ChampionSource(Slow(), clock, ttl_seconds=10)
    source.current()
    promote(watched, "B")
    clock.later(10)
    looker = threading.Thread(target=source.current)
    looker.start()
    assert entered.wait(10)
    assert source.current().model.version == "A"
    leave.set()
    looker.join()
    assert source.current().model.version == "B"


def test_over_a_thousand_promotions_no_request_fails_or_mixes_versions(watched: Watched, clock: Clock) -> None:
    for version in "BC":
        watched.put(artifact_key(version, MODEL), model_bytes(version))
    releases = [
        Release(version, artifact_key(version, MODEL), sha256(model_bytes(version)), "", {}, 0.5) for version in "ABC"
    ]
    source = ChampionSource(watched, clock, ttl_seconds=0)
    done = threading.Event()
    served: set[str] = set()
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            while not done.is_set():
                champion = source.current()
                assert champion.pointer.version == champion.model.version
                served.add(champion.pointer.version)
                time.sleep(0.0005)  # lets the promoter get on
        except BaseException as error:  # reported below, in the main thread
            errors.append(error)

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    registry = Registry(watched)
    for number in range(1000):
        head = registry.recover()
        registry.record(head, Proposal("t", "promote", f"q{number}", None, (), release=releases[number % 3]))
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert served == {"A", "B", "C"}
    assert source.current().pointer.generation == 1001


def test_a_published_version_can_be_promoted_and_served(watched: Watched, source: ChampionSource, clock: Clock) -> None:
    assert publish(watched, "P", {MODEL: model_bytes("P"), REFERENCE: b"{}"})
    promote(watched, "P")
    assert source.current().model.score({"age": 50.0}).logit == 0.25


def test_the_cold_start_imports_nothing_heavy() -> None:
    code = "import sys, json, stillgood.storage.champion; print(json.dumps(sorted(sys.modules)))"
    modules = set(
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    )
    assert not modules & {
        "numpy",
        "scipy",
        "pandas",
        "sklearn",
        "mlflow",
        "boto3",
        "botocore",
        "pydantic",
        "logging",
        "fastapi",
        "asyncio",
    }
