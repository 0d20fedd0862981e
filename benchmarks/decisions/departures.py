"""Real drift: departures from New York through 2013, in order. The model of January meets snow, summer storms and holidays."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
from stillgood.domain.contract.contract import Contract
from stillgood.training.ingest import ingest

from benchmarks.decisions.world import Array, Rows
from local import datasets

FIRST_DAYS = 28  # what the first model learns from


@cache
def rows() -> tuple[Contract, Rows, Array]:
    """All departures in order, and the day of each counted from the first."""
    contract = datasets.contract("flights")
    found = ingest(contract, [("data/2013-01-01/a.csv", datasets.flights().to_csv(index=False).encode())])
    days = (found.times - found.times.min()) // np.timedelta64(1, "D")
    return contract, Rows(found.frame, found.target, found.hashes), days.astype(int)


class Departures:
    """A ``Source``: windows of ``days`` days each. Labels are there one window later; a model learns from 60 days, as the contract says."""

    delay = 1

    def __init__(self, days: int = 7) -> None:
        contract, self._rows, day = rows()
        self.window = timedelta(days=days)
        if days < 7:  # the weekday is a feature, so windows shorter than a week have a season
            contract = replace(contract, monitoring=replace(contract.monitoring, period_hours=168.0))
        self.contract, self._days = contract, days
        assert contract.training.window_days is not None
        self.keeps = int(contract.training.window_days) // days
        self._starts = np.searchsorted(day, np.arange(FIRST_DAYS, day.max() + 2, days))
        self.windows = len(self._starts) - 1

    def first(self) -> Rows:
        return self._rows.take(np.arange(self._starts[0]))

    def seen(self, at: int) -> tuple[Rows, int]:
        return self._rows.take(np.arange(self._starts[at], self._starts[at + 1])), 0

    def labelled(self, at: int, acted: Array) -> Array:
        return np.ones(len(acted), dtype=bool)

    def truth(self, at: int) -> Rows:
        """The window itself: nobody has learned from it when it is predicted."""
        return self.seen(at)[0]

    def gain_rows(self, at: int) -> Rows:
        """The four weeks after window ``at``: what a promotion then is for."""
        until = min(at + 1 + max(1, 28 // self._days), self.windows)
        return self._rows.take(np.arange(self._starts[min(at + 1, self.windows - 1)], self._starts[until]))

    def season(self, at: int) -> int | None:
        back = 7 // self._days
        return at - back if self._days < 7 and at >= back else None
