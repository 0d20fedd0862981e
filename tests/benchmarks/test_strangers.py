"""The worlds of strangers: who is there sends and says what the benchmark claims, and its figures are those of what was
played.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from stillgood.simulation.driver import Driver
from stillgood.simulation.worlds.resampled import Resampled
from stillgood.storage.keys import LEDGER_PREFIX
from stillgood.storage.labels import read_batch

from benchmarks.strangers import capture, labels, senders, worlds
from benchmarks.strangers.worlds import CASES, Attacked, Life, Stranger, Task

QUIET = replace(worlds.QUIET, rows=250, delay_days=0.5)


def attacked(stranger: Stranger | None, rights: worlds.Rights, *, windows: int = 3, seed: int = 1) -> Attacked:
    pool = worlds.pool()
    inner = Resampled(pool, QUIET, seed, windows=windows, contract=pool.frame.contract)
    return Attacked(inner, pool, stranger, rights)


def told(world: Attacked, at: int) -> dict[str, tuple[list[bool], list[int]]]:
    """What is said of window ``at``, in which every second row was flagged: outcomes and places by source."""
    world.requests(at)
    n = QUIET.rows + (world._stranger.rows if world._at(at) and world._stranger else 0)
    flagged = np.arange(n) % 2 == 0
    feedback = world.feedback(at, flagged, world.outcomes(at, flagged))
    assert feedback.source is not None
    return {
        str(name): (feedback.positive[feedback.source == name].tolist(), feedback.row[feedback.source == name].tolist())
        for name in np.unique(feedback.source.astype(str))
    }


def test_a_stranger_says_the_opposite_of_each_answer_under_the_name_that_its_rights_give() -> None:
    stranger = Stranger(40, begins=1)
    names = {"open": "caller:mallory", "unsigned": "api"}
    for rights, name in names.items():
        world = attacked(stranger, rights)  # type: ignore[arg-type]
        assert name not in told(world, 0)
        positive, rows = told(world, 1)[name]
        assert rows == list(range(250, 290))
        assert positive == [row % 2 == 1 for row in rows]
    assert told(attacked(stranger, "closed"), 1).keys() == {"crm", "caller:app", "caller:web"}


def test_a_stranger_may_send_under_several_names() -> None:
    calls = attacked(Stranger(100, begins=0, sends="odd", names=20), "closed").requests(0)
    assert len({call.caller for call in calls}) == 21
    assert {call.caller for call in attacked(Stranger(100, begins=0), "closed").requests(0)} == {"app", "mallory"}


def test_a_stranger_may_tell_the_truth_first() -> None:
    world = attacked(Stranger(400, begins=0, truthful=1), "open")
    honest, _ = told(world, 0)["caller:mallory"]
    lies, rows = told(world, 1)["caller:mallory"]
    assert 0.15 < np.mean(honest) < 0.4  # as Telco's customers leave
    assert lies == [row % 2 == 1 for row in rows]


@pytest.mark.parametrize("sends", ["plausible", "segment", "broken", "odd"])
def test_a_strangers_rows_are_those_of_its_kind(sends: Any) -> None:
    world = attacked(Stranger(30, begins=0, sends=sends), "open")
    rows = [row for call in world.requests(0) if call.caller == "mallory" for row in orjson.loads(call.body)]
    assert len(rows) == 30
    assert all(row["internet_service"] == "No" for row in rows) == (sends == "segment")
    assert all("(nothing)" in row for row in rows) == (sends == "broken")
    assert all(row.get("tenure") == 1 for row in rows) == (sends == "odd")
    assert {call.caller for call in world.requests(0)} == {"app", "mallory"}


def test_the_real_steps_keep_who_sent_rows_and_labels() -> None:
    driver = Driver(attacked(Stranger(60, begins=0, sends="broken"), "open", windows=1), "guarded")
    results = list(driver.run())
    report = results[0].report
    assert report is not None
    assert report["contract"]["callers"] == [{"caller": "mallory", "refused": 60, "accepted": 0}]
    assert "refused_alone" in {state["name"] for state in report["standing"]}
    assert int(results[0].refused.sum()) == 60
    driver = Driver(attacked(Stranger(60, begins=0), "open", windows=2), "guarded")
    list(driver.run())
    sources = {read_batch(driver.store, info.key).source for info in driver.store.list(LEDGER_PREFIX)}
    assert sources == {"crm", "caller:app", "caller:web", "caller:mallory"}


def lived(name: str, rights: worlds.Rights, seed: int, **more: Any) -> Life:
    figures: dict[str, Any] = {
        "fall": 0.0, "told": 1, "alerts": (), "states": (), "promotions": (), "rollbacks": (), "retrains": 0,
        "flagged": 0.0, "trusted": 1.0, "truth": (), "errors": (),
    }  # fmt: skip
    return Life(Task(name, rights, seed), **(figures | more))


def test_a_row_meets_its_target_by_mean_worst_and_when_somebody_was_told() -> None:
    name = "opposite, 300 rows a day"

    def met(*lives: Life) -> bool:
        (row,) = worlds.table(lives)["rows"]
        return bool(row["met"])

    assert met(lived(name, "open", 0, fall=0.0), lived(name, "open", 1, fall=0.04))
    assert not met(lived(name, "open", 0, fall=0.0), lived(name, "open", 1, fall=0.06))
    assert not met(lived(name, "open", 0, fall=0.03), lived(name, "open", 1, fall=0.03))
    assert not met(lived(name, "open", 0, told=4))
    assert not met(lived(name, "open", 0, told=None))
    assert met(lived(name, "closed", 0, told=None))
    honest = "honest year, a true flip in its third quarter"
    assert met(lived(honest, "closed", 0, alerts=("unsigned", "contradicting"), fall=0.3))
    assert not met(lived(honest, "closed", 0, alerts=("unsigned",) * 3))


def test_a_row_says_when_somebody_was_told_since_the_stranger_came_and_since_its_labels_matured() -> None:
    lives = [lived("opposite, 300 rows a day", "open", 0, told=8), lived("opposite, 300 rows a day", "open", 1, told=2)]
    (row,) = worlds.table(lives)["rows"]
    assert row["windows_until_told_worst"] == 8
    assert row["windows_until_told_once_matured_worst"] == 1
    (row,) = worlds.table([lived("opposite, 300 rows a day", "closed", 0, told=None)])["rows"]
    assert "windows_until_told_once_matured_worst" not in row


def test_what_was_played_is_not_played_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "KEPT", tmp_path / "kept.jsonl")
    one = lived("opposite, 300 rows a day", "open", 3, states=("unsigned",), truth=(0.8, 0.7))
    worlds.keep(one)
    assert worlds.kept() == {one.task: one}


def test_every_world_has_each_right_that_makes_a_difference() -> None:
    found = worlds.tasks(2)
    assert len(found) == 2 * (6 * 3 + 4) == len(set(found))
    assert {task.name for task in found} == CASES.keys()
    assert [task.seed for task in found] == [0] * 22 + [1] * 22


def test_a_liar_among_simulated_labels_is_told_at_once_and_a_flip_for_everybody_once() -> None:
    assert labels.until_told("the answer", 300, 0) == 1
    assert labels.until_told("the truth", 1, 0) is None
    assert labels.year(labels.YEARS["a fifth flips for a quarter"], 0) == 0
    assert labels.year(labels.YEARS["everybody flips for a quarter"], 0) == 1


def test_a_simulated_stranger_is_left_out_at_once_and_a_caller_who_joins_is_told_once() -> None:
    assert senders.stranger(300, 0) == (True, 0.0)
    assert senders.stranger(25, 0) == (False, 25 / 725)
    assert senders.year(senders.YEARS["as ever"], 0) == 0
    assert senders.year(senders.YEARS["a caller joins with 300 rows a day"], 0) == 1


def test_captures_by_firehose_cost_a_thirtieth_and_are_counted_once() -> None:
    once = capture.counted(600)
    assert (once["lost"], once["twice"], once["in_another_hour"]) == (0, 0, 0)
    single = capture.cost(100)
    assert single["s3"] == 1296.0  # 259,200,000 PUTs at .005 $ a thousand
    assert single["firehose"] == 37.80  # 1,296 GB at .029 $, and 43,200 PUTs
