"""Captured predictions as predict writes them, under the hours they were made in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import orjson
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.model.model import Model
from stillgood.domain.promotion.decision import Pointer
from stillgood.steps.predict import record
from stillgood.storage.champion import read_model
from stillgood.storage.keys import POINTER_KEY, capture_key

from benchmarks.speed.world import Bucket, champion, customers, fill

ROWS = 1000  # of one object: the most that one request may carry
DISTINCT = 100  # objects that differ; more are copies of these, which a reader cannot know
END = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)


def pointer() -> Pointer:
    return Pointer.from_dict(orjson.loads(champion()[POINTER_KEY]))


@cache
def lines(number: int) -> bytes:
    """One object of captures."""
    model = _model()
    rows = customers(DISTINCT * ROWS).iloc[number * ROWS : (number + 1) * ROWS].to_dict("records")
    out = []
    for place, row in enumerate(rows):
        checked = RowChecker(model.contract).check({str(name): value for name, value in row.items()}, text=True)
        scored = model.score(checked.values)
        out.append(orjson.dumps(record(model, checked, scored, f"{number}-{place}", "2026-11-21T00:00:00Z")))
    return b"\n".join(out) + b"\n"


def capture(place: Bucket, rows: int, *, hours: int = 24, end: datetime = END) -> None:
    """Spread ``rows`` captured rows over the clock hours before ``end``."""
    objects = rows // ROWS
    sources = [f"captured/{number}" for number in range(min(DISTINCT, objects))]
    fill(place, ((key, lines(number)) for number, key in enumerate(sources)))
    for number, moment in enumerate(_moments(objects, hours, end)):
        place.copy(sources[number % len(sources)], capture_key(moment, str(number)))


def _moments(objects: int, hours: int, end: datetime) -> Iterator[datetime]:
    for number in range(objects):
        yield end - hours * HOUR + number * (hours * HOUR / objects)


@cache
def _model() -> Model:
    serving = pointer()
    return read_model(champion()[serving.model_key], serving.model_key, serving.version)
