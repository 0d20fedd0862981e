"""What a step does to the world beyond the object store: invoke the next step, and ask for the time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

Clock = Callable[[], datetime]
"""Returns the time, aware and in UTC."""


class Invoker(Protocol):
    """Hands an event to another step and does not wait for its answer."""

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        """Queue ``event`` for ``step`` ("train", "promote"). The step sees it at least once. Raises
        InvocationFailed.
        """


class Announcer(Protocol):
    """Tells people and other systems what happened."""

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Send CloudEvents, each at least once. Raises InvocationFailed."""
