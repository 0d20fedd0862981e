"""Announcements as events of EventBridge: rules send them on to people (SNS), chats, or other systems."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillgood.domain.errors import InvocationFailed
from stillgood.domain.policy.announcement import SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_PER_REQUEST = 10  # the most that PutEvents takes


class EventBridgeAnnouncer:
    """Puts events on ``bus`` ("default" or a name). boto3 is imported when there is something to tell: on most windows
    nothing is.
    """

    def __init__(self, bus: str, client: "EventBridgeClient | None" = None) -> None:
        self._bus = bus
        self._client = client

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
                        "Detail": json.dumps(event, allow_nan=False),
                        "EventBusName": self._bus,
                    }
                    for event in events[start : start + _PER_REQUEST]
                ]
                answer = client.put_events(Entries=entries)  # type: ignore[arg-type]  # its TypedDict is of the same keys
                if answer["FailedEntryCount"]:
                    raise InvocationFailed(f"Event bus {self._bus} refused {answer['FailedEntryCount']} events.")
        except (ClientError, BotoCoreError) as error:
            raise InvocationFailed(f"Event bus {self._bus} did not take the events: {error}") from error


def _client() -> "EventBridgeClient":
    import boto3
    from botocore.config import Config

    return boto3.client(
        "events",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )
