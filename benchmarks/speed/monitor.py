"""Monitor, whole process: one day of captured predictions is read from S3, tested feature by feature against the
champion's training rows, and judged.

The captures are those of requests of 1,000 rows. pandas + scipy reads the same objects and has byte code beside its
libraries; evidently and NannyML read one local file.
"""

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.speed import alternatives, rivals
from benchmarks.speed.captured import DISTINCT, END, ROWS, capture, lines, pointer
from benchmarks.speed.measure import Row, Usage, column, compare, in_turns, run
from benchmarks.speed.packages import CONTESTANTS, built
from benchmarks.speed.report import Table, publish, quick, table
from benchmarks.speed.world import Bucket, bucket, champion

WHOLE = CONTESTANTS / "whole.py"
OURS, SCIPY = "this project", "pandas + scipy"
EVENT = {"scheduled_time": END.isoformat().replace("+00:00", "Z")}


def measure() -> tuple[Table, list[Row]]:
    size = 100_000 if quick() else 300_000
    with bucket() as place, tempfile.TemporaryDirectory() as folder:
        capture(place, size)
        files = {"REFERENCE": str(Path(folder) / "reference.csv"), "CAPTURED": str(Path(folder) / "captured.jsonl")}
        write_reference(Path(files["REFERENCE"]))
        Path(files["CAPTURED"]).write_bytes(b"".join(lines(number % DISTINCT) for number in range(size // ROWS)))
        path = [str(CONTESTANTS), *rivals.tutorial(compiled=True).path]
        contestants = {
            OURS: ours(place, size),
            SCIPY: judging([*python("scipy_drift", {}), *path], place.environment | files, size),
        }
        if (interpreter := alternatives.interpreter()) is not None:
            quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "HOME": folder, "MPLCONFIGDIR": folder}
            for name in ("evidently", "nannyml"):
                command = [interpreter, "-W", "ignore", str(CONTESTANTS / f"{name}_drift.py")]
                contestants[name] = judging(command, place.environment | files | quiet, size)
        usages = in_turns(contestants, 1 if quick() else 5)
        report = json.loads(place.get(usages[OURS][0].said["answer"]["report"]))
    what = f"monitor {size:,} captured rows"
    rows = [_against(what, SCIPY, usages, ">= 5"), _difference(report, usages[SCIPY][0].said["answer"]["found"])]
    for name, target in (("evidently", ">= 20"), ("nannyml", ">= 5")):
        rows += [_against(what, name, usages, target)] if name in usages else []
    peaks = column(usages[SCIPY], "peak"), column(usages[OURS], "peak")
    rows.append(compare(f"{what}, peak memory: {SCIPY} / {OURS}", *peaks, ">= 8"))
    return table("Monitor", __doc__ or "", usages, f"{size:,} rows."), rows


def ours(place: Bucket, size: int, event: dict[str, str] = EVENT, **settings: str) -> Callable[[], Usage]:
    """The monitor Lambda on a window that nobody judged before."""
    judged = judging([*python("app", event), *built("monitor")], place.deployed | settings, size)

    def once() -> Usage:
        place.clear("monitoring/")
        return judged()

    return once


def write_reference(file: Path) -> None:
    """The champion's training rows as the rivals need them: each column has the very values of the reference, in an
    order of its own.
    """
    profile: dict[str, Any] = json.loads(champion()[pointer().reference_key])
    columns: dict[str, list[Any]] = {}
    for name, part in (*profile["numeric"].items(), ("score", profile["score"])):
        columns[name] = list(_repeated(part["values"], part["counts"]))
    for name, part in profile["categorical"].items():
        levels = ["0.0", "1.0"] if part["levels"] == ["false", "true"] else part["levels"]
        columns[name] = list(_repeated(levels, part["counts"]))
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([list(columns), *zip(*columns.values(), strict=True)])


def _repeated(values: list[Any], counts: list[int]) -> Iterator[Any]:
    return chain.from_iterable([value] * times for value, times in zip(values, counts, strict=False))


def python(module: str, event: dict[str, str]) -> list[str]:
    return [sys.executable, "-I", "-S", "-B", str(WHOLE), module, json.dumps(event)]


def judging(command: list[str], environment: dict[str, str], size: int) -> Callable[[], Usage]:
    def once() -> Usage:
        used = run(command, environment)
        assert used.said["answer"]["rows"] == size, used.said
        return used

    return once


def _against(what: str, name: str, usages: dict[str, list[Usage]], target: str) -> Row:
    return compare(f"{what}, CPU: {name} / {OURS}", column(usages[name], "cpu"), column(usages[OURS], "cpu"), target)


def _difference(report: dict[str, Any], scipy: dict[str, list[float]]) -> Row:
    """The greatest difference of any statistic or p value from scipy's, in units of 1e-12."""
    tests = {
        check["subject"]: check for check in report["drift"]["checks"] if check["test"] in ("ks", "chi_square", "score")
    }
    assert tests.keys() == scipy.keys(), tests.keys() ^ scipy.keys()
    pairs = [
        (tests[name][key], value)
        for name, both in scipy.items()
        for key, value in zip(("statistic", "p"), both, strict=True)
    ]
    worst = max(abs(mine - theirs) / max(1.0, abs(theirs)) for mine, theirs in pairs) / 1e-12
    return Row("monitor, greatest difference of a statistic or p from scipy's / 1e-12", worst, worst, worst, "<= 1")


if __name__ == "__main__":
    publish("monitor", *measure())
