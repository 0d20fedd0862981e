"""What a rehearsal costs: processor seconds and peak memory of each policy, as rows and windows grow.

``python -m benchmarks.rehearsal --rows 120000 --windows 24 --features 30 --policies never,always,simple,guarded``

A synthetic history: numbers and categories whose effects move a little, thirty days a window, labels after thirty days.
Each policy runs in a process of its own. Beside the seconds stands what a fixed loop took just then: on a machine that
is busy with other things both grow, and their ratio stays.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.rehearsal.history import Chronicle, chronicle
from stillgood.simulation.rehearsal.plan import Plan
from stillgood.simulation.rehearsal.play import play
from threadpoolctl import threadpool_limits

DAYS = 30
LOOP = 3_000_000  # additions of integers


def history(rows: int, windows: int, features: int, seed: int = 0) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of text in order of time, and a contract drafted of it; one feature in five is a category of five."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, DAYS * windows * 86_400, rows)).astype("timedelta64[s]")
    columns = {
        "id": [f"c{place}" for place in range(rows)],
        "time": [f"{moment}Z" for moment in np.datetime64("2020-01-01", "s") + seconds],
    }
    age, logit = np.arange(rows) / rows, np.full(rows, -1.0)
    for place in range(features - features // 5):
        values = rng.normal(size=rows)
        columns[f"x{place}"] = [f"{value:.4f}" for value in values]
        logit += values * rng.normal() * 0.35 * (1 + 0.5 * age * (place % 3 == 0))
    for place in range(features // 5):
        levels = rng.integers(0, 5, rows)
        columns[f"c{place}"] = [f"l{level}" for level in levels]
        logit += rng.normal(size=5)[levels] * 0.3
    columns["y"] = np.where(rng.random(rows) < 1 / (1 + np.exp(-logit)), "yes", "no").tolist()
    raw, _ = draft(
        {name: values[:5000] for name, values in columns.items()},
        target="y",
        positive="yes",
        id_column="id",
        time_column="time",
        name="bench",
    )
    for feature in raw["features"]:
        feature.pop("minimum", None)
        feature.pop("maximum", None)
    return pd.DataFrame(columns), raw


def loop_seconds() -> float:
    """Processor seconds of the fixed loop."""
    start, total = time.process_time(), 0
    for number in range(LOOP):
        total += number
    return time.process_time() - start


def measured(past: Chronicle, policy: str) -> dict[str, Any]:
    """One policy: processor ``seconds``, ``loop`` seconds (mean of before and after), ``peak`` MiB, and what it did."""
    before, start = loop_seconds(), time.process_time()
    with threadpool_limits(1):
        played = play(past.world, policy)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    loop = (before + loop_seconds()) / 2
    return {"policy": policy, "seconds": seconds, "loop": loop, "peak": peak, "retrains": played["retrains"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--policies", default="never,always,simple,guarded")
    arguments = parser.parse_args()
    table, raw = history(arguments.rows, arguments.windows, arguments.features)
    plan = Plan(window_days=DAYS, label_delay_days=DAYS)
    past = chronicle(table, read_contract(raw), plan, now=datetime.now(UTC))
    print(f"{arguments.rows:,} rows, {arguments.windows} windows, {arguments.features} features")
    print("| policy | CPU, s | in fixed loops | peak, MiB | retrains |\n| --- | --- | --- | --- | --- |")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for policy in arguments.policies.split(","):
            row = pool.apply(measured, (past, policy))
            print(
                f"| {policy} | {row['seconds']:.1f} | {row['seconds'] / row['loop']:.0f} | {row['peak']:.0f} |"
                f" {row['retrains']} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
