"""Who tells an outcome decides what it is worth: strangers neither judge nor teach, callers do not overrule files, and
whoever contradicts everybody else is not heard.
"""

from datetime import timedelta
from typing import Any

from tests.steps.monitor.feed import Shop

STRANGER, CALLER = "api", "caller:mallory"


def opposite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"leaves": not row["leaves"]} for row in rows]


def names(shop: Shop, day: int) -> set[str]:
    return {state["name"] for state in shop.monitor(day)["standing"]}


def test_labels_that_nobody_signed_neither_judge_nor_teach_and_are_told() -> None:
    shop = Shop()
    for day in range(4):
        shop.send(shop.predict(day), day + 2, source=STRANGER)
    report = shop.monitor(14)
    assert report["labels"]["of_the_champion"] == 0
    assert shop.learnt() == []
    (listed,) = report["labels"]["sources"]
    assert (listed["source"], listed["standing"], listed["counts"]) == ("api", "anonymous", False)
    assert listed["labels"] == 1_000
    assert "unsigned" in {state["name"] for state in report["standing"]}
    assert report["decision"]["action"] == "alert"


def test_labels_that_nobody_signed_are_told_when_they_come_and_not_only_when_they_matured() -> None:
    told = {}
    for source in (STRANGER, CALLER):
        shop = Shop(maturity=10)
        shop.send(shop.predict(0), 2, source=source)
        told[source] = "unsigned" in names(shop, 3)
    assert told == {STRANGER: True, CALLER: False}


def test_a_contract_may_vouch_for_whoever_calls() -> None:
    shop = Shop(labels={"vouched_sources": ["api"]})
    for day in range(4):
        shop.send(shop.predict(day), day + 2, source=STRANGER)
    judged = shop.judge(14)
    assert judged.evidence.rows.n == len(shop.learnt()) == 1_000
    assert judged.evidence.rows.vouched_only.n == 1_000
    assert not judged.evidence.unsigned


def test_a_stranger_turns_no_outcome_that_a_file_told_whatever_its_date_and_order() -> None:
    for first in (STRANGER, "crm"):
        shop = Shop()
        made = [row for day in range(4) for row in shop.predict(day)]
        feeds = {"crm": (made, 1.0), STRANGER: (opposite(made), 1.5)}
        for source in sorted(feeds, key=lambda name: name != first):
            rows, event = feeds[source]
            shop.send(rows, 6, event=event, source=source)
            shop.judge(7)
        judged = shop.judge(14)
        leaves = {row["prediction_id"]: row["leaves"] for row in made}
        assert {row["prediction_id"]: row["left"] == "yes" for row in shop.learnt()} == leaves
        assert judged.labels["heard"]["corrected"] == (0 if first == "crm" else 1_000)


def test_a_caller_who_is_known_teaches_and_its_rows_say_who_told_them() -> None:
    shop = Shop()
    made = shop.predict(0)
    shop.send(made[:100], 2, source=CALLER)
    shop.send(made[100:], 2)
    judged = shop.judge(12)
    rows = shop.learnt()
    assert sum(row["label_source"] == CALLER for row in rows) == 100
    assert {row["label_source"] for row in rows} == {CALLER, ""}
    assert judged.evidence.rows.vouched_only.n == 150
    shop = Shop()
    shop.send(shop.predict(0), 2)
    shop.judge(12)
    assert "label_source" not in shop.learnt()[0]


def test_a_caller_who_contradicts_everybody_else_is_not_heard_and_a_person_is_told_once() -> None:
    shop = Shop()
    for day in range(4):
        made = shop.predict(day)
        shop.send(made[:150], day + 2)
        shop.send(opposite(made[150:]), day + 2, source=CALLER)
    judged = shop.judge(14)
    assert judged.evidence.contradicting == (CALLER,)
    assert judged.evidence.rows.n == len(shop.learnt()) == 600
    assert "contradicting" in names(shop, 14)
    shop.predict(14, hour=0.5)
    again = shop.monitor(15)["decision"]
    assert not any(CALLER in reason for reason in again["reasons"] if not reason.startswith("still"))


def test_opposite_labels_of_a_known_caller_are_told_when_they_come_with_figures_and_once() -> None:
    told = {}
    for lies in (True, False):
        shop = Shop(maturity=10)
        every = [shop.predict(day) for day in range(5)]
        for day, rows in enumerate(every):
            shop.send(rows, day + 9)
        made = shop.predict(14)
        shop.send(opposite(made) if lies else made, 14.5, source=CALLER, event=0.1)
        told[lies] = [state for state in shop.monitor(15)["standing"] if state["name"] == "contradicting"]
        assert shop.judge(15).evidence.contradicting == ()
        again = shop.monitor(16)["decision"]["reasons"]
        assert not any(CALLER in reason for reason in again if not reason.startswith("still"))
    assert told[False] == []
    (state,) = told[True]
    assert state["message"].startswith(f"the newest labels of {CALLER} (ROC-AUC 0.2")
    assert "0.81 by 1250 others) say the opposite" in state["message"]


def test_labels_that_are_vouched_for_and_of_the_same_days_say_whether_the_world_turned() -> None:
    told = {}
    for turned in (True, False):
        shop = Shop(maturity=10)
        for day in range(4):
            shop.send(shop.predict(day), day + 10)
        made = shop.predict(14, truth=-1.5 if turned else 1.5)
        shop.send(made[:125], 14.4, event=0.1)
        shop.send(made[125:] if turned else opposite(made[125:]), 14.5, source=CALLER, event=0.1)
        told[turned] = [found.source for found in shop.judge(15).evidence.opposite]
    assert told == {True: [], False: [CALLER]}


def test_when_the_world_changes_for_everybody_nobody_contradicts() -> None:
    shop = Shop()
    for day in range(4):
        made = shop.predict(day, truth=-1.5)
        shop.send(made[:150], day + 2)
        shop.send(made[150:], day + 2, source=CALLER)
    assert shop.judge(14).evidence.contradicting == ()


def test_what_is_rolled_back_is_decided_by_labels_that_somebody_vouches_for() -> None:
    for source, compared in (("crm", True), (CALLER, False)):
        shop = Shop()
        shop.now = shop.at(-1)
        shop.promote("20260901-second", weight=-1.5)
        for day in range(4):
            shop.send(shop.predict(day), day + 2, source=source)
        assert (shop.judge(14).previous_gain is not None) is compared


def test_a_strangers_word_that_all_was_told_makes_no_negatives_of_silence() -> None:
    rules = {"horizon_days": 5, "absent": "negative"}
    for source, learnt in (("crm", 250), (STRANGER, 0)):
        shop = Shop(maturity=5, labels=rules)
        shop.predict(0)
        shop.send([], 12, source=source, complete_until=shop.at(0) + timedelta(days=12))
        shop.judge(14)
        assert len(shop.learnt()) == learnt
