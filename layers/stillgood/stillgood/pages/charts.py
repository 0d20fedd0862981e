"""Plots as SVG, without scripts. Each has a sentence for who cannot see it; the page puts a table beside it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import htpy as h
from markupsafe import Markup, escape

from stillgood.pages.layout import Node, share

WIDTH, HEIGHT, LEFT, BOTTOM = 320, 150, 34, 18
FULL, SHADES = 0.3, 12  # an effect that fills a cell of the heat map, and how many shades lead to it
_SHORT_NAME = 9  # letters of a version that still say which
_LANES = 5
_MAX_POINTS = 44  # of a line; a step function of 255 steps would be a page of its own
_HALF = (HEIGHT - BOTTOM) / 2 - 4  # from zero to the end of an axis that has it in the middle
_OFF = 0.4  # of a unit, a pixel or two: a line that moves less is drawn as flat
_NUMBERS, _NUMBERED_COLUMNS = 30, 5  # cells, and columns, of a table that has its numbers written in
_ANCHORS = {anchor: f' text-anchor="{anchor}"' for anchor in ("start", "middle", "end")}
_SOFT = ' class="soft"'
_WIDEST = 3.0  # a cell of the heat map is at most so many times as wide as it is high
_THINNEST = 50  # a bin counts as this part of the axis at least


@dataclass(frozen=True, slots=True)
class Series:
    """``y`` over ``x``, both of one length; None in ``y`` is a gap. ``low`` and ``high`` draw a band."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision at ``x``: a sign of its ``kind``, a sentence on hover and the page it leads to."""

    x: float
    text: str
    address: str | None = None
    kind: str = "other"


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """What plots over time share: ``ticks`` (x, date), ``marks``, and ``bands`` (from, to, version), in seconds."""

    ticks: Sequence[tuple[float, str]]
    marks: Sequence[Mark] = ()
    bands: Sequence[tuple[float, float, str]] = ()

    def scale(self, width: int) -> Callable[[float], float]:
        """Where a moment is drawn on a plot of this width."""
        first, span = self.ticks[0][0], (self.ticks[-1][0] - self.ticks[0][0]) or 1.0
        return lambda value: LEFT + (value - first) / span * (width - LEFT - _right(width))


def histogram(edges: Sequence[float], reference: Sequence[float], window: Sequence[float], label: str) -> Node:
    """Two histograms over the same bins, as shares per unit so that wide bins do not look full: reference filled,
    window outlined.
    """
    if len(edges) < 2 or edges[-1] <= edges[0]:
        return h.p(class_="soft")["No values."]
    # A value that many rows share has a bin of next to no width, whose height would leave the others none.
    min_width = max((edges[-1] - edges[0]) / _THINNEST, 1e-300)
    widths = [max(after - before, min_width) for before, after in pairwise(edges)]
    first, second = _density(reference, widths), _density(window, widths)
    top = max([*first, *second, 1e-300])
    span = edges[-1] - edges[0]

    def x(value: float) -> float:
        return LEFT + (value - edges[0]) / span * (WIDTH - LEFT - 4)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - 8)

    # One path a histogram: an element a bin would be four times as much markup.
    base = HEIGHT - BOTTOM
    at, tops, outline = [x(edge) for edge in edges], [y(value) for value in first], [y(value) for value in second]
    filled = "".join(
        f"M{_r(before)} {base}V{_r(top)}H{_r(max(after - 0.5, before + 0.5))}V{base}z"
        for before, after, top in zip(at, at[1:], tops, strict=False)
    )
    steps = "".join(f"V{_r(top)}H{_r(after)}" for after, top in zip(at[1:], outline, strict=True))
    return _svg(
        label,
        h.path(class_="ref", d=filled),
        h.path(class_="win", d=f"M{_r(at[0])} {base}{steps}V{base}"),
        h.line(class_="axis", x1=str(LEFT), x2=str(WIDTH - 4), y1=str(base), y2=str(base)),
        _text(LEFT, HEIGHT - 5, _short(edges[0])),
        _text(WIDTH - 4, HEIGHT - 5, _short(edges[-1]), "end"),
    )


