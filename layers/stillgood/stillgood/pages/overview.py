"""The life of the model over all windows on one page, the worst state first, and links to every other page."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import htpy as h

from stillgood.domain.policy.summary import Line, made, summarise
from stillgood.domain.policy.wording import done, finding, level
from stillgood.pages import charts
from stillgood.pages.layout import Node, cards, estimate, folded, moment, number, page, share, state, table
from stillgood.pages.point import over_time, point_row

FORMAT = "stillgood.overview"
MAX_WINDOWS = 400
MAX_FEATURES = 25
LISTED = 40  # newest windows and decisions in the tables; pages of older ones stay where they are
COLUMNS = 40
TICKS = 6  # dates below a plot
HOVER = 120  # letters of a reason on hover; the table and the page have it whole
FIGURES = (("ROC-AUC", "roc_auc"), ("Recall", "recall"), ("Precision", "precision"))


def window_row(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the overview keeps of a window's report: figures only, no row and no level."""
    scores, labels = report.get("scores") or {}, report.get("labels") or {}
    realised = report.get("realised_performance") or {}
    metrics = realised.get("metrics") or realised
    estimated = report.get("estimated_performance") or {}
    checks = (report.get("drift") or {}).get("checks") or ()
    main = [check for check in checks if check["test"] in ("ks", "chi_square")]
    positives, rows = metrics.get("positives"), metrics.get("rows")
    return {
        "id": report["window"]["id"],
        "start": report["window"]["start"],
        "end": report["window"]["end"],
        "version": report["champion"]["version"],
        "action": report["decision"]["action"],
        "reasons": list(report["decision"]["reasons"])[:3],
        "made_at": report.get("made_at"),
        "found": finding(report),
        "done": done(report),
        "level": level(report),
        "stands": [
            {name: item.get(name, "") for name in ("name", "message", "since", "waits_for")}
            for item in report.get("standing") or ()
            if isinstance(item, Mapping)
        ],
        "labels": _label_counts(labels),
        "requests": report.get("requests") or (None if report.get("rows") else 0),
        "standing": [
            item["message"] if isinstance(item, Mapping) else str(item) for item in report.get("standing") or ()
        ],
        "rows": report.get("rows"),
        "refused": report["contract"].get("refused"),
        "coverage": labels.get("coverage"),
        "flagged_share": scores.get("flagged_share"),
        "mean_probability": scores.get("mean_probability"),
        "positive_share": positives / rows if positives is not None and rows else None,
        "estimated": {key: estimated.get(key) for _, key in FIGURES},
        "realised": {key: metrics.get(key) for _, key in FIGURES},
        "drift": {check["subject"]: check["effect"] for check in main},
        "drifted": sorted({check["subject"] for check in main if check["drifted"]}),
        "point": point_row(report),
    }


def _label_counts(labels: Mapping[str, Any]) -> dict[str, Any]:
    """How many matured predictions there are, how many have a label, and from when the oldest without one is."""
    lacking = (span for span in labels.get("spans") or () if span["labelled"] < span["predictions"])
    since = next((span["start"] for span in lacking), None)
    return {"predictions": labels.get("predictions"), "labelled": labels.get("labelled"), "since": since}


