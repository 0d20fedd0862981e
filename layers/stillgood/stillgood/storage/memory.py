"""A whole object store in memory: what replays, tests and simulations run on."""

import hashlib
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from stillgood.domain.errors import ObjectExists, ObjectNotFound, PreconditionFailed
from stillgood.storage.objects import STREAM_CHUNK_BYTES, ObjectInfo, ObjectWriter, Stored, checked_key


class MemoryObjectStore:
    """A whole store in memory, with real conditional writes that are atomic under threads."""

    answers_at_once = True  # reading it by threads would only cost

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[Stored, datetime]] = {}
        # Sorted: code points order as UTF-8 bytes do. A listing costs what it lists, however much else is there.
        self._keys: list[str] = []

    def get(self, key: str) -> Stored:
        with self._lock:
            return self._stored(key)

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        stored = self.get(key)
        return None if stored.etag == etag else stored

    def put(self, key: str, data: bytes) -> str:
        with self._lock:
            return self._write(key, data)

    def create(self, key: str, data: bytes) -> str:
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"{key} exists already.", key=key)
            return self._write(key, data)

    def swap(self, key: str, data: bytes, etag: str) -> str:
        with self._lock:
            present = self._objects.get(checked_key(key))
            if present is None or present[0].etag != etag:
                raise PreconditionFailed(f"{key} was changed by another writer.", key=key)
            return self._write(key, data)

    def delete(self, key: str) -> None:
        with self._lock:
            if self._objects.pop(checked_key(key), None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            place = max(bisect_left(self._keys, prefix), bisect_right(self._keys, start_after))
            infos = []
            while place < len(self._keys) and (key := self._keys[place]).startswith(prefix):
                stored, modified = self._objects[key]
                infos.append(ObjectInfo(key, len(stored.data), stored.etag, modified))
                place += 1
        yield from infos

    def stream(self, key: str) -> Iterator[bytes]:
        first = self.get(key)
        for start in range(0, len(first.data), STREAM_CHUNK_BYTES):
            if self.get(key).etag != first.etag:
                raise PreconditionFailed(f"{key} was changed by another writer.", key=key)
            yield first.data[start : start + STREAM_CHUNK_BYTES]

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        buffer = _Buffer()
        checked_key(key)
        yield buffer
        self.put(key, bytes(buffer.data))

    def _stored(self, key: str) -> Stored:
        present = self._objects.get(checked_key(key))
        if present is None:
            raise ObjectNotFound(f"{key} does not exist.", key=key)
        return present[0]

    def _write(self, key: str, data: bytes) -> str:
        # S3's own ETag for a single put, so that A -> B -> A repeats it here too.
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        if checked_key(key) not in self._objects:
            insort(self._keys, key)
        self._objects[key] = (Stored(bytes(data), etag), self._clock())
        return etag


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data
