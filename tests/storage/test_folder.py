"""What only the store in a plain folder has: files one can open, other processes, a disk that is full."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stillgood.domain.errors import InvalidEvent, StoreUnavailable
from stillgood.storage.folder import FolderObjectStore

COMPETE = """
import sys
from pathlib import Path
from stillgood.domain.errors import ObjectExists, PreconditionFailed
from stillgood.storage.folder import FolderObjectStore

store, me = FolderObjectStore(Path(sys.argv[1])), sys.argv[2]
for round in range(40):
    stored = store.get("count")
    try:
        store.swap("count", b"%d" % (int(stored.data) + 1), stored.etag)
        store.create(f"won/{int(stored.data) + 1:04d}", me.encode())
    except PreconditionFailed:
        pass
"""


def test_an_object_is_a_file_of_its_key(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path)
    store.put("registry/decisions/00000001.json", b"{}")
    assert (tmp_path / "registry/decisions/00000001.json").read_bytes() == b"{}"
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.csv").write_text("a\n1\n")
    assert [info.key for info in store.list("data/")] == ["data/rows.csv"]


def test_another_process_sees_and_changes_the_same_objects(tmp_path: Path) -> None:
    FolderObjectStore(tmp_path).put("a", b"1")
    store = FolderObjectStore(tmp_path)
    etag = store.get("a").etag
    assert [info.etag for info in store.list("")] == [etag]
    FolderObjectStore(tmp_path).put("a", b"2")
    assert store.get_if_changed("a", etag) is not None
    assert [info.etag for info in store.list("")] == [store.get("a").etag]


def test_no_swap_of_competing_processes_is_lost(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path)
    store.put("count", b"0")
    processes = [subprocess.Popen([sys.executable, "-c", COMPETE, str(tmp_path), str(number)]) for number in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    won = [info.key for info in store.list("won/")]
    # Each number was won once, and none is missing: a lost swap would repeat one, and create would fail.
    assert won == [f"won/{number:04d}" for number in range(1, int(store.get("count").data) + 1)]


def test_a_key_that_continues_another_is_refused_by_name(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path)
    store.put("a", b"1")
    with pytest.raises(InvalidEvent, match="cannot hold both"):
        store.put("a/b", b"2")
    store.put("c/d", b"3")
    with pytest.raises(InvalidEvent, match="cannot hold both"):
        store.put("c", b"4")
    with pytest.raises(InvalidEvent, match="255 bytes"):
        store.put("x" * 300, b"")
    with pytest.raises(InvalidEvent, match=r"\.stillgood"):
        store.put(".stillgood/lock", b"")
    assert [info.key for info in store.list("")] == ["a", "c/d"]


def test_a_full_disk_says_so_and_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderObjectStore(tmp_path)
    store.put("a", b"old")

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreUnavailable, match="disk is full; free some space"):
            store.put("a", b"new")
    assert store.get("a").data == b"old"


def test_what_a_killed_process_left_behind_is_no_object_and_goes_away(tmp_path: Path) -> None:
    FolderObjectStore(tmp_path)
    half = tmp_path / ".stillgood/temporary/1-2-3"
    half.write_bytes(b"half")
    assert list(FolderObjectStore(tmp_path).list("")) == []
    assert half.exists()
    two_days_ago = time.time() - 2 * 86_400
    os.utime(half, (two_days_ago, two_days_ago))
    FolderObjectStore(tmp_path)
    assert not half.exists()