def decision_row(record: Mapping[str, Any], dates: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the overview keeps of a decision. ``dates``: when the version that serves after it was trained, and on rows
    until when.
    """
    after = record.get("pointer_after") or {}
    return {
        "n": record["n"],
        "at": record["at"],
        "action": record["action"],
        "candidate": record["candidate"],
        "version": after.get("version"),
        "reason": record["reasons"][0] if record["reasons"] else "",
        **(dates or {}),
    }


def empty() -> dict[str, Any]:
    """The overview before the first window."""
    return {"format": FORMAT, "format_version": 1, "windows": [], "decisions": [], "floors": {}}


def with_window(history: Mapping[str, Any], report: Mapping[str, Any], floors: Mapping[str, float]) -> dict[str, Any]:
    """``history`` with this window once, in order of time, the newest MAX_WINDOWS kept."""
    row = window_row(report)
    others = [other for other in history["windows"] if other["id"] != row["id"]]
    windows = sorted([*others, row], key=lambda window: str(window["end"]))[-MAX_WINDOWS:]
    return {**history, "windows": windows, "floors": dict(floors)}


def with_decision(
    history: Mapping[str, Any], record: Mapping[str, Any], dates: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """``history`` with this decision once, in order, the newest MAX_WINDOWS kept."""
    row = decision_row(record, dates)
    others = [other for other in history["decisions"] if other["n"] != row["n"]]
    decisions = sorted([*others, row], key=lambda decision: int(decision["n"]))[-MAX_WINDOWS:]
    newest = record.get("orders") is not None and decisions[-1]["n"] == row["n"]
    orders = {"orders": record["orders"]} if newest else {}
    return {**history, **orders, "decisions": decisions}


def overview_page(history: Mapping[str, Any]) -> bytes:
    """``history`` as ``pages/overview.json`` holds it."""
    windows: Sequence[Mapping[str, Any]] = history["windows"]
    decisions: Sequence[Mapping[str, Any]] = history["decisions"]
    last = windows[-1] if windows else None
    tenures = _tenures(decisions)
    serves = _serves(tenures, last)
    lines = summarise(history, serving=serves, now=_written(windows, decisions))
    axis = _axis(windows, decisions) if windows else None
    return page(
        "Is the model still good?",
        h.p(class_="soft")[
            "Serving: ",
            h.a(href=f"models/{serves['version']}.html")[h.code[serves["version"]]] if serves else "no model yet",
            [" since ", moment(serves["since"])] if serves and serves["since"] else None,
            [
                [words, h.a(href=f"decisions/{serves[name]:08d}.html")[f"decision {serves[name]}"]]
                for name, words in (("decision", ", by "), ("moved", ", its operating point by "))
                if serves and serves.get(name)
            ],
            ["; ", made(serves)] if serves and made(serves) else None,
        ],
        _summary(lines),
        _latest(last),
        history.get("action")
        and h.p[h.a(href="action.html")["What the action is worth"], ", as of ", moment(history["action"])],
        h.h2["Figures over time"],
        _times(windows, *axis, history.get("floors") or {}) if axis else h.p["Nothing yet."],
        over_time(windows, *axis) if axis else None,
        h.h2["What moved: drift effect per feature and window"],
        _drift(windows),
        h.h2["What served when"],
        _served(tenures, windows),
        h.h2["Decisions"],
        _decisions(decisions),
        h.h2["Windows"],
        _windows(windows),
    )


def _serves(tenures: Sequence[Sequence[Mapping[str, Any]]], last: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What serves, and the decision that put it in force; where none is known, the version of the last window."""
    if not tenures and last is None:
        return None
    first = tenures[-1][0] if tenures or last is None else {"version": last["version"]}
    dates = {name: first[name] for name in ("trained", "learnt_until") if first.get(name)}
    moves = [row for row in (tenures[-1][1:] if tenures else ()) if row["action"] == "move"]
    moved = moves[-1]["n"] if moves else None
    return {"version": first["version"], "since": first.get("at"), "decision": first.get("n"), "moved": moved, **dates}


def _written(windows: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]]) -> datetime:
    """The newest moment that the page knows of: its text depends on documents, not on when it is written."""
    known = [window.get("made_at") or window["end"] for window in windows[-1:]] + [
        decision["at"] for decision in decisions[-1:]
    ]
    return max(map(datetime.fromisoformat, map(str, known)), default=datetime.min.replace(tzinfo=UTC))


def _summary(lines: Sequence[Line]) -> Node:
    """The lines of `stillgood status` in its order; what serves is told above."""
    words = ("well", "look", "act")
    findings = [line for line in lines if line.topic == "finding" or (line.topic == "serving" and line.level)]
    shown = [state(line.text, words[line.level]) for line in findings] or [state("Nothing is wrong.", "well")]
    rest = [line for line in lines if line.topic not in ("finding", "serving")]
    return [*shown, [h.p[h.strong[f"{line.topic}: "], line.text] for line in rest]]


def _latest(last: Mapping[str, Any] | None) -> Node:
    if last is None:
        return None
    realised = last["realised"]
    return cards(
        [
            ("rows judged", number(last["rows"], 0)),
            ("rows refused", number(last["refused"], 0)),
            ("ROC-AUC realised", number(_value(realised.get("roc_auc")))),
            ("recall realised", number(_value(realised.get("recall")))),
            ("flagged", share(last["flagged_share"])),
            ("labels known", share(last["coverage"])),
        ]
    )


