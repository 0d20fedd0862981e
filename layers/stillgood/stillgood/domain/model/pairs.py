"""Shapes of a boosted model: step functions of one feature and tables over two, read by bisection and look-up.

Every value is a whole number of ``UNIT`` logits, and a logit stays below 32. Sums of such numbers are exact in a
double, so contributions add up to the logit to the last bit in any order, a pair's share can be halved, and a monotone
sum stays monotone. A model may also hold a linear part: ``on_grid`` rounds it to the same unit, and it is constant
beyond the training range.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

UNIT = 2.0**-47
_GRID = 48.0  # numbers from 32 to 64 lie UNIT apart
_MAX_UNITS = 2**52

type Value = float | str | None


def on_grid[Numbers](x: Numbers) -> Numbers:
    """``x`` rounded to a whole number of ``UNIT``, for |x| < 16; NumPy arrays are rounded by the same two additions.

    >>> on_grid(0.1) == round(0.1 / UNIT) * UNIT
    True
    """
    return (x + _GRID) - _GRID  # type: ignore[operator,return-value]


@dataclass(frozen=True, slots=True)
class StepTerm:
    """A number's share: ``steps[k]`` for the k cut points below the value, plus a line that ends at ``low`` and
    ``high``.

    ``cuts`` ascend strictly; a value at a cut belongs to the step on its left. ``steps`` has one entry more than
    ``cuts``. ``missing`` is the share of null. All shares are in logits.
    """

    name: str
    cuts: tuple[float, ...]
    steps: tuple[float, ...]
    missing: float
    center: float
    scale: float
    weight: float
    low: float
    high: float

    def contribution(self, value: Value) -> float:
        if value is None:
            return self.missing
        x = min(max(value, self.low), self.high)
        line = self.weight * ((x - self.center) / self.scale)  # type: ignore[operator]
        return self.steps[bisect_left(self.cuts, value)] + on_grid(line)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "steps",
            "cuts": list(self.cuts),
            "steps": list(self.steps),
            "missing": self.missing,
            "center": self.center,
            "scale": self.scale,
            "weight": self.weight,
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True)
class NumericAxis:
    """Places of a number: how many ``cuts`` lie below it; null comes last."""

    feature: str
    cuts: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.cuts) + 2

    def place(self, value: Value) -> int:
        return len(self.cuts) + 1 if value is None else bisect_left(self.cuts, value)

    def to_dict(self) -> dict[str, Any]:
        return {"feature": self.feature, "cuts": list(self.cuts)}


@dataclass(frozen=True, slots=True)
class LevelAxis:
    """Places of a category: levels that act alike share one; null and unseen levels have the last."""

    feature: str
    groups: Mapping[str, int]
    size: int

    def place(self, value: Value) -> int:
        return self.groups.get(value, self.size - 1)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        return {"feature": self.feature, "groups": dict(self.groups), "size": self.size}


type Axis = NumericAxis | LevelAxis


@dataclass(frozen=True, slots=True)
class PairTerm:
    """What two features add together beyond what each adds alone: ``table[i][j]`` in units of ``UNIT`` logits."""

    first: Axis
    second: Axis
    table: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        return f"{self.first.feature} x {self.second.feature}"

    def contribution(self, values: Mapping[str, Value]) -> float:
        row = self.table[self.first.place(values[self.first.feature])]
        return row[self.second.place(values[self.second.feature])] * UNIT

    def to_dict(self) -> dict[str, Any]:
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "table": [list(row) for row in self.table],
        }


class Compiled:
    """The contributions of a boosted model's row, to the last bit those of its terms and pairs, in a third of the time.

    Each feature is looked up once, among the cut points (or levels) of all terms and pairs that read it; where that
    place lies in each table was counted beforehand, and tables are flat and in logits.
    """

    def __init__(self, terms: Sequence[Any], pairs: Sequence[PairTerm]) -> None:
        axes: dict[str, list[Axis]] = {}
        for pair in pairs:
            for axis in (pair.first, pair.second):
                axes.setdefault(axis.feature, []).append(axis)
        self._terms: list[tuple[Any, ...]] = []
        cuts_of: dict[str, tuple[float, ...]] = {}
        levels_of: dict[str, tuple[str, ...]] = {}
        for term in terms:
            own = axes.get(term.name, [])
            step = term if isinstance(term, StepTerm) else None
            if step is not None or any(isinstance(axis, NumericAxis) for axis in own):
                numeric = [axis.cuts for axis in own if isinstance(axis, NumericAxis)] + ([step.cuts] if step else [])
                cuts = cuts_of[term.name] = tuple(sorted({cut for of_axis in numeric for cut in of_axis}))
                steps = step and tuple([step.steps[place] for place in _counted(step.cuts, cuts)])
                line = (step.weight, step.center, step.scale, step.low, step.high) if step else (0.0,) * 5
                self._terms.append((term, term.name, cuts, len(cuts) + 1, steps, *line, None))
            else:
                known = {level for axis in own if isinstance(axis, LevelAxis) for level in axis.groups}
                levels = levels_of[term.name] = tuple(sorted(known))
                places = {level: place for place, level in enumerate(levels)}
                self._terms.append((term, term.name, None, len(levels), None, *(0.0,) * 5, places if own else None))
        position = {term.name: at for at, term in enumerate(terms)}
        self._read = list(axes)
        self._named = [(self._read.index(pair.first.feature), self._read.index(pair.second.feature)) for pair in pairs]

        def places_of(axis: Axis) -> list[int]:
            if isinstance(axis, NumericAxis):
                return [*_counted(axis.cuts, cuts_of[axis.feature]), len(axis.cuts) + 1]
            return [*map(axis.place, levels_of[axis.feature]), axis.size - 1]

        self._pairs = [
            (
                position[pair.first.feature],
                position[pair.second.feature],
                tuple([place * pair.second.size for place in places_of(pair.first)]),
                tuple(places_of(pair.second)),
                tuple([cell * UNIT for row in pair.table for cell in row]),
            )
            for pair in pairs
        ]

    def contributions(self, values: Mapping[str, Value]) -> tuple[float, ...]:
        """What each term, then each pair adds, in logits. Raises KeyError when a feature is not in ``values``."""
        parts, at = [], []
        for term, name, cuts, last, steps, weight, center, scale, low, high, places in self._terms:
            value = values[name]
            if cuts is None:
                parts.append(term.contribution(value))
                at.append(0 if places is None else places.get(value, last))
            elif value is None:
                parts.append(term.missing)
                at.append(last)
            else:
                place = bisect_left(cuts, value)
                at.append(place)
                if steps is None:
                    parts.append(term.contribution(value))
                else:
                    x = low if value < low else high if value > high else value
                    parts.append(steps[place] + ((weight * ((x - center) / scale) + _GRID) - _GRID))
        parts += [table[rows[at[first]] + columns[at[second]]] for first, second, rows, columns, table in self._pairs]
        return tuple(parts)

    def texts(self, values: Mapping[str, Value]) -> list[str]:
        """The two values of each pair as one text, in the order of its name.

        >>> pair = PairTerm(NumericAxis("a", ()), NumericAxis("b", ()), ((0, 0), (0, 0)))
        >>> lines = [StepTerm(name, (), (0.0,), 0.0, 0.0, 1.0, 0.0, 0.0, 1.0) for name in "ab"]
        >>> Compiled(lines, [pair]).texts({"a": 12.0, "b": None})
        ['12 x missing']
        """
        texts = [
            "missing" if (value := values[name]) is None else value if isinstance(value, str) else "%.12g" % value  # noqa: UP031  # a third of the time less than an f-string, of every number
            for name in self._read
        ]
        return [texts[first] + " x " + texts[second] for first, second in self._named]


def _counted(cuts: Sequence[float], among: Sequence[float]) -> list[int]:
    """For each place among ``among``, ascending, how many of ``cuts``, a part of it, lie below.

    >>> _counted((2.0,), (1.0, 2.0, 3.0))
    [0, 0, 1, 1]
    """
    own = set(cuts)
    counts = [0]
    for cut in among:
        counts.append(counts[-1] + (cut in own))
    return counts


def split_evenly(names: Sequence[str], pairs: Sequence[PairTerm], contributions: Sequence[float]) -> tuple[float, ...]:
    """One share per feature: its own, plus half of each pair's that it takes part in.

    ``contributions`` are those of the features ``names``, then of ``pairs``. Half each is the Shapley value of a
    function of two features whose parts are centred (L. S. Shapley, 1953). The halves are exact, so the shares add up
    to the same logit.

    >>> pair = PairTerm(NumericAxis("a", ()), NumericAxis("b", ()), ((0, 0), (0, 0)))
    >>> split_evenly(("a", "b"), (pair,), (1.0, 2.0, 0.5))
    (1.25, 2.25)
    """
    shares = dict(zip(names, contributions, strict=False))
    for pair, share in zip(pairs, contributions[len(names) :], strict=True):
        shares[pair.first.feature] += share / 2
        shares[pair.second.feature] += share / 2
    return tuple(shares.values())


def step_term(raw: Mapping[str, Any], finite: Any) -> StepTerm:
    """Raises KeyError, TypeError or ValueError for what is not a step term. ``finite`` reads a number or raises
    ValueError.
    """
    cuts, steps = _cuts(raw["cuts"], finite), tuple([finite(step) for step in raw["steps"]])
    if len(steps) != len(cuts) + 1:
        raise ValueError(f"{raw['name']} has {len(steps)} steps for {len(cuts)} cut points")
    low, high, scale = finite(raw["low"]), finite(raw["high"]), finite(raw["scale"])
    if scale <= 0 or low > high:
        raise ValueError(f"the line of {raw['name']} has no range or scale")
    missing, center, weight = (finite(raw[name]) for name in ("missing", "center", "weight"))
    return StepTerm(str(raw["name"]), cuts, steps, missing, center, scale, weight, low, high)


def pair_term(raw: Mapping[str, Any], finite: Any) -> PairTerm:
    """Raises KeyError, TypeError or ValueError for what is not a pair."""
    first, second = _axis(raw["first"], finite), _axis(raw["second"], finite)
    table = tuple([tuple(row) for row in raw["table"]])
    if len(table) != first.size or any(len(row) != second.size for row in table):
        raise ValueError(f"the table of {first.feature} x {second.feature} is not {first.size} by {second.size}")
    if {type(cell) for row in table for cell in row} != {int}:
        raise ValueError(f"the table of {first.feature} x {second.feature} holds other things than whole numbers")
    if max(max(max(row), -min(row)) for row in table) > _MAX_UNITS:
        raise ValueError(f"the table of {first.feature} x {second.feature} holds more than 32 logits")
    return PairTerm(first, second, table)


def _axis(raw: Mapping[str, Any], finite: Any) -> Axis:
    name = str(raw["feature"])
    if "cuts" in raw:
        return NumericAxis(name, _cuts(raw["cuts"], finite))
    groups, size = {str(level): place for level, place in raw["groups"].items()}, raw["size"]
    if type(size) is not int or any(type(place) is not int or not 0 <= place < size for place in groups.values()):
        raise ValueError(f"the places of {name} are not those of an axis of size {size}")
    return LevelAxis(name, groups, size)


def _cuts(raw: Sequence[Any], finite: Any) -> tuple[float, ...]:
    cuts = tuple([finite(cut) for cut in raw])
    if any(a >= b for a, b in pairwise(cuts)):
        raise ValueError("cut points must ascend strictly")
    return cuts
