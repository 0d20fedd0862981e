"""What a model's features add, drawn: weights and shapes with their intervals, pairs as small tables, and the reasons
of a few rows that nobody sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.domain.drift.examples import Example
from stillgood.domain.errors import ModelUnusable
from stillgood.domain.model.model import Model, NumericTerm, Term
from stillgood.domain.model.shape_intervals import read_intervals
from stillgood.domain.model.shapes import shapes, strongest
from stillgood.pages import charts
from stillgood.pages.layout import Node, folded, share, table

MAX_LEVELS = 10  # of a category that are drawn, the strongest; its table has MAX_ROWS
MAX_ROWS = 20
MAX_PAIRS = 6
MAX_PLACES = 8  # rows, and columns, of a pair's table
MAX_REASONS = 6


def weights(model: Mapping[str, Any], metrics: Mapping[str, Any]) -> Node:
    """Every feature drawn with the intervals that ``metrics`` holds, the strongest first, then pairs; and in words."""
    try:
        read = Model.from_dict(model)
        drawn = shapes(read)
        lines = strongest(read, len(read.terms) + len(read.pairs), drawn)
    except (ModelUnusable, KeyError, TypeError):
        return h.p["The card in Markdown beside this page lists the shapes that matter."]
    intervals = read_intervals(metrics.get("shape_intervals"))
    personal = {feature.name for feature in read.contract.features if feature.pii}
    parts = [
        (part, term) for part, term in zip(drawn["features"], read.terms, strict=True) if term.name not in personal
    ]
    limit = 1.1 * max((abs(at) for part, _ in parts for at in _shares(part)), default=0.0) or 1.0
    return [
        h.p[
            "In logits, against the average row. All plots have one scale. ",
            "Bands and whiskers are 95% intervals, from five models that were each fitted without a fifth of the"
            " customers."
            if intervals
            else "This version stored no intervals.",
            " Personal fields are not drawn." if personal else None,
        ],
        h.div(class_="grid")[
            [
                _feature(part, term, intervals.get(term.name) or {}, limit)
                for part, term in sorted(parts, key=lambda item: -item[0]["span"])
            ]
        ],
        _pairs([pair for pair in drawn["pairs"] if not personal & set(pair["features"])]),
        folded("In words", table(["feature", "logits"], [line.split(": ", 1) for line in lines])),
    ]


def _shares(part: Mapping[str, Any]) -> list[float]:
    return list(part["levels"].values()) if "levels" in part else [share for _, share in part["points"]]


def _feature(part: Mapping[str, Any], term: Term, known: Mapping[str, Any], limit: float) -> Node:
    plot, said, rows = _category(part, known, limit) if "levels" in part else _number(part, term, known, limit)
    if "missing" in known:
        rows.append(["missing", _logits(part["missing"]), *_bounds(known["missing"])])
    head = ["value", "adds", "low", "high"] if known else ["value", "adds"]
    return h.figure[h.h3[term.name], plot, said and h.figcaption[said], folded("Table", table(head, rows))]


def _category(part: Mapping[str, Any], known: Mapping[str, Any], limit: float) -> tuple[Node, str | None, list[Any]]:
    levels, bounds = part["levels"], known.get("levels") or {}
    order = sorted(levels, key=lambda level: (-abs(levels[level]), level))
    plot = charts.whiskers(
        order[:MAX_LEVELS],
        [levels[level] for level in order[:MAX_LEVELS]],
        [bounds.get(level) for level in order[:MAX_LEVELS]],
        limit,
        f"What each level of {part['feature']} adds, in logits",
    )
    left = f"The {MAX_LEVELS} strongest of {len(order)} levels" if len(order) > MAX_LEVELS else None
    return plot, left, [[level, _logits(levels[level]), *_bounds(bounds.get(level))] for level in order[:MAX_ROWS]]


def _number(
    part: Mapping[str, Any], term: Term, known: Mapping[str, Any], limit: float
) -> tuple[Node, str | None, list[Any]]:
    x = known.get("x") or []
    band = (x, known["low"], known["high"]) if x else None
    plot = charts.curve(part["points"], band, limit, f"What {term.name} adds, in logits")
    bounds = list(zip(known["low"], known["high"], strict=True)) if x else [None] * MAX_ROWS
    at = [(value, term.contribution(value)) for value in x] or part["points"][:MAX_ROWS]
    rows = [[_value(value), _logits(adds), *_bounds(pair)] for (value, adds), pair in zip(at, bounds, strict=False)]
    said = None
    if isinstance(term, NumericTerm):
        within = f" [{', '.join(_bounds(known['weight']))}]" if "weight" in known else ""
        said = f"{_logits(term.weight)}{within} per {term.scale:,.4g}"
    return plot, said, rows


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Node:
    if not pairs:
        return None
    strongest_first = sorted(pairs, key=lambda pair: -pair["span"])[:MAX_PAIRS]
    limit = max(abs(cell) for pair in strongest_first for row in pair["table"] for cell in row)
    return [
        h.h3["What two features add together, beyond what each adds alone"],
        h.div(class_="grid")[[_pair(pair, limit) for pair in strongest_first]],
        len(pairs) > MAX_PAIRS and h.p(class_="soft")[f"The {MAX_PAIRS} strongest of {len(pairs)} pairs."],
    ]


def _pair(pair: Mapping[str, Any], limit: float) -> Node:
    down, across = places(len(pair["rows"])), places(len(pair["columns"]))
    first, second = pair["features"]
    rows = [pair["rows"][i].removeprefix(f"{first} ") for i in down]
    columns = [pair["columns"][j].removeprefix(f"{second} ") for j in across]
    cells = [[pair["table"][i][j] for j in across] for i in down]
    name = " x ".join(pair["features"])
    whole = len(pair["rows"]), len(pair["columns"])
    thinned = None
    if whole != (len(down), len(across)):
        thinned = f"; {len(down)} by {len(across)} of {whole[0]} by {whole[1]} places, evenly chosen"
    return h.figure[
        h.h3[name],
        charts.heat_table(rows, columns, cells, limit, f"What {name} add together, in logits"),
        h.figcaption[
            f"{first} down, {second} across",
            thinned,
        ],
        folded(
            "Table",
            table([first, *columns], [[row, *map(_logits, line)] for row, line in zip(rows, cells, strict=True)]),
        ),
    ]


def places(count: int) -> list[int]:
    """Which of ``count`` rows or columns are shown: all, or ``MAX_PLACES`` evenly chosen ones, both ends among them.

    >>> places(3), places(22)
    ([0, 1, 2], [0, 3, 6, 9, 12, 15, 18, 21])
    """
    if count <= MAX_PLACES:
        return list(range(count))
    return [round(at * (count - 1) / (MAX_PLACES - 1)) for at in range(MAX_PLACES)]


def of_examples(shown: Sequence[Example]) -> Node:
    """How the probabilities of a few rows come about, each step in logits, the largest first."""
    if not shown:
        return None
    return [
        h.h2["How a probability comes about"],
        h.p[
            "Rows that nobody sent: medians, quantiles and frequent levels of the training rows. Personal fields count "
            "as missing."
        ],
        h.div(class_="grid roomy")[[_example(example) for example in shown]],
    ]


def _example(example: Example) -> Node:
    order = sorted(example.contributions, key=lambda name: (-abs(example.contributions[name]), name))
    rows: list[list[Node]] = [["base", "", _logits(example.base)]]
    rows += [[name, _sent(example, name), _logits(example.contributions[name])] for name in order[:MAX_REASONS]]
    if rest := order[MAX_REASONS:]:
        rows.append([f"others ({len(rest)})", "", _logits(sum(example.contributions[name] for name in rest))])
    rows.append(["calibration", "", _logits(example.calibration)])
    total = sum(example.contributions.values()) + example.base + example.calibration
    rows.append(["all together", "", _logits(total)])
    verdict = "flagged" if example.decision else "not flagged"
    return h.figure[
        h.h3[example.name.capitalize()],
        h.p[f"probability {share(example.probability)}, {verdict}"],
        table(["what", "value", "adds"], rows),
    ]


def _sent(example: Example, name: str) -> str:
    if name not in example.values:  # a pair
        return " x ".join(_value(example.values[part]) for part in name.split(" x ") if part in example.values)
    return _value(example.values[name])


def _value(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _logits(value: float) -> str:
    return f"{value:+.3f}"


def _bounds(pair: Sequence[float] | None) -> list[str]:
    return [] if pair is None else [_logits(bound) for bound in pair]
