"""What the real steps do where predictions are acted on: monitor, train and promote under the guarded policy. Each life
is played four times. ``benchmarks/acted.py`` runs it and keeps its figures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from stillgood.domain.contract.contract import Actions
from stillgood.domain.statistics.delong import roc_auc
from stillgood.simulation.driver import Driver, WindowResult
from stillgood.simulation.world import World
from stillgood.simulation.worlds.buyers import buyers
from stillgood.simulation.worlds.resampled import Resampled, Scenario

from benchmarks.decisions.scenarios import pool

SAVED, CUSTOMERS, WINDOWS, ROWS = 0.6, 6000, 10, 1500
MAX_SEEDS = 6  # a life takes 2 to 6 s of processor
DECLARED: Mapping[str, Actions | None] = {
    "undeclared": None,
    "nobody left alone": Actions(0.0),
    "10% control": Actions(0.1),
}


@dataclass(frozen=True, slots=True)
class Played:
    """True ROC-AUC by window, of the rows as they would be had nobody acted, and in how many windows what was done.
    ``told``: the first window in which it stood that people act; None where in none.
    """

    aucs: tuple[float, ...]
    did: Mapping[str, int]
    told: int | None


def played(world: World, actions: Actions | None) -> Played:
    """One life under a contract that declares ``actions``."""
    driver = Driver(world, "guarded", keeps_candidates=False)
    results = list(driver.run())
    done = ("trained", "promoted", "rolled back")
    alerts = sum(result.action == "alert" for result in results)
    told = (result.at for result in results if any(name == "actions" for name in _standing(result)))
    return Played(
        tuple(_truth(world, result) for result in results),
        {what: sum(result.did(what) for result in results) for what in done} | {"alerts": alerts},
        next(told, None) if actions is None else None,
    )


def _standing(result: WindowResult) -> list[str]:
    return [] if result.report is None else [str(state["name"]) for state in result.report["standing"] or ()]


def _truth(world: World, result: WindowResult) -> float:
    if result.truth_roc_auc is not None:
        return result.truth_roc_auc
    y = world.outcomes(result.at, np.zeros(len(result.y), dtype=bool))
    return roc_auc(result.probability[~result.refused], y[~result.refused])


def _buyers(name: Literal["steady", "cohort"]) -> Callable[[int, Actions | None, float], World]:
    def world(seed: int, actions: Actions | None, saved: float) -> World:
        made = buyers(seed, name, saved=saved, customers=CUSTOMERS)
        return made.under(replace(made.contract, actions=actions))

    return world


def _telco(seed: int, actions: Actions | None, saved: float) -> World:
    known = pool()
    contract = replace(known.frame.contract, actions=actions)
    contract = replace(contract, labels=replace(contract.labels, maturity_days=0.3))
    scenario = Scenario("campaign", drift=False, rows=ROWS, delay_days=0.4, saved=saved)
    return Resampled(known, scenario, seed, windows=WINDOWS, contract=contract)


LIVES: Mapping[str, Callable[[int, Actions | None, float], World]] = {
    "real steps, steady": _buyers("steady"),
    "real steps, cohort": _buyers("cohort"),
    "real steps, telco": _telco,
}


def cells(name: str, seeds: int) -> dict[str, Any]:
    """The figures of one of ``LIVES``, by what the contract declares; of at most ``MAX_SEEDS`` lives."""
    make, figures = LIVES[name], dict[str, Any]()
    seeds = min(seeds, MAX_SEEDS)
    calm = [played(make(seed, None, 0.0), None) for seed in range(seeds)]
    figures[f"{name}: nobody acts"] = _summary(calm, calm)
    for declared, actions in DECLARED.items():
        lives = [played(make(seed, actions, SAVED), actions) for seed in range(seeds)]
        figures[f"{name}: .6 saved, {declared}"] = _summary(lives, calm)
    return figures


def _summary(lives: list[Played], calm: list[Played]) -> dict[str, Any]:
    """Means over seeds; counts are a life's. ``told``: the share of lives told by the window's end, by window."""
    lost = [np.subtract(life.aucs, still.aucs) for life, still in zip(lives, calm, strict=True)]
    means = [float(np.mean(part)) for part in lost]
    return {
        "seeds": len(lives),
        "true_roc_auc": float(np.mean([life.aucs for life in lives])),
        "true_roc_auc_against_nobody_acts": {
            "mean": float(np.mean(means)),
            "se": float(np.std(means, ddof=1) / len(means) ** 0.5),
        },
        "worst_window": float(min(part.min() for part in lost)),
        **{what: float(np.mean([life.did[what] for life in lives])) for what in lives[0].did},
        "told_by_window": [
            float(np.mean([life.told is not None and life.told <= at for life in lives]))
            for at in range(len(lives[0].aucs))
        ],
    }
