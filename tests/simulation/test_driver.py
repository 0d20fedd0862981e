"""The driver plays the real steps in virtual time: what it stores and decides is what the Lambdas would."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.driver import Driver, WindowResult
from stillgood.simulation.rehearsal.history import chronicle
from stillgood.simulation.rehearsal.plan import Plan
from stillgood.simulation.worlds.resampled import Pool, Resampled, Scenario
from stillgood.storage.keys import CAPTURE_PREFIX, LEDGER_PREFIX
from stillgood.storage.labels import read_batch
from stillgood.storage.registry import Registry
from stillgood.training.ingest import ingest

from local import datasets


@pytest.fixture(scope="module")
def pool() -> Pool:
    data = datasets.telco().to_csv(index=False).encode()
    rows = ingest(datasets.contract("telco"), [("data/2026-01-01/a.csv", data)])
    return Pool.of(rows.frame, rows.target)


@pytest.fixture(scope="module")
def contract(pool: Pool) -> Contract:
    """Telco's, heard after two days."""
    own = pool.frame.contract
    return replace(own, monitoring=replace(own.monitoring, label_maturity_days=2.0))


def played(
    pool: Pool, contract: Contract, scenario: Scenario, policy: str, windows: int
) -> tuple[Driver, list[WindowResult]]:
    driver = Driver(Resampled(pool, scenario, 0, windows=windows, contract=contract), policy)
    return driver, list(driver.run())


def flipped(frame: Frame, p: Any) -> Any:
    none = frame.contract.feature("internet_service").levels.index("No")
    return np.where(frame.columns["internet_service"] == none, 1 - p, p)


QUIET = Scenario("quiet", drift=False, rows=300, delay_days=1.5)


