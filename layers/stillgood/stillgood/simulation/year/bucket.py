"""The bucket of a simulated life: it keeps every version, and tells a watcher of every change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from stillgood.domain.errors import ObjectNotFound
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import checked_key

type Watcher = Callable[[str, bytes | None, bytes | None], None]
"""Called with a key, its bytes before and after; None where there was or is nothing."""


class Buffer:
    """What a writer collects."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data


class Bucket(MemoryObjectStore):
    """``versions``: what an object was before, oldest first."""

    def __init__(self, clock: Callable[[], datetime], watch: Watcher) -> None:
        super().__init__(clock)
        self._watch = watch
        self.versions: dict[str, list[bytes]] = {}

    def put(self, key: str, data: bytes) -> str:
        before = self.peek(key)
        etag = super().put(key, data)
        self._changed(key, before, data)
        return etag

    def create(self, key: str, data: bytes) -> str:
        etag = super().create(key, data)
        self._changed(key, None, data)
        return etag

    def swap(self, key: str, data: bytes, etag: str) -> str:
        before = self.peek(key)
        new = super().swap(key, data, etag)
        self._changed(key, before, data)
        return new

    def delete(self, key: str) -> None:
        before = self.peek(key)
        super().delete(key)
        if before is not None:
            self._changed(key, before, None)

    def peek(self, key: str) -> bytes | None:
        """The bytes under ``key``, None where nothing is."""
        with suppress(ObjectNotFound):
            return self.get(key).data
        return None

    def purge(self, key: str) -> int:
        """Remove every version of ``key`` but the present one."""
        return len(self.versions.pop(key, ()))

    def former(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of every version under ``prefix`` but the present ones."""
        for key, versions in sorted(self.versions.items()):
            if key.startswith(prefix):
                yield from ((key, data) for data in list(versions))

    @contextmanager
    def buffered(self, key: str) -> Iterator[Buffer]:
        yield Buffer()
        checked_key(key)

    def _changed(self, key: str, before: bytes | None, after: bytes | None) -> None:
        if before is not None:
            self.versions.setdefault(key, []).append(before)
        self._watch(key, before, after)
