"""Reads a file in a process of its own, which has little memory, little time, no credentials and no network client.

Readers of binary formats are large C++ libraries. A damaged or hostile file may end their process (a footer of Parquet
with wrong lengths does) or fill its memory. Here it ends the reader, and the step that asked refuses the file by name.

The reader is a module of this package with a ``main`` that calls ``serve``; it writes to standard output what its
caller expects, and what it refuses to standard error.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from stillgood.domain.errors import TableUnreadable

MEMORY_BYTES = 320 * 1024**2  # of the reader's own data, Arrow's included
CPU_SECONDS, BYTES_PER_CPU_SECOND = 60, 1024**2
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "NPY_DISABLE_CPU_FEATURES")
_REFUSED = 3  # exit status of a reader that says why
_SERIES = 8192


class Apart:
    """A reader ``module`` at work on ``file``; ``wish`` is a JSON object that it gets. ``out``: what it writes.

    Leave it by ``with``, which ends the reader.
    """

    def __init__(self, module: str, file: IO[bytes], wish: Mapping[str, Any]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # __exit__ closes it
        size = os.fstat(file.fileno()).st_size
        limits = {"memory": MEMORY_BYTES, "cpu": CPU_SECONDS + size // BYTES_PER_CPU_SECOND}
        try:
            self._process = start(module, json.dumps({**wish, "limits": limits}), file, self._errors)
        except BaseException:
            self._errors.close()
            raise
        self._ended = False
        assert self._process.stdout is not None
        self.out: IO[bytes] = self._process.stdout

    def finish(self) -> None:
        """Wait for the end. Raises TableUnreadable unless the reader came to a good one."""
        status = self._process.wait()
        self._ended = True
        if status == 0:
            return
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(self._errors.tell() - _SERIES, 0))
        for line in reversed(self._errors.read().decode(errors="replace").splitlines()):
            with suppress(ValueError, KeyError, TypeError):
                refusal = json.loads(line)
                raise TableUnreadable(str(refusal["detail"]), rule=str(refusal["rule"]))
        if status == -signal.SIGXCPU:
            raise TableUnreadable("reading it takes longer than a file of its size may.", rule="budget")
        raise TableUnreadable(
            f"it ended the process that read it (status {status}): it is damaged, or needs too much memory.",
            rule="format",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reader, if it has not ended."""
        if not self._ended:
            self._process.kill()
            self._process.wait()
            self._ended = True
        self.out.close()
        self._errors.close()


def start(module: str, wish: str, file: IO[bytes], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The reader's process, of this interpreter, with none of the environment's secrets."""
    return subprocess.Popen(  # noqa: S603  # a fixed list of words: this interpreter, a module of this package
        [sys.executable, "-P", "-m", module, wish],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place),
            "ARROW_DEFAULT_MEMORY_POOL": "system",  # which the limit holds
            "OMP_NUM_THREADS": "1",
        },
    )


def serve(read: Callable[[Mapping[str, Any]], None], wish: str) -> int:
    """Run ``read`` as the reader's process, within its limits; returns the exit status."""
    raw = json.loads(wish)
    _bound(raw["limits"])
    try:
        read(raw)
        sys.stdout.buffer.flush()
    except TableUnreadable as error:
        return _refuse(error.rule, error.detail)
    except MemoryError:
        return _refuse("budget", f"reading it needs more than {raw['limits']['memory'] // 1024**2} MiB of memory.")
    except BrokenPipeError:
        return _REFUSED  # nobody reads on
    return 0


def _refuse(rule: str, detail: str) -> int:
    sys.stderr.write(f"\n{json.dumps({'rule': rule, 'detail': detail})}\n")
    sys.stderr.flush()
    return _REFUSED


def _bound(limits: Mapping[str, int]) -> None:
    """No more memory and time than that, and no core dump."""
    import resource  # not on Windows, where nothing is deployed

    for kind, limit in (
        (resource.RLIMIT_DATA, limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, hard if kind == resource.RLIMIT_CPU else limit))
