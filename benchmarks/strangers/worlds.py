"""Strangers among honest callers, through the real steps in virtual time: how far the champion truly falls, and when a
person is told.

A stranger sends rows and says their outcomes, by the rights that it has: ``closed``, it may only predict; ``open``, it
has a name and may tell outcomes; ``unsigned``, nobody asks who tells. Honest outcomes come by file, and a part of them
by two callers of the API. Each seed of a world is kept as it ends, so that a run that was stopped goes on.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import stillgood
from numpy.typing import NDArray
from stillgood.domain.contract.frame import Frame
from stillgood.simulation.driver import Driver, WindowResult
from stillgood.simulation.rows import json_rows, request, with_id
from stillgood.simulation.world import Bools, Feedback, Request, utc64
from stillgood.simulation.worlds.resampled import Floats, Pool, Resampled, Scenario, column
from threadpoolctl import threadpool_limits

from benchmarks.decisions import scenarios

type Rights = Literal["closed", "open", "unsigned"]

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 2
DEADLINE = float(os.environ.setdefault("UNTIL", str(time.time() + 60 * float(os.environ.get("MINUTES", "1e6")))))
HONEST_ROWS = 400  # a day, as O1 had beside the stranger's
MATURITY_DAYS = 7.0
CALLER, UNKNOWN, UPLOAD = "mallory", "api", "crm"
HONEST = ((UPLOAD, 0.6), ("caller:app", 0.25), ("caller:web", 0.15))  # who tells which share of the honest outcomes
TARGET = {
    "fall_mean": 0.02,  # of the champion's true ROC-AUC, over seeds
    "fall_worst": 0.05,
    "windows_until_told": 3,
    "false_alerts_a_year": 2.0,
}
# States that speak of who sends and who tells, not of the data: in honest traffic each is a false alert.
OF_THIS_KIND = frozenset({"unsigned", "contradicting", "refused_alone", "caller_jumped", "unlabelled"})
FLIP = Scenario("flip", odds=scenarios.flipped, begins=20, rows=HONEST_ROWS, delay_days=MATURITY_DAYS)
QUIET = replace(FLIP, name="quiet", drift=False, odds=Scenario("").odds)


@dataclass(frozen=True, slots=True)
class Stranger:
    """What a stranger sends from window ``begins`` on: ``rows`` a day, as ``sends`` says, each with the opposite of its
    answer as its outcome. ``truthful``: windows in which it tells the truth first. ``segment``: only customers without
    internet. ``broken``: no row keeps the contract. ``odd``: rows at the edge of the contract, without outcomes.
    ``names``: under how many.
    """

    rows: int
    begins: int = 20
    truthful: int = 0
    sends: Literal["plausible", "segment", "broken", "odd"] = "plausible"
    names: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A world by name: what happens to the honest customers, and who is among them, for ``windows`` days."""

    scenario: Scenario
    stranger: Stranger | None
    windows: int = 90


CASES = {
    "opposite, 100 rows a day": Case(QUIET, Stranger(100)),
    "opposite, 300 rows a day": Case(QUIET, Stranger(300)),
    "opposite, 1,000 rows a day": Case(QUIET, Stranger(1_000)),
    "opposite after a real change, 300 rows a day": Case(FLIP, Stranger(300, begins=45), windows=105),
    "opposite in one segment, 300 rows a day": Case(QUIET, Stranger(300, sends="segment")),
    "truthful for a month, then opposite, 300 rows a day": Case(QUIET, Stranger(300, truthful=30), windows=110),
    "broken rows only, 1,000 a day": Case(QUIET, Stranger(1_000, sends="broken"), windows=60),
    "odd rows without outcomes, 1,000 a day": Case(QUIET, Stranger(1_000, sends="odd")),
    "odd rows without outcomes, 1,000 a day by twenty names": Case(QUIET, Stranger(1_000, sends="odd", names=20)),
    "honest year, a true flip in its third quarter": Case(replace(FLIP, begins=182), None, windows=365),
}
WITHOUT_LABELS = ("broken", "odd")  # what rights to labels a stranger has makes no difference there


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    rights: Rights
    seed: int


