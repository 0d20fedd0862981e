"""Move, keep or freeze the operating point: a decision like the gate's, with reasons, from evidence that can be stored.

It moves only when the estimated figure leaves the objective by more than its own uncertainty and a stated margin.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.model.model import Calibration
from stillgood.domain.operating_point.calibration import (
    MIN_OF_EACH,
    FittedCalibration,
    Floats,
    Labelled,
    calibrate,
    summed_by,
)
from stillgood.domain.operating_point.correction import BLOCK_ROWS, Correction
from stillgood.domain.operating_point.objective import figure_name
from stillgood.domain.operating_point.placement import EstimatedFigure, Placed, Population, estimate, place
from stillgood.domain.statistics.intervals import normal_sf

Action = Literal["move", "keep", "freeze"]

MIN_POPULATION = 100
MAX_POPULATION = 4000
MAX_LABELLED = 4000
# A span of n rows is looked at anew every n rows, so its false alarms are as rare per row as those of any other span
# when
# each look errs with probability n / ROWS_PER_ALARM.
ROWS_PER_ALARM = 1_000_000
CHANGED_Z = 2.5758293035489004  # two-sided 99%
DISAGREE_P = 1e-4
LARGE_MOVE = 0.1  # of the share flagged: a person is told
_REACHED = "the objective would flag a share outside of the contract's bounds"
_UNREACHED = "no threshold reaches the objective"


@dataclass(frozen=True, slots=True, eq=False)
class PointInputs:
    """What a decision is made from. ``wanted``: the objective's figure, 0 to 1. ``line``, ``threshold``: in force.

    ``population``: newest unlabelled predictions; ``labelled``: newest matured, unbiased ones, from vouched sources.
    ``faults``: sentences about faults of the data or refusals that stand. ``capacity``: largest share flagged beside a
    cost. ``whole``: the population is all that the threshold will be used on (a file), so that nothing of it is left to
    chance. ``fresh``: how many of the population came since the point was last decided; 0 where that is not known.
    """

    objective: Objective
    wanted: float
    rules: PointRules
    line: FittedCalibration
    threshold: float
    correction: Correction
    population: Population
    labelled: Labelled
    faults: tuple[str, ...] = ()
    capacity: float | None = None
    whole: bool = False
    fresh: int = 0


@dataclass(frozen=True, slots=True)
class PointDecision:
    """``line`` and ``threshold`` are what to put in force, those that are in force unless it moves. ``alert``: a person
    is told.

    ``figures`` is JSON-able: the estimate with its interval, over how many rows, and what the labels said. ``stands``
    names what goes on until a person sees to it, always in the same words; empty where nothing does.
    """

    action: Action
    reasons: tuple[str, ...]
    alert: bool
    line: FittedCalibration
    threshold: float
    estimated: EstimatedFigure | None
    figures: dict[str, Any] = field(default_factory=dict)
    stands: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The figure called ``name`` that the labels of ``rows`` rows show, the one that was estimated for the same rows,
    and the
    two-sided p of no difference."""

    name: str
    realised: float
    estimated: float
    p: float
    rows: int


def decide(inputs: PointInputs) -> PointDecision:
    """Decide once. The order of the questions is the order of what may overrule what: people, faults, labels,
    estimates, bounds.
    """
    name = figure_name(inputs.objective)
    if inputs.population.n < MIN_POPULATION:
        return _stay(inputs, "keep", f"{inputs.population.n} predictions are too few to estimate the {name} from.")
    if inputs.faults:
        frozen = tuple(f"Frozen: {fault}" for fault in inputs.faults)
        return _stay(inputs, "freeze", *frozen, estimated=_now(inputs, inputs.line))
    line, alert, reasons = inputs.line, False, list[str]()
    if inputs.labelled.of_the_rarer >= MIN_OF_EACH:
        conflict = disagreement(inputs.objective.kind, inputs.line, inputs.labelled)
        if conflict is not None and conflict.p < DISAGREE_P:
            alert = True
            reasons.append(
                f"The newest {conflict.rows} labels show a {conflict.name} of {conflict.realised:.3f} where"
                f" {conflict.estimated:.3f} was estimated (p {conflict.p:.1g}): the labels win."
            )
        labelled = inputs.labelled.newest(BLOCK_ROWS if alert else MAX_LABELLED)  # nothing older has a say
        line = calibrate(labelled, inputs.line.line)
        if not line.keeps_ranking:
            return _stay(
                inputs,
                "freeze",
                *reasons,
                f"Frozen: the ranking is lost. Over the newest {labelled.n} labels, higher scores are not demonstrably"
                f" more often positive (slope {line.line.slope:.3f}, {line.slope_z:.1f} standard errors).",
                alert=True,
                stands="the operating point is frozen: higher scores are no longer demonstrably more often positive",
            )
    if inputs.rules.mode == "fixed":
        reasons.append("The contract keeps the operating point fixed.")
        stands = "labels contradict the estimate, and the contract keeps the operating point fixed" if alert else ""
        return _stay(inputs, "keep", *reasons, alert=alert, estimated=_now(inputs, line), stands=stands)
    return _follow(inputs, line, reasons, alert)


