"""Windows with too few rows are judged together, each row once (D16, D25: 553 of 701 windows were "not enough")."""

from typing import Any

from tests.steps.monitor.feed import Shop


class Moved:
    """Random numbers of customers who changed: one standard deviation riskier."""

    def __init__(self, rng: Any) -> None:
        self._rng = rng

    def normal(self) -> float:
        return float(self._rng.normal()) + 1.0

    def random(self) -> float:
        return float(self._rng.random())


def live(shop: Shop, days: range) -> list[dict[str, Any]]:
    reports = []
    for day in days:
        shop.predict(day)
        reports.append(shop.monitor(day + 1))
    return reports


def judged(report: dict[str, Any]) -> int:
    return int(report["decision"]["figures"]["rows"])


def since(report: dict[str, Any]) -> str | None:
    return (report.get("pooled") or {}).get("since")


def test_small_windows_add_up_until_there_are_enough_rows() -> None:
    reports = live(Shop(per_day=80, maturity=300), range(9))
    assert [judged(report) for report in reports] == [80, 160, 240] * 3
    assert [report["rows"] for report in reports] == [80] * 9
    assert reports[2]["pooled"] == {"since": "2026-09-01T00:00:00Z", "rows": 240, "refused": 0}
    assert [report["drift"] is not None for report in reports] == [False, False, True] * 3
    assert reports[1]["decision"]["reasons"] == [
        "not enough evidence: 160 rows since 2026-09-01 00:00 UTC, 200 are needed"
    ]
    assert [since(report) for report in reports[2:6]] == [
        "2026-09-01T00:00:00Z",
        None,
        "2026-09-04T00:00:00Z",
        "2026-09-04T00:00:00Z",
    ]


def test_a_shift_is_found_though_no_window_alone_has_enough_rows() -> None:
    shop = Shop(per_day=120, maturity=300)
    live(shop, range(4))
    shop.rng = Moved(shop.rng)
    reports = live(shop, range(4, 8))
    assert [report["decision"]["figures"]["drifted"] != [] for report in reports] == [False, True, False, True]
    assert "risk:ks" in reports[-1]["decision"]["reasons"][0]
    assert reports[-1]["decision"]["action"] in ("alert", "retrain")


def test_a_busy_window_is_judged_by_its_own_rows() -> None:
    shop = Shop(per_day=120, maturity=300)
    live(shop, range(1))
    shop.per_day = 250
    (report,) = live(shop, range(1, 2))
    assert (judged(report), since(report)) == (250, None)
    shop.per_day = 120
    assert [judged(report) for report in live(shop, range(2, 4))] == [120, 240]


def test_rows_of_before_a_gap_or_of_another_champion_are_not_added() -> None:
    shop = Shop(per_day=120, maturity=300)
    live(shop, range(1))
    assert [judged(report) for report in live(shop, range(5, 7))] == [120, 240]
    live(shop, range(7, 8))
    shop.promote("20260910-second")
    assert [judged(report) for report in live(shop, range(8, 10))] == [120, 240]


def test_looking_again_at_a_pooled_window_changes_nothing() -> None:
    shop = Shop(per_day=120, maturity=300)
    reports = live(shop, range(4))
    assert shop.monitor(2) == reports[1]
    assert [judged(report) for report in live(shop, range(4, 6))] == [120, 240]


def test_few_rows_are_told_where_more_than_three_windows_are_put_together_and_not_where_two_are() -> None:
    two, ten = (live(Shop(per_day=rows, maturity=300), range(12)) for rows in (120, 20))
    assert [state["name"] for report in two for state in report["standing"]] == []
    days = [day for day, report in enumerate(ten) if [state["name"] for state in report["standing"]] == ["traffic"]]
    assert days == list(range(2, 12))
    assert [day for day, report in enumerate(ten) if report["decision"]["action"] == "alert"] == [2]