def bars(levels: Sequence[str], reference: Sequence[float], window: Sequence[float], label: str) -> Node:
    """Shares of levels: the reference's bar filled, the window's narrow on top of it."""
    if not levels:
        return h.p(class_="soft")["No levels."]
    first, second = _shares(reference), _shares(window)
    top = max([*first, *second, 1e-300])
    row, name, reach = 20, 110, 118  # the text behind the longest bar takes what is left
    height = row * len(levels) + 6
    return h.svg(viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label)[
        h.title[label],
        [
            [
                _text(name - 4, row * i + 14, _cut(level, 18), "end"),
                h.rect(class_="ref", x=str(name), y=str(row * i + 3), width=_r(a / top * reach), height="14"),
                h.rect(class_="winbar", x=str(name), y=str(row * i + 8), width=_r(b / top * reach), height="4"),
                _text(WIDTH - 2, row * i + 14, f"{share(a)} → {share(b)}" if row else "", "end"),
            ]
            for i, (level, a, b) in enumerate(zip(levels, first, second, strict=True))
        ],
    ]


def lines(
    series: Sequence[Series],
    label: str,
    *,
    time: TimeAxis | None = None,
    x_names: tuple[str, str] = ("0", "1"),
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] = (0.0, 1.0),
    diagonal: bool = False,
    floor: float | None = None,
    width: int = WIDTH,
    height: int = 200,
) -> Node:
    """Up to three lines with bands. ``floor`` is a horizontal line, left out on the axis itself; ``time`` replaces
    ``x_range`` and ``x_names`` and brings dates, shaded versions and a thin line a decision.
    """
    time = time or TimeAxis([(x_range[0], x_names[0]), (x_range[1], x_names[1])])
    x = time.scale(width)
    bottom, top = y_range
    rise = (top - bottom) or 1.0
    base, end = height - BOTTOM, width - _right(width)

    def y(value: float) -> float:
        return base - (min(max(value, bottom), top) - bottom) / rise * (base - 12)

    drawn: list[Node] = [
        h.rect(class_="odd", x=_r(x(start)), y="0", width=_r(max(x(end) - x(start), 1)), height=str(base))
        for start, end, _ in time.bands[1::2]
    ]
    for value in _ticks(bottom, top):
        drawn.append(h.path(class_="axis", d=f"M{LEFT} {_r(y(value))}H{end}"))
        drawn.append(_text(LEFT - 3, y(value) + 4, _short(value), "end", soft=True))
        if end < width - 8:  # a phone shows the newest end of a wide plot
            drawn.append(_text(end + 3, y(value) + 4, _short(value), soft=True))
    if time.marks:
        drawn.append(h.path(class_="when", d="".join(f"M{_r(x(mark.x))} 12V{base}" for mark in time.marks)))
    if diagonal:
        drawn.append(h.path(class_="axis", d=f"M{LEFT} {_r(y(bottom))}L{end} {_r(y(top))}"))
    if floor is not None and floor > bottom:
        drawn.append(h.path(class_="floor", d=f"M{LEFT} {_r(y(floor))}H{end}"))
        drawn.append(_text(end, y(floor) + 11, f"floor {_short(floor)}", "end", soft=True))
    for index, curve in enumerate(series[:3]):
        colour = "abc"[index]
        if curve.low is not None and curve.high is not None:
            for run in _runs(curve.x, curve.low, curve.high):
                points = [f"{_r(x(a))},{_r(y(t))}" for a, _, t in run]
                points += [f"{_r(x(a))},{_r(y(s))}" for a, s, _ in reversed(run)]
                drawn.append(h.polygon(class_="band" if index == 0 else "bandb", points=" ".join(points)))
        for piece in _pieces(curve.x, curve.y):
            if len(piece) == 1:
                drawn.append(h.circle(class_=f"d{colour}", cx=_r(x(piece[0][0])), cy=_r(y(piece[0][1])), r="3"))
            else:
                drawn.append(
                    h.polyline(class_=f"l{colour}", points=" ".join(f"{_r(x(a))},{_r(y(b))}" for a, b in piece))
                )
    drawn.append(_dates(time, x, height - 3))
    return h.div[
        _scrolling(h.svg(viewBox=f"0 0 {width} {height}", role="img", aria_label=label)[h.title[label], drawn]),
        h.p(class_="key")[
            len(series) > 1
            and [h.span[_legend("abc"[index]), " ", curve.name] for index, curve in enumerate(series[:3])]
        ],
    ]