@dataclass(frozen=True, slots=True)
class Life:
    """One seed of one world. ``fall``: how far the champion's true ROC-AUC was under what it had been on the same rows,
    at most, since the stranger came (a whole honest year: since the first day). ``told``: windows from its first day
    until a person is told of a state that was not there before, this one included; None: never. ``alerts``: states of
    ``OF_THIS_KIND`` that began; ``promotions``, ``rollbacks``, ``moves`` by window; ``flagged``: the largest change of
    the share of flagged honest rows between ten days before and ten days later. ``trusted``: in which share of the
    windows, once the stranger's first rows had matured, the newest labels judged and taught.
    """

    task: Task
    fall: float
    told: int | None
    alerts: tuple[str, ...]
    states: tuple[str, ...]
    promotions: tuple[int, ...]
    rollbacks: tuple[int, ...]
    retrains: int
    flagged: float
    trusted: float
    truth: tuple[float, ...]
    errors: tuple[str, ...]


class Attacked:
    """A World: the honest customers of ``inner``, and a stranger who sends rows beside them."""

    def __init__(self, inner: Resampled, pool: Pool, stranger: Stranger | None, rights: Rights) -> None:
        self.contract, self.spans, self.first, self.truth = inner.contract, inner.spans, inner.first, inner.truth
        self._inner, self._pool, self._stranger, self._rights = inner, pool, stranger, rights
        self._honest = inner.scenario.rows

    def requests(self, at: int) -> Sequence[Request]:
        calls = [replace(call, caller="app") for call in self._inner.requests(at)]
        if (stranger := self._at(at)) is None:
            return calls
        rows = self._rows(at, stranger)
        when = self.spans[at].start + timedelta(hours=13)
        places = self._honest + np.arange(stranger.rows)
        names = [None if self._rights == "unsigned" else f"{CALLER}{number or ''}" for number in range(stranger.names)]
        parts = np.array_split(np.arange(stranger.rows), max(10, stranger.names))
        several = [
            replace(
                request(when, [rows[place] for place in part.tolist()], places[part]), caller=names[number % len(names)]
            )
            for number, part in enumerate(parts)
        ]
        return [*calls, *several]

    def outcomes(self, at: int, flagged: Bools) -> NDArray[np.int8]:
        honest = self._inner.outcomes(at, flagged[: self._honest])
        if self._at(at) is None:
            return honest
        truth = np.random.default_rng((self._inner.seed, 14, at)).random(len(flagged) - self._honest)
        return np.concatenate([honest, (truth < self._p).astype(np.int8)])

    def feedback(self, at: int, flagged: Bools, y: NDArray[np.int8]) -> Feedback:
        honest = self._inner.feedback(at, flagged[: self._honest], y[: self._honest])
        random = np.random.default_rng((self._inner.seed, 15, at))
        names = np.array([name for name, _ in HONEST], dtype=object)
        sources = random.choice(names, len(honest.row), p=[share for _, share in HONEST])
        honest = replace(honest, source=sources)
        stranger = self._at(at)
        if stranger is None or self._rights == "closed" or stranger.sends in WITHOUT_LABELS:
            return honest
        row = np.arange(self._honest, len(y))
        lies = at >= stranger.begins + stranger.truthful
        positive = ~flagged[row] if lies else y[row] == 1
        event = np.full(len(row), utc64(self.spans[at].start + timedelta(hours=14)))
        source = UNKNOWN if self._rights == "unsigned" else f"caller:{CALLER}"
        return Feedback(
            np.concatenate([honest.row, row]),
            np.concatenate([honest.positive, positive]),
            np.concatenate([honest.event, event]),
            np.concatenate([honest.known, event]),
            np.concatenate([sources, np.full(len(row), source, dtype=object)]),
        )

    def _at(self, at: int) -> Stranger | None:
        return self._stranger if self._stranger is not None and at >= self._stranger.begins else None

    def _rows(self, at: int, stranger: Stranger) -> list[bytes]:
        random = np.random.default_rng((self._inner.seed, 13, at))
        index = random.choice(self._candidates, stranger.rows)
        self._p: Floats = self._pool.p[index]
        rows = [self._pool.rows[place] for place in index.tolist()]
        if stranger.sends == "odd":
            rows = json_rows(_odd(self._pool.frame.take(index)))
        named = [with_id(self.contract, row, f"m{at:04d}-{place:05d}") for place, row in enumerate(rows)]
        if stranger.sends == "broken":
            name = self.contract.features[0].name.encode()
            return [row.replace(b'"' + name + b'"', b'"(nothing)"', 1) for row in named]
        return named

    @property
    def _candidates(self) -> NDArray[np.int64]:
        frame = self._pool.frame
        if self._stranger is None or self._stranger.sends != "segment":
            return np.arange(frame.n)
        level = frame.contract.feature("internet_service").levels.index("No")
        return np.flatnonzero(frame.columns["internet_service"] == level)


