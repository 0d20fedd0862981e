"""Who sends how many rows, without the steps around it: how often honest callers are said to jump, and whether a
stranger is left out from its first window on.

Three honest callers send 400, 150 and 150 rows a day, whose scores differ in level; the first sends half at weekends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from stillgood.domain.policy.senders import CallerWindow, Usual

DAYS = 365
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = {"app": 400, "web": 150, "shop": 150}
STRANGER = "mallory"
BEGINS = 60
STRANGE_DAYS = 30
CHANGE = 182  # the day from which something is another


@dataclass(frozen=True, slots=True)
class Honest:
    """``growth`` of the second caller over the year; ``campaign``: by which factor its rows grow for a fortnight from
    ``CHANGE`` on; ``shift``: of everybody's scores from then on, in logits; ``joins``: a fourth caller's rows from then
    on, ``every`` so many days.
    """

    growth: float = 1.0
    campaign: float = 1.0
    shift: float = 0.0
    joins: int = 0
    every: int = 1


YEARS = {
    "as ever": Honest(),
    "one caller grows fourfold over the year": Honest(growth=4.0),
    "a campaign doubles one caller's rows": Honest(campaign=2.0),
    "everybody's scores move": Honest(shift=1.5),
    "a caller joins with 300 rows a day": Honest(joins=300),
    "a caller joins with 900 rows each month": Honest(joins=900, every=30),
}
A_DAY = (25, 50, 100, 300, 1_000)


def year(kind: Honest, seed: int) -> int:
    """How many alerts begin in an honest year."""
    began, before = 0, False
    for left in _days(kind, seed, DAYS, 0):
        began += bool(left) and not before
        before = bool(left)
    return began


def stranger(a_day: int, seed: int) -> tuple[bool, float]:
    """Whether a stranger is left out in its first window, and the largest share of the rows that it has while not."""
    strange = list(_days(Honest(), seed, BEGINS + STRANGE_DAYS, a_day))[BEGINS:]
    share = a_day / (a_day + sum(ROWS.values()))
    return STRANGER in strange[0], 0.0 if all(STRANGER in left for left in strange) else share


def run(seeds: int) -> dict[str, Any]:
    """The rows of ``benchmarks/results/strangers.json``."""
    honest = []
    for name, kind in YEARS.items():
        alerts = np.array([year(kind, seed) for seed in range(seeds)])
        honest.append({"year": name, "alerts_a_year": round(float(alerts.mean()), 3), "worst": int(alerts.max())})
    strangers = []
    for a_day in A_DAY:
        lives = [stranger(a_day, seed) for seed in range(seeds)]
        first = sum(told for told, _ in lives) / seeds
        share = max(share for _, share in lives)
        strangers.append({"rows_a_day": a_day, "left_out_at_once": round(first, 3), "share_worst": round(share, 3)})
    return {"seeds": seeds, "honest": honest, "strangers": strangers}


def _days(kind: Honest, seed: int, days: int, a_day: int) -> Iterator[Mapping[str, Any]]:
    """By day, who is left out."""
    rng, usual = np.random.default_rng((seed, 22)), Usual()
    for at in range(days):
        changed = at >= CHANGE
        growing = kind.growth ** (at / DAYS) * (kind.campaign if CHANGE <= at < CHANGE + 14 else 1.0)
        counts = {"app": ROWS["app"] * (0.5 if at % 7 > 4 else 1.0), "web": ROWS["web"] * growing, "shop": ROWS["shop"]}
        if kind.joins and changed and at % kind.every == 0:
            counts["new"] = kind.joins
        now = {}
        for place, (name, mean) in enumerate(counts.items()):
            rows = int(rng.negative_binomial(20, 20 / (20 + mean)))  # a deviation of 22% beside Poisson's
            logits = rng.normal((kind.shift if changed else 0.0) - place / 2, 1.5, rows)
            if rows:
                now[name] = CallerWindow(rows, rows, float(logits.mean()), float(logits.std()))
        if a_day and at >= BEGINS:
            now[STRANGER] = CallerWindow(a_day, a_day, 2.0, 0.3)
        usual = usual.weighed(now, (), FIRST + at * timedelta(days=1))
        yield usual.left
