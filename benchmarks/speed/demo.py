"""The first impression: `make demo` and `make test` in a fresh clone, with the package caches of this machine warm;
wall seconds.

Measured only when asked for: `make bench DEMO=1`.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator

from benchmarks.speed.measure import MeasurementFailed, Row
from benchmarks.speed.packages import ROOT
from benchmarks.speed.report import Table, publish

SLOWEST = 3


def measure() -> tuple[Table, list[Row]]:
    lines: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as clone:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), clone], check=True)
        for target, parts in (("setup", None), ("demo", _chapters), ("test", _durations)):
            start = time.perf_counter()
            said = list(
                _lines(
                    ["make", "--no-print-directory", target, *(["PYTEST=--durations=3"] if target == "test" else [])],
                    clone,
                )
            )
            lines.append((f"make {target}", f"{time.perf_counter() - start:.1f}"))
            if parts is not None:
                slowest = sorted(parts(said), key=lambda part: -part[1])[:SLOWEST]
                lines += [(f"- {name}", f"{seconds:.1f}") for name, seconds in slowest]
        subprocess.run(["make", "--no-print-directory", "down"], cwd=clone, check=False, capture_output=True)
    return Table("First impression", " ".join((__doc__ or "").split()), ("what", "wall, s"), tuple(lines), {}), []


def _lines(command: list[str], folder: str) -> Iterator[tuple[float, str]]:
    """The lines a command prints, each with the time at which it came."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV", "QUICK", "DEMO")
    }
    environment = kept | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        last = line
        yield time.perf_counter(), line.rstrip()
    if process.wait():
        raise MeasurementFailed(f"{' '.join(command)}: {last}")


def _chapters(said: list[tuple[float, str]]) -> Iterator[tuple[str, float]]:
    """The numbered chapters of the demo, and how long each took to the next."""
    starts = [(when, line) for when, line in said if re.match(r"\d+\. ", line)]
    ends = [*(when for when, _ in starts[1:]), said[-1][0]]
    for (when, line), end in zip(starts, ends, strict=True):
        yield line, end - when


def _durations(said: list[tuple[float, str]]) -> Iterator[tuple[str, float]]:
    """pytest's own list of its slowest tests."""
    for _, line in said:
        if match := re.match(r"([\d.]+)s (call|setup|teardown) +(\S+)", line):
            yield f"{match[3]} ({match[2]})", float(match[1])


if __name__ == "__main__":
    publish("demo", *measure())
