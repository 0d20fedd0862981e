"""``python -m benchmarks.speed.guard``: predict cold and warm, batch and KS again, quickly, beside the published
ratios. For CI.

A ratio holds on any machine, a time does not. It fails only when one is twice as bad as published: noise does not do
that, a blunder does.
"""

import json
import sys
from collections.abc import Iterator

from benchmarks.speed import ks, rivals
from benchmarks.speed.batch import inputs, ours, theirs
from benchmarks.speed.cold import EVENT, HELLO_OBSTORE, first
from benchmarks.speed.measure import Row, column, compare, in_turns
from benchmarks.speed.packages import built
from benchmarks.speed.report import SPEED
from benchmarks.speed.warm import HELLO, OURS, against_hello, serve
from benchmarks.speed.world import bucket

GROSS = 2.0
ROWS = 100_000


def main() -> int:
    published = {row["name"]: row["ratio"] for row in json.loads(SPEED.read_text(encoding="utf-8"))}
    broken = 0
    for row in measured():
        before = published[row.name]
        worse = row.ratio / before if (row.target or "").startswith("<=") else before / row.ratio
        verdict = (
            "TWICE AS BAD AS PUBLISHED" if worse > GROSS else "as published" if worse < 1.25 else "worse, not grossly"
        )
        broken += worse > GROSS
        print(
            f"{row.name}: {row.ratio:.3g} ({row.low:.3g} - {row.high:.3g}), published {before:.3g}: {verdict}",
            flush=True,
        )
    return 1 if broken else 0


def measured() -> Iterator[Row]:
    """The guarded rows, under the names they are published by."""
    with bucket() as place:
        mine, hello, light = "this project", HELLO_OBSTORE, place.environment | {"CLIENT": "obstore"}
        app = rivals.Rival("app", built("predict"))
        usages = in_turns({mine: first(app, EVENT, place.environment), hello: first(rivals.hello(), EVENT, light)}, 5)
        yield compare(
            f"predict cold start, CPU: {mine} / {hello}",
            column(usages[mine], "cpu"),
            column(usages[hello], "cpu"),
            "<= 1.0",
        )
        warm = {
            OURS: serve(app, place.environment, 2000, "no"),
            HELLO: serve(rivals.hello(), light, 2000, "no"),
        }
        yield against_hello("p50", in_turns(warm, 3))
        place.put("tutorial/model.joblib", rivals.pickled())
        place.put("batch/few.csv", inputs(ROWS, "batch/few")["batch/few.csv"])
        usages = in_turns(
            {"ours": ours(place, "batch/few.csv", ROWS), "theirs": theirs(place, "batch/few.csv", ROWS)}, 2
        )
        yield compare(
            f"batch {ROWS:,} rows of CSV, CPU: pandas + scikit-learn / this project",
            column(usages["theirs"], "cpu"),
            column(usages["ours"], "cpu"),
            ">= 5",
        )
    _, rows = ks.measure(1_000_000, 3)
    yield from rows[:2]


if __name__ == "__main__":
    sys.exit(main())
