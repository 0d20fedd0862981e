"""Decisions and pointers survive being written and read, and nothing malformed passes for one."""

from typing import Any

import pytest
from stillgood.domain.promotion.decision import Decision, Pointer, PointerMark, Proposal, Release, decided

A = Release("A", "models/A/model.json", "a" * 64, "models/A/reference.json", {"roc_auc": 0.84}, 0.5)
B = Release(
    "B", "models/B/model.json", "b" * 64, "models/B/reference.json", {"roc_auc": 0.86}, 1
)  # an int, as JSON may say
FIRST = decided(
    Proposal("t1", "promote", "r1", "A", ("better",), release=A), n=1, prev_sha256=None, champion=None, before=None
)
SECOND = decided(
    Proposal("t2", "rollback", "r2", "B", ("worse",), {"gain": 1}, {"model": {"key": "k", "sha256": "s"}}, release=B),
    n=2,
    prev_sha256="1" * 64,
    champion=FIRST.pointer_after,
    before=PointerMark(1, "2" * 64),
)
REFUSAL = decided(
    Proposal("t3", "refuse", "r3", None, ()),
    n=3,
    prev_sha256="3" * 64,
    champion=SECOND.pointer_after,
    before=PointerMark(2, "4" * 64),
)


@pytest.mark.parametrize("decision", [FIRST, SECOND, REFUSAL])
def test_a_decision_is_read_as_it_was_written(decision: Decision) -> None:
    again = Decision.from_dict(decision.to_dict())
    assert again == decision
    assert Decision.from_dict(again.to_dict()).to_dict() == again.to_dict()


def test_the_pointer_counts_on_and_remembers_the_one_before() -> None:
    assert FIRST.pointer_after == Pointer(
        "A",
        A.model_key,
        A.model_sha256,
        A.reference_key,
        A.metrics,
        0.5,
        generation=1,
        decision=1,
        promoted_at="t1",
        previous=None,
    )
    after = SECOND.pointer_after
    assert after is not None
    assert (after.version, after.generation, after.decision, after.promoted_at, after.previous) == ("B", 2, 2, "t2", A)
    assert after.release == B


def test_a_refusal_points_nowhere() -> None:
    assert REFUSAL.pointer_after is None
    assert REFUSAL.pointer_before == PointerMark(2, "4" * 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 0},
        {"n": True},
        {"n": "1"},
        {"action": "delete"},
        {"request_id": 3},
        {"reasons": [3]},
        {"reasons": None},
        {"pointer_after": {}},
        {"pointer_before": {"generation": 0, "sha256": ""}},
        {"figures": 3},
        {"prev_sha256": 3},
    ],
)
def test_what_is_no_decision_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Decision.from_dict(SECOND.to_dict() | changes)


@pytest.mark.parametrize("missing", sorted(set(SECOND.to_dict()) - {"format", "format_version"}))
def test_every_part_of_a_decision_is_needed(missing: str) -> None:
    raw = SECOND.to_dict()
    del raw[missing]
    with pytest.raises(KeyError, match=missing):
        Decision.from_dict(raw)
