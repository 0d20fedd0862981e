"""``python -m benchmarks.decisions``: all error rates and the year replay; ``QUICK=1`` repeats less, so its intervals are wider.

Seeded. Prints a table, writes benchmarks/results/decisions.json and docs/error-rates.md with its plot.
"""

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.decisions import page, rates
from benchmarks.decisions.replay import POLICIES, PROCESSES, closed_loop, replay
from benchmarks.decisions.table import Table

QUICK = bool(os.environ.get("QUICK"))
REPEATS = 200 if QUICK else 1000
GATES = 200 if QUICK else 400
NULL_YEARS = 200
YEARS = dict.fromkeys(POLICIES, 1) if QUICK else {"guarded": 5, "never": 5, "seed": 2, "always": 1}
RESULTS = Path(__file__).resolve().parent.parent / "results" / "decisions.json"


def null_years(table: Table) -> None:
    for policy, count in (("guarded", NULL_YEARS), ("simple", 10)):
        with ProcessPoolExecutor(PROCESSES) as pool:
            asked = list(pool.map(partial(_null_year, policy), range(count)))
        target = "<= 1" if policy == "guarded" else ""
        table.mean(f"false retrains per null year of 365 windows of 500, {policy}", asked, target)


def _null_year(policy: str, year: int) -> float:
    with threadpool_limits(1):
        return float(rates.null_year(rates.POLICIES[policy], year))


def main() -> None:
    table, start = Table(), time.monotonic()
    with threadpool_limits(1):
        rates.windows(table, REPEATS)
        rates.concept(table, REPEATS)
        rates.estimates(table, REPEATS)
        rates.gates(table, GATES)
    null_years(table)
    told = replay(YEARS, few=QUICK)
    closed_loop(table, told)
    RESULTS.write_text(json.dumps(table.rows, indent=1) + "\n", encoding="utf-8")
    page.write(table.rows, told, "make bench-decisions" + (" QUICK=1" if QUICK else ""))
    for one in told:
        print({name: round(value, 3) if isinstance(value, float) else value for name, value in one.row().items()})
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
