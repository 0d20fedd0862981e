"""The decision log is the truth, and the champion pointer is its view: through crashes, duplicates and damage."""

import json
from collections.abc import Callable
from typing import Literal

import pytest
from stillgood.domain.errors import DocumentUnusable, PreconditionFailed, StoreUnavailable
from stillgood.domain.promotion.decision import Pointer, Proposal, Release
from stillgood.storage.audit import verify
from stillgood.storage.codec import encode
from stillgood.storage.keys import POINTER_KEY, decision_key, decision_number, request_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import LogHead, Registry
from stillgood.testing.faulty import Crashed, FaultyObjectStore

Make = Callable[[str, str], Proposal]


def version_in_force(store: ObjectStore) -> str | None:
    pointer = Registry(store).pointer()
    return None if pointer is None else pointer.version


def test_an_empty_registry_has_no_champion(store: ObjectStore) -> None:
    registry = Registry(store)
    assert registry.recover() == LogHead(0, None, None, None)
    assert registry.pointer() is None
    assert registry.find("r1") is None
    assert list(registry.decisions()) == []
    assert verify(store) == ()


def test_a_promotion_is_recorded_and_in_force(
    store: ObjectStore, promotion: Make, release: Callable[[str], Release]
) -> None:
    registry = Registry(store)
    decision = registry.record(registry.recover(), promotion("A", "r1"))
    pointer = Pointer(
        **{name: getattr(release("A"), name) for name in Release.__slots__},
        generation=1,
        decision=1,
        promoted_at="2026-11-24T00:00:00Z",
        previous=None,
    )
    assert decision.pointer_after == registry.pointer() == pointer
    assert (decision.n, decision.prev_sha256, decision.pointer_before) == (1, None, None)
    assert list(registry.decisions()) == [decision]
    assert registry.find("r1") == decision


def test_a_refusal_leaves_the_champion(store: ObjectStore, promotion: Make, refusal: Make) -> None:
    registry = Registry(store)
    registry.record(registry.recover(), refusal("Z", "r0"))
    assert registry.pointer() is None
    registry.record(registry.recover(), promotion("A", "r1"))
    before = store.get(POINTER_KEY)
    registry.record(registry.recover(), refusal("B", "r2"))
    registry.record(registry.recover(), refusal("C", "r3"))
    assert store.get(POINTER_KEY) == before
    assert [decision.action for decision in registry.decisions()] == ["refuse", "promote", "refuse", "refuse"]
    assert registry.recover().n == 4
    assert verify(store) == ()


def test_generations_count_every_change_of_champion(store: ObjectStore, promotion: Make, refusal: Make) -> None:
    """A -> B -> A: the third is another generation, its bytes are new, and so is its ETag."""
    registry = Registry(store)
    etags = set()
    for number, version in enumerate(["A", "B", "A"], start=1):
        registry.record(registry.recover(), promotion(version, f"r{number}"))
        pointer = registry.pointer()
        assert pointer is not None
        assert (pointer.version, pointer.generation, pointer.decision) == (version, number, number)
        etags.add(store.get(POINTER_KEY).etag)
    assert len(etags) == 3
    assert pointer.previous is not None
    assert pointer.previous.version == "B"


def test_the_loser_of_a_slot_decides_again_on_the_new_champion(store: ObjectStore, promotion: Make) -> None:
    registry = Registry(store)
    stale = registry.recover()
    registry.record(stale, promotion("A", "r1"))
    with pytest.raises(PreconditionFailed, match="decide again"):
        registry.record(stale, promotion("B", "r2"))
    assert registry.find("r2") is None
    seen = []

    def decide(head: LogHead) -> Proposal:
        seen.append(head.pointer.version if head.pointer else None)
        if len(seen) == 1:  # another writer is faster
            Registry(store).record(head, promotion("C", "r3"))
        return promotion("B", "r2")

    decision, new = registry.decide("r2", decide)
    assert seen == ["A", "C"]
    assert new
    assert decision.pointer_after is not None
    assert decision.pointer_after.generation == 3


def test_a_duplicate_gets_the_first_answer_in_two_reads(promotion: Make) -> None:
    """However long the log: the index names the decision."""
    store = MemoryObjectStore()
    registry = Registry(store)
    first, new = registry.decide("r0", lambda head: promotion("v0", "r0"))
    assert new
    for number in range(1, 30):
        registry.decide(f"r{number}", lambda head, number=number: promotion(f"v{number}", f"r{number}"))
    reads: list[str] = []

    class Counting(FaultyObjectStore):
        def get(self, key: str):
            reads.append(key)
            return self.inner.get(key)

    assert Registry(Counting(store)).find("r0") == first
    assert reads == [request_key("r0"), decision_key(1)]
    again, new = registry.decide("r0", lambda head: pytest.fail("a duplicate must not decide"))
    assert (again, new) == (first, False)
    assert registry.recover().n == 30