_SIGNS = {
    "promote": "l-6 10h12z",  # up
    "rollback": "m-6 0h12l-6 10z",  # down
    "refuse": "m-5 0l10 10m0-10l-10 10",
    "move": "m0 1l5 4.5l-5 4.5l-5-4.5z",
    "other": "m-4 1h8v8h-8z",
}
_SAID = (("promote", "promoted"), ("refuse", "refused"), ("rollback", "rolled back"), ("move", "point moved"))


def decisions(time: TimeAxis, label: str, width: int = 900) -> Node:
    """Which version served when, and each decision as a sign of its kind that leads to its page."""
    x = time.scale(width)
    drawn: list[Node] = []
    for index, (start, end, name) in enumerate(time.bands):
        inside = max(x(end) - x(start), 1)
        drawn.append(
            h.rect(class_=f"served{index % 2}", x=_r(x(start)), y="0", width=_r(inside), height="18")[h.title[name]]
        )
        fits = int((inside - 4) / 6.4)
        if fits >= min(len(name), _SHORT_NAME):  # a name that does not fit whole is cut, or left to the hover
            drawn.append(_text(x(start) + 3, 13, name if fits >= len(name) else name[: max(fits - 1, 1)] + "…"))
    ends = [-math.inf] * _LANES  # decisions of one moment stand below each other
    for mark in time.marks:
        at = x(mark.x)
        lane = next((i for i, end in enumerate(ends) if at - end >= 13), _LANES - 1)
        ends[lane] = at
        kind = mark.kind if mark.kind in _SIGNS else "other"
        sign = h.path(class_=f"is-{kind}", d=f"M{_r(at)} {23 + 14 * lane}{_SIGNS[kind]}")[h.title[mark.text]]
        drawn.append(h.a(href=mark.address, aria_label=mark.text)[sign] if mark.address else sign)
    height = 24 + 14 * sum(end > -math.inf for end in ends) + BOTTOM
    kinds = {mark.kind for mark in time.marks}
    signs: list[tuple[str, str]] = [pair for pair in _SAID if pair[0] in kinds]
    if kinds - {kind for kind, _ in _SAID}:
        signs.append(("other", "other"))
    return h.div[
        _scrolling(
            h.svg(viewBox=f"0 0 {width} {height}", role="group", aria_label=label)[drawn, _dates(time, x, height - 4)]
        ),
        h.p(class_="key")[
            [
                h.span[
                    h.svg(viewBox="0 0 12 12", width="12", height="12", aria_hidden="true", class_="sign")[
                        h.path(class_=f"is-{kind}", d=f"M6 1{_SIGNS[kind]}")
                    ],
                    f" {name}",
                ]
                for kind, name in signs
            ]
        ],
    ]


def heatmap(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], label: str) -> Node:
    """One cell for a value of 0 to 1 and more: the fuller, the larger. Nothing where there is no value."""
    name, size, width = 150, 16, 900
    wide = min((width - name - 4) / max(len(columns), 1) / size, _WIDEST)
    height = size * len(rows) + 16
    # One path a shade, a stroke a cell: an element a cell would be seven times as much markup.
    shades: dict[int, list[str]] = {}
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            if value is not None:
                shade = round(min(max(value, 0.0) / FULL, 1.0) * SHADES)
                shades.setdefault(shade, []).append(f"M{size * j} {size * i + size // 2}h{size - 1}")
    drawn = h.svg(viewBox=f"0 0 {width} {height}", role="img", aria_label=label)[
        h.title[label],
        [_text(name - 6, size * i + 12, _cut(row, 22), "end") for i, row in enumerate(rows)],
        h.g(class_="cells", transform=f"translate({name} 0) scale({wide:.4f} 1)")[
            [
                h.path(d="".join(cells), opacity=f"{0.05 + 0.95 * shade / SHADES:.2f}")
                for shade, cells in sorted(shades.items())
            ]
        ],
        columns and _text(name, height - 3, columns[0], soft=True),
        len(columns) > 6 and _text(name + size * wide * len(columns), height - 3, columns[-1], "end", soft=True),
    ]
    return _scrolling(drawn, from_the_start=wide == _WIDEST)


