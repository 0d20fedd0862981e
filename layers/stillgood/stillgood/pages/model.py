"""A model's card as a page: what it learnt from, how good it is, what weighs, and what each threshold would come to."""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.domain.drift.examples import Example
from stillgood.pages import charts
from stillgood.pages.layout import Node, cards, estimate, folded, json_data, moment, number, page, share, table
from stillgood.pages.weights import of_examples, weights

OVERVIEW = "../index.html"
FIGURES = (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"), ("F1", "f1"), ("Brier", "brier"))


def model_page(model: Mapping[str, Any], metrics: Mapping[str, Any], shown: Sequence[Example] = ()) -> bytes:
    """``model`` and ``metrics`` as ``models/<version>/`` holds them; ``shown``: rows whose reasons are told."""
    contract = model["contract"]
    target = contract["target"]
    rows = metrics.get("rows") or {}
    return page(
        f"Model {model['version']}",
        h.p[
            f"Predicts {target['name']} = {target['positive']} from {len(contract['features'])} features of "
            f"{contract['name']}, {_family(model)}."
        ],
        cards(
            [
                ("rows learnt from", number(rows.get("train"), 0)),
                ("ROC-AUC out of fold", number((metrics.get("out_of_fold") or {}).get("roc_auc", {}).get("value"))),
                ("flagged from probability", number(metrics.get("threshold"))),
            ]
        ),
        h.h2["How good it is (95% intervals)"],
        table(
            ["figure", "out of fold", "holdout"],
            [
                [
                    name,
                    estimate((metrics.get("out_of_fold") or {}).get(key)),
                    estimate((metrics.get("holdout") or {}).get(key)),
                ]
                for name, key in FIGURES
            ],
        ),
        h.h2["What each threshold comes to"],
        _thresholds(metrics, contract),
        h.h2["Calibration"],
        _calibration(metrics),
        h.h2["What weighs"],
        weights(model, metrics),
        of_examples(shown),
        h.h2["What it learnt from"],
        table(
            ["what", "rows"],
            [
                [name.replace("_", " "), f"{value:,}"]
                for name, value in rows.items()
                if isinstance(value, int) and not isinstance(value, bool)
            ],
        ),
        h.p(class_="soft")[
            "Trained ",
            moment(metrics.get("trained_at", "")),
            [" on rows until ", moment(until)] if (until := metrics.get("learnt_until")) else None,
            "; data sha256 ",
            h.code[str(metrics.get("data_sha256", ""))[:16]],
            "; contract ",
            h.code[str((metrics.get("contract") or {}).get("sha256", ""))[:16]],
            ".",
        ],
        h.h2["Limits"],
        h.p[
            "Probabilities hold for rows like the training rows; each window's report says whether rows still are. "
            "Weights describe association, not cause."
        ],
        crumbs=[("Overview", OVERVIEW)],
    )


def _family(model: Mapping[str, Any]) -> str:
    return "boosted pairs" if "pairs" in str(model.get("format")) else "balanced logistic regression"


def _thresholds(metrics: Mapping[str, Any], contract: Mapping[str, Any]) -> Node:
    rows = metrics.get("thresholds") or []
    if not rows:
        return h.p["This version stored no curve."]
    outcome = metrics.get("out_of_fold") or {}
    base = outcome.get("positives", 0) / outcome["rows"] if outcome.get("rows") else 0.0
    now = metrics.get("threshold")
    nearest = min(range(len(rows)), key=lambda i: abs(rows[i]["threshold"] - now)) if now is not None else 0
    series = [
        charts.Series("recall", [r["flagged"] for r in rows], [r["recall"] for r in rows]),
        charts.Series("precision", [r["flagged"] for r in rows], [r["precision"] for r in rows]),
    ]
    return [
        h.figure[
            h.figcaption["Recall and precision by the share flagged, out of fold"],
            charts.lines(
                series,
                "Recall and precision by share flagged",
                x_range=(0.0, 1.0),
                x_names=("none flagged", "all flagged"),
                width=640,
            ),
        ],
        h.label(for_="threshold")["Try another threshold"],
        h.input(
            type="range",
            id="threshold",
            min="0",
            max=str(len(rows) - 1),
            value=str(nearest),
            disabled=True,
        ),
        h.p(id="chosen", aria_live="polite")[
            f"From probability {number(rows[nearest]['threshold'])}: {share(rows[nearest]['flagged'])} flagged, recall "
            f"{share(rows[nearest]['recall'])}, precision {share(rows[nearest]['precision'])}."
        ],
        json_data("curve", {"rows": rows, "base": base, "costs": contract.get("costs")}),
        folded(
            "Table",
            table(
                ["from probability", "flagged", "recall", "precision"],
                [
                    [number(r["threshold"]), share(r["flagged"]), share(r["recall"]), share(r["precision"])]
                    for r in rows
                ],
            ),
        ),
    ]


def _calibration(metrics: Mapping[str, Any]) -> Node:
    rows = metrics.get("calibration") or []
    if not rows:
        return h.p["This version stored no calibration table."]
    line = charts.Series("positives", [r["mean_probability"] for r in rows], [r["positive_share"] for r in rows])
    return h.figure(class_="half")[
        h.figcaption["Share of positives by mean probability, ten groups of rows; on the diagonal they agree"],
        charts.lines([line], "Calibration", x_range=(0.0, 1.0), diagonal=True),
        folded(
            "Table",
            table(
                ["mean probability", "positives", "rows"],
                [[share(r["mean_probability"]), share(r["positive_share"]), f"{r['rows']:,}"] for r in rows],
            ),
        ),
    ]
