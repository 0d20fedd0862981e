"""The object store on S3 by obstore, for predict, batch and monitor: a tenth of boto3's cold start. See
docs/decisions/0003.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from stillgood.aws import credentials as container_credentials
from stillgood.aws.retries import RetryPolicy, TransientError
from stillgood.domain.errors import NoBucket, ObjectExists, ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.storage.objects import STREAM_CHUNK_BYTES, ObjectInfo, ObjectWriter, Stored, checked_key

_CODE = re.compile(r"Code>([A-Za-z0-9.]{1,64})</Code>")

_PIECE_BYTES = 512 * 1024
_PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes but for the last; at most 10,000 of them: objects up to 48 GiB


class ObstoreObjectStore:
    """``ObjectStore`` in ``bucket``. Credentials, region and AWS_ENDPOINT_URL come from the environment. Threads may
    share it.

    ``timeout_seconds`` bounds each request from connecting to the last byte, so no call takes longer than that plus the
    budget of ``attempts``. The default suits predict: better the last good champion than a slow answer.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint_url: str | None = None,
        timeout_seconds: float = 2.0,
        attempts: RetryPolicy | None = None,
    ) -> None:
        endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._bucket = bucket
        self._attempts = attempts or RetryPolicy(
            max_attempts=3, base_delay_seconds=0.05, budget_seconds=timeout_seconds
        )
        self._options: dict[str, Any] = {
            "client_options": {
                "allow_http": (endpoint_url or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=min(1.0, timeout_seconds)),
                "timeout": timedelta(seconds=timeout_seconds),
            }
        }
        if checksum := os.environ.get("STILLGOOD_BUCKET_CHECKSUM"):  # of a bucket under Object Lock
            self._options["checksum_algorithm"] = checksum
        if endpoint_url:
            self._options["endpoint"] = endpoint_url
        if container_credentials.are_offered():
            self._options["credential_provider"] = container_credentials.fetch
        self._s3 = S3Store(bucket, retry_config={"max_retries": 0}, **self._options)
        self._patient: S3Store | None = None

    def get(self, key: str) -> Stored:
        stored = self._get(checked_key(key), {})
        assert stored is not None
        return stored

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        return self._get(checked_key(key), {"if_none_match": etag})

    def put(self, key: str, data: bytes) -> str:
        return self._put(checked_key(key), data, "overwrite")

    def create(self, key: str, data: bytes) -> str:
        return self._put(checked_key(key), data, "create")

    def swap(self, key: str, data: bytes, etag: str) -> str:
        return self._put(checked_key(key), data, {"e_tag": etag})

    def delete(self, key: str) -> None:
        checked_key(key)
        with suppress(ObjectNotFound):
            self._run(key, lambda: obstore.delete(self._s3, key))

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        # obstore's prefixes are whole path segments; the rest is filtered here.
        folder, after = prefix.rpartition("/")[0] or None, start_after
        pages: Iterator[Sequence[Any]] | None = None

        def page() -> Sequence[Any] | None:
            nonlocal pages
            if pages is None:
                pages = iter(obstore.list(self._s3, folder, offset=after.rstrip("/") or None))
            try:
                return next(pages, None)
            except BaseError:
                # A listing that failed is over, and would say "no more" when asked again: start anew after the last
                # key.
                pages = None
                raise

        while (items := self._run(prefix, page)) is not None:
            for item in items:
                key = after = item["path"]
                if key.startswith(prefix) and key.encode() > start_after.encode():
                    yield ObjectInfo(key, item["size"], item["e_tag"] or "", item["last_modified"])

    def stream(self, key: str) -> Iterator[bytes]:
        checked_key(key)
        head = self._run(key, lambda: obstore.head(self._s3, key))
        for start in range(0, head["size"], STREAM_CHUNK_BYTES):
            end = min(start + STREAM_CHUNK_BYTES, head["size"])
            # Looked at where it is, not copied as a whole: that would be fresh memory from the system each time.
            chunk = memoryview(self._range(key, start, end, head["e_tag"]))
            for place in range(0, len(chunk), _PIECE_BYTES):
                yield bytes(chunk[place : place + _PIECE_BYTES])

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        checked_key(key)
        if self._patient is None:
            # Parts may be sent again without harm, so obstore's own retries are good enough here.
            retries: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
            self._patient = S3Store(self._bucket, retry_config=retries, **self._options)
        try:
            # Leaving the block by an error aborts the upload.
            # One part under way, while the next is filled: each more is 5 MB of memory, and the default of 12 would be
            # 60.
            with obstore.open_writer(self._patient, key, buffer_size=_PART_BYTES, max_concurrency=1) as sink:
                yield _Sink(sink)
        except BaseError as error:
            raise StoreUnavailable(f"S3 did not take {key}: {_short(error)}", key=key) from error

    def _get(self, key: str, options: Any) -> Stored | None:
        def read() -> Stored | None:
            try:
                answer = obstore.get(self._s3, key, options=options)
                return Stored(bytes(answer.bytes()), answer.meta["e_tag"] or "")
            except NotModifiedError:
                return None

        return self._run(key, read)

    def _range(self, key: str, start: int, end: int, etag: str | None) -> obstore.Bytes:
        options: Any = {"range": (start, end), "if_match": etag}
        return self._run(key, lambda: obstore.get(self._s3, key, options=options).bytes())

    def _put(self, key: str, data: bytes, mode: Any) -> str:
        def write() -> str:
            return obstore.put(self._s3, key, data, mode=mode, use_multipart=False)["e_tag"] or ""

        def confirm() -> str | None:
            answer = self._translate(key, lambda: obstore.get(self._s3, key))
            return (answer.meta["e_tag"] or "") if bytes(answer.bytes()) == data else None

        return self._run(key, write, confirm)

    def _run[T](self, key: str, call: Callable[[], T], confirm: Callable[[], T | None] | None = None) -> T:
        return self._attempts.run(lambda: self._translate(key, call), confirm)

    def _translate[T](self, key: str, call: Callable[[], T]) -> T:
        """``call()``, with obstore's errors in the port's words."""
        try:
            return call()
        except BaseError as error:
            raise self._refused(key, error) from error
        except FileNotFoundError as error:
            raise self._refused(key, error) from error

    def _refused(self, key: str, error: Exception) -> Exception:
        # obstore has no status of its own; its messages carry S3's error document.
        text = _short(error)
        if "NoSuchBucket" in text:
            return NoBucket(
                f"There is no bucket {self._bucket}; check the name (STILLGOOD_BUCKET, or --bucket), the account and"
                " the region.",
                key=key,
            )
        if isinstance(error, (NotFoundError, FileNotFoundError)):
            return ObjectNotFound(f"{key} does not exist.", key=key)
        if "409 Conflict" in text:
            return TransientError(f"S3 is busy with {key}: {text}", unsure=False)
        if isinstance(error, AlreadyExistsError):
            return ObjectExists(f"{key} exists already.", key=key)
        if isinstance(error, PreconditionError):
            return PreconditionFailed(f"{key} was changed by another writer.", key=key)
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return StoreUnavailable(f"Access to {key} in {self._bucket} is denied; check the function's role.", key=key)
        return TransientError(f"S3 failed on {key}: {text}", unsure=True)


class _Sink:
    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink.write(data)


def _short(error: Exception) -> str:
    """What happened and S3's error code. The rest of S3's document stays out: of a bad session token, it quotes the
    token.
    """
    text, _, document = str(error).partition("\n\nDebug source")[0].partition("<")
    code = _CODE.search(document)
    return f"{text[:300]}{code[1] if code else ''}".strip()
