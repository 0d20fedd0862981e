"""``python -m benchmarks.decisions``: all error rates and the years; ``QUICK=1`` has fewer seeds and worlds, so its
intervals are wider.

Seeded. Prints a table, writes benchmarks/results/decisions.json and docs/error-rates.md with its pictures.
``SEEDS=6`` says how many. ``ONLY=rates,null`` runs parts of it and writes nothing. ``MINUTES=20`` begins no year after
that time: years that were played are kept under .local/decisions as long as no line of code changes, and each row says
how many repeats it has.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.decisions import compare, page, rates
from benchmarks.decisions.table import Table
from benchmarks.decisions.years import DEADLINE, Year

QUICK = bool(os.environ.get("QUICK"))
ONLY = tuple(filter(None, os.environ.get("ONLY", "").split(",")))
REPEATS, GATES = (200, 150) if QUICK else (1000, 200)
RESULTS = Path(__file__).resolve().parent.parent / "results" / "decisions.json"


def main() -> None:
    table, start = Table(), time.monotonic()
    years: list[Year] = []
    parts: dict[str, Callable[[], list[Year]]] = {
        "telco": lambda: compare.telco(table, few=QUICK),
        "dated": lambda: compare.dated(table, few=QUICK),
        "null": lambda: compare.null(table, few=QUICK),
        "attempts": lambda: compare.attempts(table, few=QUICK),
        "rates": lambda: _rates(table),
    }
    for name, part in parts.items():
        if not ONLY or name in ONLY:
            began = time.monotonic()
            years += part()
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    seconds = time.monotonic() - start
    if not ONLY:
        said = "".join(f" {name}={os.environ[name]}" for name in ("QUICK", "SEEDS") if os.environ.get(name))
        command = f"make bench-decisions{said}"
        document = {"command": command, "seconds": round(seconds), "rows": table.rows, "years": page.rows_of(years)}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        page.write(document, years)
    missed = [row["name"] for row in table.rows if row["met"] is False]
    print(f"{seconds:.0f} s; {len(missed)} targets missed: {'; '.join(missed)}")


def _rates(table: Table) -> list[Year]:
    with threadpool_limits(1):
        for part, repeats in (
            (rates.gates, GATES),
            (rates.windows, REPEATS),
            (rates.concept, REPEATS),
            (rates.estimates, REPEATS),
        ):
            if time.time() < DEADLINE:
                part(table, repeats)
    return []


if __name__ == "__main__":
    main()
