"""What the action is worth: flagged rows that were left alone against flagged rows that were acted on.

The draw is independent of all else, so the difference of their rates of the positive outcome is what the action does,
by intention to treat: a customer who was to be called counts as called.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Costs
from stillgood.domain.statistics.clustered import ratio_spread
from stillgood.domain.statistics.intervals import Z95, normal_sf
from stillgood.domain.statistics.skewed import Spread, unskewed

MIN_GROUP = 10  # rows of either group, for a difference that says something
TARGET = 0.02  # half the width of the interval that the planner plans for
NOTHING = 0.02  # an effect within it is as good as none

type Verdict = Literal["works", "harms", "does nothing", "not known yet"]


@dataclass(frozen=True, slots=True)
class Effect:
    """``prevented``: rate of positives among ``control`` rows less that among ``treated`` rows, -1 to 1, with its 95%
    interval, by its ``spread``; ``control_rate`` and ``treated_rate``, 0 to 1. ``verdict``: by a test at 5%, shared
    among all that were made.
    """

    name: str
    control: int
    treated: int
    control_rate: float
    treated_rate: float
    prevented: float
    spread: Spread
    verdict: Verdict

    @property
    def low(self) -> float:
        return self.spread.limits(self.prevented)[0]

    @property
    def high(self) -> float:
        return self.spread.limits(self.prevented)[1]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "control": self.control,
            "treated": self.treated,
            "control_rate": self.control_rate,
            "treated_rate": self.treated_rate,
            "prevented": {"value": self.prevented, "low": self.low, "high": self.high},
            "verdict": self.verdict,
        }


def effect(
    positive: npt.NDArray[np.bool_],
    control: npt.NDArray[np.bool_],
    entities: npt.NDArray[Any],
    *,
    name: str = "all",
    tests: int = 1,
) -> Effect | None:
    """The effect over rows that were flagged: ``positive`` bool[n] what became of them, ``control`` bool[n] who was
    left alone (the others were acted on), ``entities`` [n] whose rows they are, ``tests`` how many such questions are
    asked at once. None where either group has fewer than ``MIN_GROUP`` rows.

    Variance of each rate: the larger of the clustered one and p (1 - p) / (n + 2) with p = (x + 1) / (n + 2), so that a
    group in which nobody left is not taken for certain (Agresti and Caffo 2000, The American Statistician 54).

    >>> y = np.array([True, False] * 50 + [True, False, False, False] * 100)
    >>> measured = effect(y, np.arange(500) < 100, np.arange(500))
    >>> round(measured.prevented, 3), round(measured.low, 3), measured.verdict
    (0.25, 0.142, 'works')
    """
    if min(int(control.sum()), int((~control).sum())) < MIN_GROUP:
        return None
    left, among = _rate(positive[control], entities[control]), _rate(positive[~control], entities[~control])
    difference, spread = left[0] - among[0], left[1].less(among[1])
    return Effect(
        name=name,
        control=int(control.sum()),
        treated=int((~control).sum()),
        control_rate=left[0],
        treated_rate=among[0],
        prevented=difference,
        spread=spread,
        verdict=_verdict(difference, spread, tests),
    )


def _rate(positive: npt.NDArray[np.bool_], entities: npt.NDArray[Any]) -> tuple[float, Spread]:
    """The share of positives and how it scatters."""
    n, hits = len(positive), int(positive.sum())
    p = (hits + 1) / (n + 2)
    clustered = ratio_spread(positive.astype(np.float64), np.ones(n), entities)
    return hits / n, replace(clustered, variance=max(clustered.variance, p * (1 - p) / (n + 2)))


def _verdict(difference: float, spread: Spread, tests: int) -> Verdict:
    def p(than: float, side: int) -> float:
        """Of "the effect is not above ``than``" (``side`` 1), or not below (-1)."""
        return normal_sf(side * unskewed((difference - than) / spread.error, spread.skewness))

    if p(0.0, 1) < 0.025 / tests:
        return "works"
    if p(0.0, -1) < 0.025 / tests:
        return "harms"
    # Two one-sided tests of equivalence (Schuirmann 1987).
    surely = max(p(NOTHING, -1), p(-NOTHING, 1))
    return "does nothing" if surely < 0.05 / tests else "not known yet"


def effects_by(
    names: Sequence[str],
    part: npt.NDArray[np.int64],
    positive: npt.NDArray[np.bool_],
    control: npt.NDArray[np.bool_],
    entities: npt.NDArray[Any],
) -> tuple[Effect, ...]:
    """The effect within each part of the rows: ``part`` int64[n] places in ``names``. Parts with too few rows are left
    out.
    """
    effects = (
        effect(positive[at], control[at], entities[at], name=name, tests=len(names))
        for code, name in enumerate(names)
        for at in (part == code,)
    )
    return tuple(measured for measured in effects if measured is not None)


def score_bands(scores: npt.NDArray[np.float64], bands: int = 4) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Names of ``bands`` equally many rows by score, lowest first, and the band of each row."""
    cuts = np.quantile(scores, np.arange(1, bands) / bands) if len(scores) else np.empty(0)
    edges = [float(scores.min()), *cuts.tolist(), float(scores.max())] if len(scores) else []
    names = [f"score {low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
    return names, np.asarray(np.searchsorted(cuts, scores, "right"), dtype=np.int64)


def money(measured: Effect, costs: Costs | None, months: float) -> dict[str, float] | None:
    """What the action brings and what it costs, a month, in the contract's currency; None without ``costs``.

    ``control`` is the price of knowing: customers who were left alone, would have been kept, less the offers saved.
    """
    if costs is None or months <= 0:
        return None
    kept, unsaved = measured.treated * measured.prevented, measured.control * measured.prevented
    return {
        "kept": kept / months,
        "brings": (kept * costs.miss - measured.treated * costs.offer) / months,
        "control": (unsaved * costs.miss - measured.control * costs.offer) / months,
    }


def months_until(control_rate: float, treated_rate: float, flagged_a_month: float, share: float) -> float:
    """How many months until the effect is known to within ``TARGET``, with ``share`` (0 to 1) of the flagged left
    alone.

    From z^2 (pc (1 - pc) / (s f m) + pt (1 - pt) / ((1 - s) f m)) = TARGET^2. Infinite where nobody is left alone.

    >>> round(months_until(0.5, 0.2, 2000, 0.05), 1), months_until(0.5, 0.2, 2000, 0.0)
    (24.8, inf)
    """
    if not 0 < share < 1 or flagged_a_month <= 0:
        return math.inf
    spread = control_rate * (1 - control_rate) / share + treated_rate * (1 - treated_rate) / (1 - share)
    return Z95**2 * spread / (flagged_a_month * TARGET**2)


def plan(measured: Effect, months: float, shares: Sequence[float] = (0.02, 0.05, 0.1, 0.2)) -> Mapping[str, float]:
    """Months until the effect is known to within ``TARGET``, by the share of flagged customers that is left alone."""
    flagged = (measured.control + measured.treated) / months
    return {
        f"{share:g}": round(months_until(measured.control_rate, measured.treated_rate, flagged, share), 1)
        for share in shares
    }
