"""The page of one decision: candidate beside champion, each clause with a tick or a cross, and how to check the
record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.pages import charts
from stillgood.pages.layout import Node, cards, estimate, folded, moment, number, page, share, state, table
from stillgood.pages.point import of_decision

OVERVIEW = "../index.html"
FIGURES = (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"), ("F1", "f1"), ("Brier", "brier"))
MAX_SLICES = 16
WORDS = {
    "promote": ("was promoted", "well"),
    "refuse": ("was refused; the champion stays", "look"),
    "rollback": ("was put back in force", "look"),
    "move": ("got another operating point", "look"),
    "release": ("may be replaced again", "look"),
    "ask": ("waits for a person; the champion stays", "look"),
    "mode": ("another mode holds", "look"),
    "settings": ("other settings of the contract hold", "look"),
}


def decision_page(record: Mapping[str, Any], curves: Mapping[str, Any] | None = None) -> bytes:
    """``record`` as ``registry/decisions/<n>.json`` holds it; ``curves``: each model's ``thresholds`` and
    ``calibration`` on the rows of the decision, by role ("candidate", "champion"), and both by slice ("slices")."""
    figures = record.get("figures") or {}
    verb, level = WORDS.get(record["action"], (record["action"], "look"))
    return page(
        f"Decision {record['n']}",
        h.p(class_="soft")[moment(record["at"]), ", for request ", h.code[record["request_id"]]],
        state(
            [
                h.a(href=f"../models/{record['candidate']}.html")[h.code[record["candidate"]]]
                if record["candidate"]
                else "the champion",
                " ",
                verb,
                ".",
            ],
            level,
        ),
        _clauses(figures) or [h.h2["Why"], h.ul[[h.li[reason] for reason in record["reasons"]]]],
        of_decision(record),
        _changes(figures),
        _comparison(figures),
        _curves(curves or {}),
        _slices((curves or {}).get("slices") or ()),
        _money(figures),
        h.h2["The record"],
        cards(
            [
                *([("gate", str(figures["gate"]))] if figures.get("gate") else []),
                ("generation after", str((record.get("pointer_after") or {}).get("generation", "unchanged"))),
            ]
        ),
        h.p["Hash of the record before: ", h.code[str(record.get("prev_sha256") or "none, this is the first")]],
        h.p["Make this decision again from its inputs: ", h.code[f"stillgood audit --replay {record['n']}"]],
        _inputs(record.get("inputs") or {}),
        crumbs=[("Overview", OVERVIEW)],
    )


def _clauses(figures: Mapping[str, Any]) -> Node:
    checks: Sequence[Mapping[str, Any]] = figures.get("checks") or ()
    if not checks:
        return None
    return [
        h.h2["Clauses of the gate"],
        h.ul[
            [
                h.li[
                    h.strong(class_="ok" if c["passed"] else "no")["✓ passed: " if c["passed"] else "✗ failed: "],
                    c.get("message", c.get("says", "")),
                ]
                for c in checks
            ]
        ],
    ]


def _changes(figures: Mapping[str, Any]) -> Node:
    wanted = figures.get("would_change") or ()
    return wanted and [h.h3["What would have changed it"], h.ul[[h.li[text] for text in wanted]]]


def _comparison(figures: Mapping[str, Any]) -> Node:
    candidate, champion = figures.get("candidate") or {}, figures.get("champion") or {}
    if not isinstance(candidate, Mapping) or not candidate:
        return None
    other = champion if isinstance(champion, Mapping) else {}
    return [
        h.h2["On the same rows (95% intervals)"],
        table(
            ["figure", "candidate", "champion"],
            [
                *([name, estimate(candidate.get(key)), estimate(other.get(key))] for name, key in FIGURES),
                ["flagged", number(candidate.get("flagged"), 0), number(other.get("flagged"), 0)],
                ["positives", number(candidate.get("positives"), 0), number(other.get("positives"), 0)],
                ["rows", number(candidate.get("rows"), 0), number(other.get("rows"), 0)],
            ],
        ),
        h.h3["Confusion at the operating point"],
        table(
            ["model", "flagged, positive", "flagged, negative", "left, positive", "left, negative"],
            [
                [name, *_confusion(metrics)]
                for name, metrics in (("candidate", candidate), ("champion", other))
                if metrics
            ],
        ),
    ]


def _confusion(metrics: Mapping[str, Any]) -> list[str]:
    try:
        hits = round(metrics["precision"]["value"] * metrics["flagged"])
        flagged, positives, rows = metrics["flagged"], metrics["positives"], metrics["rows"]
    except (KeyError, TypeError):
        return ["not known"] * 4
    return [f"{n:,}" for n in (hits, flagged - hits, positives - hits, rows - flagged - positives + hits)]


def _curves(curves: Mapping[str, Any]) -> Node:
    roles = [role for role in ("candidate", "champion") if (curves.get(role) or {}).get("thresholds")]
    if not roles:
        return None

    def series(x: str, y: str) -> list[charts.Series]:
        return [
            charts.Series(role, [r[x] for r in curves[role]["thresholds"]], [r[y] for r in curves[role]["thresholds"]])
            for role in roles
        ]

    calibration = [
        charts.Series(
            role,
            [r["mean_probability"] for r in curves[role]["calibration"]],
            [r["positive_share"] for r in curves[role]["calibration"]],
        )
        for role in roles
    ]
    rows = [
        [
            role,
            number(r["threshold"]),
            share(r["flagged"]),
            share(r["recall"]),
            share(r["precision"]),
            share(r["false_positive_rate"]),
        ]
        for role in roles
        for r in curves[role]["thresholds"]
    ]
    return [
        h.h2["Curves on the same rows"],
        h.div(class_="grid")[
            h.figure[
                h.figcaption["ROC: recall by false positive rate"],
                charts.lines(series("false_positive_rate", "recall"), "ROC curves", x_range=(0.0, 1.0), diagonal=True),
            ],
            h.figure[
                h.figcaption["Precision by recall"],
                charts.lines(series("recall", "precision"), "Precision-recall curves", x_range=(0.0, 1.0)),
            ],
            h.figure[
                h.figcaption["Calibration: positives by probability"],
                charts.lines(calibration, "Calibration of both models", x_range=(0.0, 1.0), diagonal=True),
            ],
        ],
        folded("Table", table(["model", "from", "flagged", "recall", "precision", "false positive rate"], rows)),
    ]


def _slices(slices: Sequence[Mapping[str, Any]]) -> Node:
    """Recall of both models within each slice, those with the most positives drawn; every slice is in the table."""
    if not slices:
        return None
    roles = [role for role in ("candidate", "champion") if any(role in row for row in slices)]
    known = [row for row in slices if row["positives"]]
    drawn = sorted(known, key=lambda row: -row["positives"])[:MAX_SLICES]
    recalls = [[_bounds((row.get(role) or {}).get("recall")) for row in drawn] for role in roles]
    rows = [
        [
            row["slice"],
            f"{row['rows']:,}",
            f"{row['positives']:,}",
            *(
                text
                for role in roles
                for side in (row.get(role) or {},)
                for text in (
                    estimate(side.get("recall"), 2),
                    estimate(side.get("precision"), 2),
                    number(side.get("flagged"), 0),
                )
            ),
        ]
        for row in slices
    ]
    return [
        h.h2["By slice"],
        h.p(class_="soft")[
            "Each model at its own threshold, with 95% intervals in which every row counts as one. The gate's clause "
            "on slices compares them at one objective, by customer."
        ],
        drawn
        and h.figure(class_="half")[
            h.figcaption[
                "Recall within each slice",
                f", the {MAX_SLICES} with the most positives of {len(known)}" if len(known) > MAX_SLICES else None,
            ],
            charts.side_by_side([row["slice"] for row in drawn], roles, recalls, "Recall of both models by slice"),
        ],
        folded(
            "Table",
            table(
                ["slice", "rows", "positives"]
                + [f"{what}, {role}" for role in roles for what in ("recall", "precision", "flagged")],
                rows,
            ),
        ),
    ]


def _bounds(value: Mapping[str, float] | None) -> tuple[float, float, float] | None:
    return None if value is None else (value["low"], value["value"], value["high"])


def _money(figures: Mapping[str, Any]) -> Node:
    value = figures.get("value")
    if not isinstance(value, Mapping) or not value:
        return None
    return [
        h.h2["Worth per 1,000 rows, in the contract's currency"],
        table(["model", "value"], [[name, number(amount, 2)] for name, amount in value.items()]),
    ]


def _inputs(inputs: Mapping[str, Any]) -> Node:
    rows: list[list[Node]] = [
        [role, h.code[str(part.get("key", ""))], h.code[str(part.get("sha256", ""))[:16]]]
        for role, part in inputs.items()
        if isinstance(part, Mapping)
    ]
    return folded("What it was decided from", table(["input", "object", "sha256"], rows)) if rows else None
