"""The object store on S3 by boto3, for train and promote: boto3 is in the Lambda runtime already. See
docs/decisions/0003.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from stillgood.aws.retries import RetryPolicy, TransientError
from stillgood.domain.errors import (
    InvalidEvent,
    NoBucket,
    ObjectExists,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
)
from stillgood.storage.objects import STREAM_CHUNK_BYTES, ObjectInfo, ObjectWriter, Stored, checked_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ListObjectsV2OutputTypeDef

_PART_BYTES = 8 * 1024 * 1024  # S3 takes parts from 5 MiB, at most 10,000: objects up to 78 GiB
_PASSING = frozenset(
    {"RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
)  # said with a status 400


class Boto3ObjectStore:
    """``ObjectStore`` in ``bucket``. Credentials, region and AWS_ENDPOINT_URL come from the environment. Threads may
    share it.
    """

    def __init__(self, bucket: str, client: "S3Client | None" = None, attempts: RetryPolicy | None = None) -> None:
        self._bucket = bucket
        self._client = client or s3_client()
        self._attempts = attempts or RetryPolicy()

    def get(self, key: str) -> Stored:
        stored = self._get(checked_key(key))
        assert stored is not None
        return stored

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        return self._get(checked_key(key), IfNoneMatch=etag)

    def put(self, key: str, data: bytes) -> str:
        return self._put(checked_key(key), data)

    def create(self, key: str, data: bytes) -> str:
        return self._put(checked_key(key), data, IfNoneMatch="*")

    def swap(self, key: str, data: bytes, etag: str) -> str:
        return self._put(checked_key(key), data, IfMatch=etag)

    def delete(self, key: str) -> None:
        checked_key(key)
        self._run(key, lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def purge(self, key: str) -> int:
        """Remove every version of ``key`` but the present one, and what marks a deletion; returns how many. Needs the
        right to.

        Raises StoreUnavailable.
        """
        checked_key(key)
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key)
        versions = self._run(
            key,
            lambda: [
                entry
                for page in pages
                for entry in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                if entry["Key"] == key
            ],
        )
        # A deleted object's newest is the mark; without older versions it hides nothing, so it goes too.
        kept = [entry for entry in versions if entry["IsLatest"] and "ETag" in entry]
        for entry in versions:
            if entry not in kept:
                version = entry["VersionId"]
                self._run(key, partial(self._client.delete_object, Bucket=self._bucket, Key=key, VersionId=version))
        return len(versions) - len(kept)

    def former(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of every version under ``prefix`` that was overwritten or deleted. Needs the right to list and
        to read versions.

        Raises StoreUnavailable.
        """
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        listed = self._run(prefix, lambda: [entry for page in pages for entry in page.get("Versions", ())])
        for entry in listed:
            if not entry["IsLatest"]:
                with suppress(ObjectNotFound):  # it expired since
                    former = self._get(entry["Key"], VersionId=entry["VersionId"])
                    assert former is not None
                    yield entry["Key"], former.data

    def restore(self, prefix: str, since: datetime, *, dry: bool = False) -> Sequence[str]:
        """Take away what marks the objects under ``prefix`` as deleted, where that was ``since`` (aware); returns their
        keys. Objects that have no version left stay gone. Needs the right to delete versions. Raises StoreUnavailable.
        """
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        listed = self._run(prefix, lambda: [*pages])
        newest = dict[str, datetime]()
        for page in listed:
            for version in page.get("Versions", ()):
                key, written = version["Key"], version["LastModified"]
                newest[key] = max(written, newest.get(key, written))
        marks = [entry for page in listed for entry in page.get("DeleteMarkers", ()) if entry["Key"] in newest]
        latest = {entry["Key"] for entry in marks if entry["IsLatest"] and entry["LastModified"] >= since}
        # Deleted twice, it has two marks above its newest version: all of them hide it.
        for entry in marks if not dry else ():
            key, mark = entry["Key"], entry["VersionId"]
            if key in latest and entry["LastModified"] >= newest[key]:
                self._run(key, partial(self._client.delete_object, Bucket=self._bucket, Key=key, VersionId=mark))
        return sorted(latest)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        where = {"StartAfter": start_after} if start_after else {}
        while True:
            answer = self._page(prefix, where)
            for item in answer.get("Contents", ()):
                if _is_ours(item["Key"]):
                    yield ObjectInfo(item["Key"], item["Size"], item["ETag"], item["LastModified"])
            if not answer.get("IsTruncated"):
                return
            where = {"ContinuationToken": answer["NextContinuationToken"]}

    def stream(self, key: str) -> Iterator[bytes]:
        checked_key(key)
        head = self._run(key, lambda: self._client.head_object(Bucket=self._bucket, Key=key))
        for start in range(0, head["ContentLength"], STREAM_CHUNK_BYTES):
            span = f"bytes={start}-{start + STREAM_CHUNK_BYTES - 1}"
            chunk = self._get(key, Range=span, IfMatch=head["ETag"])
            assert chunk is not None
            yield chunk.data

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        upload = _Upload(self, checked_key(key))
        try:
            yield upload
            upload.finish()
        except BaseException:
            upload.abort()
            raise

    def _get(self, key: str, **conditions: str) -> Stored | None:
        def read() -> Stored | None:
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **conditions)  # type: ignore[arg-type]  # plain strings
            except ClientError as error:
                if _status(error) == 304:
                    return None
                raise
            # Read inside the try: a connection that breaks half-way is retried from the start.
            return Stored(answer["Body"].read(), answer["ETag"])

        return self._run(key, read)

    def _page(self, prefix: str, where: Mapping[str, str]) -> "ListObjectsV2OutputTypeDef":
        def read() -> "ListObjectsV2OutputTypeDef":
            return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **where)  # type: ignore[arg-type]  # plain strings

        return self._run(prefix, read)

    def _put(self, key: str, data: bytes, **conditions: str) -> str:
        def write() -> str:
            return self._client.put_object(Bucket=self._bucket, Key=key, Body=data, **conditions)["ETag"]  # type: ignore[arg-type]  # plain strings

        def confirm() -> str | None:
            stored = self._translate(key, lambda: self._client.get_object(Bucket=self._bucket, Key=key))
            return stored["ETag"] if stored["Body"].read() == data else None

        return self._run(key, write, creating="IfNoneMatch" in conditions, confirm=confirm)

    def _run[T](
        self, key: str, call: Callable[[], T], creating: bool = False, confirm: Callable[[], T | None] | None = None
    ) -> T:
        return self._attempts.run(lambda: self._translate(key, call, creating), confirm)

    def _translate[T](self, key: str, call: Callable[[], T], creating: bool = False) -> T:
        """``call()``, with boto3's errors in the port's words."""
        try:
            return call()
        except ClientError as error:
            raise self._refused(key, error, creating) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise TransientError(f"S3 cannot be reached for {key}: {error}", unsure=False) from error
        except (HTTPClientError, IncompleteReadError) as error:
            raise TransientError(f"S3 did not answer for {key}: {error}", unsure=True) from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"S3 cannot be used for {key}: {error}", key=key) from error

    def _refused(self, key: str, error: ClientError, creating: bool) -> Exception:
        code, status = error.response.get("Error", {}).get("Code", ""), _status(error)
        if code == "NoSuchBucket":
            return NoBucket(
                f"There is no bucket {self._bucket}; check the name (STILLGOOD_BUCKET, or --bucket), the account and"
                " the region.",
                key=key,
            )
        if code == "NoSuchUpload":
            return StoreUnavailable(f"The upload of {key} was removed before it was complete; write it again.", key=key)
        if status == 412:
            if creating:
                return ObjectExists(f"{key} exists already.", key=key)
            return PreconditionFailed(f"{key} was changed by another writer.", key=key)
        if status == 404 and error.operation_name == "PutObject":
            return PreconditionFailed(f"{key} was removed by another writer.", key=key)
        if status == 404:
            return ObjectNotFound(f"{key} does not exist.", key=key)
        if status in (409, 429):
            return TransientError(f"S3 is busy with {key}: {code}", unsure=False)
        if status >= 500 or code in _PASSING:
            return TransientError(f"S3 failed on {key}: {code or status}", unsure=True)
        if status == 403:
            return StoreUnavailable(
                f"Access to {key} in {self._bucket} is denied ({code}); check the function's role.", key=key
            )
        return StoreUnavailable(f"S3 refused {key}: {error}", key=key)


