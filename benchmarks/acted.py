"""Predictions that are acted on: what the figures, the loop, the effect and the jump are worth. ``make bench-acted``.

A logistic model is fitted anew in every window on the four before, its threshold at recall .70 on them; whoever is
flagged is called, and a share of those who would have left stays. What would have happened without the call is known
here, so every figure has its truth: that of the population which a window's rows are drawn from. Statistics are the
product's own (``domain/actions``); the loop is a plain one that promotes every refit, which is the hardest case. What
the real steps do is played by ``benchmarks/acted_steps.py``.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from stillgood.domain.actions.assignment import in_control
from stillgood.domain.actions.groups import stand_in
from stillgood.domain.actions.jump import jump_at
from stillgood.domain.actions.value import effect
from stillgood.domain.contract.contract import Actions
from stillgood.domain.model.evaluation import clustered, evaluate
from stillgood.simulation.worlds.buyers import FEATURES, snapshots

from benchmarks import acted_steps
from benchmarks.decisions.scenarios import pool
from local import datasets

RESULT = Path(__file__).parent / "results" / "acted_upon.json"
SEEDS, WINDOWS, MEMORY, RECALL = 20, 6, 4, 0.7
CUSTOMERS = 6000
ROWS = 3000
TIMES = 12  # how often a row of Telco is in its population
CASES = ((0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.3, 0.05), (0.6, 0.05), (0.3, 0.1), (0.6, 0.1))  # saved, control
START = datetime(2026, 1, 1, tzinfo=UTC)
FIGURES = ("roc_auc", "recall", "precision", "brier")

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]
type Rows = tuple[Floats, Bools, NDArray[np.str_]]  # features, what would happen, whose they are
type Population = tuple[Floats, Bools]  # features, what would happen


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """One seed of a world: ``rows`` of each window, and the ``populations`` that they are drawn from."""

    rows: list[Rows]
    populations: list[Population]


def buyers_lives(name: str, seeds: int) -> list[Life]:
    """A population: everybody of that day in the lives of all seeds, of which every life is one draw."""
    whole = [_buyers_parts(name, seed) for seed in range(seeds)]
    populations = [
        (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
        for parts in zip(*whole, strict=True)
    ]
    return [Life([(x[:ROWS], y[:ROWS], who[:ROWS]) for x, y, who in parts], populations) for parts in whole]


def _buyers_parts(name: str, seed: int) -> list[Rows]:
    table = snapshots(seed, name, customers=CUSTOMERS)
    parts = []
    for _, part in table.groupby("day"):
        features = np.log1p(part[list(FEATURES)].to_numpy(dtype=float))
        parts.append((features, (part["left"] == "yes").to_numpy(), part["customer"].to_numpy(dtype=str)))
    return parts[: MEMORY + WINDOWS]


def telco_lives(seeds: int) -> list[Life]:
    """A population: every row of the table ``TIMES`` times, with as many positives as its probability says."""
    known = pool()
    columns = []
    for feature in known.frame.contract.features:
        values = known.frame.columns[feature.name]
        columns += [values == code for code in range(len(feature.levels))] if feature.categorical else [values]
    features = _standardised(np.column_stack(columns).astype(float))
    ranks = np.arange(TIMES)[:, None] + np.random.default_rng(20).random(len(known.p))
    population = (np.tile(features, (TIMES, 1)), (ranks / TIMES < known.p).ravel())
    lives = []
    for seed in range(seeds):
        random = np.random.default_rng((seed, 20))
        parts = []
        for at in range(MEMORY + WINDOWS):
            index = random.choice(len(features), ROWS)
            parts.append((features[index], random.random(ROWS) < known.p[index], _names(at)))
        lives.append(Life(parts, [population] * len(parts)))
    return lives


def flights_lives(seeds: int) -> list[Life]:
    """Departures from New York in 2013, a month a window: a population is the month, a life a sample of it."""
    table = datasets.flights()
    coded = pd.get_dummies(table[["weekday", "hour_band", "carrier", "origin", "dest"]], dtype=float)
    features = _standardised(np.column_stack([coded.to_numpy(), table[["hour", "distance"]].to_numpy(dtype=float)]))
    late, month = (table["late"] == "yes").to_numpy(), table["month"].to_numpy(dtype=int)
    months = [np.flatnonzero(month == at + 1) for at in range(MEMORY + WINDOWS)]
    lives = []
    for seed in range(seeds):
        random = np.random.default_rng((seed, 22))
        drawn = [np.sort(random.choice(rows, ROWS, replace=False)) for rows in months]
        parts = [(features[rows], late[rows], _names(at)) for at, rows in enumerate(drawn)]
        lives.append(Life(parts, [(features[rows], late[rows]) for rows in months]))
    return lives


def _standardised(features: Floats) -> Floats:
    return np.asarray((features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9))


def _names(at: int) -> NDArray[np.str_]:
    """Nobody comes twice."""
    return np.array([f"w{at}-{place}" for place in range(ROWS)])


def play(life: Life, saved: float, share: float, seed: int) -> Iterator[dict[str, Any]]:
    """One life under the loop; a row of figures a window."""
    random, rules = np.random.default_rng((seed, 21)), Actions(share)
    known: list[tuple[Floats, Bools, NDArray[np.int64], NDArray[np.str_]]] = [
        (x, y, np.zeros(len(y), np.int64), who) for x, y, who in life.rows[:MEMORY]
    ]
    near: list[list[NDArray[Any]]] = []
    for at, (x, y, who) in enumerate(life.rows[MEMORY:]):
        features, outcomes, groups, _ = (np.concatenate(part) for part in zip(*known[-MEMORY:], strict=True))
        learns = stand_in(groups).index if share else np.arange(len(outcomes))
        model = LogisticRegression(C=1.0, solver="newton-cholesky").fit(features[learns], outcomes[learns])
        before = model.decision_function(features[learns])
        threshold = float(np.quantile(before[outcomes[learns]], 1 - RECALL))
        logits = model.decision_function(x)
        p, flagged = 1 / (1 + np.exp(-logits)), logits >= threshold
        when = START + timedelta(days=30 * at)
        control = flagged & np.array([share > 0 and in_control(rules, name, when) for name in who])
        treated = flagged & ~control
        happened = y & ~(treated & (random.random(len(y)) < saved))
        group = np.where(control, 1, np.where(treated, 2, 0)) if share else np.zeros(len(y), np.int64)
        known.append((x, happened, group, who))
        everybody, would = life.populations[MEMORY + at]
        every = model.decision_function(everybody)
        truth = evaluate(every, 1 / (1 + np.exp(-every)), would, threshold)
        row: dict[str, Any] = {"truth": truth.roc_auc.value, "flagged": float(flagged.mean())}
        stand = stand_in(group, logits)
        if stand.observed:
            index, names = stand.index, np.unique(who, return_inverse=True)[1]
            seen = evaluate(logits[index], p[index], happened[index], threshold)
            strata = stand.strata if share else None
            seen = clustered(seen, logits[index], flagged[index], happened[index], names[index], strata, p[index])
            for name in FIGURES:
                figure, right = getattr(seen, name), getattr(truth, name).value
                row[name] = figure.value - right
                row[f"{name} covered"] = figure.low <= right <= figure.high
        if share and saved:
            measured = effect(happened[flagged], control[flagged], who[flagged])
            if measured is not None:
                right = saved * truth.precision.value
                row["effect"], row["effect covered"] = (
                    measured.prevented - right,
                    measured.low <= right <= measured.high,
                )
        if not share:
            near.append([logits - threshold, happened - p, p, who, np.full(len(y), at), np.full(len(y), 30 * at)])
            jump = jump_at(*(np.concatenate(part) for part in zip(*near, strict=True)))
            row["jump"] = jump is not None and jump.detected
        yield row


def summary(runs: list[list[dict[str, Any]]], still: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Means over seeds with the standard error of the mean; ``still``: the same worlds where nobody acts."""
    lost = [
        [a["truth"] - b["truth"] for a, b in zip(run, calm, strict=True)] for run, calm in zip(runs, still, strict=True)
    ]
    more = [
        [a["flagged"] - b["flagged"] for a, b in zip(run, calm, strict=True)]
        for run, calm in zip(runs, still, strict=True)
    ]
    figures: dict[str, Any] = {
        "seeds": len(runs),
        "true_roc_auc_against_nobody_acts": _mean([float(np.mean(run)) for run in lost]),
        "worst_window": float(np.mean([min(run) for run in lost])),
        "flagged_share_against_nobody_acts": _mean([float(np.mean(run)) for run in more]),
    }
    for name in (*FIGURES, "effect"):
        gaps = [[row[name] for row in run if name in row] for run in runs]
        if any(gaps):
            held = [row[f"{name} covered"] for run in runs for row in run if name in row]
            figures[name] = {
                "bias": _mean([float(np.mean(run)) for run in gaps if run]),
                "covered": float(np.mean(held)),
            }
    if "jump" in runs[0][0]:
        figures["jump_by_window"] = [float(np.mean([run[at]["jump"] for run in runs])) for at in range(len(runs[0]))]
    return figures