def _follow(inputs: PointInputs, line: FittedCalibration, reasons: list[str], alert: bool) -> PointDecision:
    name, wanted = figure_name(inputs.objective), aim(inputs.wanted, inputs.correction.offset)
    leaving = max(_spans(inputs, line, wanted), key=lambda span: span[2])
    rows, figure, excess = leaving
    if excess <= 0.0 and not alert:  # labels that win are heard at once
        reach = leaves_z(rows) * figure.standard_error + _margin(inputs)
        reasons.append(f"The {name} is estimated at {figure.value:.3f}, within {reach:.3f} of {wanted:.3f}.")
        return _stay(inputs, "keep", *reasons, alert=alert, estimated=figure)
    population = inputs.population.newest(rows)
    placed = place(inputs.objective, wanted, line, population, capacity=inputs.capacity)
    if (bound := _bound(inputs, placed)) is not None:
        stands = f"the operating point is frozen: {_REACHED if placed.reached else _UNREACHED}"
        return _stay(inputs, "freeze", *reasons, bound, alert=True, estimated=figure, stands=stands)
    before = float((population.logits >= inputs.threshold).mean())
    after = estimate(inputs.objective.kind, line, population, placed.threshold)
    reasons.append(
        f"The {name} of the newest {rows} predictions is estimated at {figure.value:.3f}"
        f" [{figure.interval().low:.3f}, {figure.interval().high:.3f}], wanted {wanted:.3f}: moved, so that"
        f" {100 * placed.share:.1f}% are flagged instead of {100 * before:.1f}%."
    )
    if abs(placed.share - before) > LARGE_MOVE:
        alert = True
        reasons.append(f"That is a change of more than {100 * LARGE_MOVE:.0f} points: a person should know.")
    return PointDecision(
        "move", tuple(reasons), alert, line, placed.threshold, after, {"rows": rows, "share": placed.share}
    )


def _margin(inputs: PointInputs) -> float:
    """None for a share flagged: it is counted, not estimated, and how many rows were counted is its uncertainty."""
    return 0.0 if inputs.objective.kind == "capacity" else inputs.rules.margin


def aim(wanted: float, offset: float) -> float:
    """The figure to place for: the objective's and the slow correction, inside of 0 to 1.

    >>> aim(0.95, 0.1), round(aim(0.8, -0.03), 2)
    (0.999, 0.77)
    """
    return min(0.999, max(0.001, wanted + offset))


def leaves_z(rows: int) -> float:
    """How many standard errors the figure of ``rows`` rows must be off: two-sided p of rows / ROWS_PER_ALARM.

    >>> round(leaves_z(4000), 3), round(leaves_z(100), 3)
    (2.878, 3.891)
    """
    return NormalDist().inv_cdf(1.0 - rows / ROWS_PER_ALARM / 2.0)


def _spans(inputs: PointInputs, line: FittedCalibration, wanted: float) -> Iterator[tuple[int, EstimatedFigure, float]]:
    """The newest rows, twice as many each time, as far back as they are one population: few notice a jump at once, many
    a slow drift. None is shorter than what came since the last decision: about as much will come until the next one,
    and hours of a day or days of a week that differ are no change of it. With each the figure, and by how many standard
    errors it leaves the aim beyond what is allowed; not above 0 while it does not. Source of the idea: Bifet and
    Gavalda (2007), ADWIN.
    """
    if inputs.whole:
        figure = estimate(inputs.objective.kind, line, inputs.population, inputs.threshold)
        yield inputs.population.n, figure, math.inf
        return
    kind, newest, rows = inputs.objective.kind, inputs.population, 0
    while rows < min(newest.n, MAX_POPULATION):
        wider = min(max(2 * rows, MIN_POPULATION, inputs.fresh), newest.n, MAX_POPULATION)
        if rows and _differ(
            estimate(kind, line, newest.newest(rows), inputs.threshold),
            estimate(kind, line, newest.newest(wider).oldest(wider - rows), inputs.threshold),
        ):
            return
        rows = wider
        figure = estimate(kind, line, newest.newest(rows), inputs.threshold)
        beyond = abs(figure.value - wanted) - _margin(inputs)
        yield rows, figure, beyond / max(figure.standard_error, 1e-12) - leaves_z(rows)


def _differ(new: EstimatedFigure, old: EstimatedFigure) -> bool:
    """Whether the population changed between two spans: then the older one says nothing about what comes next."""
    return abs(new.value - old.value) > CHANGED_Z * math.hypot(new.sampling, old.sampling)


