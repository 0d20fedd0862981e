"""A whole object store in a plain folder, for several processes on one machine: no cloud, and every object is a file
one can open.

An object is the file of its key below the root. Writes go to a temporary file that replaces the object in one step, so
a kill leaves the old object or the new one. Conditional writes hold a file lock, which the kernel gives back when its
holder dies. ``.stillgood/`` below the root holds the lock and the temporary files, and is no object.
"""

import errno
import fcntl
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from stillgood.domain.errors import InvalidEvent, ObjectExists, ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.storage.objects import STREAM_CHUNK_BYTES, ObjectInfo, ObjectWriter, Stored, checked_key

_OWN = ".stillgood"
_LEFT_BEHIND_SECONDS = 86_400.0  # a temporary file this old belongs to a process that was killed
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FolderObjectStore:
    """The objects below ``root``, which is made when it is not there. Raises StoreUnavailable when it cannot be.

    A file cannot also be a folder, so a key must not continue another one ("a" and "a/b"): InvalidEvent says so.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / _OWN / "temporary"
        self._lock = root / _OWN / "lock"
        self._names = itertools.count()
        # (inode, size, time of change) -> ETag: a listing need not read again what did not change.
        self._etags: dict[tuple[int, int, int], str] = {}
        with _as_store_error(str(root)):
            self._temporary.mkdir(parents=True, exist_ok=True)
            self._clean()

    def get(self, key: str) -> Stored:
        path = self._path(key)
        with _as_store_error(key):
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectNotFound(f"{key} does not exist.", key=key) from error
        return Stored(data, _etag(data))

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        stored = self.get(key)
        return None if stored.etag == etag else stored

    def put(self, key: str, data: bytes) -> str:
        path = self._path(key)
        with _as_store_error(key), self._written(data) as half, self._locked():
            self._move(half, path)
        return _etag(data)

    def create(self, key: str, data: bytes) -> str:
        path = self._path(key)
        with _as_store_error(key), self._written(data) as half, self._locked():
            if path.is_file():
                raise ObjectExists(f"{key} exists already.", key=key)
            self._move(half, path)
        return _etag(data)

    def swap(self, key: str, data: bytes, etag: str) -> str:
        path = self._path(key)
        with _as_store_error(key), self._written(data) as half, self._locked():
            try:
                present = _etag_of_file(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                present = None
            if present != etag:
                raise PreconditionFailed(f"{key} was changed by another writer.", key=key)
            self._move(half, path)
        return _etag(data)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _as_store_error(key), self._locked():
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                path.unlink()
            folder = path.parent
            with suppress(OSError):  # a folder that still holds something stays
                while folder != self.root:
                    folder.rmdir()
                    folder = folder.parent

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        with _as_store_error(prefix):
            for key, path in self._below(folder, prefix, start_after.encode()):
                try:
                    status = path.stat()
                    etag = self._etag_of(path, status)
                except FileNotFoundError:  # deleted since it was listed
                    continue
                yield ObjectInfo(key, status.st_size, etag, datetime.fromtimestamp(status.st_mtime, UTC))

    def stream(self, key: str) -> Iterator[bytes]:
        path = self._path(key)
        with _as_store_error(key):
            try:
                file = path.open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectNotFound(f"{key} does not exist.", key=key) from error
            with file:
                inode = os.fstat(file.fileno()).st_ino
                while piece := file.read(STREAM_CHUNK_BYTES):
                    # An object is replaced by another file; the open one keeps its inode to itself.
                    if not path.exists() or path.stat().st_ino != inode:
                        raise PreconditionFailed(f"{key} was changed by another writer.", key=key)
                    yield piece

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        path = self._path(key)
        half = self._half()
        try:
            with half.open("wb") as file:
                yield _Writer(file.write, key)
            with _as_store_error(key), self._locked():
                self._move(half, path)
        finally:
            half.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        parts = checked_key(key).split("/")
        if parts[0] == _OWN or any(len(part.encode()) > 255 for part in parts):
            raise InvalidEvent(
                f"Object key {key[:80]!r} cannot be a file: no part of it is longer than 255 bytes, the first is not"
                f" {_OWN!r}."
            )
        return self.root.joinpath(*parts)

    def _half(self) -> Path:
        return self._temporary / f"{os.getpid()}-{id(self)}-{next(self._names)}"

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        half = self._half()
        try:
            half.write_bytes(data)
            yield half
        finally:
            half.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _move(self, half: Path, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.replace(path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidEvent(
                f"Object key {str(path.relative_to(self.root))[:80]!r} continues another one, or another one continues"
                " it; a folder cannot hold both."
            ) from error

    def _below(self, folder: str, prefix: str, after: bytes) -> Iterator[tuple[str, Path]]:
        """Keys and files below ``folder`` in key order: a folder sorts as its name with a slash."""
        try:
            with os.scandir(self.root / folder) as entries:
                children = [
                    (f"{folder}/{entry.name}" if folder else entry.name, entry.is_dir(), entry.path)
                    for entry in entries
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
        for key, is_folder, path in sorted(
            children, key=lambda child: f"{child[0]}/".encode() if child[1] else child[0].encode()
        ):
            if is_folder:
                start = f"{key}/"
                passed = start.encode() <= after and not after.startswith(start.encode())
                if key != _OWN and not passed and (start.startswith(prefix) or prefix.startswith(start)):
                    yield from self._below(key, prefix, after)
            elif key.startswith(prefix) and key.encode() > after:
                yield key, Path(path)

    def _etag_of(self, path: Path, status: os.stat_result) -> str:
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if state not in self._etags:
            self._etags[state] = _etag_of_file(path)
        return self._etags[state]

    def _clean(self) -> None:
        before = time.time() - _LEFT_BEHIND_SECONDS
        for path in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


class _Writer:
    def __init__(self, write: Callable[[bytes], object], key: str) -> None:
        self._write, self._key = write, key

    def write(self, data: bytes) -> None:
        with _as_store_error(self._key):
            self._write(data)


def _etag(data: bytes) -> str:
    # S3's own ETag of a single put: it names content, so A -> B -> A gives the first one again.
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _etag_of_file(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(STREAM_CHUNK_BYTES):
            digest.update(piece)
    return f'"{digest.hexdigest()}"'


@contextmanager
def _as_store_error(what: str) -> Iterator[None]:
    """An error of the file system as the port's own, which says what to do."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full; free some space" if error.errno in _FULL else error.strerror or str(error)
        raise StoreUnavailable(
            f"The folder cannot keep or give {what[:200]}: {reason}, then try again. Nothing was left half-written."
        ) from error