def _times(
    windows: Sequence[Mapping[str, Any]], x: Sequence[float], axis: charts.TimeAxis, floors: Mapping[str, float]
) -> Node:
    plots = []
    for name, key in FIGURES:
        realised = [window["realised"].get(key) for window in windows]
        series = [
            charts.Series(
                "realised",
                x,
                [_value(value) for value in realised],
                [value.get("low") if isinstance(value, Mapping) else None for value in realised],
                [value.get("high") if isinstance(value, Mapping) else None for value in realised],
            ),
            charts.Series("estimated without labels", x, [_value(window["estimated"].get(key)) for window in windows]),
        ]
        plots.append((name, series, floors.get(key)))
    plots.append(
        (
            "Flagged, mean probability, positives",
            [
                charts.Series("flagged", x, [window["flagged_share"] for window in windows]),
                charts.Series("mean probability", x, [window["mean_probability"] for window in windows]),
                charts.Series("positives", x, [window["positive_share"] for window in windows]),
            ],
            None,
        )
    )
    return [
        h.figure(class_="wide")[
            h.figcaption["What served, and each decision: hover for the reason, follow for the page"],
            charts.decisions(axis, f"Versions and {len(axis.marks)} decisions over {len(windows)} windows"),
        ],
        [
            h.figure(class_="wide")[
                h.figcaption[name],
                charts.lines(
                    series,
                    f"{name} over {len(windows)} windows",
                    time=axis,
                    width=900,
                    floor=floor,
                    y_range=(0.5, 1.0) if name == "ROC-AUC" else (0.0, 1.0),
                ),
            ]
            for name, series, floor in plots
        ],
        folded("Table: each window's figures", _figures(windows)),
    ]


def _figures(windows: Sequence[Mapping[str, Any]]) -> Node:
    return table(
        [
            "window to",
            *(f"{name}, {kind}" for name, _ in FIGURES for kind in ("realised", "estimated")),
            "flagged",
            "mean probability",
            "positives",
        ],
        [
            [
                moment(w["end"]),
                *(
                    text
                    for _, key in FIGURES
                    for text in (estimate(w["realised"].get(key)), number(_value(w["estimated"].get(key))))
                ),
                share(w["flagged_share"]),
                share(w["mean_probability"]),
                share(w["positive_share"]),
            ]
            for w in windows[: -LISTED - 1 : -1]
        ],
    )


def _axis(
    windows: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]]
) -> tuple[list[float], charts.TimeAxis]:
    """Where windows end; and what all plots share: some of their dates, the versions, and decisions since the first,
    those after the last window at its end.
    """
    x = [_seconds(window["end"]) for window in windows]
    step = max(math.ceil((len(x) - 1) / TICKS), 1)
    shown = sorted({len(x) - 1 - i for i in range(0, len(x), step)} - {*range(1, step)} | {0})
    marks = [
        charts.Mark(
            min(_seconds(d["at"]), x[-1]),
            f"{d['n']}: {d['action']} {d['candidate'] or ''}: {_cut(d['reason'])}",
            f"decisions/{d['n']:08d}.html",
            d["action"],
        )
        for d in decisions
        if x[0] <= _seconds(d["at"])
    ]
    names = [window["end"][:19].replace("T", " ") for window in windows]
    day = names[0][:10] == names[-1][:10]  # then times tell them apart
    ticks = [(x[i], f"{names[i][11:]} UTC" if day else names[i][:10]) for i in shown]
    return x, charts.TimeAxis(ticks, marks, _bands(windows, x))


def _cut(text: str) -> str:
    return text if len(text) <= HOVER else f"{text[: HOVER - 1]}…"


def _bands(windows: Sequence[Mapping[str, Any]], x: Sequence[float]) -> list[tuple[float, float, str]]:
    bands: list[tuple[float, float, str]] = []
    for window, at in zip(windows, x, strict=True):
        if bands and bands[-1][2] == window["version"]:
            bands[-1] = (bands[-1][0], at, bands[-1][2])
        else:
            bands.append((bands[-1][1] if bands else at, at, window["version"]))
    return bands


