"""What policies fit on the same rows is fitted once: files in a folder that the processes of one rehearsal share."""

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SharedFits:
    """Fits of ``training/memory.py``. ``folder`` exists, is empty at first and belongs to one rehearsal alone, as its
    files are pickles.
    """

    folder: Path

    def recall[T](self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` returned for ``name`` in any process. While another process makes it, this one waits."""
        path, claim = self.folder / name, self.folder / f"{name}.claim"
        while not path.exists():
            try:
                os.close(os.open(claim, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                time.sleep(_POLL_SECONDS)
                continue
            try:
                if not path.exists():
                    self._write(path, make())
            finally:
                with suppress(FileNotFoundError):
                    claim.unlink()
        kept: T = pickle.loads(path.read_bytes())  # noqa: S301  # written above, into a folder of this rehearsal
        return kept

    def is_being_made(self, name: str) -> bool:
        """Whether a process has begun with ``name`` and not finished."""
        return (self.folder / f"{name}.claim").exists()

    def _write(self, path: Path, made: Any) -> None:
        """Whole or not at all."""
        draft = path.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
        draft.replace(path)
