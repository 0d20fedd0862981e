"""The newest predictions of the champion, as a population to place a threshold on: evenly spread over a window, or back
beyond a
quiet one."""

from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.capture_record import KIND, PREDICTION, REJECTION
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.operating_point.decide import MAX_POPULATION
from stillgood.domain.outcomes.ledger import identity
from stillgood.steps.monitor.hours import CapturedHours
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import Window, hours, iso

_WORKERS = 16
# How far before a quiet window: a population of long ago is another one.
MAX_HOURS = 24 * 7


class _Scored(msgspec.Struct, tag_field=KIND, tag=PREDICTION, gc=False):
    time: str
    entity_id: str | None
    features: dict[str, float | str | None]
    score: float
    model: str


class _Refused(msgspec.Struct, tag_field=KIND, tag=REJECTION, gc=False):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """``frame``: rows in order of time; ``logits`` float64[n] and whose they are, ``entities`` int64[n]; those from
    ``first`` on
    are of the window itself."""

    frame: Frame
    logits: NDArray[np.float64]
    entities: NDArray[np.int64]
    first: int


def sample(
    store: ObjectStore,
    contract: Contract,
    version: str,
    window: Window,
    *,
    since: datetime,
    rows: int,
    settled: datetime,
) -> Sample:
    """Up to MAX_POPULATION of the newest predictions of model ``version`` made before the end of ``window``.

    ``rows``: how many the window has; of many, every k-th line is taken, so that no time of day is left out. A window
    with fewer is filled from before it, back to ``since`` at most. Raises StoreUnavailable.
    """
    step = max(1, rows // MAX_POPULATION)
    span = Window(min(since.replace(microsecond=0), window.start), window.end)
    decoder = msgspec.json.Decoder(_Scored | _Refused)
    found: list[_Scored] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        newest_first = list(reversed(hours(span)))[: len(hours(window)) + MAX_HOURS]
        for hour in CapturedHours(store, pool, settled).read(newest_first, span):
            before = hour.start < window.start
            lines = [line for part in hour.parts for line in part.splitlines() if line]
            for line in lines[:: 1 if before else step]:
                try:
                    record = decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    continue
                if isinstance(record, _Scored) and record.model == version:
                    found.append(record)
            if len(found) >= MAX_POPULATION:
                break
    found.sort(key=lambda record: record.time)
    found = found[-MAX_POPULATION:]
    return Sample(
        Frame.from_values(contract, [_values(contract, record) for record in found]),
        logits_of(np.array([record.score for record in found], dtype=np.float64)),
        np.array(
            [_number(identity(one.entity_id)) if one.entity_id else -1 - place for place, one in enumerate(found)],
            dtype=np.int64,
        ),
        bisect_left(found, iso(window.start), key=lambda record: record.time),
    )


def logits_of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n] of captured scores in 0..1: log(s / (1 - s)), within 36, beyond which a score is 0 or 1."""
    inside = np.clip(scores, 2.0**-52, 1.0 - 2.0**-52)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _values(contract: Contract, record: _Scored) -> dict[str, Any]:
    """Personal data is not captured; it stands as missing and is left out of what is said of contributions."""
    return {feature.name: record.features.get(feature.name) for feature in contract.features}


def _number(hashed: int) -> int:
    """A 64-bit hash as a signed number."""
    return hashed - 2**64 if hashed >= 2**63 else hashed
