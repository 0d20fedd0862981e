"""Processes that handle one event each. ``python tests/faults/worker.py`` imports the handlers, then reads lines
``[folder, step, write, "before" or "after"]``, forks a process for each, and answers with its return code.

The real Lambda handler runs, on the store in the folder. At write number <write> (0: never) the process kills itself
with SIGKILL: no handler, no ``finally``, no flushing. One that lives leaves the list of its writes.
"""

import importlib.util
import json
import os
import signal
import sys
import traceback
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
    """functions/<step>/app.py, imported."""
    spec = importlib.util.spec_from_file_location(f"{step}_app", ROOT / f"functions/{step}/app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def handle(app: Any, folder: Path, step: str, at: int, when: Any) -> None:
    store = Killed(FolderObjectStore(folder / "bucket"), at, when)
    if step == "monitor":
        app.monitoring = lambda: story.watching(store, Sent(store, FolderObjectStore(folder / "sent")))
    else:
        app.deciding = lambda: PromoteDeps(store, lambda: story.NOW)
    app.handler(EVENTS[step], None)
    (folder / "writes").write_text("\n".join(store.writes))


def serve() -> None:
    """Fork, since importing the libraries anew would take longer than all that is tested."""
    apps = {step: handler("monitor" if step == "monitor" else "promote") for step in EVENTS}
    for line in sys.stdin:
        folder, step, at, when = json.loads(line)
        child = os.fork()
        if not child:
            os.dup2(2, 1)  # standard output is for return codes alone; a handler logs to it
            try:
                handle(apps[step], Path(folder), step, at, when)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
