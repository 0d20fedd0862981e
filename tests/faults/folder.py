"""A store in a folder, for several processes: conditional writes are atomic under a file lock, and a kill never leaves half an object."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectInfo, Stored


class FolderObjectStore(MemoryObjectStore):
    """One file an object, named by its quoted key; what the store in memory builds on its reads and writes is the same here."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.objects, self.half = folder / "objects", folder / "half"
        for part in (self.objects, self.half):
            part.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "lock")  # type: ignore[assignment]  # held where the lock of threads would be
        self._objects = Files(self)  # type: ignore[assignment]  # all that is asked of it

    def get(self, key: str) -> Stored:
        return self._found(key)  # a reader needs no lock: a file is replaced whole

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        found = [unquote(path.name) for path in self.objects.iterdir()]
        for key in sorted(found, key=str.encode):
            if key.startswith(prefix) and key.encode() > start_after.encode():
                stored, modified = self._objects[key]
                yield ObjectInfo(key, len(stored.data), stored.etag, modified)


class FileLock:
    """The kernel gives it back when its holder is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self._file = self.path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Files:
    """The folder as the mapping of keys to (object, time of its last change)."""

    def __init__(self, store: FolderObjectStore) -> None:
        self.store = store

    def _path(self, key: str) -> Path:
        return self.store.objects / quote(key, safe="")

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: str) -> tuple[Stored, datetime]:
        data = self._path(key).read_bytes()
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return Stored(data, etag), datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)

    def get(self, key: str) -> tuple[Stored, datetime] | None:
        try:
            return self[key]
        except FileNotFoundError:
            return None

    def __setitem__(self, key: str, value: tuple[Stored, datetime]) -> None:
        half = self.store.half / f"{os.getpid()}"
        half.write_bytes(value[0].data)
        half.replace(self._path(key))

    def pop(self, key: str, _: None) -> None:
        self._path(key).unlink(missing_ok=True)
