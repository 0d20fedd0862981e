"""One process that handles one event: ``python tests/faults/worker.py <folder> <step> <write> <before|after>``.

The real Lambda handler runs, on the store in the folder. At write number <write> (0: never) the process kills itself
with SIGKILL: no handler, no ``finally``, no flushing. One that lives leaves the list of its writes.
"""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import story
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.storage.codec import sha256
from stillgood.storage.folder import FolderObjectStore
from stillgood.testing.faulty import FaultyObjectStore

ROOT = Path(__file__).resolve().parents[2]
EVENTS = {"promote": story.PROMOTE, "rollback": story.ROLLBACK, "monitor": story.WINDOW}


class Killed(FaultyObjectStore):
    """Where its kind raises Crashed, this one dies of SIGKILL."""

    def _fail(self, what: str, when: str) -> None:
        if what:
            self.writes.append(what)
        if len(self.writes) == self.at and self.when == when:
            os.kill(os.getpid(), signal.SIGKILL)


class Sent:
    """Invocations as objects beside the bucket: one for each distinct event, so that a second, different one would
    show.
    """

    def __init__(self, store: Killed, sent: FolderObjectStore) -> None:
        self.store, self.sent = store, sent

    def invoke(self, step: str, event: Any) -> None:
        data = json.dumps(event, sort_keys=True).encode()
        self.store._write(f"invoke {step}", lambda: self.sent.put(f"{step}/{sha256(data)}", data))


def handler(step: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{step}_app", ROOT / f"functions/{step}/app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(folder: Path, step: str, at: int, when: Any) -> None:
    store = Killed(FolderObjectStore(folder / "bucket"), at, when)
    app: Any = handler("monitor" if step == "monitor" else "promote")
    if step == "monitor":
        app.monitoring = lambda: story.watching(store, Sent(store, FolderObjectStore(folder / "sent")))
    else:
        app.deciding = lambda: PromoteDeps(store, lambda: story.NOW)
    app.handler(EVENTS[step], None)
    (folder / "writes").write_text("\n".join(store.writes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
