"""The audit finds what was deleted, edited or inserted, and accuses nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from stillgood.domain.promotion.decision import Proposal
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import POINTER_KEY, decision_key, request_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry
from stillgood.testing.faulty import Crashed, FaultyObjectStore

Make = Callable[[str, str], Proposal]


@pytest.fixture
def log(promotion: Make, refusal: Make) -> MemoryObjectStore:
    """promote A, refuse B, promote C, refuse D, promote E."""
    store = MemoryObjectStore()
    for number, version in enumerate("ABCDE", start=1):
        make = promotion if number % 2 else refusal
        Registry(store).decide(
            f"r{number}", lambda head, make=make, version=version, number=number: make(version, f"r{number}")
        )
    assert verify(store) == ()
    return store


def edit(store: ObjectStore, n: int, changes: dict[str, Any]) -> None:
    raw = json.loads(store.get(decision_key(n)).data)
    store.put(decision_key(n), encode(raw | changes))


def problems_in(store: ObjectStore) -> list[tuple[str, str]]:
    return [(problem.kind, problem.key) for problem in verify(store)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_deleted_record_is_found(log: MemoryObjectStore, n: int) -> None:
    log.delete(decision_key(n))
    assert problems_in(log) == [("deleted", decision_key(n))]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_record_deleted_with_its_index_is_found(log: MemoryObjectStore, n: int) -> None:
    log.delete(decision_key(n))
    log.delete(request_key(f"r{n}"))
    problems = problems_in(log)
    # The last one leaves no gap, but its pointer is in force.
    assert problems[0] == (("deleted", decision_key(n)) if n < 5 else ("pointer", POINTER_KEY))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {"reasons": ["because"]},
        {"at": "2020-01-01T00:00:00Z"},
        {"candidate": "X"},
        {"action": "rollback"},
        {"pointer_after": None},
        {"n": 9},
        {"format_version": 2},
    ],
)
def test_an_edited_record_is_found(log: MemoryObjectStore, n: int, changes: dict[str, Any]) -> None:
    before = log.get(decision_key(n)).data
    edit(log, n, changes)
    assert problems_in(log) == ([("edited", decision_key(n))] if log.get(decision_key(n)).data != before else [])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_record_edited_with_its_index_is_found_by_its_successor(log: MemoryObjectStore, n: int) -> None:
    edit(log, n, {"reasons": ["because"]})
    entry = json.loads(log.get(request_key(f"r{n}")).data)
    log.put(request_key(f"r{n}"), encode(entry | {"sha256": sha256(log.get(decision_key(n)).data)}))
    assert problems_in(log) == [("edited", decision_key(n + 1))]


def test_a_garbled_record_is_found(log: MemoryObjectStore) -> None:
    log.put(decision_key(3), b"\xff")
    assert problems_in(log) == [("edited", decision_key(3))]


def test_an_inserted_record_is_found(log: MemoryObjectStore, promotion: Make) -> None:
    """Put at the end, or in the middle by moving the others up."""
    other = MemoryObjectStore()
    for number in range(1, 7):
        Registry(other).decide(f"x{number}", lambda head, number=number: promotion("X", f"x{number}"))
    log.put(decision_key(6), other.get(decision_key(6)).data)
    assert problems_in(log) == [("inserted", decision_key(6))]
    log.put(decision_key(6), log.get(decision_key(5)).data)
    log.put(decision_key(5), log.get(decision_key(4)).data)
    log.put(decision_key(4), other.get(decision_key(4)).data)
    assert ("edited", decision_key(4)) in problems_in(log)
    assert ("inserted", decision_key(6)) in problems_in(log)


def test_a_record_that_no_request_asked_for_is_found(log: MemoryObjectStore) -> None:
    log.delete(request_key("r2"))
    assert problems_in(log) == [("inserted", decision_key(2))]


def test_a_second_decision_for_one_request_is_found(log: MemoryObjectStore) -> None:
    head = Registry(log).recover()
    again = Proposal("t", "refuse", "r2", "B", ("again",))
    Registry(log).record(head, again)
    assert problems_in(log) == [("inserted", decision_key(6))]


def test_an_index_that_names_another_decision_is_found(log: MemoryObjectStore) -> None:
    log.put(request_key("r2"), log.get(request_key("r3")).data)
    assert ("index", request_key("r2")) in problems_in(log)
    log.put(request_key("r2"), b"{}")
    assert ("index", request_key("r2")) in problems_in(log)


def test_a_pointer_that_no_decision_explains_is_found(log: MemoryObjectStore) -> None:
    whole = log.get(POINTER_KEY).data
    log.put(POINTER_KEY, encode(json.loads(whole) | {"version": "X"}))
    assert problems_in(log) == [("pointer", POINTER_KEY)]
    log.put(POINTER_KEY, b"")
    assert problems_in(log) == [("pointer", POINTER_KEY)]
    log.delete(POINTER_KEY)
    assert problems_in(log) == [("pointer", POINTER_KEY)]
    log.put(POINTER_KEY, whole)
    assert problems_in(log) == []


def test_a_writer_between_its_writes_is_no_problem(log: MemoryObjectStore, promotion: Make) -> None:
    for at in (2, 3, 4):
        for when in ("before", "after"):
            copy = MemoryObjectStore()
            for info in log.list(""):
                copy.put(info.key, log.get(info.key).data)
            with pytest.raises(Crashed):
                Registry(FaultyObjectStore(copy, at, when)).decide("r6", lambda head: promotion("F", "r6"))  # type: ignore[arg-type]  # literals
            assert problems_in(copy) == []


def test_a_log_that_grows_during_the_audit_is_read_again(log: MemoryObjectStore, promotion: Make) -> None:
    grown = []

    class Growing(FaultyObjectStore):
        def list(self, prefix: str, start_after: str = ""):
            rows = list(self.inner.list(prefix, start_after))
            if not grown:  # right after the records were listed
                grown.append(True)
                for number in (6, 7):
                    Registry(log).decide(f"r{number}", lambda head, number=number: promotion("F", f"r{number}"))
            return iter(rows)

    assert verify(Growing(log)) == ()


def test_inputs_that_are_gone_or_changed_are_named(promotion: Make) -> None:
    store = MemoryObjectStore()
    store.put("models/A/model.json", b"1")
    store.put("models/A/holdout.json", b"2")
    inputs = {
        "candidate": {"key": "models/A/model.json", "sha256": sha256(b"1")},
        "holdout": {"key": "models/A/holdout.json", "sha256": sha256(b"2")},
        "rows": 7,
    }
    draft = Proposal("t", "refuse", "r1", "A", ("no",), inputs=inputs)
    decision = Registry(store).record(Registry(store).recover(), draft)
    assert check_inputs(store, decision) == ()
    store.put("models/A/model.json", b"tampered")
    store.delete("models/A/holdout.json")
    assert [(problem.kind, problem.key, "changed" in problem.detail) for problem in check_inputs(store, decision)] == [
        ("input", "models/A/model.json", True),
        ("input", "models/A/holdout.json", False),
    ]
