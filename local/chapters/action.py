"""A campaign that works: whoever is flagged gets a call, and six of ten who would have left stay. The model looks
wrong.

Once nobody says that people act, and nobody is left alone; once a tenth of the flagged is left alone. The real steps
over a store in memory, in virtual time. The customers are simulated as in the chapter ``point``; they join evenly, so
that nothing but the campaign happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from stillgood.domain.contract.contract import Actions
from stillgood.domain.model.evaluation import roc_auc
from stillgood.simulation.driver import Driver
from stillgood.simulation.worlds.buyers import buyers
from stillgood.steps.value import value

from local.cloud import CloudError
from local.console import Screen

CUSTOMERS, SAVED, SHARE = 4000, 0.6, 0.1


@dataclass(frozen=True, slots=True)
class Campaign:
    """By window: the true ROC-AUC (of what would have happened), the realised one of the report, None where it gives
    none, and what stands. ``promotions`` and ``rollbacks`` after the first model; ``worth``: of ``stillgood value``.
    """

    truth: tuple[float, ...]
    realised: tuple[float | None, ...]
    stands: tuple[str, ...]
    promotions: int
    rollbacks: int
    worth: dict[str, Any]


def play() -> None:
    """Raises CloudError when it does not come out as told."""
    screen = Screen()
    screen.raw(f"{CUSTOMERS:,} customers; whoever is flagged is called, and {SAVED:.0%} of those who would leave stay.")
    screen.step("Nobody says that people act, and nobody is left alone")
    silent = live(None)
    shown(screen, silent)
    screen.step(f"The contract says so, and {SHARE:.0%} of the flagged are left alone")
    declared = live(Actions(SHARE))
    shown(screen, declared)
    screen.step("What the campaign is worth, as `stillgood value` says it")
    screen.say(declared.worth["sentence"])
    effect = declared.worth["all"]
    announced = [state for state in silent.stands if state.startswith("people act")]
    true = (
        effect is not None and effect["prevented"]["low"] < SAVED * effect["control_rate"] < effect["prevented"]["high"]
    )
    if not (announced and true and not declared.rollbacks and declared.truth[-1] > 0.65):
        raise CloudError("the campaign was not seen through")
    screen.say("The champion stays as good as it was, and the page says how well the campaign works.")
    screen.end()


def live(actions: Actions | None) -> Campaign:
    """One campaign under the policy "guarded", as deployed."""
    world = buyers(2, "steady", customers=CUSTOMERS, saved=SAVED)
    world.contract = replace(world.contract, actions=actions)
    driver = Driver(world, "guarded")
    truth: list[float] = []
    realised: list[float | None] = []
    stands: list[str] = []
    results = []
    for window in driver.run():
        results.append(window)
        would = world.outcomes(window.at, np.zeros(len(window.y), dtype=bool))
        seen = ~window.refused
        truth.append(roc_auc(window.probability[seen], would[seen]))
        report = window.report or {}
        figure = report.get("realised_performance")
        realised.append(None if figure is None else float(figure["metrics"]["roc_auc"]["value"]))
        stands.append(
            next((state["message"] for state in report.get("standing") or [] if state["name"] == "actions"), "")
        )
    return Campaign(
        tuple(truth),
        tuple(realised),
        tuple(stands),
        sum(window.did("promoted") for window in results),
        sum(window.did("rolled back") for window in results),
        value(driver.store, world.contract, driver.clock()),
    )


def shown(screen: Screen, campaign: Campaign) -> None:
    rows: Sequence[tuple[float, float | None]] = list(zip(campaign.truth, campaign.realised, strict=True))
    for number, (truth, realised) in enumerate(rows, 1):
        said = "not given" if realised is None else f"{realised:.3f}"
        screen.say(f"month {number:2}: true ROC-AUC {truth:.3f}, realised {said}")
    if (first := next((state for state in campaign.stands if state), "")) != "":
        screen.say(f"told once, and standing since: {first}.")
    screen.say(f"Promotions {campaign.promotions}, rollbacks {campaign.rollbacks}.")
