"""A store over another one: reads see both, writes stay in memory. What a step would do, without doing it."""

from collections.abc import Iterator

from stillgood.domain.errors import ObjectNotFound
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectInfo, ObjectStore, Stored


class OverlayObjectStore(MemoryObjectStore):
    """``base``, which is never written to, under what was written here. For one process: conditional writes are atomic
    in memory only.
    """

    answers_at_once = False  # the base's may take long

    def __init__(self, base: ObjectStore) -> None:
        super().__init__()
        self._base = base
        self._deleted: set[str] = set()

    def get(self, key: str) -> Stored:
        with self._lock:
            if key in self._objects:
                return self._objects[key][0]
        if key in self._deleted:
            raise ObjectNotFound(f"{key} does not exist.", key=key)
        return self._base.get(key)

    def create(self, key: str, data: bytes) -> str:
        self._take_over(key)
        etag = super().create(key, data)
        self._deleted.discard(key)
        return etag

    def swap(self, key: str, data: bytes, etag: str) -> str:
        self._take_over(key)
        return super().swap(key, data, etag)

    def delete(self, key: str) -> None:
        super().delete(key)
        self._deleted.add(key)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        written = {info.key: info for info in super().list(prefix, start_after)}
        below = {
            info.key: info
            for info in self._base.list(prefix, start_after)
            if info.key not in written and info.key not in self._deleted
        }
        yield from sorted((written | below).values(), key=lambda info: info.key.encode())

    def _take_over(self, key: str) -> None:
        """Have the base's object here, under its own ETag, so that a condition on it holds."""
        if key in self._objects or key in self._deleted:
            return
        try:
            stored = self._base.get(key)
        except ObjectNotFound:
            return
        with self._lock:
            self._objects.setdefault(key, (stored, self._clock()))