class _Upload:
    """A multipart upload; an object that fits one part is put at once."""

    def __init__(self, store: Boto3ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        self._where: dict[str, Any] = {"Bucket": store._bucket, "Key": key}
        self._buffer = bytearray()
        self._parts: list[CompletedPartTypeDef] = []
        self._id = ""

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _PART_BYTES:
            self._send(bytes(self._buffer[:_PART_BYTES]))
            del self._buffer[:_PART_BYTES]

    def finish(self) -> None:
        if not self._id:
            self._store.put(self._key, bytes(self._buffer))
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        client = self._store._client
        self._store._run(
            self._key,
            lambda: client.complete_multipart_upload(
                **self._where, UploadId=self._id, MultipartUpload={"Parts": self._parts}
            ),
        )

    def abort(self) -> None:
        """Best effort: the bucket's lifecycle rule removes what is left. The error that led here is the one to show."""
        if self._id:
            with suppress(ClientError, BotoCoreError):
                self._store._client.abort_multipart_upload(**self._where, UploadId=self._id)

    def _send(self, data: bytes) -> None:
        client = self._store._client
        if not self._id:
            self._id = self._store._run(self._key, lambda: client.create_multipart_upload(**self._where))["UploadId"]
        number = len(self._parts) + 1
        part = self._store._run(
            self._key, lambda: client.upload_part(**self._where, UploadId=self._id, PartNumber=number, Body=data)
        )
        self._parts.append({"PartNumber": number, "ETag": part["ETag"]})


def s3_client(connect_seconds: float = 2, read_seconds: float = 10) -> "S3Client":
    """A client without retries of its own; time-outs in seconds, ``read_seconds`` for each wait for bytes."""
    # Another AWS, such as the embedded cloud, may not resolve <bucket>.<host>.
    elsewhere = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return boto3.client(
        "s3",
        config=Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=32,
            s3={"addressing_style": "path" if elsewhere else "auto"},
        ),
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_ours(key: str) -> bool:
    """Leaves out what cannot be read through the port, such as the "folders" that S3's console makes."""
    try:
        return bool(checked_key(key))
    except InvalidEvent:
        return False
