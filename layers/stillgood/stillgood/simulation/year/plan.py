"""What happens in a life, by its seed: a list of operations, each with its own time and arguments, so that any of them
can be left out and the others stay what they are.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import exp
from typing import Any

from stillgood.simulation.year.swarm import Burst, Stretch, stretches
from stillgood.simulation.year.weather import DAY, HOUR, MINUTE, Trouble, Weather

CUSTOMERS = 400
MATURITY_DAYS = 2.0
FEATURES = ("first", "second")
# What a stretch of a life may leave out, or have more of.
MIXED = (
    "upload",
    "train",
    "recalibrate",
    "promote",
    "rollback",
    "release",
    "contract",
    "forget",
    "damage",
    "batch",
    "audit",
    "mend",
    "pages",
    "kill",
    "old code",
    "unreadable",
    "compact",
    "mode",
    "answer",
    "settings",
    "actions",
    "revoke",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """``at``: seconds since the life began. ``args`` are JSON-able; an operation about another one names its number."""

    number: int
    at: float
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    days: int
    operations: tuple[Operation, ...]
    troubles: tuple[Trouble, ...]
    fault_rate: float


def contract(version: int = 1) -> dict[str, Any]:
    """A small contract; ``version`` 2 and later accept wider readings."""
    bound = 40.0 + 10 * version
    return {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "two readings",
        "version": str(version),
        "id": "customer",
        "time": "at",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": name, "kind": "numeric", "minimum": -bound, "maximum": bound} for name in FEATURES],
        "labels": {"vouched_sources": ["api"]},  # all of the same standing: what an unvouched one is worth, others test
        "floors": {"roc_auc": 0.5, "recall": 0.0, "precision": 0.0},
        "training": {"min_rows": 100, "holdout_rows": 300, "window_days": 20},
        "monitoring": {"min_rows": 40, "label_maturity_days": MATURITY_DAYS},
    }


def plan(seed: int, days: int) -> Plan:
    """The operations of a life of ``days`` days, in the order of time."""
    swarm = stretches(seed, days, MIXED)
    operations = list(_operations(seed, days, swarm))
    operations.sort(key=lambda operation: (operation.at, operation.number))
    chance = random.Random(f"{seed}/weather")
    troubles = [trouble for stretch in swarm for trouble in stretch.troubles]
    for day in range(days):
        if chance.random() < 0.12:
            start = (day + chance.random()) * DAY
            troubles.append(Trouble(start, start + chance.uniform(0.3, 5) * HOUR))
    rate = chance.choice((0.0005, 0.002, 0.006))
    return Plan(seed, days, tuple(operations), tuple(troubles), rate)


@dataclass(frozen=True, slots=True)
class World:
    """The rule that customers follow turns around every ``turns`` days. ``first``: the day whose rule the first rows to
    learn from follow; before 0, the first champion is wrong from the beginning, and a better one soon replaces it.
    """

    turns: int
    first: int

    @classmethod
    def of(cls, seed: int) -> "World":
        chance = random.Random(f"{seed}/world")
        return cls(chance.choice((5, 8, 12)), chance.choice((0, -1)))

    def row(self, chance: random.Random, day: float) -> tuple[dict[str, Any], bool]:
        """A customer's readings, and whether the customer leaves."""
        first, second = (round(chance.gauss(0, 1), 3) for _ in FEATURES)
        way = -1 if int(day // self.turns) % 2 else 1
        leaves = chance.random() < 1 / (1 + exp(-way * (2.0 * first + 1.0 * second)))
        return {"customer": f"c{chance.randrange(CUSTOMERS):03d}", "first": first, "second": second}, leaves


def _operations(seed: int, days: int, swarm: Sequence[Stretch]) -> Iterator[Operation]:
    number, world = 0, World.of(seed)

    def made(at: float, kind: str, **args: Any) -> Operation:
        nonlocal number
        number += 1
        return Operation(number, at, kind, args)

    def asked_for(chance: random.Random, stretch: Stretch, request: dict[str, Any]) -> Iterator[Operation]:
        operation = made(**request)
        asked.append(operation)
        yield operation
        for about in _labels(chance, stretch, operation):
            yield made(**about)

    yield made(0.0, "upload", **_upload(world, random.Random(f"{seed}/first"), 0, rows=240, bad=0))
    yield made(MINUTE, "train", request="by hand: first")
    asked: list[Operation] = []
    paused = 0
    mixes = {day: stretch for stretch in swarm for day in range(stretch.first, stretch.last + 1)}
    for day in range(days):
        chance = random.Random(f"{seed}/{day}")
        for request in _requests(world, chance, day):
            yield from asked_for(chance, mixes[day], request)
        end = (day + 1) * DAY
        paused = paused - 1 if paused else (chance.randint(2, 5) if chance.random() < 0.02 else 0)
        if not paused and chance.random() > 0.04:
            late = chance.choice((0.0, 0.0, 0.0, 0.0, chance.uniform(0, 2 * DAY)))
            yield made(end + chance.uniform(0, 5) + late, "monitor", end=end)
            if chance.random() < 0.2:  # the event comes twice
                yield made(end + chance.uniform(0, 90), "monitor", end=end)
        for kind, every, args in _rare(world, chance, day, f"by hand: {day}"):
            if chance.random() < mixes[day].times[kind] / every:
                yield made((day + chance.random()) * DAY, kind, **args)
                if chance.random() < 0.3:  # what a person does falls together with what the schedule does
                    yield made(end + chance.uniform(0, 60), kind, **{**args, "again": True})
    for stretch in swarm:
        for place, burst in enumerate(stretch.bursts):
            chance = random.Random(f"{seed}/burst {stretch.first} {place}")
            for request in _burst(world, chance, burst, f"by hand: {stretch.first} burst {place}"):
                if request["kind"] == "predict":
                    yield from asked_for(chance, stretch, request)
                else:
                    yield made(**request)
    for operation in asked:
        chance = random.Random(f"{seed}/acted on {operation.number}")
        times = mixes[min(int(operation.at // DAY), days - 1)].times
        if chance.random() < 0.2 * times["actions"]:
            yield made(**_actions(chance, operation))
        if chance.random() < times["revoke"] / 50:
            later = operation.at + chance.uniform(0.5, 8) * DAY
            yield made(later, "revoke", about=operation.number, which=chance.choice(("prediction", "batch")))
    for day in range(days):
        chance = random.Random(f"{seed}/ordered on {day}")
        for kind, every, args in _ordered(chance, day, f"by hand: {day}"):
            if chance.random() < mixes[day].times[kind] / every:
                yield made((day + chance.random()) * DAY, kind, **args)


def _burst(world: World, chance: random.Random, burst: Burst, name: str) -> Iterator[dict[str, Any]]:
    """The operations of a burst, each a request of its own."""
    for place, at in enumerate(burst.times):
        day, kind = int(at // DAY), burst.kinds[place % len(burst.kinds)]
        if kind == "predict":
            yield _predict(world, chance, at, day)
        elif kind == "monitor":
            yield {"at": max(at, day * DAY), "kind": kind, "end": day * DAY if day else DAY}
        else:
            own = f"{name} {place}"
            known = {kind: args for kind, _, args in (*_rare(world, chance, day, own), *_ordered(chance, day, own))}
            yield {"at": at, "kind": kind, **known[kind]}


def _requests(world: World, chance: random.Random, day: int) -> Iterator[dict[str, Any]]:
    for _ in range(chance.randint(3, 5)):
        at = (day + chance.random()) * DAY
        yield _predict(world, chance, at, day)
        if chance.random() < 0.15:  # two at the same microsecond
            values, leaves = world.row(chance, day)
            yield {"at": at, "kind": "predict", "rows": values, "leaves": [leaves]}


def _predict(world: World, chance: random.Random, at: float, day: int) -> dict[str, Any]:
    rows = [world.row(chance, day) for _ in range(chance.randint(10, 22))]
    sent = [values for values, _ in rows]
    if chance.random() < 0.08:
        sent[0] = {**sent[0], "first": chance.choice(["wide", 1e9, None])}
    return {"at": at, "kind": "predict", "rows": sent, "leaves": [leaves for _, leaves in rows]}


def _labels(chance: random.Random, stretch: Stretch, request: Operation) -> Iterator[dict[str, Any]]:
    """Truth about one request's rows, in all its disorder."""
    if chance.random() < 0.08:
        return  # nobody ever tells
    happened = request.at + chance.uniform(0.1, MATURITY_DAYS) * DAY
    sent = happened + chance.choice((0.1, 0.5, 1.0, 1.0, 6.0, 12.0)) * DAY * chance.random()
    way, by = chance.choice(stretch.ways), chance.choice(stretch.abouts)
    label = {"kind": "labels", "about": request.number, "event": happened, "way": way, "by": by}
    spoilt = chance.choice((None,) * 8 + ("selected", "one class", "future", "before", "unknown", "words"))
    yield {**label, "at": sent, "spoilt": spoilt}
    more = chance.random()
    if more < 0.1:  # the same again
        yield {**label, "at": sent + chance.choice((0.0, 1.0, 3 * DAY)), "spoilt": spoilt}
    elif more < 0.2:  # corrected
        yield {**label, "at": sent + chance.uniform(0, 5) * DAY, "event": happened + HOUR, "spoilt": "turned"}
    elif more < 0.25:  # contradicted
        yield {**label, "at": sent + MINUTE, "spoilt": "turned"}


def _actions(chance: random.Random, request: Operation) -> dict[str, Any]:
    """What was done about the customers of one request, as somebody reports it."""
    done = request.at + chance.uniform(0.1, 1) * DAY
    return {
        "kind": "actions",
        "at": done + chance.uniform(0, 3) * DAY,
        "about": request.number,
        "done": done,
        "way": chance.choice(("api", "file")),
        "by": chance.choice(("prediction", "entity")),
        "spoilt": chance.choice((None, None, None, "future", "unknown", "nameless")),
    }


def _ordered(chance: random.Random, day: int, name: str) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """What people order of the loop, and what runs between two windows: kind, days between two of them, arguments."""
    yield "compact", 2.5, {}
    yield "mode", 10, {"request": f"{name} mode", "mode": chance.choice(("watch", "ask", "automatic", "automatic"))}
    yield "answer", 3, {"request": f"{name} answer", "verb": chance.choice(("approve", "approve", "refuse"))}
    yield "settings", 15, {"request": f"{name} settings", "recall": chance.choice((0.0, 0.2, 0.4))}


def _rare(world: World, chance: random.Random, day: int, name: str) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Kind, days between two of them, arguments."""
    yield "upload", 12, _upload(world, chance, day, rows=60, bad=3)
    yield "train", 20, {"request": name}
    yield "recalibrate", 30, {"request": f"{name} recalibrate"}
    yield "promote", 14, {"request": f"{name} promote", "which": chance.random()}
    yield "rollback", 7, {"request": f"{name} rollback", "to": chance.choice((None, None, chance.random()))}
    yield "release", 16, {"request": f"{name} release"}
    yield "contract", 25, {"version": 2 + day // 10}
    yield "forget", 12, {"customer": f"c{chance.randrange(CUSTOMERS):03d}"}
    yield (
        "damage",
        20,
        {"what": chance.choice(("pointer", "model", "state", "progress", "day")), "hours": chance.random()},
    )
    yield "batch", 10, {"rows": [world.row(chance, day)[0] for _ in range(12)]}
    yield "audit", 8, {}
    yield "mend", 12, {}
    yield "pages", 12, {}
    yield "kill", 6, {"which": chance.random()}
    yield "old code", 12, {}
    yield "unreadable", 15, {"where": chance.choice(("capture", "labels", "data", "incoming"))}


def _upload(world: World, chance: random.Random, day: int, *, rows: int, bad: int) -> dict[str, Any]:
    lines = []
    for number in range(rows):
        values, leaves = world.row(chance, day or world.first)
        lines.append([f"u{day}-{number}", values["first"], values["second"], "yes" if leaves else "no"])
    for place in range(bad):
        lines[place][1] = chance.choice(("wide", 1e9, ""))
    if bad and len(lines) > bad:
        lines.append(list(lines[-1]))  # the same row twice
    return {"day": day, "lines": lines}


def weather_of(planned: Plan, begin: datetime, only: frozenset[tuple[str, int]] | None = None) -> Weather:
    """The weather of a plan whose life begins at ``begin`` (aware)."""
    return Weather(str(planned.seed), begin, planned.fault_rate, planned.troubles, only)
