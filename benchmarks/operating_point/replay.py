"""A world lived through: every so many rows the operating point is decided anew, and judged afterwards by the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.operating_point.calibration import Labelled
from stillgood.domain.operating_point.correction import BLOCK_ROWS, Correction
from stillgood.domain.operating_point.decide import (
    MAX_LABELLED,
    MAX_POPULATION,
    PointDecision,
    PointInputs,
    corrected,
    decide,
    uncertain,
)
from stillgood.domain.operating_point.placement import Population

from benchmarks.operating_point.worlds import World

type Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lived:
    """``flagged`` bool[n] as it would have been served; ``decisions`` with the row before which each was made."""

    world: World
    flagged: NDArray[np.bool_]
    thresholds: NDArray[np.float64]
    decisions: tuple[tuple[int, PointDecision], ...]

    @property
    def moves(self) -> int:
        return sum(one.action == "move" for _, one in self.decisions)

    def recalls(self) -> NDArray[np.float64]:
        """float64[windows]; windows without a positive are left out."""
        return self._per_window(self.flagged & self.world.y, self.world.y)

    def precisions(self) -> NDArray[np.float64]:
        return self._per_window(self.flagged & self.world.y, self.flagged)

    def shares(self) -> NDArray[np.float64]:
        return self._per_window(self.flagged, np.ones(self.world.n, dtype=bool))

    def _per_window(self, hits: NDArray[np.bool_], over: NDArray[np.bool_]) -> NDArray[np.float64]:
        number = np.bincount(self.world.window, over)
        return np.asarray(np.bincount(self.world.window, hits)[number > 0] / number[number > 0])


def follow(
    world: World,
    *,
    every: int | None = None,
    objective: Objective | None = None,
    wanted: float | None = None,
    rules: PointRules | None = None,
    batch: bool = False,
    faults: Callable[[int], tuple[str, ...]] = lambda row: (),
) -> Lived:
    """Decide before every ``every`` rows, thirty times a window where it is None, or with ``batch`` once a window on its very rows."""
    objective = objective or Objective("recall", world.objective)
    wanted = objective.value if wanted is None else wanted
    line, threshold, correction = uncertain(world.model.calibration), world.model.threshold_logit, Correction()
    thresholds, taken, judged = np.full(world.n, threshold), list[tuple[int, PointDecision]](), 0
    cuts = _cuts(world, every, batch)
    for start, end in zip(cuts, [*cuts[1:], world.n], strict=True):
        until = end if batch else start
        known = int(np.searchsorted(world.known, start, side="right"))
        whole = (known - judged) // BLOCK_ROWS * BLOCK_ROWS
        if whole:
            fresh = _labelled(world, thresholds, judged, judged + whole)
            correction = corrected(objective.kind, wanted, correction, fresh, start - known)
            judged += whole
        first = start if batch else max(0, until - MAX_POPULATION)
        decision = decide(
            PointInputs(
                objective=objective,
                wanted=wanted,
                rules=rules or PointRules(),
                line=line,
                threshold=threshold,
                correction=correction,
                population=Population(world.logit[first:until], world.entity[first:until]),
                labelled=_labelled(world, thresholds, max(0, known - MAX_LABELLED), known),
                faults=faults(start),
                whole=batch,
            )
        )
        taken.append((start, decision))
        line, threshold = decision.line, decision.threshold
        thresholds[start:end] = threshold
    return Lived(world, world.logit >= thresholds, thresholds, tuple(taken))


def fixed(world: World) -> Lived:
    """The threshold of the champion, for ever."""
    thresholds = np.full(world.n, world.model.threshold_logit)
    return Lived(world, world.logit >= thresholds, thresholds, ())


def _labelled(world: World, thresholds: NDArray[np.float64], first: int, until: int) -> Labelled:
    cut = slice(first, until)
    return Labelled(world.logit[cut], world.y[cut], world.entity[cut], world.logit[cut] >= thresholds[cut])


def _cuts(world: World, every: int | None, batch: bool) -> list[int]:
    if every is not None:
        return list(range(0, world.n, every))
    starts = np.searchsorted(world.window, np.arange(world.window[-1] + 2))
    if batch:
        return [int(one) for one in starts[:-1]]
    return sorted({int(one) for a, b in pairwise(starts) for one in np.linspace(a, b, 31)[:-1]})


def figures(lived: Lived, wanted: float) -> dict[str, Any]:
    recalls = lived.recalls()
    return {"error": float(np.abs(recalls - wanted).mean()), "recall": float(recalls.mean()), "moves": lived.moves}
