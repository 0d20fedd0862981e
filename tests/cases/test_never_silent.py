"""Whatever keeps the loop from knowing is told once when it begins, stands in every report, and ends (D6, D8, D16)."""

from typing import Any

import pytest
from stillgood.storage.keys import capture_key
from stillgood.storage.standing import read_standing

from tests.steps.monitor.feed import Shop


def live(shop: Shop, days: int, send: Any, *, predict: bool = True) -> list[dict[str, Any]]:
    """Windows in the order of time: each day's rows are scored, what ``send`` sends arrives, and the day is judged."""
    reports = []
    for day in range(days):
        if predict:
            shop.predict(day)
        send(shop, day)
        reports.append(shop.monitor(day + 1))
    return reports


def names(report: dict[str, Any]) -> list[str]:
    return [state["name"] for state in report["standing"]]


def rows_of(shop: Shop, day: int) -> list[dict[str, Any]]:
    return [row for row in shop.rows if row["day"] == day]


def alerts(reports: list[dict[str, Any]]) -> list[int]:
    return [day for day, report in enumerate(reports) if report["decision"]["action"] == "alert"]


def on_time(shop: Shop, day: int) -> None:
    if day >= 2:
        shop.send(rows_of(shop, day - 2), day + 0.5)


def test_a_healthy_feed_is_never_called_deaf() -> None:
    reports = live(Shop(maturity=5), 25, on_time)
    assert [names(report) for report in reports] == [[]] * 25
    assert alerts(reports) == []


def test_a_weekly_feed_is_not_deaf_between_its_files() -> None:
    def weekly(shop: Shop, day: int) -> None:
        if day % 7 == 6:
            shop.send([row for row in shop.rows if day - 9 <= row["day"] < day - 2], day + 0.5)

    assert all(names(report) == [] for report in live(Shop(maturity=5), 30, weekly))


def test_labels_that_never_come_are_told_once_and_stand() -> None:
    shop = Shop(maturity=5)
    reports = live(shop, 20, lambda shop, day: None)
    first = next(day for day, report in enumerate(reports) if names(report))
    assert first == 12  # 5 days of maturity and a week of grace after the first prediction
    assert alerts(reports) == [first]
    assert all(names(report) == ["labels"] for report in reports[first:])
    assert reports[-1]["standing"][0]["message"].startswith("deaf since 2026-09-06")
    assert read_standing(shop.store) == {"window": reports[-1]["window"]["id"], "standing": reports[-1]["standing"]}
    assert any(reason.startswith("still: deaf since") for reason in reports[-1]["decision"]["reasons"])
    assert any("labels of predictions" in change for change in reports[-1]["decision"]["would_change"])


def test_a_feed_that_stops_is_told_and_its_return_ends_it() -> None:
    def stops(shop: Shop, day: int) -> None:
        if day < 10:
            on_time(shop, day)
        elif day == 28:
            shop.send([row for row in shop.rows if 8 <= row["day"] < 26], day + 0.5)
        elif day > 28:
            on_time(shop, day)

    reports = live(Shop(maturity=5), 32, stops)
    deaf = [day for day, report in enumerate(reports) if "labels" in names(report)]
    assert deaf == list(range(deaf[0], 28))
    assert 18 <= deaf[0] <= 22
    assert alerts(reports) == [deaf[0]]


def test_a_feed_of_positives_whose_watermark_stops_is_told() -> None:
    def positives(shop: Shop, day: int) -> None:
        if 2 <= day < 12:
            leavers = [row for row in rows_of(shop, day - 2) if row["leaves"]]
            shop.send(leavers, day + 0.5, by="entity_id", complete_until=shop.at(day))

    reports = live(Shop(maturity=5, labels={"horizon_days": 5, "absent": "negative"}), 25, positives)
    deaf = [day for day, report in enumerate(reports) if "labels" in names(report)]
    assert deaf == list(range(deaf[0], 25))
    assert "complete_until" in reports[-1]["standing"][0]["waits_for"]


def test_selected_labels_are_told_within_three_windows_of_their_first() -> None:
    def leavers(shop: Shop, day: int) -> None:
        if day >= 2:
            shop.send([row for row in rows_of(shop, day - 2) if row["leaves"]], day + 0.5)

    shop = Shop(maturity=5)
    reports = live(shop, 15, leavers)
    days = [day for day, report in enumerate(reports) if "selected" in names(report)]
    assert days[0] <= 5 + 3
    assert days == list(range(days[0], 15))
    assert alerts(reports) == [days[0]]
    assert shop.learnt() == []


def test_coverage_under_the_contracts_floor_is_told() -> None:
    def some(shop: Shop, day: int) -> None:
        if day >= 2:
            shop.send([row for row in rows_of(shop, day - 2) if shop.rng.random() < 0.3], day + 0.5)

    reports = live(Shop(maturity=5, labels={"min_coverage": 0.5}), 12, some)
    assert [names(report) for report in reports[-3:]] == [["coverage"]] * 3
    assert len(alerts(reports)) == 1


def test_a_champion_under_its_floor_is_told_and_stands() -> None:
    def reversed_world(shop: Shop, day: int) -> None:
        if day >= 2:
            shop.send([{**row, "leaves": not row["leaves"]} for row in rows_of(shop, day - 2)], day + 0.5)

    reports = live(Shop(maturity=5), 14, reversed_world)
    assert all("roc_auc" in names(report) for report in reports[-5:])


def test_rows_that_are_all_refused_are_told_though_there_are_few() -> None:
    shop = Shop(maturity=5)
    line = b'{"kind":"rejection","time":"t","violations":[{"field":"risk","rule":"type"}],"model":"m"}\n'

    def refused(shop: Shop, day: int) -> None:
        shop.store.put(capture_key(shop.at(day + 0.3), "r"), line * 150)

    reports = live(shop, 5, refused, predict=False)
    assert alerts(reports)[0] == 0
    assert "refused" in names(reports[0])
    assert any("rows break the contract" in reason for reason in reports[-1]["decision"]["reasons"])


def test_too_little_traffic_is_told_after_three_windows() -> None:
    reports = live(Shop(per_day=20, maturity=5), 6, on_time)
    assert [names(report) for report in reports[:2]] == [[], []]
    assert alerts(reports) == [2]
    assert all(names(report) == ["traffic"] for report in reports[2:])


@pytest.mark.parametrize("again", [0, 3])
def test_a_window_judged_again_or_late_changes_nothing_that_stands(again: int) -> None:
    shop = Shop(maturity=5)
    reports = live(shop, 14, lambda shop, day: None)
    assert names(shop.monitor(again + 1)) == names(reports[again])
    shop.predict(14)
    assert names(shop.monitor(15)) == ["labels"]
