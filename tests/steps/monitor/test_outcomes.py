"""Whatever a feed of labels does, each outcome is heard, judged when its time has come, and learnt once."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from stillgood.domain.drift.performance import RealisedPerformance
from stillgood.domain.outcomes.ledger import is_known
from stillgood.steps.monitor.outcomes import Outcomes
from stillgood.storage.keys import capture_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import Stored
from stillgood.storage.outcomes import read_day

from tests.steps.monitor.feed import DAY, FIRST, VERSION, Shop

POSITIVES_ONLY = {"horizon_days": 10, "absent": "negative"}


def leavers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["leaves"]]


def realised(judged: Outcomes) -> RealisedPerformance:
    assert judged.realised is not None
    return judged.realised


@pytest.mark.parametrize("by", ["prediction_id", "entity_id"])
def test_labels_on_time_judge_the_champion_and_are_learnt_once(by: str) -> None:
    shop = Shop()
    for day in range(4):
        shop.send(shop.predict(day), day + 2, by=by)
    judged = shop.judge(14)
    rows = judged.evidence.rows
    assert rows.n == realised(judged).metrics.rows == 1_000
    assert rows.positives == sum(row["leaves"] for row in shop.rows)
    assert len(np.unique(rows.entities)) == 1_000
    assert judged.evidence.coverage == 1.0
    assert judged.written["rows"] == 1_000
    assert shop.judge(14).written["rows"] == 0
    said = {row["prediction_id"]: row["left"] for row in shop.learnt()}
    assert said == {row["prediction_id"]: "yes" if row["leaves"] else "no" for row in shop.rows}


def test_nothing_is_judged_or_learnt_before_it_has_matured() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2)
    assert shop.judge(10).evidence.rows.n == 0
    assert shop.learnt() == []
    assert shop.judge(11).evidence.rows.n == 250


def test_without_a_single_label_nothing_is_indexed() -> None:
    shop = Shop()
    shop.predict(0)
    assert shop.judge(20).labels == {}
    assert not list(shop.store.list("monitoring/outcomes/"))


def test_labels_that_come_weeks_after_maturity_are_judged_and_learnt() -> None:
    shop = Shop(maturity=30)
    for day in range(3):
        shop.predict(day)
    assert shop.judge(34).labels == {}
    shop.send(shop.rows[:250], 33)
    assert shop.judge(34).evidence.rows.n == 250
    shop.send(shop.rows[250:], 47, event=None)
    judged = shop.judge(48)
    assert judged.evidence.rows.n == 750
    assert judged.written["rows"] == 500
    assert len(shop.learnt()) == 750


def test_rare_outcomes_add_up_over_windows_until_they_say_something() -> None:
    shop = Shop(per_day=50)
    judged = []
    for day in range(31):
        if day < 20:
            shop.predict(day)
        if 2 <= day < 22:
            shop.send([row for row in shop.rows if row["day"] == day - 2], day)
        judged.append(shop.judge(day))
    assert judged[13].realised is None
    assert realised(judged[-1]).metrics.rows == 1_000
    recent = judged[-1].recent
    assert recent is not None
    assert 200 <= recent.metrics.rows < 300


def test_a_feed_of_positives_without_a_watermark_teaches_nothing() -> None:
    shop = Shop(labels=POSITIVES_ONLY)
    for day in range(4):
        shop.send(leavers(shop.predict(day)), day + 3, by="entity_id")
    judged = shop.judge(20)
    assert judged.evidence.rows.n == 0
    assert judged.evidence.spans == ()
    assert shop.learnt() == []


def test_a_feed_of_positives_makes_negatives_of_silence_as_far_as_its_watermark_reaches() -> None:
    shop = Shop(labels=POSITIVES_ONLY)
    for day in range(4):
        shop.send(leavers(shop.predict(day)), day + 3, by="entity_id")
    shop.send([], 13, complete_until=shop.at(12))
    judged = shop.judge(20)
    # A prediction of day 1, 06:00, is complete on day 11, 06:00; that of day 2 on day 12, 06:00.
    assert judged.evidence.rows.n == 500
    assert judged.evidence.rows.positives == len(leavers(shop.rows[:500]))
    assert abs(realised(judged).calibration_gap) < 0.05
    shop.send([], 21, complete_until=shop.at(20))
    assert shop.judge(21).evidence.rows.n == 1_000


def test_a_feed_of_positives_that_stops_never_turns_into_loyal_customers() -> None:
    shop = Shop(labels=POSITIVES_ONLY)
    for day in range(30):
        rows = shop.predict(day)
        if day < 10:
            shop.send(leavers(rows), day + 2, by="entity_id", complete_until=shop.at(day + 2))
    judged = shop.judge(45)
    assert judged.evidence.rows.n == 250  # of day 0: complete until day 11
    assert judged.labels["complete_until"] == "2026-09-12T00:00:00Z"
    assert {row["predicted_at"][:10] for row in shop.learnt()} == {"2026-09-01"}


def test_a_late_positive_corrects_what_silence_said() -> None:
    shop = Shop(labels=POSITIVES_ONLY)
    rows = shop.predict(0)
    late = leavers(rows)[0]
    shop.send([row for row in leavers(rows) if row is not late], 3, by="entity_id", complete_until=shop.at(3))
    shop.send([], 12, complete_until=shop.at(12))
    before = shop.judge(12)
    shop.send([late], 15, by="entity_id")
    after = shop.judge(16)
    assert after.evidence.rows.positives == before.evidence.rows.positives + 1
    assert after.written["corrections"] == 1
    said = [row["left"] for row in shop.learnt() if row["prediction_id"] == late["prediction_id"]]
    assert said == ["no", "yes"]


def test_a_watermark_ahead_of_its_own_arrival_reaches_no_further() -> None:
    shop = Shop(labels=POSITIVES_ONLY)
    shop.send(leavers(shop.predict(0)), 3, by="entity_id", complete_until=shop.at(400))
    assert shop.judge(20).labels["complete_until"] == "2026-09-04T00:00:00Z"


def test_the_feed_that_lags_says_how_far_silence_counts_unless_others_are_vouched_for() -> None:
    for vouched, until in (((), "2026-09-06"), (("crm",), "2026-09-13")):
        shop = Shop(labels=POSITIVES_ONLY | {"vouched_sources": list(vouched)})
        shop.send(leavers(shop.predict(0)), 12, by="entity_id", source="crm", complete_until=shop.at(12))
        shop.send([], 12, source="billing", complete_until=shop.at(5))
        assert shop.judge(20).labels["complete_until"][:10] == until


def test_early_positives_judge_nobody_before_the_horizon_has_passed() -> None:
    """Cancellations are known in week one, loyalty after a month: what is known early is no sample."""
    shop = Shop(maturity=5, labels={"horizon_days": 30})
    for day in range(3):
        shop.send(leavers(shop.predict(day)), day + 1, event=0.5)
    assert shop.judge(25).evidence.rows.n == 0
    for day in range(3):
        shop.send([row for row in shop.rows if row["day"] == day and not row["leaves"]], day + 30, event=29.5)
    judged = shop.judge(33)
    assert judged.evidence.rows.n == 750
    assert abs(realised(judged).calibration_gap) < 0.05


@pytest.mark.parametrize("by", ["prediction_id", "entity_id"])
@pytest.mark.parametrize("dated", [9.0, None], ids=["dated inside the horizon", "dated when they were sent"])
def test_a_horizon_of_ten_days_hears_labels_of_day_eleven_to_sixteen(by: str, dated: float | None) -> None:
    shop = Shop(maturity=10, labels={"horizon_days": 10})
    for day in range(3):
        shop.predict(day)
    counts = []
    for late in range(11, 17):
        for day in range(3):
            part = [row for place, row in enumerate(shop.rows) if row["day"] == day and place % 6 == late - 11]
            shop.send(part, day + late, by=by, event=dated)
        counts.append(shop.judge(late + 2.5).evidence.rows.n)
    assert counts[-1] == 750
    assert counts == sorted(counts)
    said = {row["prediction_id"]: row["left"] for row in shop.learnt()}
    assert said == {row["prediction_id"]: "yes" if row["leaves"] else "no" for row in shop.rows}


def test_a_status_feed_by_entity_gives_the_same_judged_on_time_and_fifteen_days_late() -> None:
    """Every week the feed tells the status of everybody; a customer who leaves stays gone."""

    def run(late: float) -> Outcomes:
        shop = Shop(maturity=10, labels={"horizon_days": 10})
        for day in range(4):
            shop.predict(day)
        for week in (7, 14, 21, 28):
            if week > 14 + late:
                break
            gone = [row for row in shop.rows if row["leaves"]]
            there = [row for row in shop.rows if not row["leaves"]]
            shop.send(gone, week, by="entity_id", event=None, said="yes")
            shop.send(there, week + 0.01, by="entity_id", event=None, said="no")
            # Half of those who stay leave later, after the horizon.
            if week == 14:
                for row in there[::2]:
                    row["leaves"] = True
        return shop.judge(14, late=late)

    on_time, later = run(0.1), run(15)
    assert on_time.evidence.rows.n == 1_000
    assert realised(on_time) == realised(later)


def test_next_months_label_of_an_entity_does_not_erase_this_months() -> None:
    shop = Shop(maturity=30, labels={"horizon_days": 30})
    first = shop.predict(0, entities=lambda number: f"c{number}")
    second = shop.predict(30, entities=lambda number: f"c{number}")
    shop.send(first, 29, by="entity_id", event=20)
    assert shop.judge(31).evidence.rows.positives == len(leavers(first))
    shop.send(second, 59, by="entity_id", event=20)
    judged = shop.judge(61)
    assert judged.evidence.rows.n == 500
    assert judged.evidence.rows.positives == len(leavers(first)) + len(leavers(second))


def test_a_correction_supersedes_and_reaches_training_rows() -> None:
    shop = Shop()
    rows = shop.predict(0)
    shop.send(rows, 2)
    assert shop.judge(11).evidence.rows.positives == len(leavers(rows))
    wrong = leavers(rows)[:5]
    shop.send(wrong, 12, said="no")  # the same date, sent later
    judged = shop.judge(13)
    assert judged.evidence.rows.positives == len(leavers(rows)) - 5
    assert judged.labels["heard"]["corrected"] == 5
    assert judged.written == {"rows": 5, "files": 1, "corrections": 5, "personal": 0}
    assert [row["left"] for row in shop.learnt()[-5:]] == ["no"] * 5


def test_a_label_from_before_its_prediction_is_none_of_it() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2, event=-1)
    judged = shop.judge(11)
    assert judged.evidence.rows.n == 0
    assert judged.labels["heard"]["before_prediction"] == 250


def test_two_outcomes_in_one_delivery_contradict_each_other_until_a_later_one() -> None:
    shop = Shop()
    rows = shop.predict(0)
    shop.send(rows, 2)
    torn = rows[:10]
    shop.send([*torn, *({**row, "leaves": not row["leaves"]} for row in torn)], 3, event=1.5)
    assert shop.judge(11).evidence.rows.n == 240
    shop.send(torn, 12, event=1.5)
    assert shop.judge(13).evidence.rows.n == 250


def test_each_outcome_of_a_label_is_counted_with_an_example() -> None:
    shop = Shop()
    rows = shop.predict(0)
    shop.send(rows, 2)
    shop.judge(3)
    shop.send([rows[0], rows[1] | {"leaves": not rows[1]["leaves"]}, rows[2] | {"prediction_id": "nobody"}], 4)
    counted = shop.judge(5).labels
    assert counted["heard"] | {"repeated": 1, "superseding": 1, "corrected": 1, "waiting": 1} == counted["heard"]
    assert counted["heard"]["matched"] == 252
    assert counted["missing"] == counted["predictions"] - counted["labelled"]
    places = {name: counted["examples"][name].partition(" of ")[0] for name in ("repeated", "superseding", "waiting")}
    assert len(set(places.values())) == 3  # three labels of one batch
    assert all(where.partition(" of ")[2].startswith("labels/dt=") for where in counted["examples"].values())


def test_labels_without_a_prediction_wait_a_week_and_are_counted() -> None:
    shop = Shop()
    rows = shop.predict(0)
    shop.send([*rows, {**rows[0], "prediction_id": "nobody"}], 2)
    assert shop.judge(3).labels["heard"]["waiting"] == 1
    assert shop.judge(11).labels["heard"] == {
        "before_prediction": 0, "corrected": 0, "future": 0, "heard": 251, "matched": 250, "repeated": 0,
            "superseding": 0, "waiting": 0, "without_prediction": 1
    }  # fmt: skip


def test_a_label_that_arrives_before_its_prediction_was_captured_is_heard() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2)
    ahead = shop.predict(3)
    captured = [info.key for info in shop.store.list("capture/dt=2026-09-04")]
    kept = {key: shop.store.get(key).data for key in captured}
    for key in captured:
        shop.store.delete(key)
    shop.send(ahead, 5)
    shop.judge(5.5)
    for key, data in kept.items():
        shop.store.put(key, data)
    judged = shop.judge(14)
    assert judged.labels["late_captures"] == 1
    assert judged.evidence.rows.n == 500


def test_labels_of_leavers_only_neither_judge_nor_teach() -> None:
    shop = Shop()
    for day in range(6):
        shop.send(leavers(shop.predict(day)), day + 2)
    judged = shop.judge(17)
    assert judged.realised is None
    assert judged.evidence.biased
    assert [span.trusted for span in judged.evidence.spans] == [False] * 6
    assert shop.learnt() == []


def test_labels_of_acted_on_customers_only_neither_judge_nor_teach() -> None:
    shop = Shop()
    for day in range(6):
        shop.send([row for row in shop.predict(day) if row["decision"]], day + 2)
    judged = shop.judge(17)
    assert judged.evidence.biased
    assert shop.learnt() == []


def test_a_random_third_of_labels_judges_and_teaches() -> None:
    shop = Shop(per_day=600)
    for day in range(6):
        shop.send([row for row in shop.predict(day) if shop.rng.random() < 0.3], day + 2)
    judged = shop.judge(17)
    assert not judged.evidence.biased
    assert judged.evidence.rows.n == len(shop.learnt()) > 900
    assert 0.25 < judged.evidence.coverage < 0.35


def test_coverage_under_the_contracts_floor_neither_judges_nor_teaches() -> None:
    shop = Shop(per_day=600, labels={"min_coverage": 0.5})
    for day in range(3):
        shop.send([row for row in shop.predict(day) if shop.rng.random() < 0.3], day + 2)
    assert shop.judge(14).evidence.rows.n == 0
    assert shop.learnt() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_loses_no_label_and_learns_none_twice(when: Any) -> None:
    def world() -> Shop:
        shop = Shop(per_day=60)
        shop.send(shop.predict(0), 2)
        return shop

    writes = 0
    for at in range(1, 20):
        shop = world()
        writes += shop.crashes(11, at, when)
        assert shop.judge(11).evidence.rows.n == 60, at
        ids = [row["prediction_id"] for row in shop.learnt()]
        assert len(ids) == len(set(ids)) == 60, at
    assert writes >= 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_days_are_caught_up_with_costs_no_label_that_waited(when: Any) -> None:
    writes = 0
    for at in range(1, 20):
        shop = Shop(per_day=10, maturity=1)
        shop.predict(-1)
        shop.send(shop.predict(0, hour=23), 0.98, event=0.01)
        assert shop.judge(0.99).labels["heard"]["waiting"] == 10  # the hour is not over
        for day in range(1, 8):
            shop.predict(day)
        writes += shop.crashes(8, at, when)
        shop.judge(8)
        known, _ = read_day(shop.store, shop.at(0).date())
        assert known is not None
        assert is_known(known.records["outcome"]).all(), at
    assert writes >= 10


def test_a_lost_or_damaged_ledger_is_made_again() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2)
    before = shop.judge(11)
    for damage in (b"", b"{}\n", b"\xff"):
        for info in list(shop.store.list("monitoring/outcomes/")):
            shop.store.put(info.key, damage)
        after = shop.judge(11)
        assert realised(after) == realised(before)
        assert after.written["rows"] == 0
    assert len(shop.learnt()) == 250


def test_a_damaged_batch_of_labels_is_named_and_costs_no_other() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2)
    shop.store.put("labels/dt=2026-09-03/bad.jsonl", b'{"label": 1}\n')
    judged = shop.judge(11)
    assert judged.labels["unreadable"] == ["labels/dt=2026-09-03/bad.jsonl"]
    assert judged.evidence.rows.n == 250


@pytest.mark.parametrize(("came_by", "compared"), [("promote", True), ("rollback", False)])
def test_the_model_before_is_compared_on_the_same_rows_but_not_after_a_rollback(came_by: Any, compared: bool) -> None:
    """The version before a rollback was found worse already, and two models must not take turns."""
    shop = Shop()
    shop.promote("20260901-worse", weight=-0.5, came_by=came_by)
    for day in range(3):
        shop.send(shop.predict(day), day + 2)
    judged = shop.judge(13)
    if compared:
        assert judged.previous_gain is not None
        assert judged.previous_gain.low > 0.2
    else:
        assert judged.previous_gain is None


def test_the_rows_of_another_model_are_learnt_and_do_not_judge_the_champion() -> None:
    shop = Shop()
    shop.send(shop.predict(0), 2)
    shop.now = FIRST + DAY
    shop.promote("20260901-second", weight=1.0)
    shop.send(shop.predict(1), 3)
    judged = shop.judge(12)
    assert judged.evidence.rows.n == 250
    assert judged.evidence.labelled_since(FIRST) == 500
    assert judged.evidence.labelled_since(FIRST + DAY) == 250
    assert {row["model"] for row in shop.rows} == {VERSION, "20260901-second"}
    assert timedelta(0) < DAY


def test_monitor_makes_as_many_requests_as_there_are_new_objects_and_no_more() -> None:
    """A month of single predictions and single labels: a day's run reads each new capture and label once, and a handful
    besides.
    """

    class Counting(MemoryObjectStore):
        gets = 0

        def get(self, key: str) -> Stored:
            Counting.gets += 1
            return super().get(key)

    shop = Shop(per_day=60, maturity=5, monitoring={"min_rows": 50})
    store = Counting(clock=lambda: shop.now)
    for info in shop.store.list(""):
        store.put(info.key, shop.store.get(info.key).data)
    shop.store = store
    spent = []
    for day in range(25):
        rows = shop.predict(day)
        for info in list(store.list(f"capture/dt={shop.at(day):%Y-%m-%d}")):
            lines = store.get(info.key).data.splitlines(keepends=True)
            store.delete(info.key)
            for number, line in enumerate(lines):
                store.put(capture_key(rows[0]["at"] + timedelta(seconds=number), f"u{number}"), line)
        for row in [row for row in shop.rows if row["day"] == day - 2]:
            shop.send([row], day + 0.5)
        Counting.gets = 0
        report = shop.monitor(day + 1)
        spent.append(Counting.gets)
    assert report["labels"]["of_the_champion"] == 60 * 20
    # 60 captures and 60 labels are new each day; of each older day that is judged by, its one object is read at most
    # five times.
    assert all(gets <= 120 + 45 + 5 * day for day, gets in enumerate(spent))
