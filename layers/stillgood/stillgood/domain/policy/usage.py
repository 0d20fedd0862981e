"""Calls and cost of a stack's day, from the counts that monitor keeps, at list prices of us-east-1 (x86_64, US dollars,
March 2026; docs/benchmarks.md has the arithmetic and its measurements).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.policy.wording import minute

GB_SECOND = 0.0000166667
REQUEST = 1.00e-6 + 0.20e-6 + 5.0e-6 + 0.015 * GB_SECOND  # HTTP API, Lambda, the capture's PUT, 15 ms of 1 GB
ROW = 336e-6 * 1769 / 1024 * GB_SECOND  # processor time of one row, at 1 GB
MONITORED_ROW = 3.5e-6 * 1769 / 1024 * GB_SECOND
MONITOR_RUN = 5.0 * 1769 / 1024 * GB_SECOND  # a run waits for S3 and imports, whatever it reads
READ = 0.4e-6  # a GET
DAY = timedelta(days=1)


def usage(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Counts and dollars of the 24 hours up to the newest window's end; None before the first window.

    ``windows``: rows of the overview, oldest first. ``requests`` is None where a window of older code did not count
    them; then ``dollars`` takes each row for a request of its own, which is the most it can be.

    >>> usage([{"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z", "rows": 1000, "refused": 0,
    ...         "requests": 10}])["dollars"]
    0.00022
    """
    if not windows:
        return None
    until = datetime.fromisoformat(str(windows[-1]["end"]))
    since = until - DAY
    last, before = list[Mapping[str, Any]](), until
    for window in reversed(windows):  # windows that overlap, as one judged by hand may, count their rows once
        start, end = (datetime.fromisoformat(str(window[name])) for name in ("start", "end"))
        if end <= before and (start >= since or not last):
            last.insert(0, window)
            before = start
    rows = sum(int(window["rows"] or 0) for window in last)
    refused = sum(int(window["refused"] or 0) for window in last)
    counted = [window.get("requests") for window in last]
    requests = None if None in counted else sum(int(requests_of_window or 0) for requests_of_window in counted)
    calls = rows + refused if requests is None else requests
    predict = calls * REQUEST + (rows + refused) * ROW
    monitor = len(last) * MONITOR_RUN + rows * MONITORED_ROW + calls * READ
    return {
        "since": last[0]["start"],
        "until": windows[-1]["end"],
        "rows": rows,
        "refused": refused,
        "requests": requests,
        "windows": len(last),
        "dollars": float(f"{predict + monitor:.2g}"),
    }


def sentence(used: Mapping[str, Any]) -> str:
    """``usage`` in words.

    >>> used = {"rows": 9, "refused": 2, "requests": 3, "windows": 1, "dollars": 0.00022}
    >>> sentence(used | {"until": "2026-11-24T00:00:00Z"})
    '9 predictions, 2 refused rows, 3 requests in the day up to 2026-11-24 00:00 UTC, 1 run of monitor: about $0.0002'
    """
    requests = used["requests"]
    calls = "" if requests is None else f", {requests:,} request{'s' if requests != 1 else ''}"
    bound = "at most" if requests is None else "about"
    runs = f"{used['windows']} run{'s' if used['windows'] != 1 else ''} of monitor"
    return (
        f"{used['rows']:,} predictions, {used['refused']:,} refused rows{calls} in the day up to"
        f" {minute(used['until'])}, {runs}: {bound} {_dollars(used['dollars'])}"
    )


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}"
