"""One caller's odd rows neither force a retrain nor move the operating point for everybody, and a person is told."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from stillgood.steps.monitor.again import look_again
from stillgood.steps.monitor.captures import profile_window
from stillgood.steps.monitor.replay import replay_windows
from stillgood.storage.references import read_reference
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window

from tests.steps.monitor.feed import DAY, FIRST, Shop
from tests.steps.monitor.test_refused_by_caller import Counter, states

SHOP, WEB, MALLORY = "shop", "web", "mallory"


class Odd(Counter):
    """``day``: who sends how many rows, and by how much their risk is over that of everybody."""

    def odd_day(self, day: int, sent: list[tuple[str | None, int, float]]) -> dict[str, Any]:
        self.shop.now = FIRST + day * DAY + timedelta(hours=6)
        for caller, count, risk in sent:
            rows = [
                {"customer": f"c{count}-{number}", "at": "2026-09-01T00:00:00Z", "risk": risk + float(draw)}
                for number, draw in enumerate(np.random.default_rng((day, count)).normal(size=count))
            ]
            assert self.post(rows, caller) == 200
        return self.shop.monitor(day + 1)


def play(strange: float | None, *, days: int = 5, **contract: Any) -> list[dict[str, Any]]:
    """Reports of some days, from the third on with a stranger's 1,500 rows."""
    counter = Odd(Shop(**contract))
    reports = []
    for day in range(days):
        sent: list[tuple[str | None, int, float]] = [(SHOP, 800, 0.0), (WEB, 200, 0.0)]
        more = [(MALLORY, 1_500, strange)] if strange is not None and day > 1 else []
        reports.append(counter.odd_day(day, [*sent, *more]))
    return reports


@pytest.fixture(scope="module")
def flooded() -> list[dict[str, Any]]:
    return play(2.0)


def actions(reports: list[dict[str, Any]]) -> list[str]:
    return [report["decision"]["action"] for report in reports]


def test_a_stranger_is_named_once_with_figures_and_what_to_do(flooded: list[dict[str, Any]]) -> None:
    message = "the rows of caller mallory (60% of the rows, usually 0%) jumped; drift and the operating point are"
    assert states(flooded[1]) == {}
    for report in flooded[2:]:
        assert states(report)["caller_jumped"].startswith(message)
    assert actions(flooded) == ["nothing", "nothing", "alert", "nothing", "nothing"]
    assert "labels.vouched_sources" in str(flooded[2]["decision"]["would_change"])


def test_everybody_else_is_judged_as_though_the_stranger_were_not_there(flooded: list[dict[str, Any]]) -> None:
    for report, calm in zip(flooded, play(None), strict=True):
        for part in ("drift", "estimated_performance", "operating_point", "distributions", "scores"):
            assert report[part] == calm[part]
        assert report["evidence"]["rows"] == calm["rows"] == 1_000
    assert [report["rows"] for report in flooded] == [1_000, 1_000, 2_500, 2_500, 2_500]


def test_the_same_rows_of_somebody_who_is_vouched_for_are_a_population() -> None:
    vouched = play(2.0, labels={"vouched_sources": [MALLORY]})
    assert "caller_jumped" not in {name for report in vouched for name in states(report)}
    assert vouched[2]["evidence"]["rows"] == 2_500
    assert "retrain" in actions(vouched) or vouched[-1]["decision"]["figures"]["drifted"]
    assert vouched[2]["operating_point"]["flagged"] > vouched[1]["operating_point"]["flagged"] + 0.1


def test_one_caller_alone_is_judged_as_where_nobody_is_known() -> None:
    reports = {}
    for caller in (SHOP, None):
        counter = Odd(Shop())
        reports[caller] = [counter.odd_day(day, [(caller, 400 + 800 * day, 0.5 * day)]) for day in range(4)]
    for own, nobody in zip(reports[SHOP], reports[None], strict=True):
        for part in ("decision", "drift", "operating_point", "rows", "estimated_performance"):
            assert own[part] == nobody[part]


def test_rows_that_were_left_out_fill_no_population_up_afterwards_and_summaries_stay_whole() -> None:
    flood, calm = Odd(Shop()), Odd(Shop())
    for day in range(8):
        honest: list[tuple[str | None, int, float]] = [(SHOP, 800, 0.0), (WEB, 200, 0.0)]
        left = flood.odd_day(day, [*honest, *([(MALLORY, 1_500, 2.0)] if day == 2 else [])])
        alone = calm.odd_day(day, honest)
        assert ("caller_jumped" in states(left)) is (day >= 2)
        assert left["operating_point"] == alone["operating_point"]
    window, pointer = Window.ending(flood.shop.at(3), 24), Registry(flood.shop.store).pointer()
    assert pointer is not None
    whole = profile_window(
        flood.shop.store,
        flood.shop.contract,
        read_reference(flood.shop.store, pointer),
        window,
        settled=flood.shop.at(8),
    )
    assert whole.rows == 2_500
    for day in (2, 3, 6):
        again = look_again(flood.shop.store, Window.ending(flood.shop.at(day), 24), flood.shop.policy)
        assert again.differences == ()
        assert again.made["evidence"]["left_out"] == again.stored["evidence"]["left_out"]
    assert [replayed for replayed in replay_windows(flood.shop.store) if not replayed.same] == []
