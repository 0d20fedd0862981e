"""Announcements as events of EventBridge: rules send them on to people (SNS), chats, or other systems."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillgood.domain.errors import InvocationFailed
from stillgood.domain.policy.announcement import SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

_PER_REQUEST = 10  # the most that PutEvents takes


LINK_SECONDS = 12 * 3600  # as long as a Lambda's own credentials may last, with which a link is signed


class Links:
    """Addresses of objects in ``bucket`` that open without signing in, for ``LINK_SECONDS``. They have the rights of
    who made them.
    """

    def __init__(self, bucket: str, client: "S3Client | None" = None) -> None:
        self._bucket = bucket
        self._client = client

    def to(self, key: str) -> str:
        """No call of S3 is made."""
        if self._client is None:
            import boto3
            from botocore.config import Config

            self._client = boto3.client("s3", config=Config(signature_version="s3v4"))
        return self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": key, "ResponseContentType": "text/html; charset=utf-8"},
            ExpiresIn=LINK_SECONDS,
        )


class EventBridgeAnnouncer:
    """Puts events on ``bus`` ("default" or a name); ``links`` makes a page's key an address that a person can open.

    boto3 is imported when there is something to tell: on most windows nothing is.
    """

    def __init__(
        self, bus: str, client: "EventBridgeClient | None" = None, links: Callable[[str], str] | None = None
    ) -> None:
        self._bus = bus
        self._client = client
        self._links = links

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Send CloudEvents. Raises InvocationFailed when the bus does not take one."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client or _client()
            for start in range(0, len(events), _PER_REQUEST):
                entries = [
                    {
                        "Source": SOURCE,
                        "DetailType": str(event["type"]),
                        "Detail": json.dumps(self._linked(event), allow_nan=False),
                        "EventBusName": self._bus,
                    }
                    for event in events[start : start + _PER_REQUEST]
                ]
                answer = client.put_events(Entries=entries)  # type: ignore[arg-type]  # its TypedDict is of the same keys
                if answer["FailedEntryCount"]:
                    raise InvocationFailed(f"Event bus {self._bus} refused {answer['FailedEntryCount']} events.")
        except (ClientError, BotoCoreError) as error:
            raise InvocationFailed(f"Event bus {self._bus} did not take the events: {error}") from error

    def _linked(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """``event`` with a link in its data where a person must see it."""
        data = event.get("data") or {}
        if self._links is None or not data.get("notify") or not data.get("page"):
            return event
        return {**event, "data": {**data, "link": self._links(data["page"])}}


def _client() -> "EventBridgeClient":
    import boto3
    from botocore.config import Config

    return boto3.client(
        "events",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )
