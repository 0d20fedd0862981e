"""The figures as they come: printed with their interval and target, and kept for the JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stillgood.domain.statistics.intervals import Z95, wilson


@dataclass
class Table:
    rows: list[dict[str, Any]] = field(default_factory=list)

    def share(self, name: str, hits: int, trials: int, target: str = "") -> None:
        """``hits`` of ``trials`` with the Wilson interval; ``target`` such as "<= 0.02", which the share itself must
        meet.
        """
        interval = wilson(hits, trials)
        self._add(name, interval.value, interval.low, interval.high, target, trials)

    def mean(self, name: str, values: list[float], target: str = "") -> None:
        """The mean with mean +- 1.96 standard errors. A count that never varied gets the rule of three as its upper
        limit.
        """
        mean, error = float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))
        high = mean + Z95 * error if error else mean + 3 / len(values)
        self._add(name, mean, mean - Z95 * error, high, target, len(values))

    def figure(self, name: str, value: float, target: str = "") -> None:
        """A figure that happened once and has no interval."""
        self._add(name, value, value, value, target, 1)

    def over_seeds(self, name: str, values: Sequence[float], target: str = "", *, larger_is_worse: bool = True) -> None:
        """The mean over seeds with its standard error's interval, their spread (standard deviation) and the worst of
        them.
        """
        if not values:  # nothing of it was played in the time there was
            return
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        reach = Z95 * spread / np.sqrt(len(values))
        worst = max(values) if larger_is_worse else min(values)
        self._add(name, mean, mean - reach, mean + reach, target, len(values), spread=spread, worst=float(worst))

    def _add(
        self,
        name: str,
        value: float,
        low: float,
        high: float,
        target: str,
        n: int,
        *,
        spread: float | None = None,
        worst: float | None = None,
    ) -> None:
        met = _MEETS[target.split()[0]](value, float(target.split()[1])) if target else None
        row = {
            "name": name,
            "value": value,
            "low": low,
            "high": high,
            "target": target or None,
            "met": met,
            "repeats": n,
            "spread": spread,
            "worst": worst,
        }
        self.rows.append(row)
        verdict = {None: "", True: "met", False: "MISSED"}[met]
        print(f"{name:66} {value:8.3f} [{low:.3f}, {high:.3f}] {target:8} {verdict}", flush=True)


_MEETS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
}