def curve(
    points: Sequence[tuple[float, float]],
    band: tuple[Sequence[float], Sequence[float], Sequence[float]] | None,
    limit: float,
    label: str,
) -> Node:
    """What a number adds: a line through ``points`` (x, y) with the ``band`` (x, low, high) around it, on an axis from
    -``limit`` to ``limit`` that plots of several features share.
    """
    low, high = points[0][0], points[-1][0]
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - low) / span * (WIDTH - LEFT - 4)

    y = _around_zero(limit)
    ticks = (-limit / 2, 0.0, limit / 2)
    drawn: list[Node] = [h.path(class_="axis", d="".join(f"M{LEFT} {_r(y(at))}H{WIDTH - 4}" for at in ticks))]
    if band is not None and len(band[0]) > 1:
        upper = [f"{_r(x(at))},{_r(y(value))}" for at, value in zip(band[0], band[2], strict=True)]
        lower = [f"{_r(x(at))},{_r(y(value))}" for at, value in zip(band[0], band[1], strict=True)]
        drawn.append(h.polygon(class_="band", points=" ".join([*upper, *reversed(lower)])))
    kept = _thinned(points, limit / _HALF)
    drawn.append(h.polyline(class_="la", points=" ".join(f"{_r(x(at))},{_r(y(value))}" for at, value in kept)))
    drawn += [_text(LEFT - 3, y(at) + 4, f"{at:+.2g}" if at else "0", "end", soft=True) for at in ticks]
    drawn += [_text(LEFT, HEIGHT - 5, _short(low)), _text(WIDTH - 4, HEIGHT - 5, _short(high), "end")]
    return _svg(label, drawn)


def _around_zero(limit: float) -> Callable[[float], float]:
    middle = (HEIGHT - BOTTOM) / 2
    return lambda value: middle - min(max(value / limit, -1.0), 1.0) * _HALF


def _thinned(line: Sequence[tuple[float, float]], unit: float = 1.0) -> list[tuple[float, float]]:
    """``line`` without the points between which it hardly moves: at most ``_MAX_POINTS``, of a step both ends.
    ``unit``: the y that is drawn as one.

    >>> _thinned([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 9.0), (3.0, 9.0)])
    [(0.0, 0.0), (2.0, 0.0), (2.0, 9.0), (3.0, 9.0)]
    """
    kept = _moving(line, _OFF * unit)
    if len(kept) > _MAX_POINTS:
        # Keeping fewer by half a step each: how far apart two kept points lie is found by bisection.
        few, many = 16, 0
        while few - many > 1:
            middle = (few + many) // 2
            some = _moving(line, _OFF * unit * 1.5**middle)
            if len(some) <= _MAX_POINTS:
                few, kept = middle, some
            else:
                many = middle
    return [line[at] for at in kept]


def _moving(line: Sequence[tuple[float, float]], off: float) -> list[int]:
    """The places of ``line`` at which it has moved by ``off``, those before them, and its ends."""
    kept, last = [0], line[0][1]
    for at, (_, y) in enumerate(line[1:-1], 1):
        if y - last >= off or last - y >= off:
            if kept[-1] != at - 1:
                kept.append(at - 1)
            kept.append(at)
            last = y
    kept += [at for at in (len(line) - 2, len(line) - 1) if at > kept[-1]]
    return kept


