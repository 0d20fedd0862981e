"""Callers whose share of the rows or whose scores jump: drift and the operating point are judged without them.

One caller who sends a thousand odd rows beside four hundred of everybody else would place the threshold for all. Each
caller is compared with what is usual for it, and with what the others do: where all move alike it is the world that
moves. Whoever sends most of the rows usually is whom the model is for, and is never left out.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

from stillgood.domain.outcomes.sources import CALLER

MAX_USUAL = 0.5  # of the rows: who usually sends more is never left out
MAX_FACTOR = 2.0  # between a window's rows and the usual ones, and between the shares
MAX_GAIN = 0.05  # of the rows, beside it: what one caller may always have
MAX_SHIFT = 0.5  # usual standard deviations of single rows, by which a mean score may move against the others'
Z = 4.4172  # two-sided 1e-5, as for labels: of a mean score, by entity
MIN_REST = 0.2  # of the rows that all send usually, without whom nobody is left out: then callers got other names
MIN_ROWS = 20  # of a caller in a window: fewer are not looked at
WINDOWS = 28  # over which the usual is averaged
LEFT_OUT = timedelta(days=35)  # after the last jump: who sends many rows once a month is named once
LONGEST = 100  # callers that are remembered, the largest
NOBODY = ""  # rows of a batch, whose place is a right in the bucket; or of everybody, where nobody is asked
_SCARCE = 1e-4  # a share that is forgotten


@dataclass(frozen=True, slots=True)
class CallerWindow:
    """A caller in one window: ``rows``, of how many ``entities``, with the ``mean`` of their scores in logits and their
    standard deviation ``spread``. Of what is usual, ``rows`` is a mean over windows.
    """

    rows: float
    entities: int
    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class CallerJump:
    """Who jumped: its ``share`` of the window's rows, 0 to 1, and its ``mean`` score in logits, each with what is usual
    (``usual_mean`` None: never seen before). ``by_score``: the share did not jump. ``at``: the end (ISO 8601) of the
    window in which it last did.
    """

    caller: str
    share: float
    usual_share: float
    mean: float
    usual_mean: float | None
    by_score: bool
    at: str = ""

    @property
    def name(self) -> str:
        return f"caller {self.caller}"

    def __str__(self) -> str:
        """
        >>> str(CallerJump("x", 0.714, 0.0, 2.0, None, False))
        'caller x (71% of the rows, usually 0%)'
        """
        if self.by_score and self.usual_mean is not None:
            return f"{self.name} (mean score {self.mean:+.2f} logits, usually {self.usual_mean:+.2f})"
        return f"{self.name} ({100 * self.share:.0f}% of the rows, usually {100 * self.usual_share:.0f}%)"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of each caller, over ``windows`` in which it did not jump, the newest ``WINDOWS`` weighing most.

    ``shares``: of the rows of those who did not jump. ``left``: who jumped last within ``LEFT_OUT``, by name.
    """

    windows: int = 0
    callers: Mapping[str, CallerWindow] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    left: Mapping[str, CallerJump] = field(default_factory=dict)

    def weighed(self, now: Mapping[str, CallerWindow], vouched: Collection[str], at: datetime) -> Self:
        """After a window that ends ``at``: who jumps is left out, and becomes usual by nothing that it sends.

        >>> calm = {"a": CallerWindow(80, 80, 0.0, 1.0), "b": CallerWindow(20, 20, 1.0, 1.0)}
        >>> day = datetime.fromisoformat("2026-11-02T00:00:00+00:00")
        >>> usual = Usual().weighed(calm, (), day)
        >>> flooded = usual.weighed({**calm, "x": CallerWindow(900, 900, 3.0, 1.0)}, (), day + timedelta(days=1))
        >>> usual.shares, flooded.shares, list(flooded.left)
        ({'a': 0.8, 'b': 0.2}, {'a': 0.8, 'b': 0.2}, ['x'])
        >>> list(flooded.weighed(calm, (), day + timedelta(days=37)).left)
        []
        """
        lasting = {
            name: jump
            for name, jump in self.left.items()
            if not _named(name, vouched) and at - datetime.fromisoformat(jump.at) <= LEFT_OUT
        }
        rest = {name: caller for name, caller in now.items() if name not in lasting}
        still = jumps(now, self, vouched)
        fresh = jumps(rest, self, vouched) if lasting else still
        newest = {jump.caller: replace(jump, at=at.isoformat()) for jump in (*still, *fresh)}
        left = dict(sorted({**lasting, **newest}.items()))
        if not self.enough(caller.rows for name, caller in now.items() if name not in left):
            left = {}
        return replace(self._after(now, left), left=left)

    def enough(self, rows: Iterable[float]) -> bool:
        """Whether so many rows are left as tell of anything but that callers got other names."""
        return sum(rows) >= MIN_REST * sum(caller.rows for caller in self.callers.values())

    def of_another_model(self) -> Self:
        """Shares as they were, and no scores: another model has others."""
        callers = {name: replace(caller, spread=0.0) for name, caller in self.callers.items()}
        return replace(self, callers=callers)

    def _after(self, now: Mapping[str, CallerWindow], without: Collection[str]) -> Self:
        """With one window more, but for what ``without`` sent."""
        own = {name: caller for name, caller in sorted(now.items()) if name not in without}
        total = sum(caller.rows for caller in own.values())
        if not total:
            return self
        weight = 1.0 / min(self.windows + 1, WINDOWS)
        shares, callers = dict(self.shares), dict(self.callers)
        for name in sorted({*shares, *own} - set(without)):
            caller, old = own.get(name), callers.get(name)
            share = caller.rows / total if caller else 0.0
            shares[name] = shares.get(name, 0.0) + weight * (share - shares.get(name, 0.0))
            rows = (old.rows if old else 0.0) + weight * ((caller.rows if caller else 0.0) - (old.rows if old else 0.0))
            if caller is None or old is None or not old.spread:
                seen = caller or old
                assert seen is not None
                callers[name] = replace(seen, rows=rows)
            else:
                mean = old.mean + weight * (caller.mean - old.mean)
                spread = old.spread + weight * (caller.spread - old.spread)
                callers[name] = CallerWindow(rows, caller.entities, mean, spread)
        kept = sorted((name for name in shares if shares[name] >= _SCARCE), key=lambda name: (-shares[name], name))
        return replace(
            self,
            windows=self.windows + 1,
            callers={name: callers[name] for name in sorted(kept[:LONGEST])},
            shares={name: shares[name] for name in sorted(kept[:LONGEST])},
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "windows": self.windows,
            "callers": {
                name: [caller.rows, caller.entities, caller.mean, caller.spread, self.shares[name]]
                for name, caller in sorted(self.callers.items())
            },
            "left": [jump.to_dict() for jump in self.left.values()],
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is none. An empty one knows nothing yet."""
        callers = {
            str(name): (CallerWindow(float(rows), int(entities), float(mean), float(spread)), float(share))
            for name, (rows, entities, mean, spread, share) in raw.get("callers", {}).items()
        }
        return cls(
            int(raw.get("windows", 0)),
            {name: caller for name, (caller, _) in callers.items()},
            {name: share for name, (_, share) in callers.items()},
            {str(jump["caller"]): CallerJump(**jump) for jump in raw.get("left", ())},
        )


def jumps(now: Mapping[str, CallerWindow], usual: Usual, vouched: Collection[str]) -> tuple[CallerJump, ...]:
    """Who jumped, the largest first; each is taken out before the next is looked for. Nobody, where nothing is usual
    yet, where one caller is all there is, or where less than MIN_REST of the usual rows would be left.

    A share jumps when it is over MAX_FACTOR times the usual one and MAX_GAIN more, and the rows over MAX_FACTOR times
    the usual ones, so that nobody jumps because others are silent. A score jumps when its mean moved, and moved against
    the others', by over MAX_SHIFT usual standard deviations and over Z standard errors. ``vouched``: the contract's
    ``vouched_sources``, who may send what they like.

    >>> day = datetime.fromisoformat("2026-11-02T00:00:00+00:00")
    >>> usual = Usual().weighed({"app": CallerWindow(400, 400, -1.0, 1.5)}, (), day)
    >>> odd = {"app": CallerWindow(400, 400, -1.0, 1.5), "x": CallerWindow(1_000, 1_000, 1.0, 0.4)}
    >>> [str(jump) for jump in jumps(odd, usual, ())], jumps(odd, usual, ["x"]), jumps(odd, Usual(), ())
    (['caller x (71% of the rows, usually 0%)'], (), ())
    """
    found: list[CallerJump] = []
    left = dict(sorted(now.items()))
    while usual.windows and len(left) > 1:
        total = sum(caller.rows for caller in left.values())
        sizes = {name: _size(name, left, usual, total) for name in left if not _trusted(name, usual, vouched)}
        worst = max(sizes, key=lambda name: (sizes[name][0], name), default=None)
        rest = [caller.rows for name, caller in left.items() if name != worst]
        if worst is None or sizes[worst][0] <= 1.0 or not usual.enough(rest):
            return tuple(found)
        before = usual.callers.get(worst)
        mean = None if before is None else before.mean
        share, usually = left[worst].rows / total, usual.shares.get(worst, 0.0)
        found.append(CallerJump(worst, share, usually, left[worst].mean, mean, sizes[worst][1]))
        del left[worst]
    return tuple(found)


def _trusted(name: str, usual: Usual, vouched: Collection[str]) -> bool:
    return name == NOBODY or usual.shares.get(name, 0.0) > MAX_USUAL or _named(name, vouched)


def _named(name: str, vouched: Collection[str]) -> bool:
    return name in vouched or CALLER + name in vouched


def _size(name: str, left: Mapping[str, CallerWindow], usual: Usual, total: float) -> tuple[float, bool]:
    """By which factor a caller is over its bound, and whether that is the score's."""
    caller, before = left[name], usual.callers.get(name)
    if caller.rows < MIN_ROWS:
        return 0.0, False
    by_share = caller.rows / total / (MAX_FACTOR * usual.shares.get(name, 0.0) + MAX_GAIN)
    by_rows = math.inf if before is None or not before.rows else caller.rows / before.rows / MAX_FACTOR
    share, score = min(by_share, by_rows), _shift(name, left, usual)
    return (score, True) if score > max(share, 1.0) else (share, False)


def _shift(name: str, left: Mapping[str, CallerWindow], usual: Usual) -> float:
    caller, before = left[name], usual.callers.get(name)
    others = [(left[other], usual.callers[other]) for other in left if other != name and other in usual.callers]
    rows = sum(now.rows for now, _ in others)
    if before is None or not rows or before.spread <= 0.0:
        return 0.0
    moved = sum(now.rows * (now.mean - then.mean) for now, then in others) / rows
    chance = Z * max(caller.spread, before.spread) / math.sqrt(max(caller.entities, 1))
    own = caller.mean - before.mean
    return min(abs(own), abs(own - moved)) / max(MAX_SHIFT * before.spread, chance)
