"""Worlds with a story of their own: buyers who age, and streams whose concept changes."""

import json

import numpy as np
import pytest
from stillgood.domain.contract.row_check import RowChecker
from stillgood.simulation.worlds.buyers import HORIZON_DAYS, buyers, snapshots
from stillgood.simulation.worlds.streams import CHANGES_AT, DRIFTS, FIRST, GENERATORS, stream


def _left(seed: int, world: str) -> list[float]:
    table = snapshots(seed, world)
    return list((table["left"] == "yes").groupby(table["day"]).mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_cohort_ages_and_a_steady_world_stays(seed: int) -> None:
    cohort, steady = _left(seed, "cohort"), _left(seed, "steady")

    assert cohort[0] > 0.78
    assert cohort[-1] < 0.74
    assert max(steady) - min(steady) < 0.05
    assert len(cohort) == 13 + 1


def test_a_snapshot_holds_active_buyers_only_and_looks_at_nothing_to_come() -> None:
    table = snapshots(3, "cohort", customers=500)

    assert (table["recency"] <= 180).all()
    assert (table["tenure"] >= table["recency"]).all()
    assert (table["orders"] >= table["orders_90"]).all()
    assert (table["orders_90"] >= table["orders_30"]).all()
    assert not table.duplicated(["customer", "day"]).any()


def test_outcomes_of_buyers_are_known_when_their_horizon_is_over() -> None:
    world = buyers(0, "steady", customers=800)
    world.requests(2)
    n = len(world.rows(2))
    feedback = world.feedback(2, np.zeros(n, dtype=bool), world.outcomes(2, np.zeros(n, dtype=bool)))
    start = np.datetime64(world.spans[2].start.replace(tzinfo=None), "us")

    assert len(feedback.row) == n
    assert (feedback.known - start == np.timedelta64(HORIZON_DAYS, "D")).all()


def test_a_called_buyer_may_stay() -> None:
    world = buyers(0, "steady", customers=2000, saved=0.6)
    n = len(world.rows(0))
    nobody, everybody = (world.outcomes(0, np.full(n, flag)).sum() for flag in (False, True))

    assert 0.3 < everybody / nobody < 0.5


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_stream_keeps_its_contract_and_changes_when_it_says(generator: str) -> None:
    steady, abrupt = (stream(generator, drift, 0, windows=CHANGES_AT + 2, rows=100) for drift in ("none", "abrupt"))  # type: ignore[arg-type]
    check = RowChecker(steady.contract)

    def body(world: object, at: int) -> bytes:
        return world.requests(at)[0].body  # type: ignore[attr-defined, no-any-return]

    assert not any(check.check(row).violations for row in json.loads(body(steady, 0)))
    assert check.contract.id_column == "row"
    last = CHANGES_AT - FIRST - 1
    assert body(steady, last) == body(abrupt, last)
    assert body(steady, last + 1) != body(abrupt, last + 1)


def test_every_drift_has_its_stream() -> None:
    rates = {
        drift: stream("agrawal", drift, 1, windows=CHANGES_AT + 1, rows=60)
        .outcomes(10, np.zeros(60, dtype=bool))
        .mean()
        for drift in DRIFTS
    }

    assert len(rates) == 5