def whiskers(
    levels: Sequence[str],
    shares: Sequence[float],
    bounds: Sequence[tuple[float, float] | None],
    limit: float,
    label: str,
) -> Node:
    """What each level adds: a dot with its interval, on an axis from -``limit`` to ``limit``."""
    row, name = 20, 110
    middle, half = (name + WIDTH) / 2, (WIDTH - name) / 2 - 6

    def x(value: float) -> str:
        return _r(middle + min(max(value / limit, -1.0), 1.0) * half)

    # One path for all whiskers and one for all dots: an element each would be three times as much markup.
    lines = "".join(
        f"M{x(known[0])} {row * i + 10}H{x(known[1])}" for i, known in enumerate(bounds) if known is not None
    )
    ticks = [(x(at), f"{at:+.2g}" if at else "0") for at in (-limit / 2, 0.0, limit / 2)]
    return _named_rows(
        label,
        ticks,
        row,
        [_text(name - 4, row * i + 14, _cut(level, 18), "end") for i, level in enumerate(levels)],
        [
            lines and h.path(class_="la", d=lines),
            h.path(class_="dots", d="".join(f"M{x(share)} {row * i + 10}h0" for i, share in enumerate(shares))),
        ],
    )


def side_by_side(
    names: Sequence[str],
    roles: Sequence[str],
    values: Sequence[Sequence[tuple[float, float, float] | None]],
    label: str,
) -> Node:
    """Up to two figures of 0 to 1 for each name, below each other: a dot (low, value, high) with its whiskers a role,
    ``values`` by role and name.
    """
    row, name = 12 * len(roles) + 8, 130
    reach = WIDTH - name - 10

    def x(value: float) -> str:
        return _r(name + 4 + min(max(value, 0.0), 1.0) * reach)

    drawn: list[Node] = []
    for index, side in enumerate(values[:2]):
        at = [(row * i + 10 + 12 * index, known) for i, known in enumerate(side) if known is not None]
        lines = "".join(f"M{x(known[0])} {y}H{x(known[2])}" for y, known in at)
        dots = "".join(f"M{x(known[1])} {y}h0" for y, known in at)
        drawn += [
            h.path(class_=f"l{'ab'[index]}", d=lines),
            h.path(class_="dots" if not index else "dots other", d=dots),
        ]
    return h.div[
        _named_rows(
            label,
            [(x(at), f"{at:g}") for at in (0.0, 0.5, 1.0)],
            row,
            [_text(name - 4, row * i + row / 2 + 4, _cut(text, 20), "end") for i, text in enumerate(names)],
            drawn,
        ),
        h.p(class_="key")[[h.span[_legend("ab"[index]), " ", role] for index, role in enumerate(roles[:2])]],
    ]


def _named_rows(
    label: str, ticks: Sequence[tuple[str, str]], row: int, names: Sequence[Node], drawn: Sequence[Node]
) -> Node:
    """The frame of rows that are ``row`` high each, with their ``names`` before them: a line down and a text at each of
    the ``ticks`` (x, text), and on it what is ``drawn``.
    """
    base = row * len(names) + 2
    return h.svg(viewBox=f"0 0 {WIDTH} {base + 16}", role="img", aria_label=label)[
        h.title[label],
        h.path(class_="axis", d="".join(f"M{at} 0V{base}" for at, _ in ticks)),
        [_text(float(at), base + 12, text, "middle", soft=True) for at, text in ticks],
        names,
        drawn,
    ]


def heat_table(
    rows: Sequence[str], columns: Sequence[str], table: Sequence[Sequence[float]], limit: float, label: str
) -> Node:
    """What two features add together: a cell each, blue below zero and orange above it, the stronger the fuller.

    Cells have their number where there are at most ``_NUMBERS``; of the columns, the first and last are named.
    """
    name, step = 116, 22
    wide = (WIDTH - name - 2) / len(columns)
    height = step * len(rows) + 18
    shades: dict[tuple[str, int], list[str]] = {}
    for i, line in enumerate(table):
        for j, value in enumerate(line):
            shade = round(min(abs(value) / limit, 1.0) * SHADES) if limit else 0
            cell = f"M{_r(name + wide * j)} {step * i}h{_r(wide - 1)}v{step - 1}h-{_r(wide - 1)}z"
            shades.setdefault(("da" if value < 0 else "db", shade), []).append(cell)
    numbers = [
        _text(name + wide * (j + 0.5), step * i + 15, f"{value:+.2f}", "middle")
        for i, line in enumerate(table)
        for j, value in enumerate(line)
    ]
    return h.svg(viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label)[
        h.title[label],
        [
            h.path(class_=colour, opacity=f"{0.04 + 0.76 * shade / SHADES:.2f}", d="".join(cells))
            for (colour, shade), cells in sorted(shades.items())
        ],
        [_text(name - 4, step * i + 15, _cut(row, 19), "end") for i, row in enumerate(rows)],
        numbers if len(numbers) <= _NUMBERS and len(columns) <= _NUMBERED_COLUMNS else None,
        _text(name, height - 4, columns[0][:14], soft=True),
        len(columns) > 1 and _text(WIDTH - 2, height - 4, columns[-1][:14], "end", soft=True),
    ]


