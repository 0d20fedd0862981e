"""Train, CPU after imports. Fit: from typed columns to model, threshold and metrics; whole: from CSV in S3 to artifacts
in S3.

The rival is a ColumnTransformer pipeline in a TunedThresholdClassifierCV of five folds, from the same libraries and on
one thread, which saves it CPU. Its metrics are of the rows it was fitted on; this project's are out of fold, with
intervals. It calibrates nothing, checks nothing and keeps no reference.
"""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median

from benchmarks.speed import rivals
from benchmarks.speed.measure import Row, Usage, compare, in_turns, medians, run
from benchmarks.speed.packages import CONTESTANTS, built
from benchmarks.speed.report import Table, publish, quick
from benchmarks.speed.tracking import tracking_server
from benchmarks.speed.world import Bucket, bucket, customers

SCRIPT = CONTESTANTS / "training.py"
OURS, RIVAL = "this project", "scikit-learn"


def measure() -> tuple[Table, list[Row]]:
    # Fewer repeats of a million rows: one turn takes two minutes.
    sizes = {7_043: 1} if quick() else {7_043: 5, 100_000: 5, 1_000_000: 2}
    rows: list[Row] = []
    lines: list[tuple[str, ...]] = []
    for size, repeats in sizes.items():
        with bucket() as place:
            place.put("data/2026-10-01/customers.csv", customers(size).to_csv(index=False).encode())
            turns = in_turns({OURS: _ours(place), RIVAL: _rival(place)}, repeats, warm=repeats > 2)
        said = {name: [usage.said["parts"] for usage in usages] for name, usages in turns.items()}
        for part, target in (("fit", ">= 1"), ("threshold", ">= 10"), ("whole", None)):
            above, below = ([parts[part] for parts in said[name]] for name in (RIVAL, OURS))
            rows.append(compare(f"train {size:,} rows, CPU of {part}: {RIVAL} / {OURS}", above, below, target))
        for name, usages in turns.items():
            middle = {part: median(parts[part] for parts in said[name]) for part in ("fit", "threshold", "whole")}
            lines.append(
                (
                    f"{name}, {size:,} rows",
                    *(f"{value:.3g}" for value in middle.values()),
                    f"{medians(usages)['peak']:.0f}",
                    str(len(usages)),
                )
            )
    rows += _tracked()
    header = ("contestant", "fit, s", "threshold, s", "whole, s", "peak, MiB", "runs")
    return Table("Train", " ".join((__doc__ or "").split()), header, tuple(lines), {}), rows


def _tracked() -> Iterator[Row]:
    """Seconds that logging one run to an MLflow server takes, as a share of the 0.3 s it may take."""
    with bucket() as place, tracking_server() as uri:
        place.put("data/2026-10-01/customers.csv", customers(7_043).to_csv(index=False).encode())
        turns = in_turns({OURS: _ours(place, MLFLOW_TRACKING_URI=uri)}, 2 if quick() else 5)
    for what, key in (("CPU", "track"), ("wall", "track_wall")):
        seconds = [usage.said["parts"][key] for usage in turns[OURS]]
        yield compare(f"train, MLflow after import, {what} seconds / 0.3 s", seconds, [0.3] * len(seconds), "<= 1")


def _ours(place: Bucket, **more: str) -> Callable[[], Usage]:
    """The train Lambda, each time with a request and a version of its own: the contract differs in a word."""
    number = count()
    text = place.get("contract.json")

    def once() -> Usage:
        turn = next(number)
        place.put("contract.json", text.replace(b'"version": "1"', b'"version": "1.%d"' % turn))
        event = f'{{"request_id": "bench {turn}"}}'
        command = [sys.executable, "-I", "-S", "-B", str(SCRIPT), "ours", event, *built("train")]
        return run(command, place.deployed | more)

    return once


def _rival(place: Bucket) -> Callable[[], Usage]:
    path = rivals.tutorial(compiled=True).path[1]
    command = [sys.executable, "-I", "-S", "-B", str(SCRIPT), "rival", "{}", path]
    return lambda: run(command, place.environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    publish("train", *measure())
