"""``python -m benchmarks.safety``: how many faults, races, replays, forged inputs and requests were tried, and what was
survived.

Runs the tests that tell counts (the fixture ``count`` of tests/conftest.py), adds up each name, and writes
benchmarks/results/safety.json as rows of name, value, target, met. What the load run counts (``make bench-load``) is
added from its own results. Exit status 1 when a test fails or a target is missed.
"""

import json
import operator
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS, LOAD = (ROOT / "benchmarks/results" / name for name in ("safety.json", "load.json"))
TESTS = (
    "tests/faults",
    "tests/storage",
    "tests/aws/test_s3_faults.py",
    "tests/functions/test_serving_faults.py",
    "tests/fuzz",
    "tests/security",
    "tests/local/test_auth.py",
)
COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


def met(value: float, target: str) -> bool | None:
    """Whether ``value`` meets a target such as ">= 200"; None without one. Raises KeyError, ValueError for another
    form.
    """
    if not target:
        return None
    sign, number = target.split()
    return bool(COMPARE[sign](value, int(number)))


def rows(counts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a name, in order of name: values added up, against the target that was told with them."""
    values: dict[str, int] = {}
    targets: dict[str, str] = {}
    for count in counts:
        values[count["name"]] = values.get(count["name"], 0) + count["value"]
        targets[count["name"]] = count["target"] or targets.get(count["name"], "")
    return [
        {"name": name, "value": values[name], "target": targets[name], "met": met(values[name], targets[name])}
        for name in sorted(values)
    ]


def run(tests: Iterable[str], processes: int = 2) -> tuple[int, list[dict[str, Any]]]:
    """pytest's exit status, and what the tests told."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts.jsonl"
        file.touch()
        words = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "--dist", "loadfile", *tests]
        status = subprocess.run(words, cwd=ROOT, env=os.environ | {"STILLGOOD_COUNTS": str(file)}, check=False)
        return status.returncode, [json.loads(line) for line in file.read_text().splitlines()]


def main() -> int:
    """Exit status 1 when a test fails or a target is missed."""
    status, counts = run(sys.argv[1:] or TESTS)
    table = rows(counts)
    table.append({"name": "exit status of the tests", "value": status, "target": "== 0", "met": status == 0})
    if LOAD.exists():
        table += [{**row, "name": f"load: {row['name']}"} for row in json.loads(LOAD.read_text())]
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")
    mark = {True: "met", False: "MISSED", None: ""}
    for row in table:
        print(f"{row['name']:<90} {row['value']!s:>9}  {row['target']:<10} {mark[row['met']]}")
    return 1 if any(row["met"] is False for row in table) else 0


if __name__ == "__main__":
    raise SystemExit(main())
