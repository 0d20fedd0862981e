"""A fault before and after every single write of every step: the champion stays whole, and one retry leaves what a calm
run leaves.
"""

import json

import pytest
from stillgood.domain.errors import StoreUnavailable
from stillgood.storage.audit import verify
from stillgood.storage.champion import load_model
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.testing.fakes import FakeInvoker
from stillgood.testing.faulty import Crashed, FaultyObjectStore

from tests.faults import story

FAULTS = [(when, how) for how in ("error", "outage", "crash") for when in ("before", "after")]
CHAMPIONS = {"promote": {"v1", "v2"}, "rollback": {"v0", "v1"}}
# The writes that a calm run makes, at least: with fewer, the story lost its point.
LEAST = {
    "promote": 3,
    "refuse": 2,
    "rollback": 3,
    "monitor": 7,
    "compact": 6,
    "train": 8,
    "label files": 3,
    "POST /labels": 1,
    "batch": 3,
}


def world():
    """The store's clock stands, so that two runs can be compared."""
    return MemoryObjectStore(lambda: story.TODAY)


def copy(store):
    again = world()
    for info in store.list(""):
        again.put(info.key, store.get(info.key).data)
    return again


def everything(store):
    """Every object. Of a training's record only what a retry must find alike: one that died after its model was
    published finds the version there.
    """
    objects = {info.key: store.get(info.key).data for info in store.list("")}
    for key in [key for key in objects if key.startswith("training/")]:
        record = json.loads(objects[key])
        objects[key] = {name: record[name] for name in ("request_id", "reason", "version", "rows", "quarantine", "at")}
    return objects


def distinct(invocations):
    return {json.dumps(event, sort_keys=True) for event in invocations.events}


class Queue(FakeInvoker):
    """Invocations that fail, or end the process, as a write does: an invocation is an effect like any other."""

    def __init__(self, store):
        super().__init__()
        self.store = store

    def invoke(self, step, event):
        self.store._write(f"invoke {step}", lambda: super(Queue, self).invoke(step, event))


@pytest.fixture(scope="module")
def before():
    return story.write(world())


@pytest.mark.parametrize("step", story.WORK)
def test_after_a_fault_at_any_write_the_champion_is_whole_and_a_retry_finishes_once(step, before, count):
    work = story.WORK[step]
    calm = FaultyObjectStore(copy(before))
    events = Queue(calm)
    work(calm, events)
    wanted = everything(calm.inner)
    assert len(calm.writes) >= LEAST[step], calm.writes

    points = 0
    for at in range(1, len(calm.writes) + 1):
        for when, how in FAULTS:
            store = copy(before)
            faulty = FaultyObjectStore(store, at, when, how)
            queue = Queue(faulty)
            with pytest.raises(Crashed if how == "crash" else StoreUnavailable):
                work(faulty, queue)
            champion = Registry(store).pointer()
            assert champion.version in CHAMPIONS.get(step, {"v1"})
            load_model(store, champion)  # verifies the checksum
            assert verify(store) == ()

            retry = FakeInvoker(queue.events)
            work(store, retry)

            assert everything(store) == wanted, f"{how} {when} {calm.writes[at - 1]}"
            # An event may be sent twice; it is the very same one, so that who gets it works once.
            assert distinct(retry) == distinct(events)
            assert verify(store) == ()
            work(store, retry)
            assert everything(store) == wanted
            points += 1
    assert points == len(calm.writes) * len(FAULTS)
    count(f"faults survived: {step}", points, f">= {LEAST[step] * len(FAULTS)}")
