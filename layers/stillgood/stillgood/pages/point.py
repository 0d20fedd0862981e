"""The operating point on pages: what was promised, estimated and realised side by side, each move with its reason, and
what moved the score. Written from reports and decisions alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.pages import charts
from stillgood.pages.layout import Node, estimate, folded, moment, number, p_value, share, state, table

LISTED = 40
NAMED = 3  # features that moved the score most, in the overview
_WORDS = {"move": "moved", "keep": "kept", "freeze": "frozen"}


def point_row(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the overview keeps of a report's operating point; None where it has none."""
    point = report.get("operating_point")
    if not point:
        return None
    moved = report.get("contributions") or {}
    return {
        **{name: point.get(name) for name in ("objective", "wanted", "estimated", "realised", "action", "alert")},
        "flagged": point.get("flagged"),
        "reasons": list(point.get("reasons") or ())[:3],
        "moved_by": [[part["name"], part["change"]["value"]] for part in (moved.get("parts") or ())[:NAMED]],
        "moved": (moved.get("total") or {}).get("change"),
    }


def over_time(
    windows: Sequence[Mapping[str, Any]],
    x: Sequence[float],
    time: charts.TimeAxis,
) -> Node:
    """Objective, estimate and truth over the windows whose reports say them; None for a history without any.

    A window's truth is that of the newest labels known when it was judged.
    """
    points = [window.get("point") for window in windows]
    newest = next((point for point in reversed(points) if point), None)
    if newest is None:
        return None
    own = [point if point and point["objective"] == newest["objective"] else {} for point in points]
    series = [
        charts.Series("realised", x, *_band([point.get("realised") for point in own])),
        charts.Series("estimated without labels", x, *_band([point.get("estimated") for point in own])),
        charts.Series("wanted", x, [point.get("wanted") for point in own]),
    ]
    rows = [
        [
            h.a(href=f"windows/{window['id']}.html")[moment(window["end"])],
            number(point["wanted"], 2),
            estimate(point["estimated"], 2),
            _realised(point["realised"]),
            share(point["flagged"]),
            _WORDS.get(point["action"], point["action"]),
            "; ".join(point["reasons"]),
            ", ".join(f"{name} {value:+.2f}" for name, value in point["moved_by"]),
        ]
        for window, point in list(zip(windows, points, strict=True))[: -LISTED - 1 : -1]
        if point
    ]
    return [
        h.h2["Is the promise kept: the operating point"],
        h.figure(class_="wide")[
            h.figcaption[f"{str(newest['objective']).capitalize()}: wanted, estimated, realised"],
            charts.lines(
                series,
                f"{newest['objective']} wanted, estimated and realised over {len(windows)} windows",
                time=time,
                width=900,
            ),
        ],
        folded(
            "Table: each window, and each move with its reason",
            table(["window to", "wanted", "estimated", "realised", "flagged", "point", "why", "moved the score"], rows),
        ),
    ]


def of_window(report: Mapping[str, Any]) -> Node:
    """The section of a window's page."""
    point = report.get("operating_point")
    if not point:
        return None
    verb = _WORDS.get(point["action"], point["action"])
    return [
        h.h2["The operating point"],
        state(
            [h.strong[verb], f": {point['sentence']}"],
            "act" if point.get("alert") else "well" if point["action"] == "keep" else "look",
        ),
        h.ul[[h.li[reason] for reason in point["reasons"]]],
        h.p(class_="soft")[
            f"From {number(point.get('population'), 0)} predictions and {number(point.get('labelled'), 0)} matured"
            f" labels; flagged {share(point.get('flagged'))}; correction by labels so far"
            f" {number(point.get('correction'))}."
        ],
    ]


def what_moved(report: Mapping[str, Any]) -> Node:
    """How far each feature and each pair moved the mean score, largest first, beside how far its values moved."""
    moved = report.get("contributions")
    if not moved:
        return None
    checks = (report.get("drift") or {}).get("checks") or ()
    effects = {check["subject"]: check["effect"] for check in checks if check["test"] in ("ks", "chi_square")}
    rows: list[list[Node]] = [
        [part["name"], estimate(part["change"]), p_value(part["p"]), number(effects.get(part["name"]))]
        for part in moved["parts"]
    ]
    rows.append([h.strong["all together"], estimate(moved["total"]["change"]), p_value(moved["total"]["p"]), ""])
    return [
        h.h2["What moved the score"],
        h.p(class_="soft")[
            "Change of the mean score against the training rows, in logits, with 95% intervals that count a customer"
            " once. The parts add up to the whole. Drift that moves no score is news, not a reason to retrain."
        ],
        table(["feature", "moved the score by", "p", "KS or chi-square effect"], rows),
    ]


def of_decision(record: Mapping[str, Any]) -> Node:
    """The section of a move's page: the figures as estimated at the new operating point."""
    figures = record.get("figures") or {}
    estimates = figures.get("estimates")
    if record.get("action") != "move" or not estimates:
        return None
    names = {"share": "share flagged"}
    return [
        h.h2["Estimated at the new operating point (95% intervals)"],
        table(["figure", "estimated"], [[names.get(name, name), estimate(value)] for name, value in estimates.items()]),
        h.p(class_="soft")[f"Wanted {number(figures.get('wanted'))}; threshold {number(figures.get('threshold'))}."],
    ]


def _band(
    values: Sequence[Any],
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    known = [value if isinstance(value, Mapping) else {} for value in values]
    value, low, high = ([figure.get(name) for figure in known] for name in ("value", "low", "high"))
    return value, low, high


def _realised(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "no labels yet"
    return f"{estimate(value, 2)} to {str(value.get('until', ''))[:10]}"
