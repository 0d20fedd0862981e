"""Logs that another processor wrote, and what was forged in them: counted by the tests that write and forge them."""

from typing import Any

from benchmarks import safety

TESTS = ("tests/faults/test_processors.py",)


def run() -> dict[str, Any]:
    """How many logs and windows replayed, and how many forgeries were named. Raises SystemExit when a test fails."""
    status, counts = safety.run(TESTS, processes=1)
    if status:
        raise SystemExit(status)
    return {"rows": [row for row in safety.rows(counts) if row["name"].startswith("logs: ")]}
