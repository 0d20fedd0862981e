"""Captures by Amazon Data Firehose, which writes many requests as one object: a thirtieth of S3's price for each PUT.

One call, PutRecord, signed here: botocore's signer alone takes .46 s to import, more than predict's whole cold start
(docs/decisions/0052). tests/aws/test_firehose.py holds the signature to botocore's, byte for byte.
"""

import hashlib
import hmac
import logging
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from json import dumps
from threading import Lock
from urllib.parse import urlsplit

from stillgood.aws import credentials as container_credentials
from stillgood.aws import logs
from stillgood.domain.errors import ObjectExists, StoreUnavailable
from stillgood.storage.objects import ObjectStore

MAX_RECORD_BYTES = 1_000_000  # Firehose takes 1,024,000 of a record before its encoding
TIMEOUT_SECONDS = 2.0
_TARGET, _TYPE = "Firehose_20150804.PutRecord", "application/x-amz-json-1.1"

type Keys = tuple[str, str, str | None]
"""Access key id, secret access key, session token."""


class Firehose:
    """PutRecord into one delivery stream. Safe to share between threads: one connection, one request at a time.

    Credentials and region come from the environment, as Lambda sets them.
    """

    def __init__(
        self, stream: str, *, endpoint_url: str | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._stream, self._clock = stream, clock
        self._region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        china = ".cn" if self._region.startswith("cn-") else ""
        self._url = urlsplit(endpoint_url or f"https://firehose.{self._region}.amazonaws.com{china}")
        self._connection: HTTPConnection | None = None
        self._lock = Lock()

    def put(self, data: bytes) -> None:
        """Durable in the stream when it returns. Raises StoreUnavailable, also when it is not known."""
        body = dumps({"DeliveryStreamName": self._stream, "Record": {"Data": b64encode(data).decode()}}).encode()
        headers = {"Content-Type": _TYPE, "Host": self._url.netloc, "X-Amz-Target": _TARGET}
        headers = signed(headers, body, _keys(), self._region, self._clock())
        with self._lock:
            try:
                status, answer = self._send(body, headers)
            except (OSError, HTTPException) as error:
                raise StoreUnavailable(f"Firehose did not answer: {type(error).__name__}: {error}") from error
        if status != 200:
            raise StoreUnavailable(f"Firehose refused a record: {status} {answer[:200].decode(errors='replace')}")

    def close(self) -> None:
        """Close the connection; the next record opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One try on the connection that is open; a frozen process may find it closed, then one on a new one."""
        if self._connection is not None:
            with suppress(OSError, HTTPException):
                return self._try(self._connection, body, headers)
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        self._connection = kind(self._url.netloc, timeout=TIMEOUT_SECONDS)
        return self._try(self._connection, body, headers)

    def _try(self, connection: HTTPConnection, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            connection.request("POST", "/", body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            connection.close()
            self._connection = None
            raise


class ByFirehose:
    """Where ``Capture`` writes to: the stream, or else ``store`` under the key of the request.

    A record whose answer got lost is in both; readers count each prediction once.
    """

    def __init__(self, stream: Firehose, store: ObjectStore) -> None:
        self._stream, self._store = stream, store

    def create(self, key: str, data: bytes) -> str:
        """Raises StoreUnavailable when neither takes it."""
        try:
            for part in _parts(data):
                self._stream.put(part)
            return ""
        except StoreUnavailable as error:
            logs.log(logging.WARNING, "Firehose did not take a capture; it goes to S3", error=error, key=key)
        with suppress(ObjectExists):
            return self._store.create(key, data)
        return ""


def _parts(data: bytes) -> list[bytes]:
    """``data`` in whole lines, as few parts as a record's size allows; a longer line stands alone, and is refused."""
    parts, start = [], 0
    while len(data) - start > MAX_RECORD_BYTES:
        end = data.rfind(b"\n", start, start + MAX_RECORD_BYTES) + 1 or data.find(b"\n", start) + 1 or len(data)
        parts.append(data[start:end])
        start = end
    return [*parts, data[start:]] if start < len(data) else parts


def signed(headers: Mapping[str, str], body: bytes, keys: Keys, region: str, now: datetime) -> dict[str, str]:
    """``headers`` of a POST of ``body`` to "/" with AWS Signature Version 4 for Firehose.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    key, secret, token = keys
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = dict(headers) | {"X-Amz-Date": stamp} | ({"X-Amz-Security-Token": token} if token else {})
    lower = {name.lower(): value.strip() for name, value in sent.items()}
    names = ";".join(sorted(lower))
    canonical = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    request = f"POST\n/\n\n{canonical}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/firehose/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    secret_key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        secret_key = hmac.digest(secret_key, part.encode(), "sha256")
    signature = hmac.digest(secret_key, text.encode(), "sha256").hex()
    sent["Authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent


def _keys() -> Keys:
    """Credentials of now: from the endpoint that Lambda names under SnapStart, else from the environment."""
    if container_credentials.are_offered():
        try:
            credentials = container_credentials.fetch()
        except (OSError, ValueError, KeyError) as error:
            raise StoreUnavailable(f"No credentials can be had, which a role of the function gives: {error}") from error
        return credentials["access_key_id"], credentials["secret_access_key"], credentials.get("token")
    try:
        return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")
    except KeyError as error:
        raise StoreUnavailable(f"There are no credentials: {error} is not set.") from error
