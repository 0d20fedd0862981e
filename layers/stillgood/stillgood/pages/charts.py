"""Plots as SVG, without scripts. Each has a sentence for who cannot see it; the page puts a table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import htpy as h

from stillgood.pages.layout import Node, number, share

WIDTH, HEIGHT, LEFT, BOTTOM = 320, 150, 34, 18
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
    """A sign on a time line at ``x``, with a sentence on hover and the page it leads to."""

    x: float
    text: str
    address: str | None = None


def histogram(edges: Sequence[float], reference: Sequence[float], window: Sequence[float], label: str) -> Node:
    """Two histograms over the same bins, as shares per unit so that wide bins do not look full: reference filled,
    window outlined.
    """
    if len(edges) < 2 or edges[-1] <= edges[0]:
        return h.p(class_="soft")["No values."]
    # A value that many rows share has a bin of next to no width, whose height would leave the others none.
    least = max((edges[-1] - edges[0]) / _THINNEST, 1e-300)
    widths = [max(after - before, least) for before, after in pairwise(edges)]
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
    row, name = 20, 110
    height = row * len(levels) + 6
    return h.svg(viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label)[
        h.title[label],
        [
            [
                _text(name - 4, row * i + 14, level if len(level) <= 18 else f"{level[:17]}…", "end"),
                h.rect(class_="ref", x=str(name), y=str(row * i + 3), width=_r(a / top * 160), height="14"),
                h.rect(class_="winbar", x=str(name), y=str(row * i + 8), width=_r(b / top * 160), height="4"),
                _text(WIDTH - 2, row * i + 14, f"{share(a)} → {share(b)}" if row else "", "end"),
            ]
            for i, (level, a, b) in enumerate(zip(levels, first, second, strict=True))
        ],
    ]


def lines(
    series: Sequence[Series],
    label: str,
    *,
    x_names: tuple[str, str] = ("0", "1"),
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] = (0.0, 1.0),
    diagonal: bool = False,
    floor: float | None = None,
    width: int = WIDTH,
    height: int = 200,
    marks: Sequence[Mark] = (),
    bands: Sequence[tuple[float, float, str]] = (),
) -> Node:
    """Up to three lines with bands. ``bands`` (from, to, name) shade spans of x; ``floor`` is a horizontal line;
    ``marks`` signs.
    """
    xs = [value for one in series for value in one.x] + [mark.x for mark in marks] + [e for b in bands for e in b[:2]]
    low, high = x_range or ((min(xs), max(xs)) if xs else (0.0, 1.0))
    span = (high - low) or 1.0
    bottom, top = y_range
    rise = (top - bottom) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - low) / span * (width - LEFT - 8)

    def y(value: float) -> float:
        return height - BOTTOM - (min(max(value, bottom), top) - bottom) / rise * (height - BOTTOM - 12)

    drawn: list[Node] = []
    for index, (start, end, name) in enumerate(bands):
        inside = x(end) - x(start)
        if index % 2:
            drawn.append(
                h.rect(class_="odd", x=_r(x(start)), y="0", width=_r(max(inside, 1)), height=str(height - BOTTOM))
            )
        if inside > 60:
            drawn.append(_text(x(start) + 2, 10, name, soft=True))
    for tick in range(5):
        value = bottom + rise * tick / 4
        drawn.append(h.line(class_="axis", x1=str(LEFT), x2=str(width - 8), y1=_r(y(value)), y2=_r(y(value))))
        drawn.append(_text(LEFT - 3, y(value) + 4, _short(round(value, 3)), "end", soft=True))
    if diagonal:
        drawn.append(h.line(class_="axis", x1=_r(x(low)), y1=_r(y(bottom)), x2=_r(x(high)), y2=_r(y(top))))
    if floor is not None:
        drawn.append(h.line(class_="floor", x1=str(LEFT), x2=str(width - 8), y1=_r(y(floor)), y2=_r(y(floor))))
    for index, one in enumerate(series[:3]):
        colour = "abc"[index]
        if one.low is not None and one.high is not None:
            for run in _runs(one.x, one.low, one.high):
                points = [f"{_r(x(a))},{_r(y(t))}" for a, _, t in run]
                points += [f"{_r(x(a))},{_r(y(s))}" for a, s, _ in reversed(run)]
                drawn.append(h.polygon(class_="band" if index == 0 else "bandb", points=" ".join(points)))
        for piece in _pieces(one.x, one.y):
            if len(piece) == 1:
                drawn.append(h.circle(class_=f"d{colour}", cx=_r(x(piece[0][0])), cy=_r(y(piece[0][1])), r="3"))
            else:
                drawn.append(
                    h.polyline(class_=f"l{colour}", points=" ".join(f"{_r(x(a))},{_r(y(b))}" for a, b in piece))
                )
    for mark in marks:
        sign = h.path(class_="mark", d=f"M{_r(x(mark.x))} {height - BOTTOM - 9} l-5 9 l10 0 z")[h.title[mark.text]]
        drawn.append(h.a(href=mark.address, aria_label=mark.text)[sign] if mark.address else sign)
    drawn.append(_text(LEFT, height - 3, x_names[0], soft=True))
    drawn.append(_text(width - 8, height - 3, x_names[1], "end", soft=True))
    return h.div[
        h.svg(viewBox=f"0 0 {width} {height}", role="img", aria_label=label)[h.title[label], drawn],
        h.p(class_="soft")[[[_legend("abc"[index]), " ", one.name, "  "] for index, one in enumerate(series[:3])]],
    ]


def heatmap(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], label: str) -> Node:
    """One cell for a value of 0 to 1 and more: the fuller, the larger. Nothing where there is no value."""
    size, name = 14, 130
    width = name + size * max(len(columns), 1) + 4
    height = size * len(rows) + 16
    return h.svg(viewBox=f"0 0 {max(width, 900)} {height}", role="img", aria_label=label)[
        h.title[label],
        [
            [
                _text(name - 4, size * i + 11, row if len(row) <= 20 else f"{row[:19]}…", "end"),
                # The style sheet says how large and of which colour a cell is.
                h.g(class_="cells", transform=f"translate({name} {size * i})")[
                    [
                        h.rect(x=str(size * j), opacity=f"{min(max(value, 0.0) / 0.3, 1.0) * 0.95 + 0.05:.2f}")[
                            h.title[f"{columns[j]}: {number(value)}"]
                        ]
                        for j, value in enumerate(line)
                        if value is not None
                    ]
                ],
            ]
            for i, (row, line) in enumerate(zip(rows, values, strict=True))
        ],
        columns and _text(name, height - 3, columns[0], soft=True),
        len(columns) > 6 and _text(width, height - 3, columns[-1], "end", soft=True),
    ]


def key() -> Node:
    """What the two colours of a comparison mean."""
    return h.p(class_="soft")[_square("ref"), " reference (training rows)  ", _square("winbar"), " this window"]


def _square(name: str) -> Node:
    return h.svg(viewBox="0 0 12 12", width="12", height="12", aria_hidden="true", class_="sign")[
        h.rect(class_=name, width="12", height="12")
    ]


def _legend(colour: str) -> Node:
    return h.svg(viewBox="0 0 24 8", width="24", height="8", aria_hidden="true", class_="sign")[
        h.line(class_=f"l{colour}", x1="0", x2="24", y1="4", y2="4")
    ]


def _svg(label: str, *content: Node) -> Node:
    return h.svg(viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)[h.title[label], content]


def _text(x: float, y: float, text: str, anchor: str = "start", *, soft: bool = False) -> Node:
    return h.text(x=_r(x), y=_r(y), text_anchor=anchor, class_="soft" if soft else None)[text]


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


def _short(value: float) -> str:
    return f"{value:,.4g}"


def _r(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
