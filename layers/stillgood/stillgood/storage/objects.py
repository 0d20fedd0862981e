"""The one port of the library: an object store with conditional writes.

Two adapters speak to S3 (``aws/s3_boto3.py``, ``aws/s3_obstore.py``); ``storage/memory.py`` is a whole one in memory,
``storage/folder.py`` one in a plain folder. All four pass ``tests/storage/test_objects.py``.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stillgood.domain.errors import InvalidEvent

STREAM_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's bytes and the ETag they had. An ETag names content, not time: A -> B -> A gives the first one
    again.
    """

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One row of a listing. ``size`` in bytes, ``modified`` aware and in UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


class ObjectWriter(Protocol):
    """What ``ObjectStore.writer`` hands out."""

    def write(self, data: bytes, /) -> None:
        """Append ``data``."""


class ObjectStore(Protocol):
    """Bytes under keys in one bucket.

    Every method raises StoreUnavailable for time-outs, throttling and outages, after the adapter's own bounded retries,
    and InvalidEvent for a key that ``checked_key`` refuses.
    """

    def get(self, key: str) -> Stored:
        """The object. Raises ObjectNotFound."""

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        """The object, or None while its ETag still is ``etag``. Raises ObjectNotFound."""

    def put(self, key: str, data: bytes) -> str:
        """Write, whatever was there. Returns the ETag."""

    def create(self, key: str, data: bytes) -> str:
        """Write only if nothing is there. Returns the ETag. Raises ObjectExists."""

    def swap(self, key: str, data: bytes, etag: str) -> str:
        """Write only over the object whose ETag is ``etag``. Returns the new ETag. Raises PreconditionFailed, also when
        nothing is there.
        """

    def delete(self, key: str) -> None:
        """Remove; no error when nothing is there."""

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with ``prefix`` and sorts after ``start_after``, in key order (UTF-8 bytes)."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The object in pieces of at most ``STREAM_CHUNK_BYTES``, all of one version. Raises ObjectNotFound at the
        first piece,
        and PreconditionFailed when the object is replaced while it is read."""

    def writer(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """Write piecewise. The object appears, whole, when the block ends well, and not at all when it raises."""


def checked_key(key: str) -> str:
    """``key``, if every store keeps it as it is; raises InvalidEvent otherwise.

    Refuses what one of them rewrites or what tricks a path: empty, "." and ".." segments, a slash at either end,
    control characters, backslashes, and more than 1024 bytes of UTF-8 (the limit of S3).
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidEvent("An object key is not valid text: it holds half a surrogate pair.") from None
    if not 0 < size <= 1024:
        raise InvalidEvent(f"An object key has 1 to 1024 bytes; this one has {size}.")
    path = f"/{key}/"
    if "//" in path or "/./" in path or "/../" in path:
        raise InvalidEvent(
            f"Object key {key[:80]!r} has an empty, '.' or '..' segment; name the object from the bucket's root,"
            " without them."
        )
    if not key.isprintable() or "\\" in key:
        raise InvalidEvent(f"Object key {key[:80]!r} has a control character or a backslash.")
    return key
