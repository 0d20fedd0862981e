"""A bucket moved elsewhere (O18, O19): checked by hash and chain, with ages that do not come from objects' times."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from stillgood.cli.main import main
from stillgood.steps.monitor.gather import _known
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.champion import load_model
from stillgood.storage.codec import encode
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import POINTER_KEY
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.moving import copy_bucket
from stillgood.storage.registry import Registry
from stillgood.storage.training_data import labelled_data, source_name

from tests.faults import story
from tests.steps.monitor.feed import Shop

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def source() -> MemoryObjectStore:
    store = MemoryObjectStore()
    story.write(store)
    promote(story.PROMOTE, PromoteDeps(store, lambda: story.NOW))
    return store


def everything(store) -> dict[str, bytes]:
    return {info.key: store.get(info.key).data for info in store.list("")}


def test_a_moved_bucket_is_the_same_and_its_log_replays(source: MemoryObjectStore) -> None:
    target = MemoryObjectStore()
    moved = copy_bucket(source, target)
    assert (moved.problems, moved.kept) == ((), 0)
    assert everything(target) == everything(source)
    assert verify(target) == ()
    assert all(replayed.same for replayed in replay(target))
    assert copy_bucket(source, target).copied == 0


def test_a_copy_that_was_broken_off_has_no_champion_and_goes_on(source: MemoryObjectStore) -> None:
    class Full(MemoryObjectStore):
        def create(self, key: str, data: bytes) -> str:
            if key == POINTER_KEY:
                raise OSError("no space")
            return super().create(key, data)

    target = Full()
    with pytest.raises(OSError, match="no space"):
        copy_bucket(source, target)
    assert Registry(target).pointer() is None
    whole = MemoryObjectStore()
    for key, data in everything(target).items():
        whole.put(key, data)
    assert copy_bucket(source, whole).problems == ()


def test_two_buckets_are_never_mixed(source: MemoryObjectStore) -> None:
    target = MemoryObjectStore()
    target.put("registry/decisions/00000001.json", b"{}")
    moved = copy_bucket(source, target)
    assert moved.problems[0] == "registry/decisions/00000001.json lies there with other bytes; it was left as it is"
    assert not any(target.list(POINTER_KEY))


def test_a_removed_prefix_is_mended_from_a_copy_by_the_command(source: MemoryObjectStore, tmp_path, capsys) -> None:
    backup = FolderObjectStore(tmp_path / "backup")
    (tmp_path / "backup").mkdir(exist_ok=True)
    copy_bucket(source, backup)
    live = FolderObjectStore(tmp_path / "live")
    copy_bucket(source, live)
    for info in list(live.list("models/")):
        live.delete(info.key)
    words = ["move", "--prefix", "models/", "--to-store", str(tmp_path / "live"), "--store", str(tmp_path / "backup")]
    assert main(words) == 0
    assert "the decision log is whole" in capsys.readouterr().out
    assert everything(live) == everything(source)


def test_what_is_new_to_a_champion_does_not_depend_on_times_of_objects() -> None:
    store = MemoryObjectStore(clock=lambda: LONG_AGO)
    store.put("data/2026-01-01/old.csv", b"a\n1\n2\n")
    known = frozenset(source_name(info) for info in store.list("data/"))
    store.put("data/2026-02-01/new.csv", b"a\n1\n2\n3\n")
    assert labelled_data(store, known).new_rows == 3


class Shuffled(MemoryObjectStore):
    """A copy whose objects were written at random times."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        super().__init__(clock=lambda: LONG_AGO + timedelta(days=rng.randrange(20_000)))


@pytest.mark.parametrize(
    ("version", "metrics", "news"),
    [
        ("20260801-first", None, 7),  # its name says until when its rows reach
        ("20260801-first", {"learnt_until": "2026-08-03T10:00:00Z"}, 3),
        ("first", {"trained_at": "2026-08-02T10:00:00Z"}, 5),
        ("first", None, 5),  # promoted on 2 August; only folders of later days are news
    ],
)
def test_what_is_new_to_a_champion_of_before_does_not_depend_on_times_of_objects(version, metrics, news) -> None:
    """All times shuffled: of a version that kept no record of its sources, its documents and the folders' days tell."""
    shop = Shop()
    shop.promote(version + "-old")
    if metrics is not None:
        shop.store.put(f"models/{version}-old/metrics.json", encode({"version": version, **metrics}))
    for day, rows in ((1, 7), (2, 2), (3, 2), (4, 3)):
        shop.store.put(f"data/2026-08-0{day}/a.csv", b"a\n" + b"1\n" * rows)
    shop.store.put("data/undated.csv", b"a\n1\n")
    pointer = Registry(shop.store).pointer()
    assert pointer is not None
    for seed in range(5):
        copy = Shuffled(seed)
        assert copy_bucket(shop.store, copy).problems == ()
        known = _known(copy, pointer, load_model(copy, pointer))
        assert labelled_data(copy, known).new_rows == news


def test_monitor_says_the_same_of_a_moved_bucket() -> None:
    shop, moved = Shop(), Shop()
    shop.predict(0)
    moved.store = MemoryObjectStore(clock=lambda: LONG_AGO)
    assert copy_bucket(shop.store, moved.store).problems == ()
    before, after = shop.monitor(1), moved.monitor(1)
    assert {**after, "made_at": before["made_at"]} == before
