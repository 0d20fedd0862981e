"""The shapes of a model: what each feature and each pair adds, as data for a page and in words for the card."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from stillgood.domain.model.model import CategoricalTerm, CurveTerm, Model, NumericTerm, Term
from stillgood.domain.model.pairs import UNIT, Axis, LevelAxis, PairTerm, StepTerm, on_grid

_STRONGEST = 10
BOOLEANS = {"false": 0.0, "true": 1.0}


def shapes(model: Model) -> dict[str, list[dict[str, Any]]]:
    """``{"features": [...], "pairs": [...]}``, JSON-able, every share in logits.

    A number has ``points`` (x, share) to be joined by straight lines, a step being two points at one x; a category or
    boolean ``levels``; a pair the labels of ``rows`` and ``columns`` and its ``table``. ``span`` is largest minus
    smallest share.
    """
    return {
        "features": [_feature(model, term) for term in model.terms],
        "pairs": [_pair(pair) for pair in model.pairs],
    }


def strongest(model: Model, limit: int = _STRONGEST, drawn: Mapping[str, Any] | None = None) -> list[str]:
    """The features and pairs of the largest span, in words, largest first. ``drawn``: the model's ``shapes``, if
    they are known.
    """
    drawn = drawn or shapes(model)
    spans = [_in_words(term, shape) for term, shape in zip(model.terms, drawn["features"], strict=True)]
    for pair, shape in zip(model.pairs, drawn["pairs"], strict=True):
        low, high = (end(map(end, shape["table"])) for end in (min, max))
        lowest, highest = min(_cells(shape, low)), max(_cells(shape, high))
        spans.append((high - low, f"{pair.name}: {high:+.2f} at {highest}, {low:+.2f} at {lowest}"))
    return [line for _, line in sorted(spans, key=lambda span: (-span[0], span[1]))[:limit]]


def _cells(shape: dict[str, Any], wanted: float) -> list[str]:
    """The names of the cells of a pair that add exactly ``wanted``."""
    return [
        f"{row} and {column}"
        for row, shares in zip(shape["rows"], shape["table"], strict=True)
        if wanted in shares
        for column, share in zip(shape["columns"], shares, strict=True)
        if share == wanted
    ]


def points(term: Term, low: float, high: float) -> list[tuple[float, float]]:
    """(x, share) of a number's term between ``low`` and ``high``, to be joined by straight lines."""
    if isinstance(term, NumericTerm):
        return [(x, term.contribution(x)) for x in (low, high)]
    if isinstance(term, CurveTerm):
        return list(zip(term.knots, term.shares, strict=True))
    assert isinstance(term, StepTerm)
    drawn = [(term.low, term.contribution(term.low))]
    for cut, (before, after) in zip(term.cuts, pairwise(term.steps), strict=True):
        if term.low <= cut < term.high:
            line = on_grid(term.weight * ((cut - term.center) / term.scale))
            drawn += [(cut, before + line), (cut, after + line)]
    return [*drawn, (term.high, term.contribution(term.high))]


def _feature(model: Model, term: Term) -> dict[str, Any]:
    known: dict[str, Any]
    if isinstance(term, CategoricalTerm):
        shares = list(term.weights.values())
        known = {"levels": dict(term.weights), "unseen": term.unseen}
    elif model.contract.feature(term.name).kind == "boolean":
        known = {"levels": {name: term.contribution(value) for name, value in BOOLEANS.items()}}
        shares = list(known["levels"].values())
    else:
        drawn = points(term, *straight_range(model, term))
        shares = [share for _, share in drawn]
        known = {"points": [list(point) for point in drawn]}
    return {"feature": term.name, **known, "missing": term.missing, "span": max(shares) - min(shares)}


def straight_range(model: Model, term: Term) -> tuple[float, float]:
    """Where a straight line is drawn, which has no range of its own: two scales around the centre, within the
    contract's bounds. 0, 0 for any other term.
    """
    feature = model.contract.feature(term.name)
    if not isinstance(term, NumericTerm):
        return 0.0, 0.0
    low, high = term.center - 2 * term.scale, term.center + 2 * term.scale
    inside_low = low if feature.minimum is None else max(low, feature.minimum)
    inside_high = high if feature.maximum is None else min(high, feature.maximum)
    return (inside_low, inside_high) if inside_low < inside_high else (low, high)


def _pair(pair: PairTerm) -> dict[str, Any]:
    table = [[cell * UNIT for cell in row] for row in pair.table]
    return {
        "features": [pair.first.feature, pair.second.feature],
        "rows": _labels(pair.first),
        "columns": _labels(pair.second),
        "table": table,
        "span": max(map(max, table)) - min(map(min, table)),
    }


def _labels(axis: Axis) -> list[str]:
    """One per place: a range of numbers, the levels that act alike, and null last."""
    if isinstance(axis, LevelAxis):
        named: list[list[str]] = [[] for _ in range(axis.size)]
        for level, place in axis.groups.items():
            named[place].append(level)
        known = [", ".join(levels[:3]) + (", ..." if len(levels) > 3 else "") for levels in named[:-1]]
        return [f"{axis.feature} {text}" for text in known] + [f"{axis.feature} missing or unseen"]
    if not axis.cuts:
        return [f"any {axis.feature}", f"{axis.feature} missing"]
    cuts = [f"{cut:.4g}" for cut in axis.cuts]
    between = [f"{axis.feature} {a} to {b}" for a, b in pairwise(cuts)]
    return [f"{axis.feature} up to {cuts[0]}", *between, f"{axis.feature} above {cuts[-1]}", f"{axis.feature} missing"]


def _in_words(term: Term, shape: Mapping[str, Any]) -> tuple[float, str]:
    if isinstance(term, CategoricalTerm):
        lowest, highest = (end(term.weights, key=term.weights.__getitem__) for end in (min, max))
        span = term.weights[highest] - term.weights[lowest]
        return span, f"{term.name}: {span:.2f} between {lowest} and {highest}"
    if isinstance(term, NumericTerm):
        return abs(term.weight), f"{term.name}: {term.weight:+.2f} per {term.scale:.4g}"
    drawn = shape["points"] if "points" in shape else points(term, 0.0, 0.0)  # of a boolean, levels
    (low_x, low), (high_x, high) = (end(drawn, key=lambda point: point[1]) for end in (min, max))
    way = _way([share for _, share in drawn])
    return high - low, f"{term.name}: {way}, {high:+.2f} at {high_x:.4g}, {low:+.2f} at {low_x:.4g}"


def _way(shares: list[float]) -> str:
    """How a curve runs, from its smallest to its largest number."""
    moves = [b - a for a, b in pairwise(shares) if b != a]
    span = max(shares) - min(shares)
    if not moves:
        return "flat"
    if all(move > 0 for move in moves):
        return "rises"
    if all(move < 0 for move in moves):
        return "falls"
    net = shares[-1] - shares[0]
    if abs(net) > 0.8 * span:
        return "mostly rises" if net > 0 else "mostly falls"
    return "bends"
