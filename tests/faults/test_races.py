"""Rounds of writers at once, on a store with atomic conditional writes: one winner each, and losers who say why."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from stillgood.domain.errors import PreconditionFailed
from stillgood.domain.promotion.decision import Proposal
from stillgood.steps.monitor.monitor import monitor
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.audit import verify
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import iso
from stillgood.testing.fakes import FakeInvoker

from tests.faults import story

ROUNDS, WRITERS = 200, 50


def at_once(acts):
    """Runs all acts at once; returns what each returned."""
    barrier = threading.Barrier(len(acts))

    def run(act):
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def copy(store):
    again = MemoryObjectStore()
    for info in store.list(""):
        again.put(info.key, store.get(info.key).data)
    return again


def one_line(store):
    """Checks that each decision builds on the champion before it; returns the decisions."""
    Registry(store).recover()
    assert verify(store) == ()
    decisions = list(Registry(store).decisions())
    generation = 0
    for decision in decisions:
        assert (decision.pointer_before.generation if decision.pointer_before else 0) == generation
        generation = decision.pointer_after.generation if decision.pointer_after else generation
    assert (Registry(store).pointer().generation if generation else 0) == generation
    return decisions


@pytest.fixture(scope="module")
def before():
    return story.write(MemoryObjectStore())


def test_of_fifty_promoters_and_rollbacks_one_wins_each_round(before, count):
    """All have seen the same champion. The winners go A -> B -> A many times."""
    store, order = copy(before), random.Random(1)
    releases = [decision.pointer_after.release for decision in Registry(store).decisions()]
    winners: list[str] = []
    wrong = 0
    for number in range(ROUNDS):
        head = Registry(store).recover()

        def compete(writer, number=number, head=head):
            back = writer % 5 == 0
            release = head.pointer.previous if back else releases[writer % 2]
            action = "rollback" if back else "promote"
            draft = Proposal(iso(story.NOW), action, f"{number}:{writer}", release.version, ("why",), release=release)
            try:
                Registry(store).record(head, draft)
            except PreconditionFailed as error:
                return error.detail
            return None

        acts = [lambda writer=writer: compete(writer) for writer in range(WRITERS)]
        order.shuffle(acts)
        errors = at_once(acts)
        wrong += errors.count(None) != 1
        assert all("was taken by another writer; decide again" in said for said in errors if said)
        winners.append(Registry(store).pointer().version)
    count("races: rounds of 50 promoters and rollbacks", ROUNDS, ">= 200")
    count("races: rounds with other than one winner", wrong, "== 0")
    assert wrong == 0
    decisions = one_line(store)
    assert len(decisions) == 2 + ROUNDS
    assert Registry(store).pointer().generation == 2 + ROUNDS
    there_and_back = sum(a == c != b for a, b, c in zip(winners, winners[1:], winners[2:], strict=False))
    assert there_and_back > 0
    count("races: A -> B -> A", there_and_back, ">= 1")


@pytest.mark.parametrize("seed", range(20))
def test_doubled_and_reordered_events_are_each_decided_once(seed, before, count):
    """Asynchronous invocation delivers at least once and in any order: here all at once, through the real steps and
    gate.
    """
    store = copy(before)
    deps = PromoteDeps(store, lambda: story.NOW)
    events = [
        story.PROMOTE,
        story.REFUSE,
        story.ROLLBACK,
        story.PROMOTE | {"request_id": "again"},
        story.ROLLBACK | {"request_id": "to v0", "to": "v0"},
    ] * 2
    random.Random(seed).shuffle(events)
    acts = [
        lambda event=event: (roll_back if event["action"] == "rollback" else promote)(event, deps) for event in events
    ]
    answers = at_once(acts)
    assert Counter(answer["duplicate"] for answer in answers) == {False: 5, True: 5}
    decisions = one_line(store)
    assert sorted(decision.request_id for decision in decisions[2:]) == sorted(
        {event["request_id"] for event in events}
    )
    for answer in answers:
        decision = decisions[answer["decision"] - 1]
        assert tuple(answer["reasons"]) == decision.reasons  # a duplicate and a loser tell what was decided in the end
        assert decision.reasons
    assert len({answer["decision"] for answer in answers}) == 5
    count("races: doubled, reordered events decided once", len(events), ">= 200")


@pytest.mark.parametrize("seed", range(20))
def test_of_two_monitors_on_one_window_one_judges_it(seed, before, count):
    """10 windows each, two monitors at once; what they ask train for is one request, however often it is sent."""
    store = copy(before)
    for number in range(10):
        scheduled = story.TODAY - timedelta(hours=9 - number + 10 * seed)
        invoker = FakeInvoker()
        event = {"scheduled_time": iso(scheduled)}
        answers = at_once([lambda event=event, invoker=invoker: monitor(event, story.watching(store, invoker))] * 2)
        assert sorted(answer["duplicate"] for answer in answers) == [False, True]
        assert len({answer["report"] for answer in answers}) == 1
        assert len(list(store.list(answers[0]["report"]))) == 1
        assert len({answer["result"] for answer in answers}) == 1
        for effect in ("monitor:", "point:"):
            requests = {event["request_id"] for _, event in invoker.events if event["request_id"].startswith(effect)}
            assert len(requests) <= 1
    rows = [store.get(info.key).data for info in store.list("data/2026-10-21/labels-")]
    joined = [line.split(b",")[0] for data in rows for line in data.splitlines()[1:]]
    assert sorted(joined) == sorted(set(joined))
    assert len(joined) == len(story.LABELS)
    count("races: rounds of two monitors on one window", 10, ">= 200")
