"""Found and done have words of their own, and the summary puts the worst first."""

from datetime import UTC, datetime
from typing import Any

import pytest
from stillgood.domain.policy.summary import summarise, worst
from stillgood.domain.policy.usage import usage
from stillgood.domain.policy.wording import ACT, LOOK, WELL, done, finding, level

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
LOST = "performance: realised ROC-AUC 0.544 against 0.738 at promotion, p 1e-12 (concept drift, or worse data)"


def report(action: str, *reasons: str, streaks: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    figures = {"streaks": streaks or {}, "rules": {"persistence": 2}, **more.pop("figures", {})}
    return {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "decision": {"action": action, "reasons": list(reasons), "figures": figures},
        "rows": 1000,
        **more,
    }


@pytest.mark.parametrize(
    ("report", "finding_text", "was_done", "grade"),
    [
        (report("nothing", "nothing drifted enough to matter"), "nothing", "nothing", WELL),
        (
            report("nothing", f"{LOST}; seen in 1 of 2 windows", streaks={"performance": 1}),
            "ranking lost (realised ROC-AUC 0.544 against 0.738 at promotion, p 1e-12 (concept drift, or worse data))",
            "nothing yet, the second window is due 2026-11-25 00:00 UTC",
            LOOK,
        ),
        (
            report(
                "alert", LOST, "no retrain: 12 new labelled rows, at least 200 are needed", streaks={"performance": 2}
            ),
            "ranking lost (realised ROC-AUC 0.544 against 0.738 at promotion, p 1e-12 (concept drift, or worse data))",
            "a person was told; no retrain: 12 new labelled rows, at least 200 are needed",
            ACT,
        ),
        (
            report(
                "retrain",
                "fee: KS 0.3",
                streaks={"fee": 2},
                figures={"drifted": ["fee"], "news": [], "directions": {"fee": "higher by 10 euros"}},
            ),
            "drift: fee higher by 10 euros",
            "a retrain was asked for",
            LOOK,
        ),
        (
            report(
                "nothing",
                "news, not a reason: age drifted, and the scores did not",
                figures={"drifted": ["age"], "news": ["age"]},
            ),
            "drift that the scores do not feel: age",
            "nothing",
            WELL,
        ),
        (
            report(
                "nothing",
                LOST,
                "asked for already; the next retrain is due from 2026-11-26 00:00 UTC",
                streaks={"performance": 3},
            ),
            "ranking lost (realised ROC-AUC 0.544 against 0.738 at promotion, p 1e-12 (concept drift, or worse data))",
            "nothing; asked for already; the next retrain is due from 2026-11-26 00:00 UTC",
            LOOK,
        ),
        (
            report("nothing", "not enough evidence: 12 rows, 200 are needed"),
            "too few rows to judge (12 rows, 200 are needed)",
            "nothing",
            WELL,
        ),
    ],
)
def test_what_was_found_and_what_was_done_are_told_apart(
    report: dict[str, Any], finding_text: str, was_done: str, grade: int
) -> None:
    assert (finding(report), done(report), level(report)) == (finding_text, was_done, grade)


def row(**more: Any) -> dict[str, Any]:
    return {
        "start": "2026-11-23T00:00:00Z",
        "end": "2026-11-24T00:00:00Z",
        "made_at": "2026-11-24T00:00:05Z",
        "action": "nothing",
        "reasons": [],
        "found": "drift: fee",
        "done": "nothing yet",
        "level": 1,
        "rows": 1000,
        "refused": 0,
        "requests": 10,
        "labels": {"predictions": 900, "labelled": 300, "since": "2026-10-01T00:00:00+00:00"},
        **more,
    }


def test_the_worst_finding_comes_first_after_what_serves_and_then_one_order() -> None:
    stands = [{"name": "recall", "message": "recall is under its floor", "since": "2026-11-01", "waits_for": "labels"}]
    said = {"since": "2026-11-20T00:00:00Z", "by": "Ada", "decision": 4, "because": "Audit."}
    orders = {"mode": {"mode": "ask", **said}}
    history = {"windows": [row(stands=stands, realised={"recall": {"value": 0.61}})], "orders": orders}
    lines = summarise(history, serving={"version": "v1", "since": "2026-11-01T00:00:00Z", "decision": 3}, now=NOW)
    assert [line.topic for line in lines] == ["serving", "finding", "finding", "monitor", "labels", "orders", "usage"]
    assert [line.level for line in lines[1:3]] == [ACT, LOOK]
    text = [line.text for line in lines]
    assert text[0] == "v1 since 2026-11-01 00:00 UTC, by decision 3"
    assert "recall now 0.610" in text[1]
    assert text[3].endswith("the next is due 2026-11-25 00:00 UTC")
    assert text[4] == "600 of 900 matured predictions have no label, the oldest from 2026-10-01"
    assert text[5] == "mode ask since 2026-11-20 00:00 UTC by Ada (decision 4): Audit"
    assert worst(lines) == ACT


def test_a_schedule_that_stopped_is_a_finding_where_there_is_one() -> None:
    quiet = {"windows": [row(level=0, found="nothing", done="nothing")]}
    serving, later = {"version": "v1"}, datetime(2026, 11, 28, tzinfo=UTC)
    assert worst(summarise(quiet, serving=serving, now=NOW)) == WELL
    missed = summarise(quiet, serving=serving, now=later)
    assert "missed 4 runs" in next(line.text for line in missed if line.topic == "finding")
    assert worst(summarise(quiet, serving=serving, now=later, scheduled=False)) == WELL


def test_what_nobody_counted_is_the_most_it_can_be() -> None:
    counted, unknown = usage([row()]), usage([row(requests=None)])
    assert counted is not None
    assert unknown is not None
    assert (counted["requests"], unknown["requests"]) == (10, None)
    assert unknown["dollars"] > 10 * counted["dollars"]


def test_windows_that_overlap_count_their_rows_once() -> None:
    by_hand = row(start="2026-11-23T00:30:00Z", end="2026-11-24T00:30:00Z")
    used = usage([row(), by_hand])
    assert used is not None
    assert (used["rows"], used["windows"]) == (1000, 1)


def test_a_window_of_the_past_was_not_judged() -> None:
    late = report("nothing", "a later window (w2) has been decided; this one is reported only")
    assert (finding(late), level(late)) == (f"not judged: {late['decision']['reasons'][0]}", WELL)
