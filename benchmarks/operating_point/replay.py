"""A world lived through: every so many rows the operating point is decided anew, and judged afterwards by the truth."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from stillgood.domain.contract.contract import Costs, Objective, PointRules
from stillgood.domain.errors import NotEnoughData
from stillgood.domain.model.vectorised import logits
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
from stillgood.domain.operating_point.objective import break_even
from stillgood.domain.operating_point.placement import Population
from stillgood.training.fit import fit

from benchmarks.operating_point.worlds import World

MIN_LEARNT, MAX_LEARNT = 1000, 8000


@dataclass(frozen=True, slots=True, eq=False)
class Lived:
    """``flagged`` bool[n] as it would have been served; ``decisions`` with the row before which each was made."""

    world: World
    flagged: NDArray[np.bool_]
    thresholds: NDArray[np.float64]
    decisions: tuple[tuple[int, PointDecision], ...]

    @property
    def moves(self) -> int:
        return sum(decision.action == "move" for _, decision in self.decisions)

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
    costs: Costs | None = None,
    rules: PointRules | None = None,
    batch: bool = False,
    broken: NDArray[np.bool_] | None = None,
) -> Lived:
    """Decide before every ``every`` rows, thirty times a window where it is None, or with ``batch`` once a window on
    its very rows.

    ``broken`` bool[n]: rows of a fault of the data that monitor has found. While one is the newest row, the fault
    stands; such rows are no population, and their labels teach nothing (``steps/monitor/follow.py``).
    """
    sound = np.ones(world.n, dtype=bool) if broken is None else ~broken
    threshold = world.born(objective, costs)
    objective = objective or Objective("recall", world.objective)
    wanted = objective.value if costs is None else break_even(costs.miss, costs.offer)
    line, correction = uncertain(world.model.calibration), Correction()
    thresholds, taken, judged = np.full(world.n, threshold), list[tuple[int, PointDecision]](), 0
    cuts = _cuts(world, every, batch)
    for before, start, end in zip([0, *cuts], cuts, [*cuts[1:], world.n], strict=False):
        until = end if batch else start
        known = int(np.searchsorted(world.known, start, side="right"))
        whole = (known - judged) // BLOCK_ROWS * BLOCK_ROWS
        if whole:
            fresh = _labelled(world, thresholds, np.arange(judged, judged + whole))
            correction = corrected(objective.kind, wanted, correction, fresh, start - known)
            judged += whole
        seen = np.flatnonzero(sound[(start if batch else 0) : until])[-(world.n if batch else MAX_POPULATION) :]
        seen += start if batch else 0
        decision = decide(
            PointInputs(
                objective=objective,
                wanted=wanted,
                rules=rules or PointRules(),
                line=line,
                threshold=threshold,
                correction=correction,
                population=Population(world.logit[seen], world.entity[seen]),
                labelled=_labelled(world, thresholds, np.flatnonzero(sound[:known])[-MAX_LABELLED:]),
                faults=() if start == 0 or sound[start - 1] else ("a fault of the data stands.",),
                whole=batch,
                fresh=int(sound[before:start].sum()),
            )
        )
        taken.append((start, decision))
        line, threshold = decision.line, decision.threshold
        thresholds[start:end] = threshold
    return Lived(world, world.logit >= thresholds, thresholds, tuple(taken))


def fixed(world: World, objective: Objective | None = None, costs: Costs | None = None) -> Lived:
    """The threshold that the champion was born with, for ever."""
    thresholds = np.full(world.n, world.born(objective, costs))
    return Lived(world, world.logit >= thresholds, thresholds, ())


def retrained(world: World, every: int = 1) -> Lived:
    """Always retrained: every ``every`` windows a model learns from the newest rows whose outcomes are known, with its
    own threshold.
    """
    flagged = world.logit >= world.model.threshold_logit
    starts = np.searchsorted(world.window, np.arange(world.window[-1] + 2))
    for start, end in zip(starts[:-1:every], [*starts[every::every], world.n], strict=False):
        known = np.arange(int(np.searchsorted(world.known, start, side="right")))[-MAX_LEARNT:]
        if len(known) < MIN_LEARNT:
            continue
        try:
            fitted = fit(
                world.frame.take(known),
                world.y[known].astype(np.int8),
                world.entity[known].astype(np.uint64),
                version="again",
                data_sha256="again",
            ).model
        except NotEnoughData:
            continue
        rows = np.arange(start, end)
        flagged[rows] = logits(fitted, world.frame.take(rows)) >= fitted.threshold_logit
    return Lived(world, flagged, np.full(world.n, np.nan), ())


def _labelled(world: World, thresholds: NDArray[np.float64], rows: NDArray[np.int64]) -> Labelled:
    logits = world.logit[rows]
    return Labelled(logits, world.y[rows], world.entity[rows], logits >= thresholds[rows])


def _cuts(world: World, every: int | None, batch: bool) -> list[int]:
    if every is not None:
        return list(range(0, world.n, every))
    starts = np.searchsorted(world.window, np.arange(world.window[-1] + 2))
    if batch:
        return [int(cut) for cut in starts[:-1]]
    return sorted({int(cut) for a, b in pairwise(starts) for cut in np.linspace(a, b, 31)[:-1]})
