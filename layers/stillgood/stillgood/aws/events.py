"""What a handler is given, before any step looks at it: Lambda hands over any JSON value that somebody invoked it
with.
"""

from typing import Any

from stillgood.domain.errors import InvalidEvent


def json_object(event: object) -> dict[str, Any]:
    """``event``, if it is a JSON object. Raises InvalidEvent."""
    if not isinstance(event, dict):
        raise InvalidEvent(f"The event is a JSON object; see events/. This one is of type {type(event).__name__}.")
    return event
