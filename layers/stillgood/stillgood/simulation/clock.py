"""A clock that moves when it is told to."""

from datetime import datetime, timedelta

from stillgood.domain.errors import InvalidEvent


class VirtualClock:
    """Call it for the time (aware, UTC). It never goes back, so what is stored is stored in the order of time.

    >>> from datetime import UTC
    >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.sleep(90)
    >>> f"{clock():%H:%M:%S}"
    '00:01:30'
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise InvalidEvent("A virtual clock starts at a time with an offset.")
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, to: datetime) -> None:
        """Move to ``to``, or stay when it has passed already."""
        self._now = max(self._now, to)

    def sleep(self, seconds: float) -> None:
        """What a step calls instead of waiting."""
        self._now += timedelta(seconds=max(seconds, 0.0))
