"""A judged window looked at again (O17), and settings of a contract that hold without a model (O16)."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stillgood.cli.main import main
from stillgood.cli.verbs.report import lines
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ObjectNotFound
from stillgood.domain.outcomes.ledger import is_known
from stillgood.domain.policy.policies import POLICIES
from stillgood.domain.policy.wording import came_late, delivered_late, done, labelled_late
from stillgood.pages.window import window_page
from stillgood.pages.writer import write_all, write_window
from stillgood.steps.monitor.again import judge_again, look_again
from stillgood.steps.monitor.replay import FORGED, GONE, UNFINISHED, replay_windows
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.settings import put_settings
from stillgood.storage.audit import verify
from stillgood.storage.codec import encode, sha256
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import (
    OVERVIEW_KEY,
    STATE_KEY,
    again_index_key,
    again_key,
    capture_key,
    capture_prefix,
    report_key,
    window_page_key,
)
from stillgood.storage.outcomes import read_day
from stillgood.storage.registry import Registry
from stillgood.storage.settings import write_settings
from stillgood.storage.windows import Window, read_versions

from tests.steps.monitor.feed import RAW, Shop


def everything(shop: Shop) -> list[tuple[str, str]]:
    return [(info.key, info.etag) for info in shop.store.list("")]


def judged(days: int = 3, **contract: Any) -> Shop:
    shop = Shop(**contract)
    for day in range(days):
        shop.predict(day)
        shop.monitor(day + 1)
    return shop


def window(shop: Shop, day: int) -> Window:
    return Window.ending(shop.at(day), 24)


def other(**sections: Any) -> Any:
    return read_contract(RAW | {"version": "2", "monitoring": {"label_maturity_days": 10}} | sections)


def apply(shop: Shop, contract: Any, request_id: str = "r-settings") -> dict[str, Any]:
    event = {"action": "settings", "contract": write_settings(shop.store, contract), "request_id": request_id}
    return put_settings(event | {"reason": "Fewer rows now.", "by": "ada"}, PromoteDeps(shop.store, lambda: shop.now))


def test_an_untouched_window_says_the_same_again_and_writes_nothing() -> None:
    shop = judged()
    before = everything(shop)
    for day in (1, 2, 3):
        assert look_again(shop.store, window(shop, day), POLICIES["guarded"]).differences == ()
    assert everything(shop) == before


def test_what_came_late_is_counted_and_the_stored_report_stays() -> None:
    shop = judged()
    stored = shop.monitor(2)
    shop.predict(1, hour=7)
    again = look_again(shop.store, window(shop, 2), POLICIES["guarded"])
    assert again.differences[0] == "250 predictions came late: 250 then, 500 now"
    assert shop.monitor(2) == stored


def test_captures_that_came_late_are_counted_once_in_the_next_report() -> None:
    shop = judged(2)
    shop.predict(0, hour=7)
    shop.predict(0, hour=8)
    shop.predict(1, hour=7)
    shop.predict(2)
    report = shop.monitor(3)
    first, second, third = (window(shop, day).id for day in (1, 2, 3))
    assert report["captures"] == {
        "counted": {first: 3, second: 2, third: 1},
        "late": {first: 2, second: 1},
        "delivered": {},
        "late_rows": {},
    }
    assert report["rows"] == 250  # they are no rows of this window
    assert came_late(report) == 3
    assert "; late, of windows before: 3 captures" in "\n".join(lines(report))
    assert "captured late, of windows before" in window_page(report).decode()
    shop.predict(3)
    after = shop.monitor(4)
    assert (after["captures"]["late"], came_late(after)) == ({}, 0)
    assert "late, of windows" not in "\n".join(lines(after))


def test_late_captures_are_judged_once_with_their_labels() -> None:
    shop = Shop(maturity=1)
    told = []
    for day in range(6):
        rows = shop.predict(day)
        shop.send(rows, day + 0.9, event=0.5)
        if day == 2:
            told = shop.predict(0, hour=7)  # of a day that was judged
            shop.send(told, 2.95, event=0.5)
        report = shop.monitor(day + 1)
    labels = report["labels"]
    assert labels["predictions"] == labels["labelled"] == 250 * 5 + len(told)


@pytest.mark.parametrize("by", ["prediction_id", "entity_id"])
def test_a_label_heard_again_for_a_capture_that_came_late_is_counted_once(by: str) -> None:
    shop = Shop(maturity=1)
    for day in range(6):
        rows = shop.predict(day)
        told = shop.predict(day, hour=7, entities="late{}".format) if day == 0 else []
        if told:
            late = capture_key(shop.at(0) + timedelta(hours=7), "day0")
            kept = shop.store.get(late).data
            shop.store.delete(late)
        elif day == 2:
            shop.store.put(late, kept)
        shop.send([*rows, *told], day + 0.9, event=0.5, by=by)
        heard = shop.monitor(day + 1)["labels"]["heard"]
        ends = ("matched", "before_prediction", "without_prediction", "future", "waiting")
        assert heard["heard"] == sum(heard[name] for name in ends), day
        if day == 0 and by == "entity_id":
            assert heard["without_prediction"] == 250
    assert heard["matched"] == 250 * 7
    assert heard["without_prediction"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_late_captures_are_taken_in_costs_them_no_label(when: Any) -> None:
    writes = 0
    for at in range(1, 12):
        shop = Shop(per_day=20, maturity=1)
        shop.send(shop.predict(0), 0.9, event=0.5)
        shop.judge(1)
        shop.send(shop.predict(0, hour=7), 1.9, event=0.5)
        shop.judge(2)
        writes += shop.crashes(4, at, when)
        shop.judge(4)
        day, _ = read_day(shop.store, shop.at(0).date())
        assert day is not None
        assert (day.n, int(is_known(day.records["outcome"]).sum())) == (40, 40), at
    assert writes >= 3


def deliver(shop: Shop, day: float, hour: float, arrived: float, name: str, copies: int = 1) -> list[dict[str, Any]]:
    """Predictions of ``day`` that Firehose delivers, under the minute at which the first of them arrived there."""
    rows = shop.predict(day, hour=hour)
    key = capture_key(shop.at(day) + timedelta(hours=hour), f"day{day}")
    data = shop.store.get(key).data
    shop.store.delete(key)
    for copy in range(copies):
        at = shop.at(day) + timedelta(hours=arrived)
        shop.store.put(f"{capture_prefix(at)}firehose-{at:%H%M%S}-s-1-{name}{copy}.jsonl", data)
    return rows


def test_rows_that_firehose_delivered_late_are_counted_once_in_the_next_report() -> None:
    shop = Shop()
    deliver(shop, 0, 6, 6, "a")
    deliver(shop, 0, 23.9, 24.01, "edge")  # under the first hour of the next day, and in time
    assert shop.monitor(1)["rows"] == 500
    deliver(shop, 0, 7, 7, "late", copies=2)  # twice, as Firehose may
    deliver(shop, 0, 23.95, 24.02, "late-edge")
    deliver(shop, 1, 6, 6, "b")
    report = shop.monitor(2)
    first, second = (window(shop, day).id for day in (1, 2))
    assert report["rows"] == 250
    assert report["captures"]["late_rows"] == {first: 500}
    assert (delivered_late(report), came_late(report)) == (500, 0)
    assert report["captures"]["counted"] == {first: 0, second: 0}
    assert "; late, of windows before: 500 rows by Firehose" in "\n".join(lines(report))
    assert "rows by Firehose late" in window_page(report).decode()
    deliver(shop, 2, 6, 6, "c")
    assert delivered_late(shop.monitor(3)) == 0


def test_rows_that_firehose_delivered_late_are_judged_once_with_their_labels() -> None:
    shop = Shop(maturity=1)
    late = []
    for day in range(6):
        rows = deliver(shop, day, 6, 6, "in-time")
        shop.send(rows, day + 0.9, event=0.5)
        if day == 2:
            late = deliver(shop, 0, 7, 7, "late", copies=2)
            shop.send(late, 2.95, event=0.5)
        report = shop.monitor(day + 1)
    assert report["labels"]["predictions"] == report["labels"]["labelled"] == 250 * 5 + len(late)


def test_a_windows_hours_are_listed_once() -> None:
    shop = Shop()
    shop.predict(0)
    shop.monitor(1)
    shop.predict(1)
    listed: Counter[str] = Counter()
    list_prefix = shop.store.list
    shop.store.list = lambda prefix, start_after="": (listed.update([prefix]), list_prefix(prefix, start_after))[1]  # type: ignore[method-assign]
    shop.monitor(2)
    own = [
        count
        for prefix, count in listed.items()
        if f"dt={shop.at(1):%Y-%m-%d}/hour=06" in prefix and "firehose" not in prefix
    ]
    assert own == [1]


def test_labels_that_came_late_are_counted_once_and_judge() -> None:
    shop = Shop(maturity=1)
    late = []
    for day in range(7):
        rows = shop.predict(day)
        if day == 1:
            rows, late = rows[:200], rows[200:]
        shop.send(rows, day + 0.9, event=0.5)
        if day == 5:
            shop.send(late, 5.5, event=0.5)
        report = shop.monitor(day + 1)
        assert labelled_late(report) == (50 if day == 5 else 0), day
        if day == 5:
            assert "; late, of windows before: 50 labels" in "\n".join(lines(report))
            assert "labels that came late" in window_page(report).decode()
    assert report["labels"]["labelled"] == 250 * 6


def test_a_mended_day_judged_anew_is_a_new_version_and_the_old_one_stays() -> None:
    shop = judged()
    key = report_key(window(shop, 2).id)
    before, state, asked = shop.store.get(key), shop.store.get(STATE_KEY), list(shop.invoker.events)
    shop.predict(1, hour=7)
    for number in (2, 3):
        again, version = judge_again(
            shop.store, window(shop, 2), POLICIES["guarded"], because="The feed was mended.", by="ada", now=shop.now
        )
        assert version == number
        assert again.differences[0] == "250 predictions came late: 250 then, 500 now"
    assert (shop.store.get(key), shop.store.get(STATE_KEY), shop.invoker.events) == (before, state, asked)
    first, second, third = read_versions(shop.store, window(shop, 2))
    assert (first["rows"], second["rows"], third["rows"]) == (250, 500, 500)
    note = second["again"]
    assert (note["because"], note["by"], note["first_decided"]) == ("The feed was mended.", "ada", "nothing")
    assert note["first_sha256"] == sha256(before.data)
    assert second["effect"] is None
    assert came_late(second) == 0
    assert done(second) == "nothing, as it was judged again; what the first report led to stays (nothing)"
    assert all(replayed.same for replayed in replay_windows(shop.store))
    assert shop.monitor(4)["before"]["window"] == window(shop, 3).id  # the life goes on from the first reports


def again(shop: Shop, day: int = 2) -> None:
    judge_again(shop.store, window(shop, day), POLICIES["guarded"], because="Mended.", by="ada", now=shop.now)


def verdicts(shop: Shop) -> list[tuple[int, bool, str]]:
    return [(one.version, one.same, one.detail) for one in replay_windows(shop.store) if one.version > 1]


@pytest.mark.parametrize("which", [2, 3])
@pytest.mark.parametrize(
    ("path", "to"), [(("rows",), 501), (("made_at",), "2026-01-01T00:00:00Z"), (("again", "by"), "eve")]
)
def test_a_forged_version_of_a_report_is_named(shop: Shop, which: int, path: tuple[str, ...], to: Any) -> None:
    key = again_key(window(shop, 2).id, which)
    report = json.loads(shop.store.get(key).data)
    place = report
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    shop.store.put(key, encode(report))
    assert verdicts(shop) == [(n, n != which, FORGED if n == which else "the same decision") for n in (2, 3)]


@pytest.fixture
def shop() -> Shop:
    """Three judged days, the second of them judged again twice."""
    shop = judged()
    shop.predict(1, hour=7)
    again(shop)
    again(shop)
    return shop


def test_a_forged_version_that_is_hashed_anew_is_named_by_its_decision_or_the_first_report(shop: Shop) -> None:
    first, second = (json.loads(shop.store.get(again_key(window(shop, 2).id, n)).data) for n in (2, 3))
    first["decision"]["action"] = "retrain"
    second["again"]["first_sha256"] = "0" * 64
    for number, report in ((2, first), (3, second)):
        data = encode(report)
        shop.store.put(again_key(window(shop, 2).id, number), data)
        entry = json.loads(shop.store.get(again_index_key(window(shop, 2).id, number)).data)
        shop.store.put(again_index_key(window(shop, 2).id, number), encode(entry | {"sha256": sha256(data)}))
    assert [(n, same) for n, same, _ in verdicts(shop)] == [(2, False), (3, False)]
    assert [detail.split(" report")[0] for *_, detail in verdicts(shop)] == [
        "differs in decision",
        "was made beside another first",
    ]


def test_a_removed_a_truncated_and_an_unfinished_version_are_named(shop: Shop) -> None:
    name = window(shop, 2).id
    again(shop)
    shop.store.delete(again_key(name, 2))
    shop.store.put(again_key(name, 3), shop.store.get(again_key(name, 3)).data[:-100])
    shop.store.delete(again_index_key(name, 4))
    removed, truncated, unfinished = verdicts(shop)
    assert removed == (2, False, GONE)
    assert truncated[2].startswith(f"{FORGED}; cannot be replayed")
    assert unfinished == (4, False, UNFINISHED)
    again(shop)  # finishes what was begun, and takes the number of none that was removed
    assert [(n, same) for n, same, _ in verdicts(shop)] == [(2, False), (3, False), (4, True), (5, True)]


def test_the_audit_names_the_version(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FolderObjectStore(tmp_path)
    for info in shop.store.list(""):
        folder.put(info.key, shop.store.get(info.key).data)
    main(["audit", "--replay", "all", "--store", str(tmp_path)])
    assert "2 of 2 windows judged again replayed to the same decision" in capsys.readouterr().out
    folder.delete(again_key(window(shop, 2).id, 2))
    assert main(["audit", "--replay", "all", "--store", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"window {window(shop, 2).id}, version 2: {GONE}" in said
    assert "3 of 3 windows replayed" in said


def test_the_page_of_a_day_judged_anew_says_so_and_the_overview_keeps_the_first() -> None:
    shop = judged()
    shop.store.put(f"models/{shop.model.version}/metrics.json", b"{}")
    shop.predict(1, hour=7)
    judge_again(shop.store, window(shop, 2), POLICIES["guarded"], because="<mended>", by="ada", now=shop.now)
    for write in (lambda: write_window(shop.store, window(shop, 2).id), lambda: write_all(shop.store)):
        write()
        page = shop.store.get(window_page_key(window(shop, 2).id)).data.decode()
        assert "by ada: &lt;mended&gt;" in page
        assert "250 predictions came late: 250 then, 500 now" in page
        kept = json.loads(shop.store.get(OVERVIEW_KEY).data)["windows"]
        assert {row["rows"] for row in kept if row["id"] == window(shop, 2).id} == {250}


def test_another_policy_another_model_and_other_settings_are_asked_what_they_would_have_said() -> None:
    shop = judged()
    assert look_again(shop.store, window(shop, 2), POLICIES["simple"]).made["decision"]["policy"] == "simple"
    first = Registry(shop.store).pointer()
    assert first is not None
    shop.promote("20260901-second", weight=0.1)
    again = look_again(shop.store, window(shop, 2), POLICIES["guarded"], version="20260901-second")
    assert "judged as if 20260901-second had served" in again.differences[0]
    few = other(monitoring={"min_rows": 1_000})
    strict = look_again(shop.store, window(shop, 2), POLICIES["guarded"], contract=few)
    assert strict.made["drift"] is None
    with pytest.raises(ObjectNotFound, match="no report of window"):
        look_again(shop.store, window(shop, 20), POLICIES["guarded"])


def test_settings_hold_from_the_next_window_on_without_a_model() -> None:
    shop = judged()
    answer = apply(shop, other(monitoring={"min_rows": 1_000, "label_maturity_days": 10}))
    assert (answer["result"], answer["reasons"][-1]) == ("settings in force", "Asked because: Fewer rows now.")
    assert "min_rows" in answer["reasons"][0]
    shop.predict(3)
    assert shop.monitor(4)["drift"] is None  # 250 rows are not enough any more
    assert verify(shop.store) == ()
    assert [replayed.same for replayed in replay(shop.store)][-1]


def test_settings_that_change_nothing_are_a_recorded_refusal_and_features_wait_for_a_candidate() -> None:
    shop = judged()
    assert apply(shop, other())["result"] == "refused"
    more = [*RAW["features"], {"name": "age", "kind": "numeric", "nullable": True}]
    answer = apply(shop, other(features=more, floors={"recall": 0.4}), "r-2")
    assert answer["result"] == "settings in force"
    record = Registry(shop.store).decision(answer["decision"])
    assert record.figures["later"] == ["features.age: a new numeric feature"]
    shop.predict(3)
    assert shop.monitor(4)["rows"] == 250