def _odd(frame: Frame) -> Frame:
    """Customers as the contract still takes them and nobody has seen them: new, and the dearest there are."""
    dear = np.full(frame.n, float(np.nanmax(frame.columns["monthly_charges"])))
    return column(column(frame, "monthly_charges", dear), "tenure", np.ones(frame.n))


@cache
def pool() -> Pool:
    whole = scenarios.pool()
    contract = whole.frame.contract
    rules = replace(contract.monitoring, label_maturity_days=MATURITY_DAYS)
    return replace(whole, frame=replace(whole.frame, contract=replace(contract, monitoring=rules)))


def tasks(seeds: int) -> list[Task]:
    """The worlds with the rights that make a difference in each, seed by seed, so that all have some early."""
    found = []
    for seed in range(seeds):
        for name, case in CASES.items():
            of_labels = case.stranger is not None and case.stranger.sends not in WITHOUT_LABELS
            every: tuple[Rights, ...] = ("closed", "open", "unsigned") if of_labels else ("closed",)
            found += [Task(name, rights, seed) for rights in every]
    return found


def play(task: Task, *, windows: int | None = None) -> Life:
    """One seed of one world; ``windows`` fewer than it has, for a look."""
    with threadpool_limits(1):
        case = CASES[task.name]
        days = case.windows if windows is None else windows
        inner = Resampled(pool(), case.scenario, task.seed, windows=days, contract=pool().frame.contract)
        driver = Driver(Attacked(inner, pool(), case.stranger, task.rights), "guarded", keeps_candidates=False)
        return life(
            task, list(driver.run()), begins=case.stranger.begins if case.stranger else 0, rows=inner.scenario.rows
        )


def life(task: Task, results: Sequence[WindowResult], *, begins: int, rows: int) -> Life:
    """What became of a played world, whose stranger came in window ``begins`` beside ``rows`` honest rows a window."""
    states = [{state["name"] for state in (result.report or {}).get("standing", ())} for result in results]
    before = states[begins - 1] if begins else set()
    told = next((at - begins + 1 for at in range(begins, len(states)) if states[at] - before), None)
    began = [name for old, new in zip([set(), *states], states, strict=False) for name in sorted(new - old)]
    flagged = np.array([float(np.nanmean(result.flagged[:rows][~result.refused[:rows]])) for result in results])
    calm = float(flagged[max(begins - 10, 0) : begins].mean()) if begins else float(flagged[:10].mean())
    later = [float(flagged[at : at + 10].mean()) for at in range(begins, max(len(flagged) - 9, begins + 1))]
    truth = tuple(float(result.truth_roc_auc or 0.0) for result in results)
    spans = [(result.report or {}).get("labels", {}).get("spans") for result in results]
    newest = [span[-1]["trusted"] for span in spans[begins + round(MATURITY_DAYS) + 1 :] if span]
    return Life(
        task,
        fall(truth, [result.at for result in results], begins, CASES[task.name].scenario),
        told,
        tuple(name for name in began if name in OF_THIS_KIND),
        tuple(began),
        tuple(result.at for result in results if result.did("promoted")),
        tuple(result.at for result in results if result.did("rolled back")),
        sum(result.did("trained") for result in results),
        max((share - calm for share in later), key=abs, default=0.0),
        float(np.mean(newest)) if newest else 0.0,
        truth,
        tuple(result.error for result in results if result.error)[:5],
    )


def fall(truth: Sequence[float], at: Sequence[int], begins: int, scenario: Scenario) -> float:
    """The largest loss of ``truth`` (ROC-AUC by window) against the best before it on the same rows that nobody learns
    from: those of before, or those of after what happens to the honest customers. What happens to them is no fall.

    >>> quiet = Scenario("quiet", begins=2)
    >>> round(fall([0.8, 0.7, 0.5, 0.6, 0.55], range(5), 1, quiet), 3), fall([0.8, 0.8, 0.5, 0.6], range(4), 0, quiet)
    (0.1, 0.0)
    """
    worst, best, side = 0.0, 0.0, None
    for auc, window in zip(truth, at, strict=True):
        after = window >= scenario.begins
        if after != side:
            best, side = 0.0, after
        best = max(best, auc)
        if window >= begins:
            worst = max(worst, best - auc)
    return worst


