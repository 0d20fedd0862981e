"""Whole years: worlds under policies, each played through the real steps by the driver, in a process of its own."""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import stillgood
from stillgood.domain.errors import StillgoodError
from stillgood.domain.model.evaluation import roc_auc
from stillgood.domain.policy.evidence import Policy
from stillgood.simulation.driver import Driver, WindowResult
from stillgood.simulation.policies import COMPARED, Always
from stillgood.simulation.world import World
from threadpoolctl import threadpool_limits

from benchmarks.decisions import scenarios

PROCESSES = 2
ROOT = Path(__file__).resolve().parent.parent.parent
# Processes are spawned, so the moment is handed on by the environment.
DEADLINE = float(os.environ.setdefault("UNTIL", str(time.time() + 60 * float(os.environ.get("MINUTES", "1e6")))))
POLICIES = ("never", "always", "simple", "guarded")


@dataclass(frozen=True, slots=True)
class Asks(Always):
    """Asks for a candidate in every window and leaves the decision to the guarded gate."""

    name: str = "asks"


@dataclass(frozen=True, slots=True)
class Task:
    """``kind`` is telco, null or dated; ``options`` go to the world."""

    kind: str
    name: str
    policy: str
    seed: int
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Year:
    """What happened, by window. ``aucs`` and ``recalls`` are of the truth where the world has one, else of the window's
    own rows.
    """

    task: Task
    aucs: tuple[float, ...]
    recalls: tuple[float, ...]
    flagged: tuple[float, ...]
    retrains: tuple[int, ...]
    promotions: tuple[int, ...]
    rollbacks: tuple[int, ...]
    alerts: tuple[int, ...]
    drifted: tuple[int, ...]
    attempts: int
    gains: tuple[float, ...]
    errors: tuple[str, ...]
    windows: int
    recall_floor: float

    @property
    def auc(self) -> float:
        return float(np.mean(self.aucs))

    @property
    def acted(self) -> list[int]:
        return sorted({*self.retrains, *self.alerts, *self.rollbacks})


def world_of(task: Task) -> World:
    if task.kind == "telco":
        return scenarios.telco(task.name, task.seed)
    if task.kind == "null":
        return scenarios.null_days(task.seed, **dict(task.options))
    make, _ = (scenarios.names(few=False) | scenarios.names(few=True))[task.name]
    return make(task.seed)


def play(task: Task) -> Year:
    with threadpool_limits(1):
        policy: str | Policy = Asks() if task.policy == "asks" else COMPARED[task.policy]
        watches = task.policy != "never" or task.kind == "null"
        driver = Driver(world_of(task), policy, watches=watches, keeps_candidates=False)
        return _year(task, driver)


def _year(task: Task, driver: Driver) -> Year:
    results: list[WindowResult] = []
    errors: list[str] = []
    try:
        for result in driver.run():
            results.append(result)
            errors += [result.error] if result.error else []
            errors += [event.reasons[0] for event in result.events if event.result == "failed"]
    except StillgoodError as failed:  # the world ends early, and its row says so
        errors.append(f"{type(failed).__name__}: {failed.detail}")
    aucs, recalls = zip(*map(_figures, results), strict=True) if results else ((), ())
    truths = [auc for auc in aucs if auc is not None]
    at = {
        what: tuple(result.at for result in results if result.did(what))
        for what in ("trained", "promoted", "rolled back")
    }
    return Year(
        task,
        tuple(truths),
        tuple(recall for recall in recalls if recall is not None),
        tuple(float(result.flagged[~result.refused].mean()) for result in results if (~result.refused).any()),
        at["trained"],
        at["promoted"],
        at["rolled back"],
        tuple(result.at for result in results if result.action == "alert"),
        tuple(result.at for result in results if _drifted(result)),
        sum(
            event.step == "promote" and event.result in ("promoted", "refused")
            for result in results
            for event in result.events
        ),
        _gains(results),
        tuple(errors[:5]),
        len(results),
        driver.world.contract.floors.recall,
    )


def _figures(result: WindowResult) -> tuple[float | None, float | None]:
    if result.truth_roc_auc is not None:
        return result.truth_roc_auc, result.truth_recall
    known = ~result.refused & (result.y >= 0)
    y = result.y[known] == 1
    if not 0 < y.sum() < len(y):
        return None, None
    return roc_auc(result.probability[known], y), float(result.flagged[known][y].mean())


def _drifted(result: WindowResult) -> bool:
    drift = (result.report or {}).get("drift") or {}
    return bool(drift.get("drifted") or drift.get("faults"))


def _gains(results: list[WindowResult]) -> tuple[float, ...]:
    """Of each promotion, the true ROC-AUC of the window after it less that of its own, where the truth did not move
    between them.
    """
    return tuple(
        after.truth_roc_auc - before.truth_roc_auc
        for before, after in pairwise(results)
        if before.did("promoted") and before.truth_roc_auc is not None and after.truth_roc_auc is not None
    )


def play_all(tasks: Iterable[Task]) -> list[Year]:
    """The years of ``tasks`` in their order, each kept in ``KEPT`` as it ends, so that a stopped run goes on.

    After ``MINUTES`` (of the environment) no year is begun: what is missing then is missing in the result.
    """
    wanted = list(tasks)
    known = _kept()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        waiting = {
            pool.submit(_play_in_time, task): task for task in wanted if task not in known and time.time() < DEADLINE
        }
        for done in as_completed(waiting):
            year = done.result()
            if year is not None:
                known[year.task] = year
                _keep(year)
    return [known[task] for task in wanted if task in known]


def _play_in_time(task: Task) -> Year | None:
    return play(task) if time.time() < DEADLINE else None


def _keep(year: Year) -> None:
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(year)) + "\n")


def _kept() -> dict[Task, Year]:
    """Years played before by this very code; KEPT is named after it."""
    if not KEPT.is_file():
        return {}
    years = {}
    for line in KEPT.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        named = raw.pop("task")
        task = Task(**{**named, "options": tuple((name, value) for name, value in named["options"])})
        parts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()
        }
        years[task] = Year(task, **parts)
    return years


def _code() -> str:
    """A hash of all that decides how a year is played."""
    digest = hashlib.sha256()
    for folder in (Path(stillgood.__file__).parent, Path(__file__).parent):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


KEPT = ROOT / ".local" / "decisions" / f"{_code()}.jsonl"
