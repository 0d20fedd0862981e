"""A bucket moved elsewhere (O18, O19): checked by hash and chain, with ages that do not come from objects' times."""

from datetime import UTC, datetime

import pytest
from stillgood.cli.main import main
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
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


def test_monitor_says_the_same_of_a_moved_bucket() -> None:
    shop, moved = Shop(), Shop()
    shop.predict(0)
    moved.store = MemoryObjectStore(clock=lambda: LONG_AGO)
    assert copy_bucket(shop.store, moved.store).problems == ()
    before, after = shop.monitor(1), moved.monitor(1)
    assert {**after, "made_at": before["made_at"]} == before
