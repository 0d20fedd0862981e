"""How would the answer change? The smallest change of one, and of two, allowed features that turns the decision.

A logit is a sum of terms, each linear between known break points of one feature (cut points, knots, limits of the
line), and of tables over two features that are constant between theirs. So the first value that turns the decision lies
in the first piece at whose end it is turned, and bisection finds it to the last bit; every value is judged by
``Model.score`` itself. Of two numbers, each linear, a smallest sum of changes has one of them at a break point or a
limit, so these are enumerated for either one; of whole numbers, every value is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from stillgood.domain.contract.contract import Feature, MayChange
from stillgood.domain.model.model import CategoricalTerm, CurveTerm, Model, NumericTerm

REACH = 8.0  # standard deviations that a number may move where the contract gives no limit
MOST_WHOLE = 2_000  # whole numbers that are enumerated one by one

type Value = float | str | None
type Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Change:
    """``size``: of a number, the share of its range that it moves; of a category or a boolean, 1."""

    feature: str
    before: Value
    after: Value
    size: float


@dataclass(frozen=True, slots=True)
class Flip:
    """``changes`` together turn the decision; ``probability`` and ``decision`` are of the row after them."""

    changes: tuple[Change, ...]
    probability: float
    decision: bool

    @property
    def size(self) -> float:
        """The sum of the changes' sizes."""
        return sum(change.size for change in self.changes)


@dataclass(frozen=True, slots=True)
class _Axis:
    """One feature that may change: ``low`` and ``high`` of a number, its ``breaks`` between them, or other levels.
    ``span``: its whole range, in both directions.
    """

    feature: Feature
    now: Value
    low: float = 0.0
    high: float = 0.0
    breaks: tuple[float, ...] = ()
    others: tuple[Value, ...] = ()
    span: float = 1.0

    @property
    def numeric(self) -> bool:
        return self.feature.kind in ("numeric", "integer")

    def size(self, value: Value) -> float:
        if not self.numeric:
            return 1.0
        return abs(float(value) - float(self.now)) / self.span  # type: ignore[arg-type]


def flips(model: Model, values: Values, may_change: Mapping[str, MayChange]) -> tuple[tuple[Flip, ...], Flip | None]:
    """The smallest turning change of each allowed feature alone, the smallest first, and the smallest of two features
    of which neither change alone turns the decision; None where there is none within the limits.

    ``values``: a checked row. A feature that is null, or that the model does not read, is left out. Raises KeyError for
    a row that lacks a feature.
    """
    was = model.score(values).decision
    axes = [
        axis
        for name, how in may_change.items()
        if name in values and values[name] is not None and (axis := _axis(model, name, values[name], how)) is not None
    ]

    def turned(changed: Mapping[str, Value]) -> bool:
        return model.score({**values, **changed}).decision != was

    def flip(changed: Mapping[str, Value]) -> Flip:
        score = model.score({**values, **changed})
        by_name = {axis.feature.name: axis for axis in axes}
        made = tuple(Change(name, values[name], to, by_name[name].size(to)) for name, to in changed.items())
        return Flip(made, score.probability, score.decision)

    ones = []
    for axis in axes:
        name = axis.feature.name
        turning = list(_firsts(axis, partial(_with, turned, {}, name)))
        if turning:
            ones.append(flip({name: min(turning, key=axis.size)}))
    best = _smallest_pair(axes, turned)
    return tuple(sorted(ones, key=lambda single: single.size)), None if best is None else flip(best)


def _smallest_pair(axes: Sequence[_Axis], turned: Callable[[Values], bool]) -> dict[str, Value] | None:
    """The smallest change of two features of which neither change alone turns the decision; None where there is
    none.
    """
    best: dict[str, Value] | None = None
    smallest = math.inf
    for first, second in (order for pair in combinations(axes, 2) for order in (pair, pair[::-1])):
        a, b = first.feature.name, second.feature.name
        for value in sorted(_candidates(first), key=first.size):
            if first.size(value) >= smallest:
                break
            if turned({a: value}):
                continue
            beside = partial(_with, turned, {a: value}, b)
            for to in _firsts(second, beside):
                size = first.size(value) + second.size(to)
                if size < smallest and not turned({b: to}):
                    best, smallest = {a: value, b: to}, size
    return best


