"""The time that a text says, on every way in."""

from datetime import datetime


def read_time(text: str) -> datetime:
    """ISO 8601 as ``datetime.fromisoformat`` reads it, aware or naive. Raises ValueError.

    Of digits only, nothing but YYYYMMDD is a time: 1711043200000, milliseconds since 1970, would be a day of 1711.

    >>> read_time("20240229").date().isoformat(), read_time("2024-02-29T12:00:00Z").hour
    ('2024-02-29', 12)
    >>> read_time("1712101300000")
    Traceback (most recent call last):
    ValueError: '1712101300000' is no ISO 8601 time
    """
    if text.isdigit() and len(text) != 8:
        raise ValueError(f"{text[:40]!r} is no ISO 8601 time")
    return datetime.fromisoformat(text)