def test_a_request_id_may_hold_anything(promotion: Make) -> None:
    registry = Registry(MemoryObjectStore())
    for request_id in ["", "../../x", "é 🙂", "\ud800", "a" * 10_000, "monitor:20261123T000000Z_20261124T000000Z"]:
        decision, _ = registry.decide(request_id, lambda head, request_id=request_id: promotion("A", request_id))
        assert registry.find(request_id) == decision
        assert decision.request_id == request_id


def test_a_decision_needs_a_release_unless_it_refuses(release: Callable[[str], Release]) -> None:
    with pytest.raises(ValueError, match="needs"):
        Proposal("t", "promote", "r", "A", ())
    with pytest.raises(ValueError, match="has no"):
        Proposal("t", "refuse", "r", "A", (), release=release("A"))


# Crashes and outages, at every write


def every_fault(
    work: Callable[[ObjectStore], object], prepare: Callable[[ObjectStore], object]
) -> list[tuple[int, str, str]]:
    store = MemoryObjectStore()
    prepare(store)
    healthy = FaultyObjectStore(store)
    work(healthy)
    return [
        (at, when, how)
        for at in range(1, len(healthy.writes) + 1)
        for when in ("before", "after")
        for how in ("crash", "error")
    ]


def test_after_a_fault_at_any_write_the_champion_is_whole_and_a_retry_finishes(promotion: Make) -> None:
    def prepare(store: ObjectStore) -> None:
        Registry(store).decide("r1", lambda head: promotion("A", "r1"))

    def work(store: ObjectStore) -> bool:
        return Registry(store).decide("r2", lambda head: promotion("B", "r2"))[1]

    faults = every_fault(work, prepare)
    assert len(faults) == 4 * 2 * 2  # the index of 1 once more, the record, the pointer, its index
    for at, when, how in faults:
        store = MemoryObjectStore()
        prepare(store)
        with pytest.raises((Crashed, StoreUnavailable)):
            work(FaultyObjectStore(store, at, when, how))  # type: ignore[arg-type]  # literals of the list above
        assert version_in_force(store) in ("A", "B")
        assert verify(store) == (), (at, when, how)
        work(store)
        assert version_in_force(store) == "B"
        assert [decision.request_id for decision in Registry(store).decisions()] == ["r1", "r2"]
        assert verify(store) == ()


def test_after_a_fault_at_the_first_promotion_a_retry_finishes(promotion: Make) -> None:
    def work(store: ObjectStore) -> bool:
        return Registry(store).decide("r1", lambda head: promotion("A", "r1"))[1]

    for at, when, how in every_fault(work, lambda store: None):
        store = MemoryObjectStore()
        with pytest.raises((Crashed, StoreUnavailable)):
            work(FaultyObjectStore(store, at, when, how))  # type: ignore[arg-type]  # literals of the list above
        assert version_in_force(store) in (None, "A")
        work(store)
        assert version_in_force(store) == "A"
        assert len(list(Registry(store).decisions())) == 1
        assert verify(store) == ()


def test_another_request_finishes_the_job_of_a_crashed_one(store: ObjectStore, promotion: Make) -> None:
    """The crash came after the record and before the pointer: the decision stands, and the next writer puts it in
    force.
    """
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    crashing = FaultyObjectStore(store, at=3, when="before")
    with pytest.raises(Crashed, match=r"swap registry/production_metrics\.json"):
        Registry(crashing).decide("r2", lambda head: promotion("B", "r2"))
    assert version_in_force(store) == "A"
    assert [decision.n for decision in registry.decisions()] == [1, 2]
    seen = []

    def decide(head: LogHead) -> Proposal:
        seen.append(head.pointer.version if head.pointer else None)
        return promotion("C", "r3")

    registry.decide("r3", decide)
    assert seen == ["B"]
    decision = registry.find("r2")
    assert decision is not None
    assert decision.n == 2
    assert version_in_force(store) == "C"


