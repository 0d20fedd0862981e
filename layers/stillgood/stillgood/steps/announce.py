"""Tell the world what a step did, from the stored documents: after the step, once, and never in its way."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import StillgoodError
from stillgood.domain.policy.announcement import Announcement, of_decision, of_window
from stillgood.steps.ports import Announcer
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import OVERVIEW_KEY, decision_page_key, window_page_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, read_report


def announce(store: ObjectStore, answer: Mapping[str, Any], announcer: Announcer) -> int:
    """Announce what ``answer``, a step's, stands for; returns how many events were sent. A duplicate announces nothing.

    Call it after the pages are written: the overview says which window came before this one.
    """
    if answer.get("duplicate"):
        return 0
    events = list(_announcements(store, answer))
    if events:
        announcer.announce([event.to_dict() for event in events])
    return len(events)


def _announcements(store: ObjectStore, answer: Mapping[str, Any]) -> list[Announcement]:
    if answer.get("report") is not None:
        window = Window.from_id(str(answer["window"]))
        report = read_report(store, window)
        return [] if report is None else of_window(report, _before(store, window.id), window_page_key(window.id))
    if answer.get("decision") is not None:
        n = int(answer["decision"])
        return [of_decision(Registry(store).decision(n).to_dict(), decision_page_key(n))]
    return []


def _before(store: ObjectStore, window_id: str) -> dict[str, Any] | None:
    """The report of the window before ``window_id``, by the overview's list; None before the first."""
    try:
        windows = decode_any(store.get(OVERVIEW_KEY).data, what=OVERVIEW_KEY)["windows"]
        before = max((str(row["id"]) for row in windows if str(row["id"]) < window_id), default=None)
        return None if before is None else read_report(store, Window.from_id(before))
    except (StillgoodError, KeyError):
        return None
