"""Captures that Firehose delivered: at least once, and under the hour in which the oldest of them arrived there.

So an object may hold rows of the next hour, or of the end of the one before, and rows that are captured elsewhere, too.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from stillgood.domain.errors import StillgoodError
from stillgood.domain.outcomes.ledger import identity
from stillgood.storage.keys import DELIVERED, capture_prefix
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.windows import Window, utc

_HOUR = timedelta(hours=1)
_BUFFERED = timedelta(minutes=15)  # the longest that Firehose collects
_ON_THE_WAY = timedelta(minutes=2)  # between a row's own time and its arrival


class _Line(msgspec.Struct, gc=False):
    time: str
    prediction_id: str = ""


_DECODER = msgspec.json.Decoder(_Line)


def is_delivered(key: str) -> bool:
    """Whether Firehose wrote the capture.

    >>> is_delivered("capture/dt=2026-11-24/hour=09/firehose-090501-stream-1-2026-11-24-09-05-01-ab.jsonl")
    True
    """
    return key.rpartition("/")[2].startswith(DELIVERED)


def mark(key: str) -> str:
    """Eight hexadecimal digits by which a report remembers a delivered object."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def neighbours(store: ObjectStore, hour: datetime) -> list[ObjectInfo]:
    """Delivered objects of the hours before and after that may hold rows of ``hour``. Two listings, mostly empty."""
    before, after = hour - _HOUR, hour + _HOUR
    begun = f"{capture_prefix(before)}{DELIVERED}{hour - _BUFFERED:%H%M%S}"
    last = f"{capture_prefix(after)}{DELIVERED}{after + _ON_THE_WAY:%H%M%S}"
    objects = [*store.list(f"{capture_prefix(before)}{DELIVERED}", begun)]
    for info in store.list(f"{capture_prefix(after)}{DELIVERED}"):
        if info.key >= last:
            break
        objects.append(info)
    return objects


def once(objects: Iterable[bytes], span: Window) -> Iterator[bytes]:
    """The lines whose time is in ``span``, each prediction once, by object. Lines that cannot be read pass: monitor
    counts them.

    A refused row has no id. As many alike are taken as the object with the most of them has: rows of one request stand
    in one object, and a second delivery in another.
    """
    seen: set[int] = set()
    refused: Counter[bytes] = Counter()
    for data in objects:
        kept, here = [], Counter[bytes]()
        for line in data.splitlines():
            record = None
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                record = _DECODER.decode(line)
            if record is not None:
                with suppress(StillgoodError):
                    if utc(record.time) not in span:
                        continue
                if record.prediction_id:
                    key = identity(record.prediction_id)
                    if key in seen:
                        continue
                    seen.add(key)
                else:
                    here[line] += 1
                    if here[line] <= refused[line]:
                        continue
            kept.append(line)
        refused |= here
        if kept:
            yield b"\n".join(kept) + b"\n"
