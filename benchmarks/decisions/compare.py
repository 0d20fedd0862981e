"""Rows of the table that need whole years: errors where nothing happens, and policies side by side where something
does.
"""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.decisions import scenarios
from benchmarks.decisions.scenarios import BEGINS, TELCO
from benchmarks.decisions.table import Table
from benchmarks.decisions.years import POLICIES, Task, Year, play_all

DEAF = ("concept flip, labels of flagged customers only", "concept flip, no labels", "concept flip, positives only")
LABELS_AFTER = {
    "concept flip of 20%": 30,
    "concept flip, labels after 33 days": 33,
    "concept flip, labels after 90 days": 90,
}
WITHIN_WINDOWS = 10
TENURE = 20  # attempts on one champion
# QUICK plays these scenarios only.
FEW = (
    "concept flip of 20%",
    "concept flip, labels after 90 days",
    "concept flip, labels of flagged customers only",
    "no drift",
)


def null(table: Table, *, few: bool) -> list[Year]:
    """Years of days in which nothing happens, under guarded, and windows of three sizes under a policy that only
    watches.
    """
    seeds = scenarios.seeds(few=few)
    sizes = {200: 60, 500: 60, 2000: 20} if few else {200: 200, 500: 200, 2000: 100}
    watched = {
        size: play_all(Task("null", f"null windows of {size}", "never", seed, (("rows", size), ("windows", count))) for seed in range(seeds))  # noqa: E501
        for size, count in sizes.items()
    }  # fmt: skip
    for size, played in watched.items():
        rates = [len(year.drifted) / max(year.windows, 1) for year in played]
        table.over_seeds(f"false alarm per null window of {size} rows, real steps", rates, "<= 0.02")
    again = play_all(
        Task("null", "null windows, 4 rows a customer", "never", seed, (("rows", 500), ("windows", 60), ("returning", 7500)))  # noqa: E501
        for seed in range(seeds)
    )  # fmt: skip
    rates = [len(year.drifted) / max(year.windows, 1) for year in again]
    table.over_seeds("false alarm per null window of 500, 4 rows a customer", rates, "<= 0.02")
    years = play_all(Task("null", "a null year of days", "guarded", seed, (("rows", 300),)) for seed in range(seeds))
    table.over_seeds("promotions a null year of 365 windows to a model that is no better", _false(years), "<= 0.1")
    table.over_seeds("all promotions a null year of 365 windows", _counts(years, lambda year: year.promotions))
    table.over_seeds("false retrains a null year of 365 windows", _counts(years, lambda year: year.retrains), "<= 2")
    table.over_seeds("alarms to a person a null year", _counts(years, lambda year: year.alerts), "<= 12")
    return years


def attempts(table: Table, *, few: bool) -> list[Year]:
    """A candidate in every window of a null world, and the guarded gate: 20 attempts on one champion's tenure."""
    seeds = scenarios.seeds(few=few)
    for name, returning in (("", 0), (", 12 rows a customer", 1000)):
        options = (("rows", 500), ("windows", 54), ("returning", returning))
        years = play_all(Task("null", f"20 attempts{name}", "asks", seed, options) for seed in range(seeds))
        tried = [year.attempts for year in years]
        if not years:
            continue
        per = sum(len(year.promotions) for year in years) / max(sum(tried), 1)
        table.figure(f"no change: promoted an attempt{name}", per, "<= 0.05")
        within = f"over {TENURE} attempts of a champion{name}"
        table.over_seeds(f"no change: a model that is no better promoted {within}", _in_tenure(years, 0.0), "<= 0.10")
        table.over_seeds(f"no change: any promoted {within}", _in_tenure(years, 1.0))
    return []


