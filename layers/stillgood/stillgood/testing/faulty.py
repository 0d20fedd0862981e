"""An object store that fails on purpose, for tests of what survives: one write fails, or the process dies there, before
or after it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from stillgood.domain.errors import StoreUnavailable
from stillgood.storage.objects import ObjectInfo, ObjectStore, ObjectWriter, Stored


class Crashed(BaseException):
    """The process died. Not an Exception, so that no error handling of the code under test outlives it."""


@dataclass(slots=True)
class FaultyObjectStore:
    """``inner``, but write number ``at`` (from 1; a put, create, swap, delete or the end of a writer) fails.

    ``when`` "before": the write does not happen; "after": it happens, and nobody hears of it. ``how`` "crash" raises
    Crashed, and every later call too; "error" raises StoreUnavailable once (after the write: a time-out); "outage"
    raises it at every later call, too. ``at`` 0 never fails; ``writes`` lists what was tried, so a test can go through
    all of them.
    """

    inner: ObjectStore
    at: int = 0
    when: Literal["before", "after"] = "before"
    how: Literal["crash", "error", "outage"] = "crash"
    writes: list[str] = field(default_factory=list)
    _dead: bool = False

    def get(self, key: str) -> Stored:
        self._alive()
        return self.inner.get(key)

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        self._alive()
        return self.inner.get_if_changed(key, etag)

    def put(self, key: str, data: bytes) -> str:
        return self._write(f"put {key}", lambda: self.inner.put(key, data))

    def create(self, key: str, data: bytes) -> str:
        return self._write(f"create {key}", lambda: self.inner.create(key, data))

    def swap(self, key: str, data: bytes, etag: str) -> str:
        return self._write(f"swap {key}", lambda: self.inner.swap(key, data, etag))

    def delete(self, key: str) -> None:
        self._write(f"delete {key}", lambda: self.inner.delete(key))

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        self._alive()
        return self.inner.list(prefix, start_after)

    def stream(self, key: str) -> Iterator[bytes]:
        self._alive()
        return self.inner.stream(key)

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        self._alive()
        with self.inner.writer(key) as writer:
            yield writer
            self._fail(f"write {key}", "before")
        self._fail("", "after")

    def _write[T](self, what: str, write: Callable[[], T]) -> T:
        self._alive()
        self._fail(what, "before")
        try:
            return write()
        finally:
            # Also when the store refused: nobody hears of that either.
            self._fail("", "after")

    def _fail(self, what: str, when: str) -> None:
        if what:
            self.writes.append(what)
        if len(self.writes) != self.at or self.when != when:
            return
        if self.how == "error":
            raise StoreUnavailable(f"On purpose, {when} {self.writes[-1]}.")
        self._dead = True
        if self.how == "outage":
            raise StoreUnavailable(f"On purpose, from {when} {self.writes[-1]} on.")
        raise Crashed(f"{when} {self.writes[-1]}")

    def _alive(self) -> None:
        if self._dead and self.how == "outage":
            raise StoreUnavailable("The outage goes on.")
        if self._dead:
            raise Crashed("the process is dead already")
