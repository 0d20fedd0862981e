"""What captures cost by each way, and whether each prediction is counted once however Firehose delivers.

List prices of us-east-1. Of Firehose's bill each record is rounded up to 5 KB, and the objects that it writes are PUTs
like all others.
"""

import itertools
import json
import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from stillgood.aws.firehose import ByFirehose, Firehose
from stillgood.domain.contract.capture_record import CapturedPrediction
from stillgood.steps.monitor.hours import CapturedHours, readers
from stillgood.storage.keys import capture_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import iso

from benchmarks.strangers.worlds import pool

PUT, GB, RECORD = 0.005 / 1000, 0.029, 5_000  # $ a PUT, $ a GB by Firehose, bytes that a record is rounded up to
BUFFER_SECONDS, MONTH_SECONDS = 60, 30 * 86_400
TARGET = {"share_of_s3": 1 / 20, "lost": 0, "twice": 0}
NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


class Stream:
    """Takes records, and remembers them."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def put(self, data: bytes) -> None:
        self.records.append(data)


def line(number: int, at: datetime) -> bytes:
    """A captured row of the Telco customers, as predict writes it."""
    customers = pool()
    features = json.loads(customers.rows[number % len(customers.rows)])
    made = CapturedPrediction(
        f"p-{number:032x}", iso(at), f"c-{number}", features, 0.123456789, 0.123456789, False, "v"
    )
    return json.dumps(made.to_dict(), separators=(",", ":")).encode() + b"\n"


def cost(a_second: float, rows_a_request: int = 1) -> dict[str, Any]:
    """$ a month of ``a_second`` requests, by the sizes of the records that predict's own code makes of some."""
    stream, requests = Stream(), 200
    capture = ByFirehose(cast(Firehose, stream), MemoryObjectStore())
    for number in range(requests):
        rows = b"".join(line(number * rows_a_request + place, NINE) for place in range(rows_a_request))
        capture.create(f"capture/{number}", rows)
    billed = sum(math.ceil(len(record) / RECORD) * RECORD for record in stream.records) / requests
    month = a_second * MONTH_SECONDS
    objects = min(month, MONTH_SECONDS / BUFFER_SECONDS)
    by_s3, by_firehose = month * PUT, month * billed / 1e9 * GB + objects * PUT
    return {
        "requests_a_second": a_second,
        "rows_a_request": rows_a_request,
        "bytes_a_request": round(sum(map(len, stream.records)) / requests),
        "s3": round(by_s3, 2),
        "firehose": round(by_firehose, 2),
        "share_of_s3": round(by_firehose / by_s3, 4),
    }


def counted(n: int, seed: int = 1) -> dict[str, Any]:
    """``n`` predictions over two hours, delivered in objects of a minute, one in ten of them twice; one record in fifty
    is in S3, too, since its answer got lost, and one in fifty there alone. How often readers count them.
    """
    draw, store = random.Random(seed), MemoryObjectStore()
    sent: Counter[datetime] = Counter()
    minutes: dict[datetime, list[bytes]] = {}
    for number in range(n):
        at = NINE + number * timedelta(hours=2) / n
        text, fate = line(number, at), draw.randrange(50)
        sent[at.replace(minute=0, second=0, microsecond=0)] += 1
        if fate < 2:
            store.put(capture_key(at, f"r{number}"), text)
        if fate != 1:
            # Objects begin when a record arrives, so that the last of an hour reaches into the next.
            minutes.setdefault(at - (at - NINE + timedelta(seconds=20)) % timedelta(seconds=BUFFER_SECONDS), []).append(
                text
            )
    copies = itertools.count()
    for begun, records in minutes.items():
        arrived = max(begun, NINE)
        for _ in range(2 if draw.randrange(10) == 0 else 1):
            name = f"firehose-{arrived:%H%M%S}-s-1-{next(copies)}"
            store.put(f"capture/dt={arrived:%Y-%m-%d}/hour={arrived:%H}/{name}.jsonl", b"".join(records))
    counts: Counter[str] = Counter()
    misplaced = 0
    with readers(store) as executor:
        for hour in CapturedHours(store, executor, NINE + timedelta(days=1)).read(sorted(sent)):
            lines = b"".join(hour.parts).splitlines()
            counts.update(json.loads(text)["prediction_id"] for text in lines)
            misplaced += abs(len(lines) - sent[hour.start])
    return {
        "predictions": n,
        "objects": sum(1 for _ in store.list("capture/")),
        "lost": n - len(counts),
        "twice": sum(count - 1 for count in counts.values()),
        "in_another_hour": misplaced,
    }


def run() -> dict[str, Any]:
    rows = [cost(1), cost(100), cost(100, 20)]
    once = counted(50_000)
    met = once["lost"] == once["twice"] == once["in_another_hour"] == 0
    for row in rows:
        if row["rows_a_request"] == 1:  # long lists are what one object is cheap for
            row["met"] = row["share_of_s3"] <= TARGET["share_of_s3"]
    return {"target": TARGET, "dollars_a_month": rows, "counted": once | {"met": met}}