def _mean(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "se": float(np.std(values, ddof=1) / len(values) ** 0.5)}


def misses(cell: str, figures: dict[str, Any]) -> Iterator[str]:
    """The targets of issue 20 that a cell does not reach. A cell whose spread is larger than its target says so."""
    name, case = cell.split(": ")
    if name in acted_steps.LIVES:
        yield from _missed_by_steps(cell, figures)
        return
    if "no control" in case:
        if ".6 saved" in case and figures["jump_by_window"][1] < 1:
            hit = figures["jump_by_window"][1]
            yield f"{name}, {case}: the jump is found within two windows in {hit:.2f} of the seeds"
        if case.split(",")[0] == "0 saved" and figures["jump_by_window"][-1] > 0:
            yield f"{name}, {case}: a jump is found where nobody acts"
        return
    lost, worst = figures["true_roc_auc_against_nobody_acts"]["mean"], figures["worst_window"]
    if lost < -0.01 or worst < -0.03:
        yield f"{name}, {case}: true ROC-AUC {lost:+.3f} on the mean, {worst:+.3f} in the worst window"
    if abs(figures["flagged_share_against_nobody_acts"]["mean"]) > 0.03:
        yield f"{name}, {case}: flagged share {figures['flagged_share_against_nobody_acts']['mean']:+.3f}"
    for figure in (*FIGURES, "effect"):
        bias, covered = figures[figure]["bias"], figures[figure]["covered"]
        if abs(bias["mean"]) > 0.01:
            unsure = " (within two standard errors of the target)" if abs(bias["mean"]) - 0.01 < 2 * bias["se"] else ""
            yield f"{name}, {case}: {figure} biased by {bias['mean']:+.4f} (se {bias['se']:.4f}){unsure}"
        if not 0.92 <= covered <= 0.98:
            yield f"{name}, {case}: the interval of {figure} covers {covered:.3f}"


