"""Buyers who come, buy and leave: the BG/NBD model (Fader, Hardie and Lee 2005), watched by monthly snapshots.

A snapshot holds everyone who bought in the last ``ACTIVE_DAYS``; its outcome is whether no order follows within
``HORIZON_DAYS``, known when these are over. In the cohort world everybody joins within the first 90 days, so the
customers age, and the share who leave moves with them; in the steady world they join evenly, and nothing moves.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.world import utc64
from stillgood.simulation.worlds.history import History, LabelFeed
from stillgood.storage.windows import Window

START = datetime(2024, 1, 1, tzinfo=UTC)
CUSTOMERS, WATCHED_DAYS = 8000, 546
ACTIVE_DAYS, HORIZON_DAYS = 180, 60
JOIN_DAYS, BEFORE_DAYS = 90, 400
R, ALPHA_WEEKS, A, B = 0.243, 4.414, 0.793, 2.426  # of the CDNOW customers, in that paper
FEATURES = (
    "recency", "tenure", "orders", "units", "spent", "last_value", "orders_30", "spent_30", "orders_90", "spent_90"
)  # fmt: skip

type Floats = NDArray[np.float64]


def buyers_contract(*, floor: float = 0.6) -> Contract:
    """Floors of ``floor`` for ROC-AUC and recall; labels mature when the horizon is over."""
    whole = ("orders", "units", "orders_30", "orders_90")
    features = [
        {"name": name, "kind": "integer" if name in whole else "numeric", "minimum": 0, "maximum": 1_000_000}
        for name in FEATURES
    ]
    raw: dict[str, Any] = {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "buyers",
        "version": "1",
        "id": "customer",
        "time": "seen_at",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": features,
        "floors": {"roc_auc": floor, "recall": floor, "precision": 0.0},
        "training": {"min_rows": 200},
        "monitoring": {"min_rows": 200, "label_maturity_days": HORIZON_DAYS},
    }
    return read_contract(raw)


def buyers(
    seed: int,
    world: Literal["cohort", "steady"],
    *,
    every_days: int = 30,
    first: int = 4,
    saved: float = 0.0,
    customers: int = CUSTOMERS,
) -> History:
    """The world for any ``seed``. ``first`` snapshots are what the first model learns from; ``saved``: the share of
    flagged leavers who
    stay because somebody calls."""
    table = snapshots(seed, world, every_days=every_days, customers=customers)
    times = table.pop("day").to_numpy() * np.timedelta64(1, "D") + utc64(START)
    days = sorted(set(((times - utc64(START)) // np.timedelta64(1, "D")).tolist()))
    spans = [Window(START + timedelta(days=day), START + timedelta(days=day + every_days)) for day in days[first:]]
    table["seen_at"] = [f"{moment}Z" for moment in times.astype("datetime64[s]")]
    y = (table["left"] == "yes").to_numpy().astype(np.int8)
    known = times + np.timedelta64(HORIZON_DAYS, "D")
    feed = LabelFeed(saved=saved, seed=seed)
    return History(buyers_contract(), table, times, known, y, spans, feed=feed, slices=1)


def snapshots(seed: int, world: str, *, every_days: int = 30, customers: int = CUSTOMERS) -> pd.DataFrame:
    """One row a customer and snapshot, in order of ``day`` (from 0), with the features and "left", yes or no."""
    random = np.random.default_rng((seed, 26))
    who, day, value, units = _orders(random, world, customers)
    joined = np.full(customers, np.inf)
    np.minimum.at(joined, who, day)
    days = range(JOIN_DAYS, WATCHED_DAYS - HORIZON_DAYS + 1, every_days)
    return pd.concat([_snapshot(at, who, day, value, units, joined, customers) for at in days], ignore_index=True)


def _orders(random: np.random.Generator, world: str, n: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Every order: whose (int64[m]), on which day, of what value and how many units, in order of time."""
    low = 0 if world == "cohort" else -BEFORE_DAYS
    high = JOIN_DAYS if world == "cohort" else WATCHED_DAYS
    rate = random.gamma(R, 1 / ALPHA_WEEKS, n) / 7  # orders a day while alive
    drop = random.beta(A, B, n)
    mean = random.gamma(6.25, 1 / 0.14, n)  # a customer's own mean value of an order
    now = random.uniform(low, high, n)
    alive = np.arange(n)
    orders: list[tuple[NDArray[np.int64], Floats, Floats, Floats]] = []
    while len(alive):
        value = random.gamma(3.0, mean[alive] / 3.0)
        orders.append((alive, now[alive], value.round(2), 1 + random.poisson(1.2, len(alive)).astype(float)))
        # Nobody leaves at the first order, which is where the model's time begins.
        stays = (random.random(len(alive)) >= drop[alive]) | (len(orders) == 1)
        alive = alive[stays]
        now[alive] += random.exponential(1 / np.maximum(rate[alive], 1e-9))
        alive = alive[now[alive] < WATCHED_DAYS]
    who, day, value, units = (np.concatenate(part) for part in zip(*orders, strict=True))
    order = np.argsort(day, kind="stable")
    return who[order], day[order], value[order], units[order]


def _snapshot(
    at: int, who: NDArray[np.int64], day: Floats, value: Floats, units: Floats, joined: Floats, n: int
) -> pd.DataFrame:
    past, ahead = day < at, (day >= at) & (day < at + HORIZON_DAYS)

    def total(of: Floats, when: NDArray[np.bool_]) -> Floats:
        return np.bincount(who[when], of[when], n)

    last = np.full(n, -np.inf)
    np.maximum.at(last, who[past], day[past])
    last_value = np.zeros(n)
    last_value[who[past]] = value[past]  # in order of time, so the last one stays
    ones = np.ones(len(day))
    columns = {
        "recency": at - last,
        "tenure": at - joined,
        "orders": total(ones, past),
        "units": total(units, past),
        "spent": total(value, past),
        "last_value": last_value,
        **{f"orders_{days}": total(ones, past & (day >= at - days)) for days in (30, 90)},
        **{f"spent_{days}": total(value, past & (day >= at - days)) for days in (30, 90)},
    }
    active = np.flatnonzero(last >= at - ACTIVE_DAYS)
    table = pd.DataFrame({name: columns[name][active].round(3) for name in FEATURES})
    table.insert(0, "customer", [f"b{number:05d}" for number in active])
    table.insert(0, "day", at)
    table["left"] = np.where(total(ones, ahead)[active] == 0, "yes", "no")
    return table
