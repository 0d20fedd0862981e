"""Batch, whole process: an object of rows in S3 becomes predictions in S3.

This project checks every row against the contract, accounts for each, and writes ids, scores and logits; the rival
reads all rows into one data frame, checks nothing, and has byte code beside its libraries.
"""

import json
import sys
from collections.abc import Callable, Mapping
from itertools import count

from benchmarks.speed import rivals
from benchmarks.speed.measure import Row, Usage, column, compare, in_turns, run
from benchmarks.speed.packages import CONTESTANTS, built
from benchmarks.speed.report import Table, publish, quick, table
from benchmarks.speed.world import Bucket, bucket, customers, typed

WHOLE = CONTESTANTS / "whole.py"
FORMATS = {"CSV": ".csv", "JSON lines": ".jsonl"}
GROWN = (3, 10)  # times the rows


def measure() -> tuple[Table, list[Row]]:
    size = 100_000
    with bucket() as place:
        place.put("tutorial/model.joblib", rivals.pickled())
        sources = inputs(size, "batch/few")
        for key, data in sources.items():
            place.put(key, data)
            for times in GROWN:
                place.put(key.replace("few", f"x{times}"), _repeated(data, times, header=key.endswith(".csv")))
        contestants: dict[str, Callable[[], Usage]] = {}
        for name, suffix in FORMATS.items():
            contestants[f"this project, {name}"] = ours(place, f"batch/few{suffix}", size)
            contestants[f"pandas + scikit-learn, {name}"] = theirs(place, f"batch/few{suffix}", size)
        usages = in_turns(contestants, 1 if quick() else 5)
        # Fewer repeats: ten times the rows take ten times as long, and a peak hardly varies.
        large = in_turns(
            {
                f"this project, {name}, {times} times the rows": ours(place, f"batch/x{times}{suffix}", size * times)
                for name, suffix in FORMATS.items()
                for times in GROWN
            },
            1 if quick() else 2,
            warm=False,
        )
    rows = []
    for name in FORMATS:
        mine, other = usages[f"this project, {name}"], usages[f"pandas + scikit-learn, {name}"]
        larger, some = (large[f"this project, {name}, {times} times the rows"] for times in reversed(GROWN))
        who = f"batch {size:,} rows of {name}"
        for what, unit in (("cpu", "CPU"), ("wall", "wall")):
            target = ">= 5" if what == "cpu" else None
            rows.append(
                compare(
                    f"{who}, {unit}: pandas + scikit-learn / this project",
                    column(other, what),
                    column(mine, what),
                    target,
                )
            )
        rows.append(
            compare(
                f"{who}, peak memory: pandas + scikit-learn / this project",
                column(other, "peak"),
                column(mine, "peak"),
                None,
            )
        )
        peak = f"batch {name}, peak memory: {GROWN[-1] * size:,} rows"
        rows.append(
            compare(f"{peak} / {size:,}", column(larger, "peak"), column(mine, "peak")[: len(larger)], "<= 1.1")
        )
        rows.append(compare(f"{peak} / {GROWN[0] * size:,}", column(larger, "peak"), column(some, "peak"), None))
    return table(
        "Batch",
        __doc__ or "",
        usages | large,
        f"{size:,} rows, more in the last lines; buffers are full from some 200,000 rows on.",
    ), rows


def inputs(size: int, name: str) -> dict[str, bytes]:
    """The same customers as CSV and as JSON lines, without their outcome."""
    rows = customers(size).drop(columns="churn")
    lines = typed(rows).to_json(orient="records", lines=True)
    return {f"{name}.csv": rows.to_csv(index=False).encode(), f"{name}.jsonl": lines.encode()}


def ours(place: Bucket, key: str, size: int) -> Callable[[], Usage]:
    """The batch Lambda; each run scores an object of its own, because work that is done is only looked up."""
    number = count()

    def once() -> Usage:
        copy = key.replace("batch/", f"batch/{next(number)}-")
        place.copy(key, copy)
        return _scoring(place.deployed, "app", copy, built("batch"), size)()

    return once


def theirs(place: Bucket, key: str, size: int) -> Callable[[], Usage]:
    """The same object by pandas and scikit-learn."""
    return _scoring(place.environment, "frames", key, rivals.tutorial(compiled=True).path, size)


def _scoring(environment: Mapping[str, str], module: str, key: str, path: list[str], size: int) -> Callable[[], Usage]:
    command = [sys.executable, "-I", "-S", "-B", str(WHOLE), module, json.dumps({"input": key}), *path]

    def once() -> Usage:
        used = run(command, environment)
        answer = used.said["answer"]
        assert answer["rows"] == size, answer
        assert answer.get("rejected", 0) == 0, answer
        return used

    return once


def _repeated(data: bytes, times: int, *, header: bool) -> bytes:
    first, rest = data.split(b"\n", 1) if header else (b"", data)
    return (first + b"\n" if header else b"") + rest * times


if __name__ == "__main__":
    publish("batch", *measure())
