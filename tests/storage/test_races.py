"""Many promoters and rollbacks at once, on the store in memory: its conditional writes are atomic, moto's are not."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from stillgood.domain.errors import PreconditionFailed
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.audit import verify
from stillgood.storage.keys import POINTER_KEY
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectInfo, ObjectStore, Stored
from stillgood.storage.records import read_pointer
from stillgood.storage.registry import LogHead, Registry

Make = Callable[[str, str], Proposal]


class Jittery(MemoryObjectStore):
    """Lets other threads in before each call, so that calls of different writers really interleave."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def get(self, key: str) -> Stored:
        self._yield()
        return super().get(key)

    def create(self, key: str, data: bytes) -> str:
        self._yield()
        return super().create(key, data)

    def swap(self, key: str, data: bytes, etag: str) -> str:
        self._yield()
        return super().swap(key, data, etag)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        self._yield()
        return super().list(prefix, start_after)

    def _yield(self) -> None:
        time.sleep(0 if self._random.random() < 0.7 else 0.0002)


def together(acts: list[Callable[[], None]]) -> None:
    barrier = threading.Barrier(len(acts))
    errors: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        barrier.wait()
        try:
            act()
        except BaseException as error:  # reported below, in the main thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def assert_history_is_one_line(store: ObjectStore) -> None:
    """Every decision builds on the champion that the one before left in force, and the pointer is the last of them."""
    registry = Registry(store)
    registry.recover()
    assert verify(store) == ()
    generation, version = 0, None
    for decision in registry.decisions():
        assert (decision.pointer_before.generation if decision.pointer_before else 0) == generation
        if decision.pointer_after is not None:
            assert (decision.pointer_after.previous.version if decision.pointer_after.previous else None) == version
            generation, version = decision.pointer_after.generation, decision.pointer_after.version
    pointer = registry.pointer()
    assert (pointer.version if pointer else None, pointer.generation if pointer else 0) == (version, generation)


def test_of_fifty_promoters_each_slot_has_one_winner_and_losers_decide_again(promotion: Make) -> None:
    store = Jittery(1)
    tried: Counter[str] = Counter()

    def promoter(number: int) -> Callable[[], None]:
        def decide(head: LogHead) -> Proposal:
            tried[f"r{number}"] += 1
            return promotion(f"v{number}", f"r{number}")

        return lambda: Registry(store).decide(f"r{number}", decide) and None

    together([promoter(number) for number in range(50)])
    assert len(list(Registry(store).decisions())) == 50
    assert sum(tried.values()) > 50  # there were losers
    assert_history_is_one_line(store)


@pytest.mark.parametrize("seed", range(20))
def test_promotions_against_rollbacks_over_rounds(seed: int, promotion: Make) -> None:
    """10 rounds each: one slot, two promoters, a rollback and a duplicate. One winner a round; losers say why; A -> B
    -> A appears.
    """
    store = Jittery(seed)
    Registry(store).decide("first", lambda head: promotion("A", "first"))
    for number in range(10):
        head = Registry(store).recover()
        assert head.pointer is not None
        back = head.pointer.previous or head.pointer.release
        drafts = [
            promotion("A", f"{number}:1"),
            promotion("B", f"{number}:2"),
            replace(promotion("A", f"{number}:3"), action="rollback", release=back),
            promotion("A", f"{number}:1"),
        ]
        won: list[str] = []
        lost: list[str] = []

        def compete(draft: Proposal, head: LogHead = head, won: list[str] = won, lost: list[str] = lost) -> None:
            try:
                Registry(store).record(head, draft)
                won.append(draft.request_id)
            except PreconditionFailed as error:
                lost.append(error.detail)

        together([lambda draft=draft: compete(draft) for draft in drafts])
        assert len(won) == 1
        assert len(lost) == 3
        assert all("decide again" in reason for reason in lost)
    assert len(list(Registry(store).decisions())) == 11
    assert_history_is_one_line(store)


@pytest.mark.parametrize("seed", range(20))
def test_ten_duplicates_of_one_event_are_decided_once(seed: int, promotion: Make) -> None:
    store = Jittery(seed)
    new: list[bool] = []
    together([lambda: new.append(Registry(store).decide("r1", lambda head: promotion("A", "r1"))[1])] * 10)
    assert sorted(new) == [False] * 9 + [True]
    assert len(list(Registry(store).decisions())) == 1
    assert_history_is_one_line(store)


def test_a_writer_that_slept_through_a_b_a_cannot_put_its_old_pointer_in_force(promotion: Make) -> None:
    """It read A's pointer and the log, fell asleep, and woke when A was champion again, by another generation."""
    store = MemoryObjectStore()
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    asleep, awake = threading.Event(), threading.Event()

    class Sleeper(MemoryObjectStore):
        def __getattribute__(self, name: str) -> object:
            return getattr(store, name) if name != "swap" else object.__getattribute__(self, name)

        def swap(self, key: str, data: bytes, etag: str) -> str:
            asleep.set()
            assert awake.wait(10)
            return store.swap(key, data, etag)

    sleeper = threading.Thread(target=lambda: Registry(Sleeper()).decide("r2", lambda head: promotion("B", "r2")))
    sleeper.start()
    assert asleep.wait(10)  # B's record is in the log, its pointer is not in force
    registry.decide("r3", lambda head: promotion("A", "r3"))
    awake.set()
    sleeper.join()
    pointer = registry.pointer()
    assert pointer is not None
    assert (pointer.version, pointer.generation, pointer.decision) == ("A", 3, 3)
    assert_history_is_one_line(store)


def test_readers_only_ever_see_a_whole_pointer_and_never_an_older_one(promotion: Make) -> None:
    store = Jittery(3)
    Registry(store).decide("r0", lambda head: promotion("v0", "r0"))
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not done.is_set():
            seen.append(read_pointer(store.get(POINTER_KEY)).generation)

    def write() -> None:
        for number in range(1, 60):
            Registry(store).decide(f"r{number}", lambda head, number=number: promotion(f"v{number}", f"r{number}"))
        done.set()

    together([read, write])
    assert seen == sorted(seen)
    assert len(seen) > 60


def test_the_draft_of_a_loser_never_carries_the_generation_it_was_first_decided_on(
    promotion: Make, release: Callable[[str], Release]
) -> None:
    store = MemoryObjectStore()
    registry = Registry(store)
    heads: list[int] = []

    def decide(head: LogHead) -> Proposal:
        heads.append(head.n)
        if len(heads) < 4:
            Registry(store).record(head, promotion(f"faster{head.n}", f"faster{head.n}"))
        return promotion("B", "r")

    decision, _ = registry.decide("r", decide)
    assert heads == [0, 1, 2, 3]
    assert decision.pointer_after is not None
    assert (decision.pointer_after.generation, decision.pointer_after.decision) == (4, 4)
    assert decision.pointer_after.previous == release("faster2")
