"""The benchmark of decisions: what it simulates is what it says, and what it reports is what happened."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.decisions import customers, rates
from benchmarks.decisions.customers import SCENARIOS, Customers, Scenario
from benchmarks.decisions.loop import Loop
from benchmarks.decisions.table import Table
from benchmarks.decisions.world import world


@pytest.fixture
def soon(monkeypatch):
    """What happens begins on day 5."""
    monkeypatch.setattr(customers, "SHIFT_AT", 5)


def named(name):
    return next(one for one in SCENARIOS if one.name == name)


def test_a_target_is_met_by_the_figure_itself():
    table = Table()
    table.share("a", 2, 100, "<= 0.02")
    table.share("b", 3, 100, "<= 0.02")
    table.mean("c", [0.0, 0.0, 0.0])

    assert [row["met"] for row in table.rows] == [True, False, None]
    assert table.rows[2]["high"] == 1.0  # the rule of three


def test_windows_are_seeded():
    one, again, other = (Customers(named("no drift"), seed).seen(3)[0] for seed in (1, 1, 2))

    assert np.array_equal(one.y, again.y)
    assert not np.array_equal(one.y, other.y)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_scenario_changes_nothing_before_its_day(scenario, soon):
    given = replace(scenario, weekly=False)
    before, plain = Customers(given, 0).seen(4)[0], Customers(Scenario("plain", rows=scenario.rows), 0).seen(4)[0]

    assert np.array_equal(before.y, plain.y)


def test_refused_rows_are_counted_and_gone(soon):
    rows, refused = Customers(named("an unknown level in 20% for a week"), 0).seen(6)

    assert rows.n + refused == 500
    assert 60 < refused < 140


def test_never_keeps_the_first_model_and_always_takes_every_new_one():
    short = replace(named("no drift"), delay=1)
    never, always = (Loop(Customers(short, 0, windows=4), policy).run() for policy in ("never", "always"))

    assert never.promotions == []
    assert len(set(never.aucs)) == 1
    assert [at for at, _ in always.promotions] == [0, 1, 2, 3]


def test_guarded_alerts_on_broken_data_while_it_lasts_and_learns_nothing_from_it(soon):
    year = Loop(Customers(named("price in cents for a week"), 0, windows=15), "guarded").run()

    assert year.alerts == list(range(5, 12))
    assert (year.asked, year.promotions) == ([], [])


def test_guarded_learns_a_flipped_concept_once_labels_show_it(soon):
    flipped = replace(named("concept flip of 20%"), delay=2)
    year = Loop(Customers(flipped, 0, windows=24), "guarded").run()

    assert min(year.asked) >= 7  # labels of day 5 have matured, and the finding lasted
    assert year.aucs[-1] > year.aucs[5] + 0.1
    assert all(gain > 0 for _, gain in year.promotions[:1])


def test_a_shifted_window_is_flagged_and_a_harmless_one_is_not():
    one, random = world(0), np.random.default_rng(0)

    assert not rates.flagged(rates.seen(one, one.draw(random, 500)))
    for name in rates.SHIFTS:
        rows, refused = rates.shifted(name, one, random, 2000)
        assert rates.flagged(rates.seen(one, rows, refused)), name
