"""The front page of a rehearsal: policies side by side, with the way to each one's overview."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import htpy as h

from stillgood.pages import charts
from stillgood.pages.layout import Node, cards, folded, moment, number, page, share, state, table

METRICS = (
    ("ROC-AUC", "roc_auc"),
    ("recall", "recall"),
    ("precision", "precision"),
    ("Brier score", "brier"),
)
COUNTS = (
    ("promoted", "promotions"),
    ("retrained", "retrains"),
    ("rolled back", "rollbacks"),
    ("alerts", "alerts"),
    ("days under a floor", "days_under_floor"),
    ("rows refused", "refused"),
)
MAX_DECISIONS = 60  # of a policy, newest first; the policy's own pages have them all


def rehearsal_page(document: Mapping[str, Any], said: Sequence[str]) -> bytes:
    """``document`` of a rehearsal (contracts/rehearsal.schema.json); ``said``: in sentences, what its differences show.

    Each policy's pages are in a folder of its name beside this page.
    """
    history, policies = document["history"], document["policies"]
    return page(
        f"Rehearsal: {history['contract']['name']}" if history["contract"]["name"] != "rehearsal" else "Rehearsal",
        h.p(class_="soft")[
            f"{history['rows']:,} rows; {history['windows']} windows from ",
            moment(history["start"]),
            " to ",
            moment(history["end"]),
            f". The first model learnt from the {history['first_rows']:,} rows before.",
        ],
        [state(note, "look") for note in (*history["notes"], *_first(policies))],
        h.h2["Policies side by side"],
        _policies(policies),
        len(policies) > 1
        and [h.h3["What the windows say (paired over windows, 95%)"], h.ul[[h.li[line.strip()] for line in said]]],
        _lines(policies),
        h.h2["Were the alarms worth it?"],
        _alarms(document["alarms"]),
        _tuning(document.get("tuning")),
        h.h2["What each policy decided"],
        [_decisions(name, played) for name, played in policies.items()],
    )


def _first(policies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Whether the gate would have refused the model that all policies begin with."""
    events = next(iter(policies.values()))["first_model"]
    if all(event["result"] == "promoted" for event in events):
        return []
    return ["The gate would have refused the first model: " + " ".join(events[0]["reasons"])]


def _policies(policies: Mapping[str, Mapping[str, Any]]) -> Node:
    worth = any(played.get("value") is not None for played in policies.values())
    return table(
        [
            "policy",
            *(name for name, _ in METRICS),
            "flagged",
            *(["worth per 1,000 rows"] * worth),
            *(n for n, _ in COUNTS),
        ],
        [
            [
                h.a(href=f"{name}/index.html")[name],
                *(number(played[key]) for _, key in METRICS),
                share(played["flagged_share"]),
                *([number(played["value"], 0)] * worth),
                *(f"{played[key]:,.0f}" for _, key in COUNTS),
            ]
            for name, played in policies.items()
        ],
    )


def _lines(policies: Mapping[str, Mapping[str, Any]]) -> Node:
    """One small plot a policy and figure, all on one scale, and a table of them."""
    plots = [
        [_line(name, played["windows"], title, key, _range(policies, key)) for name, played in policies.items()]
        for title, key in METRICS[:3]
    ]
    if len(policies) == 1:
        drawn: list[Node] = [h.h2["Window by window"], h.div(class_="grid")[plots]]
    else:
        drawn = [
            [h.h2[f"{title[:1].upper()}{title[1:]} by window"], h.div(class_="grid")[row]]
            for (title, _), row in zip(METRICS, plots, strict=False)
        ]
    return [
        *drawn,
        h.p(class_="key")["Dotted lines: a new model was put in force."],
        folded(
            "Table",
            table(
                ["policy", "window from", "rows", "refused", "labelled", *(name for name, _ in METRICS), "flagged"],
                [
                    [
                        name,
                        row["start"][:10],
                        f"{row['rows']:,}",
                        f"{row['refused']:,}",
                        f"{row['labelled']:,}",
                        *(number(row[key]) for _, key in METRICS),
                        share(row["flagged_share"]),
                    ]
                    for name, played in policies.items()
                    for row in played["windows"]
                ],
            ),
        ),
    ]


def _range(policies: Mapping[str, Mapping[str, Any]], key: str) -> tuple[float, float]:
    known = [row[key] for played in policies.values() for row in played["windows"] if row[key] is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    return max(math.floor(low * 20 - 0.2) / 20, 0.0), min(math.ceil(high * 20 + 0.2) / 20, 1.0)  # in steps of 0.05


def _line(name: str, windows: Sequence[Mapping[str, Any]], title: str, key: str, scale: tuple[float, float]) -> Node:
    at = [_seconds(row["start"]) for row in windows]
    marks = [
        charts.Mark(_seconds(row["start"]), f"{row['start'][:10]}: a new model was put in force")
        for row in windows
        if row["promoted"]
    ]
    return h.figure[
        h.figcaption[h.a(href=f"{name}/index.html")[name], f": {title}, mean {number(_mean(windows, key))}"],
        charts.lines(
            [charts.Series(title, at, [row[key] for row in windows])],
            f"{title} of {name} by window",
            time=charts.TimeAxis([(at[i], windows[i]["start"][:10]) for i in (0, -1)], marks),
            y_range=scale,
        ),
    ]


def _mean(windows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    known = [row[key] for row in windows if row[key] is not None]
    return sum(known) / len(known) if known else None


def _alarms(alarms: Mapping[str, Any]) -> Node:
    signals = alarms["signals"]
    total = next(row for row in signals if row["signal"] == "any")
    return [
        cards(
            [
                ("windows with a demonstrable loss of ROC-AUC", f"{total['losses']}"),
                ("of all windows, followed by a loss", share(total["base_rate"])),
                ("watched policy", str(alarms["policy"])),
            ]
        ),
        table(
            ["signal", "alarms", "followed by a loss", "losses announced", "windows before", "verdict"],
            [
                [
                    row["signal"],
                    f"{row['alarms']}",
                    f"{row['paid']} of {row['alarms']}",
                    f"{row['announced']} of {row['losses']}",
                    number(row["windows_before"], 1),
                    "never paid" if row["never_paid"] else "",
                ]
                for row in signals
            ],
        ),
    ]


def _tuning(tuning: Mapping[str, Any] | None) -> Node:
    if tuning is None:
        return None
    return [
        h.h2["Settings, chosen on the first two thirds and looked at on the last"],
        h.p[tuning["why"]],
        table(
            ["setting", "ROC-AUC, first two thirds", "ROC-AUC, last third", "gain on the first", "95%"],
            [
                [
                    row["setting"],
                    number(row["choosing"], 4),
                    number(row["looking"], 4),
                    number(row["gain"], 4),
                    f"{number(row['low'], 4)} to {number(row['high'], 4)}",
                ]
                for row in tuning["grid"]
            ],
        ),
    ]


def _decisions(name: str, played: Mapping[str, Any]) -> Node:
    rows: list[list[Node]] = [
        [row["start"][:10], decision["step"], decision["result"], "; ".join(decision["reasons"][:3])]
        for row in reversed(played["windows"])
        for decision in row["decisions"]
    ]
    if not rows:
        return h.p[h.strong[name], " decided nothing."]
    more = f"; the newest {MAX_DECISIONS} are shown" if len(rows) > MAX_DECISIONS else ""
    return folded(
        f"{name}: {len(rows)} decisions{more}", table(["window from", "step", "result", "why"], rows[:MAX_DECISIONS])
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
