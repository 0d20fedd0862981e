"""What was lost or copied in part (O18, O19): named, mended, and nothing hangs on the times of objects."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from stillgood.cli.place import Place
from stillgood.cli.verbs.status import status
from stillgood.domain.errors import DocumentUnusable
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.storage.keys import POINTER_KEY, SOURCES, artifact_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.moving import copy_bucket
from stillgood.storage.registry import Registry
from stillgood.storage.training_data import sources
from stillgood.testing.fakes import FakeInvoker

from tests.faults import story
from tests.steps.monitor.feed import VERSION, Shop

NEEDED = [
    "registry/decisions/00000001.json",
    "registry/decisions/00000002.json",
    "models/v0/model.json",
    "models/v1/model.json",
    "models/v1/reference.json",
    "registry/production_metrics.json",
]


@pytest.fixture(scope="module")
def whole() -> MemoryObjectStore:
    return story.write(MemoryObjectStore())  # type: ignore[return-value]


def without(whole: MemoryObjectStore, *keys: str) -> MemoryObjectStore:
    made = MemoryObjectStore()
    for info in whole.list(""):
        if not info.key.startswith(keys):
            made.put(info.key, whole.get(info.key).data)
    return made


def findings(store: MemoryObjectStore) -> list[str]:
    told = status(Place(store, "a copy", "--bucket copy"))
    assert (told["status"] == 2) == bool(told["findings"])
    return [str(one["what"]) for one in told["findings"]]


def test_a_whole_bucket_lacks_nothing(whole: MemoryObjectStore) -> None:
    assert findings(whole) == []


@pytest.mark.parametrize("key", NEEDED)
def test_a_bucket_that_was_copied_in_part_is_refused_by_name(whole: MemoryObjectStore, key: str) -> None:
    assert any(key in one for one in findings(without(whole, key)))
    problems: tuple[str, ...] = ()
    if key != "models/v0/model.json" and not key.startswith("registry/decisions"):
        problems = copy_bucket(without(whole, key), MemoryObjectStore()).problems
        assert any(key in one for one in problems)


def test_a_lost_pointer_is_told_by_monitor_and_mended_from_the_log(whole: MemoryObjectStore) -> None:
    store = without(whole, POINTER_KEY)
    with pytest.raises(DocumentUnusable, match=r"production_metrics\.json is missing.*--mend"):
        story.WORK["monitor"](store, FakeInvoker())
    Registry(store).recover()  # what `stillgood audit --mend` does
    assert store.get(POINTER_KEY).data == whole.get(POINTER_KEY).data
    assert findings(store) == []


def test_nothing_served_yet_is_no_lost_pointer() -> None:
    assert story.WORK["monitor"](MemoryObjectStore(), FakeInvoker())["result"] == "no champion"


class Shuffled(MemoryObjectStore):
    """Each object was written at a time that says nothing."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(seed)
        super().__init__(clock=lambda: datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=dice.uniform(0, 12_000)))


def live(shop: Shop, days: int) -> list[dict]:  # type: ignore[type-arg]
    """Reports of days on which labels come two days after their predictions."""
    made = []
    for day in range(days):
        shop.predict(day)
        if day >= 2:
            shop.send([row for row in shop.rows if row["day"] == day - 2], day)
        made.append({**shop.monitor(day + 1), "made_at": ""})
    return made


def test_a_life_is_the_same_whatever_the_times_of_its_objects_are() -> None:
    known, moved = Shop(maturity=3), Shop(maturity=3)
    for shop in (known, moved):  # a champion of older code, that does not say what it learnt from, goes by times
        shop.store.put(artifact_key(VERSION, SOURCES), sources(VERSION, []))
    assert live(known, 3) == live(moved, 3)
    store = Shuffled(7)
    assert copy_bucket(moved.store, store).problems == ()
    moved.store = store
    for day in range(3, 6):
        for shop in (known, moved):
            shop.predict(day)
            shop.send([row for row in shop.rows if row["day"] == day - 2], day)
        one, two = ({**shop.monitor(day + 1), "made_at": ""} for shop in (known, moved))
        assert one == two
        assert one["labels"]["labelled"] > 0 or day < 5
    rows = [sorted(map(str, shop.learnt())) for shop in (known, moved)]
    assert rows[0] == rows[1] != []


def test_training_and_the_gate_say_the_same_whatever_the_times_are(whole: MemoryObjectStore) -> None:
    made = []
    for store in (MemoryObjectStore(), Shuffled(3)):
        copy_bucket(whole, store)
        trained = story.WORK["train"](store, FakeInvoker())
        decided = promote(story.PROMOTE, PromoteDeps(store, lambda: story.NOW))
        made.append((trained["version"], trained["figures"], decided["reasons"]))
    assert made[0] == made[1]


STATE = "monitoring/state.json"
CACHES = ("outcomes/", "summaries/", "hours/", "counted.json", "touched.json", "standing.json", "operating_point.json")


@pytest.mark.parametrize("gone", [(STATE,), tuple(f"monitoring/{name}" for name in CACHES)], ids=["state", "caches"])
def test_what_monitor_keeps_may_be_lost_between_two_windows(gone: tuple[str, ...]) -> None:
    shop, kept = Shop(maturity=3), Shop(maturity=3)
    for one in (shop, kept):
        live(one, 4)
    lost_keys = [info.key for prefix in gone for info in shop.store.list(prefix)]
    assert lost_keys
    for key in lost_keys:
        shop.store.delete(key)
    for one in (shop, kept):
        one.predict(4)
    lost, undisturbed = shop.monitor(5), kept.monitor(5)
    same = ("rows", "requests", "drift", "realised_performance", "champion")
    assert {name: lost[name] for name in same} == {name: undisturbed[name] for name in same}
    if STATE not in gone:  # which remembers the window before, and so the streaks
        assert lost["decision"]["action"] == undisturbed["decision"]["action"]
