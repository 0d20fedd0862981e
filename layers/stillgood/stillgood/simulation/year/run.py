"""Lives a seed to its end, lets everything come to rest, and says what did not hold."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from stillgood.simulation.year.book import Broken
from stillgood.simulation.year.invariants import at_rest
from stillgood.simulation.year.life import Cost, Letter, Life
from stillgood.simulation.year.operations import begin
from stillgood.simulation.year.plan import MATURITY_DAYS, Operation, Plan, plan
from stillgood.simulation.year.weather import DAY, HOUR, Fault
from stillgood.storage.codec import sha256
from stillgood.storage.registry import Registry
from stillgood.storage.windows import iso

type Step = tuple[int, str, str, str | None, str | None]
"""A decision: number, action, request, candidate, and the version in force after it."""

_STEPS = ("monitor", "train", "recalibrate", "promote", "rollback", "release")
_FEW = 0.004  # faults a call: monitor makes hundreds, and must succeed before its event becomes a dead letter
_REST_DAYS = int(MATURITY_DAYS) + 9  # after which every label that can come is heard, and its prediction judged


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of a life. ``digest``: a hash of every object that is left, the same for the same plan and faults."""

    seed: int
    broken: tuple[Broken, ...]
    faults: tuple[Fault, ...]
    counts: dict[str, int]
    operations: dict[str, int]
    digest: str
    costs: tuple[Cost, ...] = ()

    @property
    def names(self) -> Set[str]:
        return {breach.invariant for breach in self.broken}


def live(
    life_plan: Plan | int,
    days: int = 60,
    *,
    calm: bool = False,
    only: frozenset[tuple[str, int]] | None = None,
) -> Lived:
    """Live a plan, or the one of a seed. ``only``: the faults (attempt, call) that may happen. Always ends: a life that
    does not move is a failure of its own (tasks.Hung)."""
    made = plan(life_plan, days) if isinstance(life_plan, int) else life_plan
    life = Life(made, calm=calm, only=only)
    with _quiet():
        try:
            _live(life)
            left = "".join(f"{info.key} {info.etag}\n" for info in life.bucket.list(""))
        finally:
            life.close()
    return Lived(
        made.seed,
        tuple(life.book.broken),
        tuple(life.weather.fired),
        dict(sorted(life.book.counts.items())),
        dict(sorted(Counter(operation.kind for operation in made.operations).items())),
        sha256(left.encode()),
        tuple(life.costs),
    )


def _live(life: Life) -> None:
    for operation in life.plan.operations:
        begin(life, operation)
    life.scheduler.start("0.flush/1", life.at(life.plan.days * DAY + HOUR), life.flush)
    life.scheduler.run()
    life.weather.rate = 0.0
    for letter in life.dead:  # somebody finds them at last
        life.send(replace(letter, redriven=9), life.clock())
    life.dead.clear()
    life.scheduler.run()
    last = int((life.clock() - life.at(0)).total_seconds() // DAY)
    for number in range(_REST_DAYS):
        end = life.at((last + 1 + number) * DAY)
        life.send(Letter(f"{number}.rest", "monitor", {"scheduled_time": iso(end)}), end + timedelta(minutes=2))
    life.scheduler.run()
    for letter in life.dead:
        life.book.fail("every event arrives", f"{letter.step} {letter.event} fails in calm weather, too")
    at_rest(life)


def calm_and_not(seed: int, days: int) -> tuple[list[Step], list[Step], int]:
    """What the registry came to in a calm life, and in the same life with faults of its steps, modulo times; and how
    many faults those were. Steps fail and are tried again until they are done, and clients are answered at once:
    then no decision can have been made on other evidence, so that both must be the same.
    """
    life_plan = plan(seed, days)
    kept = _apart(
        operation for operation in life_plan.operations if operation.kind in ("predict", "labels", "upload", *_STEPS)
    )
    quiet = replace(life_plan, operations=tuple(kept), troubles=(), fault_rate=_FEW)
    registries = []
    faults = 0
    with _quiet():
        for calm in (True, False):
            life = Life(quiet, calm=calm, prompt=True)
            life.weather.kinds = frozenset(_STEPS)
            try:
                _live(life)
                registries.append(_registry(life))
                faults = len(life.weather.fired)
            finally:
                life.close()
    return registries[0], registries[1], faults


def _apart(operations: Iterable[Operation]) -> list[Operation]:
    """Each at a time of its own: monitor on time, nothing else within an hour of midnight, and steps that people ask
    for a quarter of an hour apart. So no retry changes who is first.
    """
    kept, free = [], 0.0
    for operation in operations:
        if operation.kind == "monitor":
            kept.append(replace(operation, at=float(operation.args["end"]) + 1.0))
            continue
        at = operation.at
        if at % DAY > DAY - HOUR:
            at -= HOUR
        if operation.kind in _STEPS:
            at = max(at, free)
        if at % DAY < HOUR < at:
            at += HOUR
        if operation.kind in _STEPS:
            free = at + HOUR / 4
        kept.append(replace(operation, at=at))
    return kept


def _registry(life: Life) -> list[Step]:
    return [
        (
            decision.n,
            decision.action,
            decision.request_id,
            decision.candidate,
            decision.pointer_after.version if decision.pointer_after else None,
        )
        for decision in Registry(life.bucket).decisions()
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of thousands of injected faults."""
    logger = logging.getLogger("stillgood")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
