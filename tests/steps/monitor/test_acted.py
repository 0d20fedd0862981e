"""Decisions that are acted on, through the real steps: figures stay true with a control group, and without one the loop
finds out and holds still.
"""

import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from stillgood.cli.verbs.value import lines
from stillgood.domain.contract.contract import Actions, Contract
from stillgood.domain.model.slices import slice_names
from stillgood.pages.layout import moment
from stillgood.pages.writer import write_all, write_window
from stillgood.simulation.driver import Driver, WindowResult
from stillgood.simulation.worlds.resampled import Pool, Resampled, Scenario
from stillgood.steps.value import value
from stillgood.storage.keys import ACTION_PAGE, INDEX_PAGE
from stillgood.training.ingest import ingest

from local import datasets

WINDOWS = 8
SCENARIO = Scenario("campaign", drift=False, rows=900, delay_days=0.4, saved=0.6)


@pytest.fixture(scope="module")
def pool() -> Pool:
    data = datasets.telco().to_csv(index=False).encode()
    rows = ingest(datasets.contract("telco"), [("data/2026-01-01/a.csv", data)])
    return Pool.of(rows.frame, rows.target)


def played(pool: Pool, actions: Any, scenario: Scenario = SCENARIO) -> tuple[Driver, Sequence[WindowResult]]:
    telco = pool.frame.contract
    contract: Contract = replace(telco, actions=actions, labels=replace(telco.labels, maturity_days=0.3))
    driver = Driver(Resampled(pool, scenario, 3, windows=WINDOWS, contract=contract), "guarded", pages=True)
    return driver, list(driver.run())


def realised(result: WindowResult) -> Any:
    assert result.report is not None
    return result.report["realised_performance"]


def test_a_control_group_keeps_the_figures_true_and_says_what_the_action_is_worth(pool: Pool) -> None:
    driver, results = played(pool, Actions(0.2))
    figure, truth = realised(results[-1])["metrics"]["roc_auc"], results[-1].truth_roc_auc
    assert truth is not None
    assert figure["low"] < truth < figure["high"]
    assert not any(result.did("rolled back") for result in results)

    assert driver.world.contract.slices == ("senior_citizen", "contract")
    assert value(driver.store, driver.world.contract, driver.clock())["by_slice"] == []  # captures are not read
    worth = value(driver.store, driver.world.contract, driver.clock(), slices=True)
    effect = worth["all"]["prevented"]
    assert effect["low"] < 0.6 * worth["all"]["control_rate"] < effect["high"]
    assert worth["all"]["verdict"] == "works"
    assert {band["verdict"] for band in worth["by_score"]} <= {"works", "not known yet"}
    assert "left alone" in "\n".join(lines(worth))
    assert "contract = Month-to-month" in "\n".join(lines(worth))
    names = [part["name"] for part in worth["by_slice"]]
    assert names == [name for name in slice_names(driver.world.contract) if name in names]
    # Whoever is flagged is in one slice of each feature; slices with too few rows are left out.
    for feature in driver.world.contract.slices:
        for group in ("control", "treated"):
            counted = sum(part[group] for part in worth["by_slice"] if part["name"].startswith(feature))
            assert 0.9 * worth[group] <= counted <= worth[group]
    seen = results[-1].report
    assert seen is not None
    told = seen["labels"]["worth"]  # what the last window knew, without captures and reported actions
    assert told["all"]["control"] > 50
    assert abs(told["all"]["prevented"]["value"] - effect["value"]) < 0.05
    shown = driver.store.get(ACTION_PAGE).data.decode()
    assert told["sentence"].split(":")[0] in html.unescape(shown)
    assert "By score" in shown
    assert "By slice</h2>" not in shown
    assert f"as of {moment(seen['window']['end'])}" in driver.store.get(INDEX_PAGE).data.decode()
    write_window(driver.store, str(results[0].report["window"]["id"]))  # type: ignore[index]
    assert driver.store.get(ACTION_PAGE).data.decode() == shown  # an older window says nothing of now
    write_all(driver.store)
    shown = driver.store.get(ACTION_PAGE).data.decode()
    assert "What the action is worth" in shown
    assert "By score" in shown
    assert "contract = Month-to-month" in shown.partition("By slice")[2]
    assert 'href="action.html"' in driver.store.get(INDEX_PAGE).data.decode()


def test_without_one_the_jump_is_found_told_once_and_nothing_is_done(pool: Pool) -> None:
    _, results = played(pool, None)
    reports = [result.report for result in results if result.report is not None]
    windows = [
        at for at, report in enumerate(reports) if any(state["name"] == "actions" for state in report["standing"])
    ]
    assert windows
    assert windows == list(range(windows[0], WINDOWS))
    assert all(realised(results[at]) is None for at in windows)
    announced = [
        at for at in windows if reports[at]["decision"]["reasons"][0].startswith("people act on these predictions")
    ]
    assert announced == windows[:1]
    assert not any(result.did("promoted") or result.did("rolled back") for result in results[windows[0] :])


def test_where_nobody_acts_nothing_is_found(pool: Pool) -> None:
    _, results = played(pool, None, replace(SCENARIO, saved=0.0))
    assert not any(
        state["name"] == "actions" for result in results if result.report for state in result.report["standing"]
    )
    assert realised(results[-1]) is not None
