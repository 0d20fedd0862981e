"""Labels as they arrive, without the steps around them: how often honest callers are said to tell the opposite, and how
soon a liar is. Many seeds are cheap here; ``worlds`` plays few of them through everything.

Two honest callers tell outcomes as soon as they know them, 100 and 60 a day; a vouched file tells 240 a week later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stillgood.domain.outcomes.trust import SourceOutcomes, opposite

DAYS = 365
WEEK = 7
FAST = {"caller:app": 100, "caller:web": 60}
FILE = 240
LIAR = "caller:mallory"
FLIP = (182, 273)  # the quarter in which the world is another one

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Honest:
    """``flips``: the share of customers whose odds turn in the flip. ``yes_first``: the share of negatives that are
    told at once, where positives are; the others are told after maturity.
    """

    flips: float = 0.0
    yes_first: float = 1.0


YEARS = {
    "quiet year": Honest(),
    "a fifth flips for a quarter": Honest(0.2),
    "everybody flips for a quarter": Honest(1.0),
    "yes comes sooner than no": Honest(yes_first=0.15),
    "yes comes sooner than no, a fifth flips": Honest(0.2, 0.15),
}
LIES = ("the answer", "the truth")  # of which the label is the opposite
A_DAY = (15, 50, 100, 300, 1_000)
TOLD_WITHIN = 3


def year(kind: Honest, seed: int) -> int:
    """How many alerts begin in an honest year."""
    names: set[str] = set()
    began = 0
    for found in _days(kind, seed):
        began += bool(found) and not names
        names = found
    return began


def until_told(lie: str, a_day: int, seed: int) -> int | None:
    """In which window of a liar's, from 1, a person is told of it; None: not within two weeks."""
    days = _days(Honest(), seed, lie=lie, a_day=a_day, begins=30, days=44)
    return next((at - 29 for at, found in enumerate(days) if LIAR in found), None)


def run(seeds: int) -> dict[str, Any]:
    """The rows of ``benchmarks/results/strangers.json``."""
    honest = []
    for name, kind in YEARS.items():
        alerts = np.array([year(kind, seed) for seed in range(seeds)])
        honest.append({"year": name, "alerts_a_year": round(float(alerts.mean()), 3), "worst": int(alerts.max())})
    liars = []
    for lie in LIES:
        for a_day in A_DAY:
            told = [until_told(lie, a_day, seed) for seed in range(seeds)]
            within = sum(count is not None and count <= TOLD_WITHIN for count in told)
            row = {"opposite_of": lie, "rows_a_day": a_day, "told_within_3": round(within / seeds, 3)}
            liars.append(row | {"windows_worst": None if None in told else max(count for count in told if count)})
    return {"seeds": seeds, "honest": honest, "liars": liars}


def _days(
    kind: Honest, seed: int, *, lie: str = "", a_day: int = 0, begins: int = DAYS, days: int = DAYS
) -> Iterator[set[str]]:
    """By day, whom monitor would name: of the labels that came in the window, or in a week."""
    rng = np.random.default_rng((seed, 21))
    matured: list[SourceOutcomes] = []
    newest: dict[str, list[SourceOutcomes]] = {name: [] for name in (*FAST, LIAR)}
    waiting: list[SourceOutcomes] = []
    for at in range(days):
        turned = kind.flips if FLIP[0] <= at < FLIP[1] else 0.0
        for name, count in FAST.items():
            p, y = _customers(rng, count, turned)
            early = y | (rng.random(count) < kind.yes_first)
            newest[name].append(SourceOutcomes(p[early], y[early]))
        if at >= begins:
            p, y = _customers(rng, a_day, turned)
            newest[LIAR].append(SourceOutcomes(p, p < 0.5 if lie == "the answer" else ~y))
        waiting.append(SourceOutcomes(*_customers(rng, FILE, turned)))
        matured = [*matured, waiting.pop(0)][-30:] if len(waiting) > WEEK else matured
        found = set()
        for name, parts in newest.items():
            for width in (1, WEEK):
                if parts and opposite(name, SourceOutcomes.together(parts[-width:]), _others(matured)) is not None:
                    found.add(name)
        yield found


def _others(matured: list[SourceOutcomes]) -> list[SourceOutcomes]:
    return [SourceOutcomes.together(matured)]


def _customers(rng: np.random.Generator, n: int, turned: float) -> tuple[Floats, Bools]:
    """Probabilities as the champion gives them, and what becomes of the customers, of whom a share has turned."""
    p = 1.0 / (1.0 + np.exp(-rng.normal(-1.0, 1.5, n)))
    truth = np.where(rng.random(n) < turned, 1.0 - p, p)
    return p, rng.random(n) < truth
