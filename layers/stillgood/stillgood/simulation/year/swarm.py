"""How one stretch of a life differs from the next: which operations happen in it and how often, which come many at
once, and what fails there.

At usual rates everything happens a little, and what takes many rollbacks on one day, or labels that fail while all else
works, hardly ever happens. So each stretch leaves some kinds out, makes others common, and has troubles of its own.
Source: A. Groce et al. (2012), "Swarm testing", ISSTA.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stillgood.simulation.year.weather import DAY, HOUR, MINUTE, Kind, Trouble
from stillgood.storage.keys import (
    CAPTURE_PREFIX,
    DATA_PREFIX,
    LABELS_PREFIX,
    MODELS_PREFIX,
    OUTCOMES_PREFIX,
    POINTER_KEY,
    REGISTRY_PREFIX,
    REPORTS_PREFIX,
    STATE_KEY,
)

_SHORTEST_DAYS, _LONGEST_DAYS = 3, 7
_TIMES = (0.0, 0.0, 0.0, 1.0, 1.0, 5.0)  # how often a kind happens in a stretch, in shares of what is usual
_ORDERS = ("promote", "rollback", "release", "mode", "answer", "settings", "train")
# Kinds that come together, and a prefix that they write to.
_BURSTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("predict",), CAPTURE_PREFIX),
    (("predict",), CAPTURE_PREFIX),
    (("monitor",), STATE_KEY),
    (("monitor", "compact"), OUTCOMES_PREFIX),
    (("forget", "monitor"), OUTCOMES_PREFIX),
    (_ORDERS, REGISTRY_PREFIX),
    (_ORDERS, REGISTRY_PREFIX),
    (("promote", "rollback"), POINTER_KEY),
)
_BURST_SECONDS = (0.0, 0.0, 1.0, 5.0, 5.0, 10.0, 20.0, 60.0, 600.0)  # after its beginning; equal ones meet
_PREFIXES = (
    CAPTURE_PREFIX,
    CAPTURE_PREFIX,
    LABELS_PREFIX,
    LABELS_PREFIX,
    REGISTRY_PREFIX,
    POINTER_KEY,
    MODELS_PREFIX,
    DATA_PREFIX,
    OUTCOMES_PREFIX,
    REPORTS_PREFIX,
    STATE_KEY,
)
_STEPS = ("monitor", "train", "promote", "predict", "labels", "forget")
_FAILING: tuple[tuple[Kind, float], ...] = (
    ("refused", 0.9),
    ("refused", 0.9),
    ("stall", 0.2),
    ("stall", 0.2),
    ("lost", 0.2),
    ("crash after", 0.1),
)


@dataclass(frozen=True, slots=True)
class Burst:
    """Operations of these ``kinds`` in turn, ``times``: when each comes, in seconds since the life began. ``prefix``:
    where they write.
    """

    kinds: tuple[str, ...]
    prefix: str
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days ``first`` to ``last``, both inclusive. ``times``: by kind how often it happens, in shares of what is usual.

    ``ways`` and ``abouts``: how labels come, and by what they name their predictions.
    """

    first: int
    last: int
    times: Mapping[str, float]
    bursts: tuple[Burst, ...]
    troubles: tuple[Trouble, ...]
    ways: tuple[str, ...]
    abouts: tuple[str, ...]


def stretches(seed: int, days: int, kinds: Sequence[str]) -> tuple[Stretch, ...]:
    """The stretches of a life of ``days`` days, without a gap; ``kinds``: those that may be left out."""
    return tuple(_stretches(random.Random(f"{seed}/swarm"), days, kinds))


def _stretches(chance: random.Random, days: int, kinds: Sequence[str]) -> Iterator[Stretch]:
    first = 0
    while first < days:
        last = min(first + chance.randint(_SHORTEST_DAYS, _LONGEST_DAYS), days) - 1
        bursts = tuple(_burst(chance, first, last) for _ in range(chance.randint(1, 3)))
        yield Stretch(
            first,
            last,
            {kind: chance.choice(_TIMES) for kind in kinds},
            bursts,
            tuple(_trouble(chance, first, last, bursts) for _ in range(chance.randint(0, 3))),
            chance.choice((("api", "api", "file"), ("api",), ("file",))),
            chance.choice((("prediction", "prediction", "prediction", "entity"), ("prediction",), ("entity",))),
        )
        first = last + 1


def _burst(chance: random.Random, first: int, last: int) -> Burst:
    day = chance.randint(first, last)
    # Half of them when a day ends, which is when monitor runs.
    at = (day + 1) * DAY + chance.uniform(-2, 1) * MINUTE if chance.random() < 0.5 else (day + chance.random()) * DAY
    times = sorted(at + chance.choice(_BURST_SECONDS) for _ in range(chance.randint(3, 8)))
    return Burst(*chance.choice(_BURSTS), tuple(times))


def _trouble(chance: random.Random, first: int, last: int, bursts: Sequence[Burst]) -> Trouble:
    """Of one prefix, or of one step; two in three while a burst comes, half of these where it writes."""
    kind, share = chance.choice(_FAILING)
    prefix, step = ("", chance.choice(_STEPS)) if chance.random() < 0.3 else (chance.choice(_PREFIXES), "")
    burst = chance.choice(bursts) if chance.random() < 2 / 3 else None
    if burst is not None and chance.random() < 0.5:
        prefix, step = burst.prefix, ""
    # Labels come a few a day, and must meet it.
    hours = chance.uniform(4, 40) if prefix == LABELS_PREFIX or step == "labels" else chance.uniform(0.3, 10)
    begin = chance.uniform(first, last + 1) * DAY if burst is None else burst.times[0] - chance.random() * hours * HOUR
    return Trouble(max(begin, HOUR), max(begin, HOUR) + hours * HOUR, kind, share, prefix, step)
