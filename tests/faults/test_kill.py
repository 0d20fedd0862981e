"""kill -9 of a real process at every write of promote, rollback and monitor; then a fresh process finishes the job."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stillgood.storage.audit import verify
from stillgood.storage.champion import load_model
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.registry import Registry

from tests.faults import story

ROOT = Path(__file__).resolve().parents[2]
CHAMPIONS = {"promote": {"v1", "v2"}, "rollback": {"v0", "v1"}, "monitor": {"v1"}}
ENDS_WITH = {"promote": "v2", "rollback": "v0", "monitor": "v1"}
LEAST = {"promote": 3, "rollback": 3, "monitor": 7}


@pytest.fixture(scope="module")
def handle():
    """``handle(folder, step, write, when)``: the return code of a process that handled the step's event."""
    words = [sys.executable, "tests/faults/worker.py"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:

        def run(folder, step, at=0, when="before"):
            worker.stdin.write(json.dumps([str(folder), step, at, when]) + "\n")
            worker.stdin.flush()
            return int(worker.stdout.readline())

        yield run
        worker.stdin.close()


def everything(folder):
    return {
        (part, info.key): FolderObjectStore(folder / part).get(info.key).data
        for part in ("bucket", "sent")
        for info in FolderObjectStore(folder / part).list("")
    }


@pytest.mark.parametrize("step", LEAST)
def test_a_process_killed_at_any_write_is_made_good_by_the_next(step, tmp_path, count, handle):
    before, calm = tmp_path / "before", tmp_path / "calm"
    story.write(FolderObjectStore(before / "bucket"))
    shutil.copytree(before, calm)
    assert handle(calm, step) == 0
    writes = (calm / "writes").read_text().splitlines()
    assert len(writes) >= LEAST[step]
    wanted = everything(calm)

    for at in range(1, len(writes) + 1):
        for when in ("before", "after"):
            folder = tmp_path / f"{at}-{when}"
            shutil.copytree(before, folder)
            assert handle(folder, step, at, when) == -signal.SIGKILL
            store = FolderObjectStore(folder / "bucket")
            champion = Registry(store).pointer()
            assert champion.version in CHAMPIONS[step]
            load_model(store, champion)  # verifies the checksum
            assert verify(store) == ()

            assert handle(folder, step) == 0
            assert everything(folder) == wanted, f"killed {when} {writes[at - 1]}"
            assert Registry(store).pointer().version == ENDS_WITH[step]
            assert verify(store) == ()
    count(f"kill -9 survived: {step}", 2 * len(writes), f">= {2 * LEAST[step]}")
