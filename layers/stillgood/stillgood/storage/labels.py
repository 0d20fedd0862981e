"""The label ledger: ``labels/dt=<date of arrival>/<sha256>.jsonl``, append-only.

A batch's key is its content, so the same batch again on the same day is the same object. Its first line says when it
arrived, who sent it, and up to when its sender has sent all labels. Batches of older code have no such line, and lie
under their newest event's date.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from stillgood.domain.contract.labels import COMPLETE_UNTIL, Label, RefusedLabel
from stillgood.domain.errors import DocumentUnusable, ObjectExists
from stillgood.storage.codec import encode
from stillgood.storage.keys import INCOMING_PREFIX, LEDGER_PREFIX, REFUSED_LABELS_PREFIX, TAKEN_PREFIX, taken_key
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.rewriting import rewrite

FORMAT = "stillgood.label-batch"


@dataclass(frozen=True, slots=True)
class LabelBatch:
    """``arrived``: aware, None for a batch of older code. ``complete_until``: ISO 8601, None where the sender did not
    say.
    """

    labels: tuple[Label, ...]
    source: str = ""
    arrived: datetime | None = None
    complete_until: str | None = None


def append(
    store: ObjectStore, labels: Iterable[Label], *, arrived: datetime, source: str, complete_until: str | None = None
) -> bool:
    """Keep a batch under the date of its arrival. False when that very batch was kept on that day before. Raises
    StoreUnavailable.
    """
    distinct = sorted(set(labels))
    if not distinct and complete_until is None:
        return False
    data = b"".join(encode(label.to_dict()) for label in distinct)
    sender: dict[str, Any] = {"source": source, COMPLETE_UNTIL: complete_until}
    digest = hashlib.sha256(encode(sender) + data).hexdigest()
    head = {"format": FORMAT, "format_version": 1, "arrived": arrived.isoformat(), **sender}
    return _create(store, f"{LEDGER_PREFIX}{arrived:%Y-%m-%d}/{digest}.jsonl", encode(head) + data)


def take_back(store: ObjectStore, key: str, gone: Container[Label], arrived: datetime) -> None:
    """Leave the other labels of a batch, whose key it keeps: monitor knows it by that. Without any it is deleted.

    ``arrived``: of a batch that does not say it. Raises StoreUnavailable, DocumentUnusable.
    """

    def others(data: bytes) -> bytes:
        batch = _parsed(key, data)
        rows = [encode(label.to_dict()) for label in batch.labels if label not in gone]
        head = {"format": FORMAT, "format_version": 1, "source": batch.source, COMPLETE_UNTIL: batch.complete_until}
        since = {"arrived": (batch.arrived or arrived).isoformat()}
        return b"".join([encode(head | since), *rows]) if rows else b""

    rewrite(store, key, others)


def quarantine(store: ObjectStore, refused: Iterable[RefusedLabel]) -> None:
    """Keep what was refused, so that it can be mended and sent again."""
    if data := b"".join(encode(label.to_dict()) for label in refused):
        _create(store, f"{REFUSED_LABELS_PREFIX}{hashlib.sha256(data).hexdigest()}.jsonl", data)


def ledger(store: ObjectStore, since: date) -> Iterator[ObjectInfo]:
    """The batches that arrived on the day ``since`` or later."""
    return store.list(LEDGER_PREFIX, f"{LEDGER_PREFIX}{since:%Y-%m-%d}")


def read_batch(store: ObjectStore, key: str) -> LabelBatch:
    """One batch. Raises DocumentUnusable when it was overwritten by hand."""
    return _parsed(key, store.get(key).data)


def _parsed(key: str, data: bytes) -> LabelBatch:
    try:
        rows = [json.loads(line) for line in data.splitlines() if line]
        head = rows.pop(0) if rows and "format" in rows[0] else {}
        labels = tuple(
            Label(
                _text(row["event_time"]),
                _text(row.get("prediction_id", "")),
                _text(row.get("entity_id", "")),
                row["label"],
            )
            for row in rows
        )
        if not head:
            return LabelBatch(labels)
        return LabelBatch(
            labels, str(head["source"]), datetime.fromisoformat(head["arrived"]), head.get(COMPLETE_UNTIL)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentUnusable(
            f"{key} is not a batch of labels any more ({error}); restore its first version."
        ) from error


def _text(value: object) -> str:
    """``value``, a text that UTF-8 can say. Raises TypeError or UnicodeEncodeError, which is a ValueError."""
    if not isinstance(value, str):
        raise TypeError("a label says who and when by text")
    if not value.isascii():
        value.encode()
    return value


def incoming(store: ObjectStore, prefix: str = INCOMING_PREFIX) -> Iterator[ObjectInfo]:
    """Files that somebody uploaded and that were not taken in yet, of whatever name: what is no file of labels is
    refused by name.
    """
    taken: set[str] | None = None
    for info in store.list(prefix):
        if taken is None:
            taken = {mark.key for mark in store.list(TAKEN_PREFIX)}
        if taken_key(info.key, info.etag) not in taken:
            yield info


def mark_taken(store: ObjectStore, info: ObjectInfo, counts: dict[str, int], at: datetime) -> None:
    """After its labels are in the ledger: a crash in between only takes them in again, which changes nothing."""
    record = {"format": "stillgood.labels-taken", "format_version": 1, "key": info.key, "at": at.isoformat(), **counts}
    _create(store, taken_key(info.key, info.etag), encode(record))


def _create(store: ObjectStore, key: str, data: bytes) -> bool:
    try:
        store.create(key, data)
    except ObjectExists:
        return False
    return True