def _bound(inputs: PointInputs, placed: Placed) -> str | None:
    """Why a threshold may not be taken without a person."""
    name, rules = figure_name(inputs.objective), inputs.rules
    if not placed.reached:
        return f"Frozen: no threshold reaches a {name} of {inputs.wanted:.3f}; a person decides."
    for limit, over in (
        (rules.max_flagged, placed.share > rules.max_flagged),
        (rules.min_flagged, placed.share < rules.min_flagged),
    ):
        if over:
            return (
                f"Frozen: to keep the {name} at {inputs.wanted:.3f}, {100 * placed.share:.0f}% would be flagged; the"
                f" bound is {100 * limit:.0f}%: a person decides."
            )
    return None


def disagreement(kind: str, line: FittedCalibration, labelled: Labelled) -> Disagreement | None:
    """Whether the labels of the newest block contradict what was estimated for the same rows, under the calibration in
    force.

    Two questions, the surer answer with twice its p (Bonferroni). The level: is the mean of y - p zero? And the figure.
    recall: T = sum (f - R) (y - p) with R the estimate; E T = 0 if the calibration is right, as T = (realised - R) sum
    y. precision: the mean of y - p over flagged rows. Variance: sums by entity, squared. None where nothing can be
    said.
    """
    rows = labelled.newest(BLOCK_ROWS)
    if rows.n == 0:
        return None
    y, p = rows.y.astype(np.float64), line.probabilities(rows.logits)
    flagged = rows.flagged.astype(np.float64)
    contradictions = [_contradiction("share of positives", float(y.mean()), float(p.mean()), y - p, rows)]
    if kind == "recall" and rows.y.any():
        estimated = float((flagged * p).sum() / p.sum())
        realised = float((flagged * y).sum() / y.sum())
        contradictions.append(_contradiction("recall", realised, estimated, (flagged - estimated) * (y - p), rows))
    elif kind == "precision" and rows.flagged.any():
        realised, estimated = float(y[rows.flagged].mean()), float(p[rows.flagged].mean())
        contradictions.append(_contradiction("precision", realised, estimated, flagged * (y - p), rows))
    surest = min(contradictions, key=lambda contradiction: contradiction.p)
    return replace(surest, p=min(1.0, len(contradictions) * surest.p))


def _contradiction(name: str, realised: float, estimated: float, parts: Floats, rows: Labelled) -> Disagreement:
    error = math.sqrt(float((summed_by(rows.entities, parts[:, None]) ** 2).sum()))
    # All or none flagged: the figure is certain, and contradicts nothing.
    p = 2.0 * normal_sf(abs(float(parts.sum())) / error) if error > 0.0 else 1.0
    return Disagreement(name, realised, estimated, p, rows.n)


def realised_figure(kind: str, rows: Labelled) -> float | None:
    """The figure that labels show, None where it is not defined; for a cost there is none.

    >>> y, flagged = np.array([True, True, False, False]), np.array([True, False, True, True])
    >>> rows = Labelled(np.zeros(4), y, np.arange(4), flagged)
    >>> realised_figure("recall", rows), realised_figure("capacity", rows)
    (0.5, 0.75)
    """
    hits = int((rows.flagged & rows.y).sum())
    over = {"recall": int(rows.y.sum()), "precision": int(rows.flagged.sum()), "capacity": rows.n}.get(kind, 0)
    if not over:
        return None
    return (int(rows.flagged.sum()) if kind == "capacity" else hits) / over


def corrected(inputs_kind: str, wanted: float, correction: Correction, fresh: Labelled, delay_rows: int) -> Correction:
    """``correction`` after every whole block of ``fresh`` matured rows, oldest first; the rest waits for the next call.

    Only recall and precision are corrected: a share needs no labels, and a cost has no figure to keep.
    """
    if inputs_kind not in ("recall", "precision"):
        return correction
    for start in range(0, fresh.n - BLOCK_ROWS + 1, BLOCK_ROWS):
        cut = slice(start, start + BLOCK_ROWS)
        block = Labelled(fresh.logits[cut], fresh.y[cut], fresh.entities[cut], fresh.flagged[cut])
        if (realised := realised_figure(inputs_kind, block)) is not None:
            correction = correction.after(wanted, realised, delay_rows)
    return correction


def uncertain(line: Calibration) -> FittedCalibration:
    """A calibration of which only the line is known: a model's own."""
    return FittedCalibration(line, (0.0, 0.0, 0.0), 0)


def _now(inputs: PointInputs, line: FittedCalibration) -> EstimatedFigure:
    return estimate(inputs.objective.kind, line, inputs.population.newest(MAX_POPULATION), inputs.threshold)


def _stay(
    inputs: PointInputs,
    action: Literal["keep", "freeze"],
    *reasons: str,
    alert: bool = False,
    estimated: EstimatedFigure | None = None,
    stands: str = "",
) -> PointDecision:
    return PointDecision(action, reasons, alert, inputs.line, inputs.threshold, estimated, stands=stands)
