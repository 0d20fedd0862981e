"""Windows as a policy sees them: from when to when, how one lies behind another, and which small ones are judged
together.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

from stillgood.domain.policy.evidence import Evidence
from stillgood.domain.policy.refusals import broken_upstream
from stillgood.domain.policy.state import MonitorState

POOL_AT_MOST = timedelta(days=92)
_STAMP = "%Y%m%dT%H%M%SZ"


def span_of(window: str) -> tuple[datetime, datetime] | None:
    """Start and end of a window by its id; None for an id of another form."""
    start, _, end = window.partition("_")
    try:
        ends = [datetime.strptime(text, _STAMP).replace(tzinfo=UTC) for text in (start, end)]
    except ValueError:
        return None
    return ends[0], ends[1]


def follows(before: str | None, window: str) -> Literal["adjoins", "overlaps", "gap"]:
    """How a window lies behind the last one: rows that are looked at twice are one piece of evidence, and so is what
    lies apart.
    """
    last, now = span_of(before or ""), span_of(window)
    if last is None or now is None or now[0] == last[1]:
        return "adjoins"
    if now[0] < last[1]:
        return "overlaps"
    return "adjoins" if now[0] - last[1] <= now[1] - now[0] else "gap"


def pool_begins(window: str, version: str, state: MonitorState) -> datetime | None:
    """Since when small windows were not judged that adjoin this one, of the same champion; None where there are none.

    They are judged together as soon as there are enough rows, so each row is looked at once.
    """
    span = span_of(window)
    if state.pooled_since is None or state.version != version or span is None:
        return None
    if follows(state.last_window, window) == "gap":
        return None
    return max(state.pooled_since, span[1] - POOL_AT_MOST) if state.pooled_since < span[0] else None


def pooled_since(evidence: Evidence, violation_rate: float) -> datetime | None:
    """Since when rows wait for more to be judged with, None where these were judged."""
    refused = evidence.rows + evidence.refused >= evidence.min_rows and broken_upstream(evidence, violation_rate)
    if evidence.drift is not None or refused:
        return None
    span = span_of(evidence.window)
    return evidence.pooled_since or (span[0] if span else None)
