"""``python -m benchmarks.simulation``: many lives in virtual time, each with its own faults, and the bugs planted on
purpose.

Lives add up in benchmarks/results/simulation.json, so that the seeds of an hour here and an hour there count together:
``--seeds 0:50 --days 60 --minutes 8`` lives those of 0 to 49 that were not lived for so many days yet, for at most so
long. ``--planted 0:200`` looks for a seed that finds each bug that none was found for. ``--anew`` forgets what was
lived with other code. Exit status 1 when an invariant broke or a target is missed.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stillgood.simulation.year.invariants import AT_REST
from stillgood.simulation.year.planted import PLANTED
from stillgood.simulation.year.run import live

from benchmarks.safety import met

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results/simulation.json"
AT_ONCE = 11  # invariants that book.py and life.py check at each write or answer; docs/simulation.md names them


def span(text: str) -> range:
    """Seeds "0:50" as 0 to 49."""
    first, _, last = text.partition(":")
    return range(int(first), int(last))


def lives(
    seeds: range, days: int, until: float, known: list[dict[str, Any]], planted: dict[str, dict[str, Any]]
) -> None:
    """Live the seeds that are not among ``known``, and add them, until the processor time ``until``."""
    done = {(life["seed"], life["days"]) for life in known}
    for seed in seeds:
        if (seed, days) in done:
            continue
        if time.process_time() > until:
            return
        begun = time.process_time()
        lived = live(seed, days)
        known.append(
            {
                "seed": seed,
                "days": days,
                "cpu_seconds": round(time.process_time() - begun, 2),
                "code": _commit(),
                "operations": lived.operations,
                "faults": dict(sorted(Counter(fault.kind for fault in lived.faults).items())),
                "broken": sorted({breach.invariant for breach in lived.broken}),
            }
        )
        write(known, planted)
        print(f"seed {seed}, {days} days: {known[-1]['broken'] or 'nothing broke'}", flush=True)


def plant(seeds: range, until: float, known_lives: list[dict[str, Any]], known: dict[str, dict[str, Any]]) -> None:
    """Look for a seed that finds each bug."""
    clean: dict[tuple[int, int], set[str]] = {}  # what breaks without a bug is no find
    for bug in PLANTED:
        search = known.setdefault(
            bug.name, {"what": bug.what, "days": bug.days, "tried": 0, "seed": None, "found_by": []}
        )
        for seed in seeds:
            if search["seed"] is not None or seed < search["tried"] or time.process_time() > until:
                continue
            with bug.in_place():
                lived = live(seed, bug.days)
            search["tried"] = seed + 1
            if lived.broken and (seed, bug.days) not in clean:
                clean[seed, bug.days] = set(live(seed, bug.days).names)
            if new := set(lived.names) - clean.get((seed, bug.days), set()):
                search |= {"seed": seed, "found_by": sorted(new)}
        write(known_lives, known)
        print(f"{bug.name}: seed {search['seed']} of {search['tried']} tried, by {search['found_by']}", flush=True)


def rows(known: list[dict[str, Any]], planted: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Names, values and targets."""
    operations, faults = Counter[str](), Counter[str]()
    for life in known:
        operations.update(life["operations"])
        faults.update(life["faults"])
    months = [life["cpu_seconds"] for life in known if life["days"] == 60]
    values: list[tuple[str, float, str]] = [
        ("lives", len(known), ""),
        ("lives of a year or more", sum(life["days"] >= 365 for life in known), ">= 1000"),
        ("days lived", sum(life["days"] for life in known), ""),
        ("days of the longest life", max((life["days"] for life in known), default=0), ">= 365"),
        # 20 of them in three minutes on two cores
        *(
            [("processor seconds of a life of 60 days, mean", round(sum(months) / len(months), 1), "<= 18")]
            if months
            else ()
        ),
        ("invariants", len(AT_REST) + AT_ONCE, ">= 16"),
        ("lives in which an invariant broke", sum(bool(life["broken"]) for life in known), "== 0"),
        ("planted bugs", len(PLANTED), ">= 10"),
        ("planted bugs found within 200 seeds", sum(bug["seed"] is not None for bug in planted.values()), ">= 10"),
        *((f"operations: {name}", count, "") for name, count in sorted(operations.items())),
        *((f"faults: {name}", count, "") for name, count in sorted(faults.items())),
    ]
    return [
        {"name": name, "value": value, "target": target, "met": met(value, target)} for name, value, target in values
    ]


def write(known: list[dict[str, Any]], planted: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep what is known after each life, so that a run can be stopped at any time; returns the rows."""
    table = rows(known, planted)
    RESULTS.write_text(json.dumps({"rows": table, "planted": planted, "lives": known}, indent=1) + "\n")
    return table


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-simulation")
    parser.add_argument("--seeds", type=span, default=range(0, 1000))
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--minutes", type=float, default=1e6, help="of processor time")
    parser.add_argument("--planted", type=span, default=range(0, 200))
    parser.add_argument("--anew", action="store_true")
    args = parser.parse_args()
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() and not args.anew else {"lives": [], "planted": {}}
    known, planted = before["lives"], before["planted"]
    until = time.process_time() + 60 * args.minutes
    plant(args.planted, until, known, planted)
    lives(args.seeds, args.days, until, known, planted)
    table = write(known, planted)
    mark = {True: "met", False: "MISSED", None: ""}
    for row in table:
        print(f"{row['name']:<60} {row['value']!s:>9}  {row['target']:<10} {mark[row['met']]}")
    return 1 if any(row["met"] is False for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