def _with(turned: Callable[[Values], bool], changed: Values, name: str, value: Value) -> bool:
    return turned({**changed, name: value})


def _axis(model: Model, name: str, now: Value, how: MayChange) -> _Axis | None:
    feature = next((candidate for candidate in model.contract.features if candidate.name == name), None)
    if feature is None or feature.kind == "date":
        return None
    if feature.kind == "boolean":
        return _Axis(feature, now, others=(1.0 - float(now),))  # type: ignore[arg-type]
    if feature.kind == "categorical":
        return _Axis(feature, now, others=tuple(level for level in feature.levels if level != now))
    at = float(now)  # type: ignore[arg-type]
    breaks, low, high = _breaks(model, feature)
    span = max(high, at) - min(low, at)
    if how == "increasing":
        low = at
    if how == "decreasing":
        high = at
    low, high = min(low, at), max(high, at)
    return _Axis(feature, at, low, high, breaks, span=span) if low < high else None


def _breaks(model: Model, feature: Feature) -> tuple[tuple[float, ...], float, float]:
    """Where the logit may bend or jump in a number, and the least and largest value that it may take."""
    cuts: set[float] = set()
    term = next(candidate for candidate in model.terms if candidate.name == feature.name)
    low, high = -math.inf, math.inf
    if isinstance(term, NumericTerm):
        low, high = term.center - REACH * term.scale, term.center + REACH * term.scale
    elif isinstance(term, CurveTerm):
        cuts.update(term.knots)
        low, high = term.knots[0], term.knots[-1]
    elif not isinstance(term, CategoricalTerm):  # steps
        cuts.update((*term.cuts, term.low, term.high))
        low, high = term.low, term.high
    for pair in model.pairs:
        for axis in (pair.first, pair.second):
            if axis.feature == feature.name and hasattr(axis, "cuts"):
                cuts.update(axis.cuts)
    if cuts:
        low, high = min(low, *cuts), math.nextafter(max(high, *cuts), math.inf)
    low = low if feature.minimum is None else feature.minimum
    high = high if feature.maximum is None else feature.maximum
    if feature.kind == "integer":
        low, high = math.ceil(low), math.floor(high)
    return tuple(sorted(cuts)), float(low), float(high)


def _points(axis: _Axis, upwards: bool) -> list[float]:
    """From the present value outwards: points between two of which the logit is a straight line."""
    whole = axis.feature.kind == "integer"
    points = {axis.low, axis.high}
    for cut in axis.breaks:  # a value at a cut belongs to the piece on its left
        points |= {math.floor(cut), math.floor(cut) + 1.0} if whole else {cut, math.nextafter(cut, math.inf)}
    at = float(axis.now)  # type: ignore[arg-type]
    if upwards:
        return sorted(point for point in points if at < point <= axis.high)
    return sorted((point for point in points if axis.low <= point < at), reverse=True)


def _firsts(axis: _Axis, turned: Callable[[Value], bool]) -> Iterator[Value]:
    """The nearest value that turns the decision, of a number one in each direction; every level that does."""
    if not axis.numeric:
        yield from (value for value in axis.others if turned(value))
        return
    for upwards in (True, False):
        before = float(axis.now)  # type: ignore[arg-type]
        for point in _points(axis, upwards):
            if turned(point):
                yield _between(before, point, turned, whole=axis.feature.kind == "integer")
                break
            before = point


def _between(calm: float, turning: float, turned: Callable[[Value], bool], *, whole: bool) -> float:
    """The first value after ``calm`` towards ``turning`` that turns the decision, by bisection, to the last bit."""
    while True:
        middle = float(math.floor((calm + turning) / 2)) if whole else (calm + turning) / 2
        if middle in (calm, turning):
            if whole and abs(turning - calm) > 1:  # floor of a negative step
                middle = calm + math.copysign(1.0, turning - calm)
            else:
                return turning
        if turned(middle):
            turning = middle
        else:
            calm = middle


def _candidates(axis: _Axis) -> list[Value]:
    """Values of one of two features at which a smallest pair may lie."""
    if not axis.numeric:
        return list(axis.others)
    if axis.feature.kind == "integer" and axis.high - axis.low <= MOST_WHOLE:
        return [float(whole) for whole in range(int(axis.low), int(axis.high) + 1) if whole != axis.now]
    return [*_points(axis, upwards=True), *_points(axis, upwards=False)]