def _tenures(decisions: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Decisions that left a version in force, those of one version in a row together, the oldest first."""
    runs: list[list[Mapping[str, Any]]] = []
    for decision in decisions:
        if decision["version"] and runs and runs[-1][0]["version"] == decision["version"]:
            runs[-1].append(decision)
        elif decision["version"]:
            runs.append([decision])
    return runs


def _served(tenures: Sequence[Sequence[Mapping[str, Any]]], windows: Sequence[Mapping[str, Any]]) -> Node:
    """Each version's time in force, why it began, and the last figures that its windows realised."""
    rows: list[list[Node]] = []
    for i, (first, *_) in enumerate(tenures):
        until = tenures[i + 1][0]["at"] if i + 1 < len(tenures) else None
        own = [
            w
            for w in windows
            if w["version"] == first["version"] and first["at"] < w["end"] and (until is None or w["end"] <= until)
        ]
        last = next((w for w in reversed(own) if w["realised"].get("roc_auc") is not None), None)
        rows.append(
            [
                h.a(href=f"models/{first['version']}.html")[str(first["version"])],
                [moment(first["at"]), " to ", moment(until) if until else "now"],
                f"{len(own):,}",
                estimate(last["realised"]["roc_auc"]) if last else "not known",
                estimate(last["realised"].get("recall")) if last else "not known",
                h.a(href=f"decisions/{first['n']:08d}.html")[f"{first['n']}, {first['action']}"],
            ]
        )
    if not rows:
        return h.p["No version was put in force yet."]
    head = ["version", "in force", "windows", "ROC-AUC realised last", "recall realised last", "by decision"]
    return table(head, rows[: -LISTED - 1 : -1])


def _drift(windows: Sequence[Mapping[str, Any]]) -> Node:
    peak: dict[str, float] = {}
    for window in windows:
        for name, effect in window["drift"].items():
            peak[name] = max(peak.get(name, 0.0), effect)
    names = sorted(peak, key=lambda name: (-peak[name], name))[:MAX_FEATURES]
    if not names:
        return h.p["No window was compared yet."]
    shown = windows[-COLUMNS:]
    return h.figure(class_="wide")[
        h.figcaption[f"The fuller a cell, the larger the effect (KS or chi-square), full from {charts.FULL:g}"],
        charts.heatmap(
            names,
            [window["end"][:10] for window in shown],
            [[window["drift"].get(name) for window in shown] for name in names],
            "Drift effect by feature and window",
        ),
        folded(
            "Table",
            table(
                ["feature", *(window["end"][:10] for window in shown)],
                [[name, *(number(window["drift"].get(name)) for window in shown)] for name in names],
            ),
        ),
    ]


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> Node:
    return table(
        ["decision", "when", "what", "version", "why"],
        [
            [
                h.a(href=f"decisions/{d['n']:08d}.html")[str(d["n"])],
                moment(d["at"]),
                d["action"],
                h.a(href=f"models/{d['candidate']}.html")[str(d["candidate"])] if d["candidate"] else "",
                d["reason"],
            ]
            for d in decisions[: -LISTED - 1 : -1]
        ],
    )


def _windows(windows: Sequence[Mapping[str, Any]]) -> Node:
    return table(
        ["window to", "found", "done", "rows", "refused", "labels", "ROC-AUC", "recall", "flagged", "drifted"],
        [
            [
                h.a(href=f"windows/{w['id']}.html")[moment(w["end"])],
                str(w.get("found", w["action"])),
                str(w.get("done", "")),
                number(w["rows"], 0),
                number(w["refused"], 0),
                share(w["coverage"]),
                estimate(w["realised"].get("roc_auc")),
                estimate(w["realised"].get("recall")),
                share(w["flagged_share"]),
                ", ".join(w["drifted"][:5]) + (" …" if len(w["drifted"]) > 5 else ""),
            ]
            for w in windows[: -LISTED - 1 : -1]
        ],
    )


def _value(value: Any) -> float | None:
    figure = value.get("value") if isinstance(value, Mapping) else value
    return float(figure) if isinstance(figure, int | float) and not isinstance(figure, bool) else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