def test_the_clock_never_goes_back() -> None:
    clock = VirtualClock(datetime(2026, 1, 2, tzinfo=UTC))
    clock.advance(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(5)

    assert clock() == datetime(2026, 1, 2, 0, 0, 5, tzinfo=UTC)


def test_two_runs_store_the_same_bytes(pool: Pool, contract: Contract) -> None:
    def stored() -> dict[str, bytes]:
        driver, _ = played(pool, contract, QUIET, "guarded", 4)
        return {info.key: driver.store.get(info.key).data for info in driver.store.list("")}

    first, again = stored(), stored()

    assert first.keys() == again.keys()
    assert [key for key in first if first[key] != again[key]] == []


def test_every_row_is_captured_at_its_time_and_answered(pool: Pool, contract: Contract) -> None:
    driver, results = played(pool, contract, QUIET, "never", 2)
    records = [
        msgspec.json.decode(line)
        for info in driver.store.list(CAPTURE_PREFIX)
        for line in driver.store.get(info.key).data.splitlines()
    ]

    assert len(records) == 600
    assert {record["time"] for record in records} == {"2026-01-02T12:00:00Z", "2026-01-03T12:00:00Z"}
    assert [record["probability"] for record in records[:300]] == results[0].probability.tolist()
    assert not results[0].refused.any()


def test_no_label_is_sent_before_it_is_known(pool: Pool, contract: Contract) -> None:
    driver, _ = played(pool, contract, QUIET, "never", 4)
    events = [
        label.event_time
        for info in driver.store.list(LEDGER_PREFIX)
        for label in read_batch(driver.store, info.key).labels
    ]

    # Windows end at midnight; a label of noon is known a day and a half later, which is when the next but one ends.
    assert sorted(set(events)) == ["2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"]
    assert len(events) == 900


def test_rows_that_break_the_contract_are_refused_and_the_others_answered(pool: Pool, contract: Contract) -> None:
    broken = replace(QUIET, refused=0.3, begins=1, rows=100)
    driver, results = played(pool, contract, broken, "guarded", 3)

    assert not results[0].refused.any()
    assert 15 < results[1].refused.sum() < 45
    report = results[1].report
    assert report is not None
    assert report["contract"]["refused"] == results[1].refused.sum()
    assert report["rows"] == (~results[1].refused).sum()
    assert list(results[1].events) == []
    assert driver.invoker.events == []


def test_never_keeps_the_first_model_and_always_puts_every_new_one_in_force(pool: Pool, contract: Contract) -> None:
    _, never = played(pool, contract, QUIET, "never", 5)
    driver, always = played(pool, contract, QUIET, "always", 5)

    assert len({result.champion for result in never}) == 1
    assert [result.did("promoted") for result in always] == [True] * 5
    assert (
        len({result.champion for result in always}) >= 3
    )  # from the first labels on, every window brings another model
    assert [decision.action for decision in Registry(driver.store).decisions()] == ["promote"] * 6


def test_guarded_learns_a_flipped_concept_once_labels_show_it(pool: Pool, contract: Contract) -> None:
    flip = replace(QUIET, rows=500, odds=flipped, begins=4, drift=True)
    short = replace(contract, training=replace(contract.training, window_days=10.0))
    _, results = played(pool, short, flip, "guarded", 22)
    promoted = [result.at for result in results if result.did("promoted")]

    assert all(result.truth_roc_auc is not None for result in results)
    assert promoted
    assert min(promoted) >= 6  # no label from after the flip is known before
    before, after = _truths(results, [promoted[0], -1])
    assert after > before + 0.05


def test_labels_may_be_of_flagged_rows_only_or_wrong_at_first(pool: Pool, contract: Contract) -> None:
    selected = Resampled(pool, replace(QUIET, feed="flagged"), 0, windows=1, contract=contract)
    selected.requests(0)
    flagged = np.arange(300) % 3 == 0
    feedback = selected.feedback(0, flagged, np.ones(300, dtype=np.int8))
    assert set(feedback.row.tolist()) == set(np.flatnonzero(flagged).tolist())

    corrected = Resampled(pool, replace(QUIET, corrected=0.2), 0, windows=1, contract=contract)
    corrected.requests(0)
    feedback = corrected.feedback(0, flagged, np.ones(300, dtype=np.int8))
    wrong = feedback.row[:300][~feedback.positive[:300]]
    assert 30 < len(wrong) < 90
    assert set(feedback.row[300:].tolist()) == set(wrong.tolist())
    assert feedback.positive[300:].all()
    assert (feedback.known[300:] - feedback.known[:1] == np.timedelta64(5, "D")).all()


def test_flagged_customers_who_are_called_stay(pool: Pool, contract: Contract) -> None:
    acted = Resampled(pool, replace(QUIET, rows=4000, saved=0.6), 0, windows=1, contract=contract)
    acted.requests(0)
    nobody, everybody = (acted.outcomes(0, np.full(4000, flag)) for flag in (False, True))

    assert 0.35 < everybody.sum() / nobody.sum() < 0.45


def _truths(results: Sequence[WindowResult], places: Sequence[int]) -> list[float]:
    truths = [results[place].truth_roc_auc for place in places]
    return [truth for truth in truths if truth is not None]


def test_returning_customers_come_again_unchanged(pool: Pool, contract: Contract) -> None:
    world = Resampled(pool, replace(QUIET, rows=100, returning=300), 0, windows=7, contract=contract)

    bodies = [world.requests(at)[0].body for at in range(7)]

    assert bodies[0] == bodies[3] == bodies[6]
    assert len({bodies[at] for at in range(3)}) == 3
    assert world.spans[1].start - world.spans[0].start == timedelta(days=1)


def test_a_label_never_speaks_of_a_time_before_its_prediction(
    table: pd.DataFrame, raw_contract: dict[str, Any]
) -> None:
    """A slice is predicted at its last row's time; the labels of its first rows were known before that."""
    plan = Plan(window_days=7, label_delay_days=1, first=2, slices=1)
    world = chronicle(table, read_contract(raw_contract), plan, now=datetime(2030, 1, 1, tzinfo=UTC)).world
    world.spans = world.spans[:3]
    results = list(Driver(world, "never").run())
    heard = [result.report["labels"]["heard"] for result in results if result.report]

    assert heard[-1]["before_prediction"] == 0
    assert heard[-1]["matched"] > 2.9 * 300  # the last day's are still to come


def test_each_of_many_broken_rows_is_refused_once(pool: Pool, contract: Contract) -> None:
    """An answer names the first hundred violations only; the rows beyond are not sent again to be refused again."""
    _, results = played(pool, contract, replace(QUIET, refused=0.5, begins=1, rows=400), "never", 2)

    assert results[1].report is not None
    assert 150 < results[1].refused.sum() == results[1].report["contract"]["refused"]