def test_settling_a_settled_log_changes_nothing(store: ObjectStore, promotion: Make) -> None:
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    before = [(info.key, info.etag) for info in store.list("")]
    assert registry.recover() == registry.recover()
    assert [(info.key, info.etag) for info in store.list("")] == before


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        None,
        b"",
        b'{"format":"stillgood.production"',
        b"[]",
        b'{"a":NaN}',
        b'{"format":"stillgood.production","format_version":1}',
    ],
)
@pytest.mark.parametrize("last", ["promote", "refuse"])
def test_a_lost_or_garbled_pointer_is_restored_from_the_log(
    store: ObjectStore, promotion: Make, refusal: Make, damage: bytes | None, last: Literal["promote", "refuse"]
) -> None:
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    registry.decide("r2", lambda head: promotion("B", "r2"))
    if last == "refuse":
        registry.decide("r3", lambda head: refusal("C", "r3"))
    whole = store.get(POINTER_KEY)
    if damage is None:
        store.delete(POINTER_KEY)
    else:
        store.put(POINTER_KEY, damage)
    assert [problem.kind for problem in verify(store)] == ["pointer"]
    registry.recover()
    assert store.get(POINTER_KEY) == whole
    assert verify(store) == ()


def test_a_pointer_moved_by_hand_is_put_back(store: ObjectStore, promotion: Make) -> None:
    """The log is the truth; whoever wants another champion records a rollback."""
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    registry.decide("r2", lambda head: promotion("B", "r2"))
    first = next(registry.decisions()).pointer_after
    assert first is not None
    store.put(POINTER_KEY, encode(first.to_dict()))
    assert [problem.kind for problem in verify(store)] == ["pointer"]
    assert registry.recover().pointer == registry.pointer()
    assert version_in_force(store) == "B"
    store.put(POINTER_KEY, encode(first.to_dict() | {"generation": 99}))
    registry.recover()
    assert version_in_force(store) == "B"


def test_a_pointer_ahead_of_the_log_stops_every_decision(store: ObjectStore, promotion: Make) -> None:
    """Records were lost: to decide on would reuse their numbers. PredictDeps goes on."""
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    registry.decide("r2", lambda head: promotion("B", "r2"))
    store.delete(decision_key(2))
    with pytest.raises(DocumentUnusable, match="restore"):
        registry.recover()
    store.delete(decision_key(1))
    with pytest.raises(DocumentUnusable, match="restore"):
        registry.recover()
    assert version_in_force(store) == "B"


def test_an_inserted_record_is_not_put_in_force(store: ObjectStore, promotion: Make) -> None:
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    other = MemoryObjectStore()
    Registry(other).decide("x1", lambda head: promotion("X", "x1"))
    Registry(other).decide("x2", lambda head: promotion("Y", "x2"))
    store.put(decision_key(2), other.get(decision_key(2)).data)
    with pytest.raises(DocumentUnusable, match="does not continue the log"):
        registry.recover()
    assert version_in_force(store) == "A"


def test_a_record_of_another_version_of_the_code_stays_valid(
    store: ObjectStore, promotion: Make, refusal: Make
) -> None:
    """A later minor version writes one member more into pointers; this one neither drops it nor takes it for damage."""
    Registry(store).decide("r1", lambda head: promotion("A", "r1"))
    record = json.loads(store.get(decision_key(1)).data)
    record["pointer_after"]["later_member"] = 1
    store.put(decision_key(1), encode(record))
    store.put(POINTER_KEY, encode(record["pointer_after"]))
    store.delete(request_key("r1"))
    Registry(store).decide("r2", lambda head: refusal("B", "r2"))
    assert store.get(POINTER_KEY).data == encode(record["pointer_after"])
    Registry(store).decide("r3", lambda head: promotion("C", "r3"))
    assert verify(store) == ()


def test_strangers_under_the_prefix_are_no_records(store: ObjectStore, promotion: Make) -> None:
    registry = Registry(store)
    registry.decide("r1", lambda head: promotion("A", "r1"))
    for name in [
        "README",
        "2.json",
        "0000000002.json",
        "00000002.json.bak",
        "x/00000002.json",
        "+0000002.json",
        "00000000.json",
    ]:
        store.put(f"registry/decisions/{name}", b"?")
    assert registry.recover().n == 1
    assert decision_number("registry/decisions/123456789.json") == 123456789


def test_a_long_wait_for_a_slot_ends(promotion: Make) -> None:
    store = MemoryObjectStore()

    def hopeless(head: LogHead) -> Proposal:
        Registry(store).record(head, promotion("A", f"faster{head.n}"))
        return promotion("B", "r")

    with pytest.raises(StoreUnavailable, match="next number of the decision log 100 times"):
        Registry(store).decide("r", hopeless)
