"""Customers age, nobody retrains, labels come 60 days late: a threshold that stands still flags nobody in the end; one
that follows keeps
its recall, and the log says why it moved.

The real steps over a store in memory, in virtual time: no cloud is needed. The customers are simulated: they buy and
leave as the BG/NBD model says (Fader, Hardie and Lee 2005), all of them joined within 90 days, and each month whoever
bought in the last 180 days is scored at once, so that a month's threshold is placed on the month before.
"""

from dataclasses import dataclass, replace

import numpy as np
from stillgood.domain.contract.contract import PointRules
from stillgood.simulation.driver import Driver
from stillgood.simulation.worlds.buyers import buyers
from stillgood.steps.promote.replay import replay
from stillgood.storage.registry import Registry

from local.cloud import CloudError
from local.console import Screen

WANTED, CUSTOMERS = 0.6, 4000


@dataclass(frozen=True, slots=True)
class Life:
    """Realised recall by window, what each report said of the operating point, and the log's moves by their reasons."""

    recalls: tuple[float, ...]
    sentences: tuple[str, ...]
    moves: tuple[str, ...]
    replayed: bool


def play() -> None:
    """Raises CloudError when it does not come out as told."""
    screen = Screen()
    screen.raw("An operating point that follows: the promise is a recall of 0.60, and nobody retrains.")
    screen.step(f"{CUSTOMERS:,} customers, a threshold that stands still")
    fixed = live("fixed")
    shown(screen, fixed)
    screen.step("The same customers, the same model, and a threshold that follows")
    followed = live("follow")
    shown(screen, followed)
    screen.step("The log says why, and every move can be decided again")
    for move in followed.moves:
        screen.say(f"- {move}")
    screen.say(f"Replayed to the same bytes: {'yes' if followed.replayed else 'NO'}.")
    late = np.mean(fixed.recalls[-4:]), np.mean(followed.recalls[-4:])
    screen.say(
        f"Recall of the last four windows: {late[0]:.2f} with a fixed threshold, {late[1]:.2f} with one that follows."
    )
    if not (late[0] < 0.2 and abs(late[1] - WANTED) < 0.1 and followed.moves and followed.replayed):
        raise CloudError("the operating point did not keep its promise while the population moved")
    screen.end()


def live(mode: str) -> Life:
    """One life of the cohort under the policy "never": predict, labels, monitor and promote, as deployed."""
    world = buyers(1, "cohort", customers=CUSTOMERS)
    rules = PointRules(mode="follow" if mode == "follow" else "fixed")
    world.contract = replace(world.contract, operating_point=rules)
    driver = Driver(world, "never")
    recalls, sentences = [], []
    for window in driver.run():
        left = (window.y == 1) & ~window.refused
        recalls.append(float(window.flagged[left].mean()))
        point = (window.report or {}).get("operating_point") or {}
        sentences.append(f"{point.get('action', 'none')}: {point.get('sentence', 'no report')}")
    decisions = [decision for decision in Registry(driver.store).decisions() if decision.action == "move"]
    again = (
        all(replayed.same for replayed in replay(driver.store, [decision.n for decision in decisions]))
        if decisions
        else True
    )
    return Life(tuple(recalls), tuple(sentences), tuple(" ".join(decision.reasons) for decision in decisions), again)


def shown(screen: Screen, life: Life) -> None:
    for number, (recall, sentence) in enumerate(zip(life.recalls, life.sentences, strict=True), 1):
        screen.say(f"month {number:2}: true recall {recall:.2f}; monitor said: {sentence}")
