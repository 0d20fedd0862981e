"""Monitor with labels, whole process: single predictions and single labels, day after day, against an S3 that answers
after 15 ms.

Every prediction is an object of its own, and so is every label. A day's run has a day's captures and a day's labels to
read; what became of older days is in the outcome ledger. ``python -m benchmarks.speed.monitor_labels``; DAILY and DAYS
scale it.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import orjson
from stillgood.domain.contract.labels import Label
from stillgood.storage.keys import capture_key
from stillgood.storage.labels import append
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import iso

from benchmarks.speed import captured
from benchmarks.speed.captured import END, lines
from benchmarks.speed.measure import Row, Usage, column, compare
from benchmarks.speed.monitor import judging, python
from benchmarks.speed.packages import built
from benchmarks.speed.report import Table, publish, quick, table
from benchmarks.speed.world import Bucket, bucket, champion

DAY = timedelta(days=1)
LATENCY_MS = "15"
WATCHING = {"STILLGOOD_MODE": "watch"}  # it asks for no retrain: there is no train to ask


def measure() -> tuple[Table, list[Row]]:
    daily = int(os.environ.get("DAILY", "1000" if quick() else "33000"))
    days = int(os.environ.get("DAYS", "4" if quick() else "30"))
    with maturing(), bucket() as place:
        runs: list[Usage] = []
        for day in range(days):
            start = END - (days - day) * DAY
            predict(place, start, daily)
            post_labels(place, start, daily)
            end = start + DAY
            runs.append(
                judging(
                    [*python("app", {"scheduled_time": iso(end)}), *built("monitor")], place.deployed | WATCHING, daily
                )()
            )
    what = f"monitor with labels, {daily:,} single predictions a day and a label for each, S3 after {LATENCY_MS} ms"
    half = max(1, days // 3)
    rows = [
        compare(f"{what}: seconds of a day's run", column(runs[-half:], "wall"), [1.0] * half, "<= 60"),
        compare(
            f"{what}: seconds, the last {half} days / the first {half} with labels",
            column(runs[-half:], "wall"),
            column(runs[1 : 1 + half], "wall"),
            "<= 1.3",
        ),
        compare(f"{what}: peak memory, the last {half} days / the first", column(runs[-half:], "peak"), column(runs[1 : 1 + half], "peak"), "<= 1.3"),  # noqa: E501
    ]  # fmt: skip
    return table("Monitor with labels", __doc__ or "", {f"a day of {daily:,}": runs[-half:]}), rows


@contextmanager
def maturing() -> Iterator[None]:
    """Servers that take their time, and a champion whose labels mature after three days, so that most days are judged
    and learnt.
    """
    settings = {"S3_LATENCY_MS": LATENCY_MS, "MATURITY_DAYS": "3"}
    caches = (champion, captured.lines, captured._model)
    os.environ.update(settings)
    for cached in caches:
        cached.cache_clear()
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]
        for cached in caches:
            cached.cache_clear()


def predict(place: Bucket, start: datetime, daily: int) -> None:
    source = iter([line for number in range(-(-daily // 1000)) for line in lines(number % 100).splitlines()])
    captures = {}
    for number in range(daily):
        at = start + number * (DAY / daily)
        record = orjson.loads(next(source)) | {"prediction_id": f"{start:%Y%m%d}-{number}", "time": iso(at)}
        captures[capture_key(at, str(number))] = orjson.dumps(record).decode() + "\n"
    place.put_texts(captures)


def post_labels(place: Bucket, start: datetime, daily: int) -> None:
    """Yesterday's outcomes, one batch each, as they arrive during the day."""
    draw, before = random.Random(start.toordinal()), start - DAY
    kept = MemoryObjectStore()
    for number in range(daily):
        event = iso(before + number * (DAY / daily) + timedelta(hours=1))
        label = Label(event, f"{before:%Y%m%d}-{number}", "", "Yes" if draw.random() < 0.27 else "No")
        append(kept, [label], arrived=start + number * (DAY / daily), source="crm")
    place.put_texts({info.key: kept.get(info.key).data.decode() for info in kept.list("labels/")})


if __name__ == "__main__":
    assert END.tzinfo is UTC
    publish("monitor_labels", *measure())
