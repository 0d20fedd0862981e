"""Populations that move, with the truth: dated tables, and customers who buy as BG/NBD says (docs/operating-point.md).

A world is scored once by a champion that is never retrained; everything after that is arithmetic on its logits.
"""

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from stillgood.domain.contract.contract import Contract, Costs, Floors, Objective
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.model import Model
from stillgood.domain.model.threshold import threshold_for_contract
from stillgood.domain.model.vectorised import logits
from stillgood.training.fit import fit
from stillgood.training.ingest import ingest

from local import datasets

DATA = os.environ.get(
    "POINT_DATA", ""
)  # folder of elec.csv.gz and noaa.csv.gz with their contracts; not part of the project
type Floats = NDArray[np.float64]

WATCHED_DAYS, EVERY_DAYS, ACTIVE_DAYS, LEFT_DAYS = 546, 30, 180, 60
CUSTOMERS = 8000


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Rows after the first model, oldest first.

    ``known`` int64[n]: how many rows had been scored when a row's outcome became known. ``window`` int64[n]: the window
    in which its recall is counted, from 0. ``history``: logits and outcomes of the rows that the champion learnt from,
    out of fold.
    """

    name: str
    model: Model
    frame: Frame
    logit: Floats
    y: NDArray[np.bool_]
    entity: NDArray[np.int64]
    window: NDArray[np.int64]
    known: NDArray[np.int64]
    history: tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]
    objective: float
    snapshots: bool = False

    @property
    def n(self) -> int:
        return len(self.logit)

    def born(self, objective: Objective | None, costs: Costs | None = None) -> float:
        """The threshold that the champion is born with where its contract has this objective; by default its own."""
        if objective is None:
            return self.model.threshold_logit
        contract = replace(self.model.contract, stated_objective=objective, costs=costs)
        return threshold_for_contract(self.history[0], self.history[1], contract)

    def late(self, windows: int) -> "World":
        """The same rows with labels that come ``windows`` windows after their own has ended."""
        ends = np.searchsorted(self.window, np.arange(self.window[-1] + 1), side="right")
        ends = np.append(ends, np.full(windows, 10**9))
        return replace(self, known=ends[self.window + windows])


def _champion(
    name: str, contract: Contract, frame: Frame, y: Any, entity: Any, first: Any, window: Any, **more: Any
) -> World:
    learnt = frame.take(np.flatnonzero(first))
    fitted = fit(
        learnt, y[first].astype(np.int8), entity[first].astype(np.uint64), version=name, data_sha256=name, seed=0
    )
    rest = frame.take(np.flatnonzero(~first))
    return World(
        name,
        fitted.model,
        rest,
        logits(fitted.model, rest),
        y[~first].astype(bool),
        entity[~first],
        window[~first] - window[~first].min(),
        np.zeros(rest.n, np.int64),
        (fitted.oof_logits, y[first].astype(bool), entity[first]),
        contract.floors.recall,
        **more,
    )


@cache
def dated(name: str) -> World:
    """``elec`` or ``noaa`` from ``POINT_DATA``, or ``flights``: every fourth one, in weeks, recall .80 wanted."""
    if name == "flights":
        contract = replace(datasets.contract("flights"), floors=Floors(recall=0.8))
        table = datasets.flights().iloc[::4].reset_index(drop=True)
        days = (pd.to_datetime(table["scheduled_at"]) - pd.Timestamp("2013-01-01", tz="UTC")).dt.days
        window, learnt = (days // 7).to_numpy(), 8
    else:
        import json

        contract = read_contract(json.loads((Path(DATA) / f"{name}.contract.json").read_text(encoding="utf-8")))
        table = pd.read_csv(Path(DATA) / f"{name}.csv.gz", dtype=str)
        window, learnt = table.pop("_per").astype(int).to_numpy(), {"elec": 3, "noaa": 5}[name]
    rows = ingest(contract, [("data/2013-01-01/a.csv", table.to_csv(index=False).encode())])
    assert rows.frame.n == len(table)
    return _champion(name, contract, rows.frame, rows.target, np.arange(rows.frame.n), window < learnt, window).late(1)


FEATURES = (
    "days_since",
    "tenure",
    "orders",
    "units",
    "spent",
    "last_value",
    "orders_30",
    "spent_30",
    "orders_90",
    "spent_90",
)


def _shop_contract(recall: float) -> Contract:
    return read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "shop",
            "version": "1",
            "target": {"name": "left", "positive": "1", "negative": "0"},
            "features": [{"name": name, "kind": "numeric"} for name in FEATURES],
            "floors": {"roc_auc": 0.6, "recall": recall, "precision": 0.0},
            "monitoring": {"label_maturity_days": float(LEFT_DAYS)},
        }
    )


def shop(seed: int, *, steady: bool = False, recall: float = 0.6) -> World:
    """Customers who buy as BG/NBD says (Fader, Hardie and Lee 2005), looked at every 30 days; the outcome is no order
    in 60 days.

    A cohort that joins within 90 days ages; ``steady``: as many join every day, since 400 days before.
    """
    customer, day, value, units = _orders(np.random.default_rng(seed), steady)
    tables = [
        _snapshot(customer, day, value, units, when) for when in range(90, WATCHED_DAYS - LEFT_DAYS + 1, EVERY_DAYS)
    ]
    at = np.concatenate([np.full(len(snapshot[0]), 90 + EVERY_DAYS * i) for i, snapshot in enumerate(tables)])
    entity, columns, y = (np.concatenate([snapshot[part] for snapshot in tables]) for part in range(3))
    contract = _shop_contract(recall)
    frame = Frame(contract, len(y), {name: columns[:, i] for i, name in enumerate(FEATURES)})
    # The first model is learnt on the day on which the outcomes of three snapshots are known: day 210.
    last = 90 + 2 * EVERY_DAYS
    first, rest, serving = at <= last, at > last, at >= last + LEFT_DAYS
    world = _champion(
        "steady" if steady else "cohort", contract, frame, y, entity, first, (at - 90) // EVERY_DAYS, snapshots=True
    )
    # Snapshots between learning and serving were never scored; their outcomes are known when their time has come.
    keep = serving[rest]
    window = world.window[keep] - world.window[keep].min()
    cut = np.flatnonzero(keep)
    return replace(
        world,
        frame=world.frame.take(cut),
        logit=world.logit[keep],
        y=world.y[keep],
        entity=world.entity[keep],
        window=window,
    ).late(1)


def _orders(random: np.random.Generator, steady: bool) -> tuple[Any, Any, Floats, Any]:
    """Customer, day, value and units of every order up to the last day watched."""
    n = CUSTOMERS
    joined = random.uniform(-400, WATCHED_DAYS, n) if steady else random.uniform(0, 90, n)
    rate = random.gamma(0.243, 1 / 4.414, n) / 7  # orders a day
    leaves = random.beta(0.793, 2.426, n)
    mean = random.gamma(4.0, 10.0, n)
    alive, day, who = np.arange(n), joined.copy(), [np.arange(n)]
    days = [joined]
    while len(alive):
        alive = alive[random.uniform(size=len(alive)) > leaves[alive]]
        day[alive] += random.exponential(1 / np.maximum(rate[alive], 1e-12))
        alive = alive[day[alive] <= WATCHED_DAYS]
        who.append(alive)
        days.append(day[alive])
    customer, when = np.concatenate(who), np.concatenate(days)
    order = np.lexsort((when, customer))
    customer, when = customer[order], when[order]
    value = random.gamma(2.0, mean[customer] / 2.0)
    return customer, when, value, 1 + random.poisson(value / 20.0)


def _snapshot(customer: Any, day: Any, value: Floats, units: Any, when: int) -> tuple[Any, Floats, Any]:
    """Ids, features float64[n, 10] and outcomes of those who bought in the 180 days before ``when``."""
    past = day <= when
    who, at, worth = customer[past], day[past], value[past]

    def total(weights: Any) -> Floats:
        return np.bincount(who, weights, minlength=CUSTOMERS)

    last = np.full(CUSTOMERS, -np.inf)
    last[who] = at  # orders are sorted by day, so the last one stays
    first = np.full(CUSTOMERS, np.inf)
    np.minimum.at(first, who, at)
    newest = np.zeros(CUSTOMERS)
    newest[who] = worth
    columns = [
        when - last,
        when - first,
        total(np.ones(len(who))),
        total(units[past]),
        total(worth),
        newest,
        total(at > when - 30),
        total(worth * (at > when - 30)),
        total(at > when - 90),
        total(worth * (at > when - 90)),
    ]
    active = np.flatnonzero(last > when - ACTIVE_DAYS)
    later = (day > when) & (day <= when + LEFT_DAYS)
    stayed = np.bincount(customer[later], minlength=CUSTOMERS) > 0
    return active, np.column_stack(columns)[active], ~stayed[active]
