"""Times as texts: read on every way in, written as stored documents have them."""

from datetime import UTC, datetime


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


def iso(moment: datetime) -> str:
    """``moment`` (aware) as stored documents write it: ISO 8601 in UTC with "Z", microseconds only if there are any.

    >>> iso(datetime(2026, 11, 24, 9, tzinfo=UTC))
    '2026-11-24T09:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