WORLDS: dict[str, Callable[[int], list[Life]]] = {
    "steady": lambda seeds: buyers_lives("steady", seeds),
    "cohort": lambda seeds: buyers_lives("cohort", seeds),
    "telco": telco_lives,
    "flights": flights_lives,
}


def _missed_by_steps(cell: str, figures: dict[str, Any]) -> Iterator[str]:
    lost, worst = figures["true_roc_auc_against_nobody_acts"]["mean"], figures["worst_window"]
    if lost < -0.01 or worst < -0.02:
        yield f"{cell}: true ROC-AUC {lost:+.3f} on the mean, {worst:+.3f} in the worst window of all lives"
    if "nobody acts" in cell and figures["told_by_window"][-1] > 0:
        yield f"{cell}: told that people act in {figures['told_by_window'][-1]:.2f} of the lives"


def main(seeds: int = SEEDS, worlds: Sequence[str] = ()) -> None:
    """Plays ``worlds``, by default all; the file keeps what it says of others."""
    cells: dict[str, Any] = json.loads(RESULT.read_text())["cells"] if worlds else {}
    for name in worlds or (*WORLDS, *acted_steps.LIVES):
        if name in acted_steps.LIVES:
            cells |= (played := acted_steps.cells(name, seeds))
            print(*(f"{cell} {json.dumps(figures)}" for cell, figures in played.items()), sep="\n", flush=True)
            continue
        lives = WORLDS[name](seeds)
        calm: list[list[dict[str, Any]]] = []
        for saved, share in CASES:
            runs = [list(play(life, saved, share, seed)) for seed, life in enumerate(lives)]
            calm = calm or runs
            cell = f"{name}: {_case(saved, share)}"
            cells[cell] = summary(runs, calm)
            print(cell, json.dumps(cells[cell]), flush=True)
    missed = [line for cell, figures in cells.items() for line in misses(cell, figures)]
    document = {
        "command": "make bench-acted",
        "seeds": seeds,
        "windows": WINDOWS,
        "rows_a_window": ROWS,
        "truth": "of the population that a window's rows are drawn from, had nobody acted",
        "covered": "how often the 95% interval of a window holds that truth",
        "cells": cells,
        "missed": missed,
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    print(*missed, sep="\n")


def _case(saved: float, share: float) -> str:
    """As cells are called.

    >>> _case(0.6, 0.05), _case(0.0, 0.0)
    ('.6 saved, 5% control', '0 saved, no control')
    """
    return f"{f'{saved:g}'.lstrip('0') or '0'} saved, " + (f"{share:.0%} control" if share else "no control")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS, sys.argv[2:])
