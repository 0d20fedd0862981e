"""The benchmark of decisions: what it simulates is what it says, and what it reports is what happened."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.decisions import compare, page, rates, scenarios, years
from benchmarks.decisions.scenarios import TELCO
from benchmarks.decisions.table import Table
from benchmarks.decisions.world import world
from benchmarks.decisions.years import Task, Year


def year(name, policy, **more):
    fields = {
        "aucs": (0.8, 0.9),
        "recalls": (0.7, 0.8),
        "flagged": (0.3,),
        "retrains": (),
        "promotions": (),
        "rollbacks": (),
        "alerts": (),
        "drifted": (),
        "attempts": 0,
        "gains": (),
        "errors": (),
        "windows": 2,
        "recall_floor": 0.8,
    }
    return Year(Task("dated", name, policy, 0), **(fields | more))


def test_a_target_is_met_by_the_figure_itself():
    table = Table()
    table.share("a", 2, 100, "<= 0.02")
    table.share("b", 3, 100, "<= 0.02")
    table.mean("c", [0.0, 0.0, 0.0])

    assert [row["met"] for row in table.rows] == [True, False, None]
    assert table.rows[2]["high"] == 1.0  # the rule of three


def test_a_mean_over_seeds_comes_with_spread_and_worst():
    table = Table()
    table.over_seeds("gap", [0.1, 0.2, 0.3], ">= 0.15", larger_is_worse=False)

    row = table.rows[0]
    assert (row["value"], row["spread"], row["worst"], row["met"]) == (
        pytest.approx(0.2),
        pytest.approx(0.1),
        0.1,
        True,
    )


def test_windows_are_seeded():
    first, again, other = (scenarios.telco("no drift", seed).requests(3)[0].body for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("name", TELCO)
def test_a_scenario_changes_nothing_before_its_window(name):
    plain = replace(
        TELCO["no drift"], **{key: getattr(TELCO[name], key) for key in ("rows", "returning", "rarer", "saved")}
    )
    with_change, without = (
        scenarios.Resampled(scenarios.pool(), scenario, 0, windows=2) for scenario in (TELCO[name], plain)
    )

    assert with_change.requests(1)[0].body == without.requests(1)[0].body
    nobody = np.zeros(TELCO[name].rows, dtype=bool)
    assert np.array_equal(with_change.outcomes(1, nobody), without.outcomes(1, nobody))


def test_a_year_says_what_the_steps_did(monkeypatch):
    monkeypatch.setattr(scenarios, "YEAR_WEEKS", 6)
    played = years.play(Task("telco", "no drift", "always", 0))

    assert played.windows == 6
    assert played.promotions == tuple(range(6))
    assert all(0.75 < auc < 0.9 for auc in played.aucs)
    assert played.errors == ()


def test_recall_under_the_floor_counts_where_always_keeps_it():
    played = [year("w", "guarded", recalls=(0.7, 0.8, 0.7)), year("w", "always", recalls=(0.9, 0.9, 0.6))]

    assert compare._under(played) == 0.5


def test_rows_are_means_over_seeds():
    rows = page.rows_of(
        [year("w", "guarded", promotions=(1,)), year("w", "guarded", promotions=(1, 2, 3)), year("w", "never")]
    )

    assert [(row["policy"], row["seeds"], row["promotions"]) for row in rows] == [
        ("guarded", 2, 2.0),
        ("never", 1, 0.0),
    ]


def test_a_shifted_window_is_flagged_and_a_harmless_one_is_not():
    split, random = world(0), np.random.default_rng(0)

    assert not rates.flagged(rates.seen(split, split.draw(random, 500)))
    for name in rates.SHIFTS:
        rows, refused = rates.shifted(name, split, random, 2000)
        assert rates.flagged(rates.seen(split, rows, refused)), name