def telco(table: Table, *, few: bool) -> list[Year]:
    """40 weeks of Telco customers under each policy."""
    seeds = scenarios.seeds(few=few)
    names = FEW if few else tuple(TELCO)
    sides = FEW[:2] if few else tuple(LABELS_AFTER)
    tasks = [
        Task("telco", name, policy, seed)
        for seed in range(seeds)
        for name in names
        for policy in (POLICIES if name in sides else ("never", "guarded"))
    ]
    years = play_all(tasks)
    for name in sides:
        for other, bound in (("simple", 0.0), ("always", -0.01)):
            gaps = _gaps(years, name, other)
            table.over_seeds(f"{name}: ROC-AUC of guarded - {other}", gaps, f">= {bound}", larger_is_worse=False)
        first_labels = int(BEGINS + LABELS_AFTER[name] / 7)  # the window in which they come is judged at its end
        soon = [
            any(first_labels <= at <= first_labels + WITHIN_WINDOWS for at in year.promotions)
            for year in _of(years, name, "guarded")
        ]
        table.over_seeds(
            f"{name}: promoted within 10 windows of the first labels",
            list(map(float, soon)),
            ">= 0.9",
            larger_is_worse=False,
        )
    for name in DEAF:
        if played := _of(years, name, "guarded"):
            table.over_seeds(f"{name}: promotions", _counts(played, lambda year: year.promotions), "<= 0.0")
            heard = [any(at <= 8 for at in year.alerts) for year in played]  # labels are due from week 5 on
            table.over_seeds(
                f"{name}: alerted within 3 windows of their due",
                list(map(float, heard)),
                ">= 0.95",
                larger_is_worse=False,
            )
    for name in names:
        if not TELCO[name].drift and (played := _of(years, name, "guarded")):
            table.over_seeds(f"{name}: promotions to a model that is no better, a year", _false(played), "<= 0.1")
            table.over_seeds(f"{name}: all promotions a year", _counts(played, lambda year: year.promotions))
            gaps = _gaps(years, name, "never")
            table.over_seeds(f"{name}: ROC-AUC of guarded - never", gaps, ">= -0.003", larger_is_worse=False)
    return years


def dated(table: Table, *, few: bool) -> list[Year]:
    """Every dated world under each policy: as good as learning from every window, with half of its promotions."""
    worlds = scenarios.names(few=few)
    years = play_all(
        Task("dated", name, policy, seed) for name, (_, seeds) in worlds.items() for policy in POLICIES for seed in range(seeds)  # noqa: E501
    )  # fmt: skip
    means = {
        policy: {
            name: float(np.mean([year.auc for year in played]))
            for name in worlds
            if (played := [year for year in _of(years, name, policy) if year.aucs])
        }
        for policy in POLICIES
    }
    both = means["guarded"].keys() & means["always"].keys()
    gaps = [means["guarded"][name] - means["always"][name] for name in worlds if name in both]
    table.over_seeds(
        f"ROC-AUC of guarded - always over {len(gaps)} dated worlds", gaps, ">= -0.002", larger_is_worse=False
    )
    if gains := [
        means["guarded"][name] - means["never"][name] for name in means["guarded"].keys() & means["never"].keys()
    ]:
        table.figure(f"ROC-AUC of guarded - never, in the worst of {len(gains)}", min(gains), ">= -0.003")
    if not both:
        return years
    years_of_both = [year for year in years if year.task.name in both]
    made = {
        policy: sum(len(year.promotions) for year in years_of_both if year.task.policy == policy) for policy in POLICIES
    }
    table.figure("promotions of guarded / of always", made["guarded"] / max(made["always"], 1), "<= 0.5")
    table.figure("windows with recall .05 under the floor where always keeps it", _under(years_of_both), "<= 0.10")
    return years


def _under(years: Sequence[Year]) -> float:
    """The share of guarded's windows, of those in which always keeps the floor."""
    kept = fell = 0
    for year in years:
        if year.task.policy != "guarded" or year.task.kind != "dated":
            continue
        other = next(
            candidate
            for candidate in years
            if (candidate.task.name, candidate.task.seed, candidate.task.policy)
            == (year.task.name, year.task.seed, "always")
        )
        for own, always in zip(year.recalls, other.recalls, strict=False):
            if always >= year.recall_floor:
                kept += 1
                fell += own < year.recall_floor - 0.05
    return fell / max(kept, 1)


def _gaps(years: Sequence[Year], name: str, other: str) -> list[float]:
    """Mean ROC-AUC of guarded less that of ``other``, of each seed that both have played."""
    theirs = {year.task.seed: year.auc for year in _of(years, name, other)}
    return [year.auc - theirs[year.task.seed] for year in _of(years, name, "guarded") if year.task.seed in theirs]


def _of(years: Sequence[Year], name: str, policy: str) -> list[Year]:
    return [year for year in years if (year.task.name, year.task.policy) == (name, policy)]


def _false(years: Sequence[Year]) -> list[float]:
    """Of each year, how many promotions put a model in force whose true ROC-AUC is no higher."""
    return [float(sum(gain <= 0.0 for gain in year.gains)) for year in years]


def _in_tenure(years: Sequence[Year], most: float) -> list[float]:
    """Of each year 1 if one of the first champion's ``TENURE`` challengers replaced it and was truly better by ``most``
    ROC-AUC or less, else 0.
    """
    first = [
        (sum(at <= year.promotions[0] for at in year.retrains), year.gains[0])
        if year.promotions and year.gains
        else (TENURE + 1, 0.0)
        for year in years
    ]
    return [float(attempt <= TENURE and gain <= most) for attempt, gain in first]


def _counts(years: Sequence[Year], of: Callable[[Year], Sequence[int]]) -> list[float]:
    return [float(len(of(year))) for year in years]
