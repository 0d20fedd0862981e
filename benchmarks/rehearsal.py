"""What a rehearsal costs: wall time, processor seconds and peak memory, as rows and windows grow.

``python -m benchmarks.rehearsal --rows 120000 --windows 24 --features 30 --policies never,always,simple,guarded``

A synthetic history: numbers and categories whose effects move a little, thirty days a window, labels after thirty days.
Policies are played as ``stillgood rehearse`` plays them: two at a time, what they fit on the same rows is fitted once.
Each has a process of its own, so that its peak is its own. Beside the seconds stands what a fixed loop took just then:
on a machine that is busy with other things both grow, and their ratio stays. ``--results FILE`` adds the run to a file
of rows with targets, in place of an earlier run of the same size.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.rehearsal.fits import SharedFits
from stillgood.simulation.rehearsal.history import Chronicle, chronicle
from stillgood.simulation.rehearsal.plan import Plan
from stillgood.simulation.rehearsal.play import in_turn, play
from stillgood.training.memory import NO_FITS, Fits
from threadpoolctl import threadpool_limits

DAYS = 30
LOOP = 3_000_000  # additions of integers


def history(rows: int, windows: int, features: int, seed: int = 0) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of text in order of time, and a contract drafted of it; one feature in five is a category of five."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, DAYS * windows * 86_400, rows)).astype("timedelta64[s]")
    columns = {
        "id": [f"c{place}" for place in range(rows)],
        "time": [f"{moment}Z" for moment in np.datetime64("2015-01-01", "s") + seconds],
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


def measured(past: Chronicle, policy: str, fits: Fits) -> dict[str, Any]:
    """One policy: ``wall`` and processor ``seconds``, ``loop`` seconds (mean of before and after), ``peak`` MiB, and
    what it did.
    """
    before, start, began = loop_seconds(), time.process_time(), time.perf_counter()

    def said(windows: int) -> None:
        print(f"{policy}: {windows} windows, {time.process_time() - start:.1f} s of CPU", file=sys.stderr, flush=True)

    with threadpool_limits(1):
        played = play(past.world, policy, fits=fits, progress=said)
    seconds, wall = time.process_time() - start, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    loop = (before + loop_seconds()) / 2
    return {
        "policy": policy,
        "wall": wall,
        "seconds": seconds,
        "loop": loop,
        "peak": peak,
        "retrains": played["retrains"],
        "roc_auc": played["roc_auc"],
    }


def run(rows: int, windows: int, features: int, policies: list[str]) -> dict[str, Any]:
    """All ``policies`` over one history, two at a time: the rows of the table that is printed, and ``wall`` seconds."""
    table, raw = history(rows, windows, features)
    began = time.perf_counter()
    past = chronicle(table, read_contract(raw), Plan(window_days=DAYS, label_delay_days=DAYS), now=datetime.now(UTC))
    del table
    context = multiprocessing.get_context("spawn")
    with (
        TemporaryDirectory() as folder,
        ProcessPoolExecutor(min(2, len(policies)), context, max_tasks_per_child=1) as pool,
    ):
        fits = SharedFits(Path(folder)) if len(policies) > 1 else NO_FITS
        tasks = {name: pool.submit(measured, past, name, fits) for name in in_turn(policies)}
        played = [tasks[name].result() for name in policies]
    return {
        "rows": rows,
        "windows": windows,
        "features": features,
        "wall": time.perf_counter() - began,
        "policies": played,
    }


def with_targets(made: dict[str, Any]) -> list[dict[str, Any]]:
    """The run as rows: what was measured, the target where the issue sets one for this size, and whether it is met."""
    size = f"{made['rows']:,} rows, {made['windows']} windows, {made['features']} features"
    names = [row["policy"] for row in made["policies"]]
    whole = (made["rows"], made["windows"], made["features"], len(names)) == (120_000, 24, 30, 4)
    seconds = sum(row["seconds"] for row in made["policies"])
    peaks = sorted((row["peak"] for row in made["policies"]), reverse=True)
    busy = seconds / (2 * made["wall"])
    rows = [
        _row(f"{size}: wall of {', '.join(names)}", made["wall"], "s", 240 if whole else None),
        _row(f"{size}: processor seconds of these, halved", seconds / 2, "s", 240 if whole else None),
        _row(f"{size}: peak of the two largest processes together", sum(peaks[:2]), "MiB", 2048 if whole else None),
        _row(f"{size}: share of two processors that they had", busy, "", None),
    ]
    for row in made["policies"]:
        rows += [
            _row(f"{size}: {row['policy']}, processor", row["seconds"], "s", None),
            _row(f"{size}: {row['policy']}, in fixed loops", row["seconds"] / row["loop"], "", None),
            _row(f"{size}: {row['policy']}, peak", row["peak"], "MiB", None),
            _row(f"{size}: {row['policy']}, retrains", row["retrains"], "", None),
        ]
    return rows


def _row(name: str, value: float, unit: str, target: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": float(f"{value:.4g}"),
        "unit": unit,
        "target": None if target is None else f"< {target:g}",
        "met": None if target is None else value < target,
    }


def keep(rows: list[dict[str, Any]], path: Path) -> None:
    """Write ``rows`` into the file, in place of those of the same names."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    names = {row["name"] for row in rows}
    kept = [row for row in before if row["name"] not in names]
    path.write_text(json.dumps([*kept, *rows], indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--policies", default="never,always,simple,guarded")
    parser.add_argument("--results", type=Path, help="such as benchmarks/results/rehearsal.json")
    arguments = parser.parse_args()
    made = run(arguments.rows, arguments.windows, arguments.features, arguments.policies.split(","))
    print(f"{made['rows']:,} rows, {made['windows']} windows, {made['features']} features: {made['wall']:.0f} s")
    print("| policy | wall, s | CPU, s | in fixed loops | peak, MiB | retrains | ROC-AUC |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in made["policies"]:
        print(
            f"| {row['policy']} | {row['wall']:.1f} | {row['seconds']:.1f} | {row['seconds'] / row['loop']:.0f} |"
            f" {row['peak']:.0f} | {row['retrains']} | {row['roc_auc']:.4f} |"
        )
    rows = with_targets(made)
    for row in rows[:4]:
        print(
            f"{row['name']}: {row['value']:g} {row['unit']}" + (f", must be {row['target']}" if row["target"] else "")
        )
    if arguments.results:
        keep(rows, arguments.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
