"""Rows that nobody labels, whoever sends them, take nobody's labels their worth."""

from typing import Any

import numpy as np
import pytest
from stillgood.domain.outcomes.ledger import STORED, identity
from stillgood.steps.monitor.replay import replay_windows
from stillgood.storage.keys import outcomes_key
from stillgood.storage.outcomes import ledger_days, read_day

from tests.steps.monitor.feed import Shop

APP, WEB, MALLORY = "app", "web", "mallory"
SEVERAL = tuple(f"m{number}" for number in range(20))
Rows = list[dict[str, Any]]


def play(strangers: tuple[str, ...] = (), *, labelled: float = 0.6, **contract: Any) -> Shop:
    """Six days of ``APP``'s 200 rows and ``WEB``'s 50, labelled by chance, and of 600 odd ones that ``strangers``
    send.
    """
    shop = Shop(**contract)
    sent: list[tuple[int, Rows]] = []
    for day in range(6):
        rows = [*shop.predict(day, count=200, caller=APP), *shop.predict(day, count=50, hour=7, caller=WEB)]
        sent.append((day, [row for row in rows if shop.rng.random() < labelled]))
        for place, name in enumerate(strangers):
            shop.predict(day, count=600 // len(strangers), hour=8 + place / 100, caller=name, odd=2.0)
    for day, rows in sent:
        shop.send(rows, day + 7)
    return shop


@pytest.mark.parametrize("strangers", [(MALLORY,), SEVERAL], ids=["of one name", "of twenty"])
def test_honest_labels_judge_and_teach_as_though_such_rows_were_not_there(strangers: tuple[str, ...]) -> None:
    calm, flooded = (play(names).judge(17) for names in ((), strangers))
    assert calm.evidence.rows.n > 800
    assert flooded.evidence.rows.n == pytest.approx(calm.evidence.rows.n, abs=60)  # the draws are others
    assert all(span.trusted for span in flooded.evidence.spans)
    assert not flooded.evidence.biased
    assert flooded.evidence.coverage == pytest.approx(0.6, abs=0.05)
    assert flooded.labels["unlabelled"] == {"callers": len(strangers), "rows": 3_600}
    assert calm.labels["unlabelled"] == {"callers": 0, "rows": 0}
    assert flooded.written["rows"] == flooded.evidence.rows.n


def test_a_person_is_told_once_that_most_rows_have_no_labels() -> None:
    shop = play((MALLORY,))
    reports = [shop.monitor(day) for day in (17, 18, 19)]
    named = [{state["name"] for state in report["standing"]} for report in reports]
    assert ["unlabelled" in names for names in named] == [False, True, True]
    assert not {"selected", "coverage"} & set().union(*named)
    said = "most predictions, or more than labels.min_coverage allows, are of callers whose rows nobody labels"
    told = [[reason for reason in report["decision"]["reasons"] if reason.startswith(said)] for report in reports]
    assert [len(reasons) for reasons in told] == [0, 1, 0]
    assert [replayed for replayed in replay_windows(shop.store) if not replayed.same] == []
    calm = play()
    calm.monitor(17)
    assert "unlabelled" not in {state["name"] for state in calm.monitor(18)["standing"]}


def test_a_few_labels_by_borrowed_ids_make_no_caller_heard() -> None:
    shop = play((MALLORY,))
    borrowed = [row for row in shop.rows if row["prediction_id"].endswith("-8")][::50]
    assert len(borrowed) == 72
    shop.send(borrowed, 15)
    judged = shop.judge(17)
    assert judged.labels["unlabelled"] == {"callers": 1, "rows": 3_600}
    learnt = {row["prediction_id"] for row in shop.learnt()}
    assert not learnt & {row["prediction_id"] for row in borrowed}
    assert learnt


def test_rows_of_nobody_known_count() -> None:
    judged = play(("",)).judge(17)
    assert judged.labels["unlabelled"]["callers"] == 0
    assert judged.evidence.biased


def late(**contract: Any) -> Shop:
    """Labels of ``WEB``'s rows, which are riskier, came for its first two days only; ``APP``'s all came."""
    shop = Shop(**contract)
    for day in range(6):
        shop.send(shop.predict(day, count=150, caller=APP), day + 7)
    for day in range(6):
        rows = shop.predict(day, count=100, hour=7, caller=WEB, odd=1.0)
        if day < 2:
            shop.send(rows, day + 7)
    return shop


def test_a_caller_whose_labels_are_late_still_counts() -> None:
    judged = late().judge(17)
    assert judged.labels["unlabelled"]["callers"] == 0
    assert [span.selected for span in judged.evidence.spans] == [False, False, True, True, True, True]


def test_where_nobody_has_labels_it_is_deaf_as_ever() -> None:
    shop = Shop(maturity=3)
    shop.send(shop.predict(0, caller=APP), 2)
    for day in range(1, 12):
        shop.predict(day, caller=APP)
        shop.predict(day, hour=8, caller=MALLORY)
    judged = shop.judge(20)
    assert judged.evidence.deaf_since == shop.at(4.25)  # of the first prediction after the last label
    assert judged.evidence.spans[-1].coverage == 0.0


@pytest.mark.parametrize("name", [MALLORY, f"caller:{MALLORY}"])
def test_rows_of_whom_the_contract_vouches_for_count(name: str) -> None:
    judged = play((MALLORY,), labels={"vouched_sources": [name, "crm"]}).judge(17)
    assert judged.labels["unlabelled"]["callers"] == 0
    assert judged.evidence.biased


def test_the_share_that_the_contract_asks_for_is_of_the_others_and_a_person_is_told() -> None:
    shop = play(SEVERAL[:2], labels={"min_coverage": 0.5})
    judged = shop.judge(17)
    assert all(span.trusted for span in judged.evidence.spans)
    assert not judged.evidence.thin
    shop.monitor(17)
    assert "unlabelled" in {state["name"] for state in shop.monitor(18)["standing"]}


def test_a_day_that_was_stored_before_callers_were_known_is_of_nobody() -> None:
    shop = play((MALLORY,))
    shop.judge(17)
    day = max(ledger_days(shop.store))
    key = outcomes_key(f"{day}")
    known = read_day(shop.store, day)[0]
    assert known is not None
    assert set(known.records["caller"].tolist()) == {identity(name) for name in (APP, WEB, MALLORY)}
    head, _, _ = shop.store.get(key).data.partition(b"\n")
    former = np.zeros(known.n, STORED[2])
    for name in STORED[2].names or ():
        former[name] = known.records[name]
    shop.store.put(key, head.replace(b'"format_version":3', b'"format_version":2') + b"\n" + former.tobytes())
    again = read_day(shop.store, day)[0]
    assert again is not None
    assert set(again.records["caller"].tolist()) == {0}
    for name in STORED[2].names or ():
        np.testing.assert_array_equal(again.records[name], known.records[name])
