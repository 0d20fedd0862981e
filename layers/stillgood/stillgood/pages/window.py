"""The page of one window: what monitor saw, what it decided, and what would have changed its mind. Written from the
report alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.domain.policy.wording import (
    WELL,
    came_late,
    delivered_late,
    done,
    findings,
    labelled_late,
    level,
    minute,
)
from stillgood.pages import charts
from stillgood.pages.layout import Node, cards, estimate, folded, moment, number, p_value, page, share, state, table
from stillgood.pages.point import of_window, what_moved
from stillgood.storage.keys import report_key

OVERVIEW = "../index.html"


def window_page(report: Mapping[str, Any]) -> bytes:
    """``report`` as ``monitoring/reports/<window>.json`` holds it; parts that an older one lacks are left out."""
    decision, window = report["decision"], report["window"]
    drift = report.get("drift") or {}
    checks: Sequence[Mapping[str, Any]] = drift.get("checks", ())
    return page(
        f"Window to {minute(window['end'])}",
        h.p(class_="soft")[
            moment(window["start"]),
            " to ",
            moment(window["end"]),
            ", served by ",
            h.a(href=f"../models/{report['champion']['version']}.html")[h.code[report["champion"]["version"]]],
        ],
        _again(report),
        _standing(report),
        state([h.strong["found: "], _found(report), h.br, h.strong["done: "], done(report)], _level(report)),
        _why(report),
        _would_change(decision),
        cards(_figures(report)),
        h.h2["How good it is"],
        _performance(report),
        of_window(report),
        what_moved(report),
        h.h2["Scores"],
        charts.key(),
        _scores(report),
        h.h2["Features, most moved first"],
        h.div(class_="grid")[[_feature(name, part, checks) for name, part in _sorted(report, checks)]],
        h.h2["Every test"],
        folded(f"{len(checks)} tests, with p-values", _tests(checks)),
        h.h2["Rows that were refused"],
        _refused(report),
        h.p(class_="soft")[
            "From ",
            h.code[report_key(window["id"])],
            ", made ",
            moment(report["made_at"]),
            ".",
        ],
        crumbs=[("Overview", OVERVIEW)],
    )


def _again(report: Mapping[str, Any]) -> Node:
    """That this is a later version of the report, why, and what differs from the first."""
    note = report.get("again")
    if note is None:
        return None
    return state(
        [
            "Judged again ",
            moment(note["at"]),
            f" by {note['by']}: {note['because']}" if note.get("by") else f": {note['because']}",
            ". The first report stays, and so does what was decided on it.",
            h.ul[[h.li[text] for text in note["differences"] or ("Nothing differs from the first report.",)]],
        ],
        "plain",
    )


def _messages(report: Mapping[str, Any]) -> list[str]:
    standing = report.get("standing") or ()
    return [str(item["message"]) if isinstance(item, Mapping) else str(item) for item in standing]


def _standing(report: Mapping[str, Any]) -> Node:
    return [state(message, "act") for message in _messages(report)]


def _found(report: Mapping[str, Any]) -> str:
    """What was found, without the states that stand above it."""
    above, found = _messages(report), findings(report)
    return "; ".join(part for part in found if part not in above) or ("the state above" if found else "nothing")


def _why(report: Mapping[str, Any]) -> Node:
    """The reasons, without those that are a state that stands above them."""
    above = {text for message in _messages(report) for text in (message, f"still: {message}")}
    reasons = [reason for reason in report["decision"]["reasons"] if reason not in above]
    return reasons and [h.h2["Why"], h.ul[[h.li[reason] for reason in reasons]]]


def _level(report: Mapping[str, Any]) -> str:
    """How what was found looks: nothing is no good news beside a state that somebody has to act on."""
    own = level({**report, "standing": None})
    bad = report.get("standing") or (report.get("operating_point") or {}).get("alert")
    return "plain" if own == WELL and bad else ("well", "look", "act")[own]


def _figures(report: Mapping[str, Any]) -> list[tuple[str, Node]]:
    scores = report.get("scores") or {}
    labels = report.get("labels") or {}
    return [
        ("rows judged", number(report.get("rows"), 0)),
        ("rows refused", number(report["contract"].get("refused"), 0)),
        *([("captured late, of windows before", number(late, 0))] if (late := came_late(report)) else []),
        *([("rows by Firehose late, of windows before", number(rows, 0))] if (rows := delivered_late(report)) else []),
        ("flagged", share(scores.get("flagged_share"))),
        ("mean probability", share(scores.get("mean_probability"))),
        ("features that drifted", share((report.get("drift") or {}).get("share"))),
        ("labels known", share(labels.get("coverage"))),
        *([("labels that came late", number(late, 0))] if (late := labelled_late(report)) else []),
    ]


def _would_change(decision: Mapping[str, Any]) -> Node:
    if not decision.get("would_change"):
        return None
    return [h.h2["What would have changed it"], h.ul[[h.li[text] for text in decision["would_change"]]]]


def _performance(report: Mapping[str, Any]) -> Node:
    estimated, realised = report.get("estimated_performance") or {}, report.get("realised_performance") or {}
    metrics = realised.get("metrics") or realised
    rows = [
        [name, number(estimated.get(key)), estimate(metrics.get(key))]
        for name, key in (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"))
    ]
    return [
        table(["figure", "estimated, without labels", "realised, from labels"], rows),
        estimated.get("caveat") and h.p(class_="soft")[f"The estimate {estimated['caveat']}."],
    ]


def _scores(report: Mapping[str, Any]) -> Node:
    scores = report.get("scores")
    if not scores:
        return h.p["No scores were stored."]
    part = scores["score"]
    edges = [i / 20 for i in range(21)]
    counted = scores["probabilities"]
    return h.div(class_="grid")[
        h.figure[
            h.figcaption["Score of the champion"],
            charts.histogram(part["edges"], part["reference"], part["window"], "Scores, reference and window"),
            _table_of_bins(part),
        ],
        h.figure[
            h.figcaption["Calibrated probability of this window"],
            charts.histogram(edges, [0] * 20, counted, "Calibrated probabilities of the window"),
            folded(
                "Table",
                table(
                    ["from", "to", "rows"],
                    [
                        [number(a, 2), number(b, 2), number(n, 0)]
                        for a, b, n in zip(edges, edges[1:], counted, strict=False)
                    ],
                ),
            ),
        ],
    ]


def _sorted(report: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    effects = {check["subject"]: check["effect"] for check in checks if check["test"] in ("ks", "chi_square")}
    summaries = (report.get("distributions") or {}).items()
    return sorted(summaries, key=lambda item: (-effects.get(item[0], 0.0), item[0]))


def _feature(name: str, part: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> Node:
    own = [check for check in checks if check["subject"] == name]
    main = next((check for check in own if check["test"] in ("ks", "chi_square")), None)
    drifted = [check for check in own if check["drifted"]]
    verdict = "; ".join(check["reason"] for check in drifted) if drifted else "as in the reference"
    distances = ", ".join(
        f"{title} {number(part[key])}"
        for title, key in (("PSI", "psi"), ("Jensen-Shannon", "jensen_shannon"), ("Wasserstein", "wasserstein"))
        if key in part
    )
    label = f"{name}: {verdict}"
    # A test that found drift says its own effect and p.
    quiet = None if main in drifted else main
    plot = (
        charts.histogram(part["edges"], part["reference"], part["window"], label)
        if part["kind"] == "numeric"
        else charts.bars(part["levels"], part["reference"], part["window"], label)
    )
    return h.figure[
        h.h3[name],
        plot,
        h.p(class_="moved" if drifted else "ok")[("▲ " if drifted else "✓ ") + verdict],
        h.figcaption[
            quiet and f"effect {number(quiet['effect'])}, adjusted p {p_value(quiet['p_adjusted'])}; ",
            distances,
            f"; missing {part['reference_missing']:,} → {part['window_missing']:,}",
            f"; unseen {part['unseen']:,}" if part.get("unseen") else None,
            f"; below the reference {part['below']:,}" if part.get("below") else None,
            f"; above it {part['above']:,}" if part.get("above") else None,
        ],
        _table_of_bins(part),
    ]


def _table_of_bins(part: Mapping[str, Any]) -> Node:
    if part["kind"] == "numeric":
        names = [f"{a:,.6g} to {b:,.6g}" for a, b in zip(part["edges"], part["edges"][1:], strict=False)]
    else:
        names = list(part["levels"])
    rows = [[n, f"{a:,}", f"{b:,}"] for n, a, b in zip(names, part["reference"], part["window"], strict=True)]
    return folded("Table", table(["values", "reference rows", "window rows"], rows))


def _tests(checks: Sequence[Mapping[str, Any]]) -> Node:
    ordered = sorted(checks, key=lambda check: (not check["drifted"], -check["effect"]))
    return table(
        ["subject", "test", "effect", "p", "adjusted p", "verdict"],
        [
            [c["subject"], c["test"], number(c["effect"]), p_value(c["p"]), p_value(c["p_adjusted"]), c["reason"]]
            for c in ordered
        ],
    )


def _refused(report: Mapping[str, Any]) -> Node:
    contract = report["contract"]
    if not contract.get("violations"):
        return h.p["No row broke the contract."]
    return table(
        ["field", "rule", "rows", "share"],
        [[v["field"], v["rule"], f"{v['rows']:,}", share(v["share"])] for v in contract["violations"]],
    )