def play_all(wanted: Iterable[Task]) -> list[Life]:
    """The lives of ``wanted`` that there are: each is kept as it ends, and after ``MINUTES`` (of the environment) none
    is begun.
    """
    every, known = list(wanted), kept()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as executor:
        waiting = [executor.submit(_in_time, task) for task in every if task not in known]
        for done in as_completed(waiting):
            if (lived := done.result()) is not None:
                known[lived.task] = lived
                keep(lived)
                print(f"{lived.task.name}, {lived.task.rights}, seed {lived.task.seed}: {lived.fall:.3f}", flush=True)
    return [known[task] for task in every if task in known]


def _in_time(task: Task) -> Life | None:
    return play(task) if time.time() < DEADLINE else None


def keep(lived: Life) -> None:
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(lived)) + "\n")


def kept() -> dict[Task, Life]:
    """Lives that this very code played before; ``KEPT`` is named after it."""
    lives = {}
    for line in KEPT.read_text(encoding="utf-8").splitlines() if KEPT.is_file() else ():
        raw = json.loads(line)
        task = Task(**raw.pop("task"))
        parts: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in raw.items()}
        lives[task] = Life(task, **parts)
    return lives


def table(lives: Sequence[Life]) -> dict[str, Any]:
    """The rows of ``benchmarks/results/strangers.json``: a world under a right each, over its seeds."""
    rows = []
    for name, rights in dict.fromkeys((lived.task.name, lived.task.rights) for lived in lives):
        own = [lived for lived in lives if (lived.task.name, lived.task.rights) == (name, rights)]
        case = CASES[name]
        falls = np.array([lived.fall for lived in own])
        told = [lived.told for lived in own]
        changes = np.array([lived.flagged for lived in own])
        row: dict[str, Any] = {
            "world": name,
            "labels": rights,
            "seeds": len(own),
            "fall_mean": round(float(falls.mean()), 4),
            "fall_sd": round(float(falls.std(ddof=1)), 4) if len(own) > 1 else None,
            "fall_worst": round(float(falls.max()), 4),
            "promotions": sum(len(lived.promotions) for lived in own),
            "rollbacks": sum(len(lived.rollbacks) for lived in own),
            "retrains": sum(lived.retrains for lived in own),
            "flagged_change_worst": round(float(changes[np.abs(changes).argmax()]), 4),
            "trusted_mean": round(float(np.mean([lived.trusted for lived in own])), 3),
            "states": sorted({name for lived in own for name in lived.states}),
            "errors": sorted({error for lived in own for error in lived.errors})[:3],
        }
        met = row["fall_mean"] <= TARGET["fall_mean"] and row["fall_worst"] <= TARGET["fall_worst"]
        if case.stranger is None:
            alerts = sum(len(lived.alerts) for lived in own) * 365 / case.windows / len(own)
            row["false_alerts_a_year"] = round(alerts, 2)
            met = alerts <= TARGET["false_alerts_a_year"]  # a true change moves the champion's ROC-AUC by itself
        else:
            row["windows_until_told_worst"] = None if None in told else max(count for count in told if count)
            row["never_told"] = told.count(None)
            if rights != "closed":  # labels are judged once their predictions have matured, and not before
                heard = [max(count - round(MATURITY_DAYS), 1) for count in told if count]
                row["windows_until_told_once_matured_worst"] = max(heard, default=None)
            if rights != "closed" or case.stranger.sends in WITHOUT_LABELS:  # else nothing was done to tell of
                met = met and not row["never_told"] and row["windows_until_told_worst"] <= TARGET["windows_until_told"]
        rows.append(row | {"met": bool(met)})
    return {"target": TARGET, "rows": rows}


def _code() -> str:
    """A hash of all that decides how a world is played."""
    digest = hashlib.sha256()
    for file in (*sorted(Path(stillgood.__file__).parent.rglob("*.py")), Path(__file__), Path(scenarios.__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


KEPT = ROOT / ".local" / "strangers" / f"{_code()}.jsonl"