def key() -> Node:
    """What the two colours of a comparison mean."""
    return h.p(class_="key")[
        h.span[_square("ref"), " reference (training rows)"], h.span[_square("winbar"), " this window"]
    ]


def _square(name: str) -> Node:
    return h.svg(viewBox="0 0 12 12", width="12", height="12", aria_hidden="true", class_="sign")[
        h.rect(class_=name, width="12", height="12")
    ]


def _legend(colour: str) -> Node:
    return h.svg(viewBox="0 0 24 8", width="24", height="8", aria_hidden="true", class_="sign")[
        h.line(class_=f"l{colour}", x1="0", x2="24", y1="4", y2="4")
    ]


def _scrolling(plot: Node, *, from_the_start: bool = False) -> Node:
    """A plot that is wider than a phone scrolls by itself, and shows its newest end first; its key stays."""
    return h.div(class_="scroll start" if from_the_start else "scroll")[plot]


def _svg(label: str, *content: Node) -> Node:
    return h.svg(viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)[h.title[label], content]


def _text(x: float, y: float, text: str, anchor: str = "start", *, soft: bool = False) -> Node:
    """Written at once, since a page has hundreds: an element object takes four times as long."""
    placed = f'<text x="{_r(x)}" y="{_r(y)}"{_ANCHORS[anchor]}{_SOFT if soft else ""}>'
    return Markup(f"{placed}{escape(text)}</text>")  # noqa: S704 - the text is escaped


def _density(counts: Sequence[float], widths: Sequence[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [count / total / width for count, width in zip(counts, widths, strict=True)]


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [count / total for count in counts]


def _pieces(x: Sequence[float], y: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if b is None:
            pieces.append([])
        else:
            pieces[-1].append((a, b))
    return [piece for piece in pieces if piece]


def _runs(
    x: Sequence[float], low: Sequence[float | None], high: Sequence[float | None]
) -> list[list[tuple[float, float, float]]]:
    runs: list[list[tuple[float, float, float]]] = [[]]
    for a, s, t in zip(x, low, high, strict=True):
        if s is None or t is None:
            runs.append([])
        else:
            runs[-1].append((a, s, t))
    return [run for run in runs if len(run) > 1]


def _right(width: int) -> int:
    return LEFT if width > 2 * WIDTH else 8


def _dates(time: TimeAxis, x: Callable[[float], float], y: float) -> Node:
    last = len(time.ticks) - 1
    return [
        _text(x(at), y, name, "start" if i == 0 else "end" if i == last else "middle", soft=True)
        for i, (at, name) in enumerate(time.ticks)
    ]


def _ticks(bottom: float, top: float) -> list[float]:
    """Round numbers from ``bottom`` to ``top``, four to six of them.

    >>> _ticks(0.0, 1.0), _ticks(0.74, 0.93)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.75, 0.8, 0.85, 0.9])
    """
    rough = max((top - bottom) / 5, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= rough * 0.999)
    first = math.ceil(bottom / step - 1e-9)
    return [round(step * n, 10) for n in range(first, math.floor(top / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.4g}"


def _cut(name: str, most: int) -> str:
    """``name`` in at most ``most`` characters.

    >>> _cut("fibre optic", 11), _cut("fibre optic", 6)
    ('fibre optic', 'fibre…')
    """
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _r(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
