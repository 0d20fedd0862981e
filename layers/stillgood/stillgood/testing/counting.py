"""An object store that counts what is asked of it, and may take as long as S3 does: for benchmarks and tests."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stillgood.storage.objects import ObjectInfo, ObjectStore, ObjectWriter, Stored

PAGE = 1000  # objects that one request to list answers with


@dataclass(slots=True)
class Counts:
    """``calls`` by kind (a listing is one a page, a streamed object one); bytes read and written; ``reads`` by key;
    ``lists`` by prefix.
    """

    calls: Counter[str] = field(default_factory=Counter)
    read_bytes: int = 0
    written_bytes: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    lists: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.calls.total()

    def most_read(self, prefix: str) -> int:
        """How often the object under ``prefix`` that was read most often was read."""
        return max((count for key, count in self.reads.items() if key.startswith(prefix)), default=0)


class CountingObjectStore:
    """``inner``, counted. Each request is answered after ``delay_seconds``; with 0 the store answers at once."""

    def __init__(self, inner: ObjectStore, delay_seconds: float = 0.0, *, keep_keys: bool = True) -> None:
        self.counts = Counts()
        self._inner, self._delay, self._keep_keys = inner, delay_seconds, keep_keys
        self._lock = threading.Lock()

    @property
    def answers_at_once(self) -> bool:
        return self._delay == 0

    def restart(self) -> Counts:
        """What was counted so far; counting starts anew."""
        with self._lock:
            done, self.counts = self.counts, Counts()
        return done

    def get(self, key: str) -> Stored:
        self._count("get")
        stored = self._inner.get(key)
        self._read(key, len(stored.data))
        return stored

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        self._count("get")
        stored = self._inner.get_if_changed(key, etag)
        if stored is not None:
            self._read(key, len(stored.data))
        return stored

    def put(self, key: str, data: bytes) -> str:
        self._count("put", len(data))
        return self._inner.put(key, data)

    def create(self, key: str, data: bytes) -> str:
        self._count("put", len(data))
        return self._inner.create(key, data)

    def swap(self, key: str, data: bytes, etag: str) -> str:
        self._count("put", len(data))
        return self._inner.swap(key, data, etag)

    def delete(self, key: str) -> None:
        self._count("delete")
        self._inner.delete(key)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        self.counts.lists[prefix] += 1
        self._count("list")
        for number, info in enumerate(self._inner.list(prefix, start_after), 1):
            yield info
            if number % PAGE == 0:
                self._count("list")

    def stream(self, key: str) -> Iterator[bytes]:
        self._count("get")
        self._read(key, 0)
        for part in self._inner.stream(key):
            with self._lock:
                self.counts.read_bytes += len(part)
            yield part

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        self._count("put")
        with self._inner.writer(key) as sink:
            yield _CountedWriter(sink, self)

    def _count(self, kind: str, written: int = 0) -> None:
        with self._lock:
            self.counts.calls[kind] += 1
            self.counts.written_bytes += written
        if self._delay:
            time.sleep(self._delay)

    def _read(self, key: str, size: int) -> None:
        with self._lock:
            self.counts.read_bytes += size
            if self._keep_keys:
                self.counts.reads[key] += 1


class _CountedWriter:
    def __init__(self, inner: ObjectWriter, store: CountingObjectStore) -> None:
        self._inner, self._store = inner, store

    def write(self, data: bytes, /) -> Any:
        self._store.counts.written_bytes += len(data)
        return self._inner.write(data)
