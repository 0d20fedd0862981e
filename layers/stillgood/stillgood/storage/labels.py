"""The label ledger: ``labels/dt=<date>/<sha256>.jsonl``, append-only. A batch's key is its content, so the same batch again is the same object."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from stillgood.domain.contract.labels import Label, RefusedLabel
from stillgood.domain.errors import ModelUnusable, ObjectExists
from stillgood.storage.codec import encode
from stillgood.storage.keys import INCOMING_PREFIX, LEDGER_PREFIX, REFUSED_LABELS_PREFIX, taken_key
from stillgood.storage.objects import ObjectInfo, ObjectStore


def append(store: ObjectStore, labels: Iterable[Label]) -> bool:
    """Keep a batch under the date of its newest event. False when that very batch was kept before. Raises StoreUnavailable."""
    distinct = sorted(set(labels))
    if not distinct:
        return False
    data = b"".join(encode(one.to_dict()) for one in distinct)
    return _create(
        store, f"{LEDGER_PREFIX}{distinct[-1].event_time[:10]}/{hashlib.sha256(data).hexdigest()}.jsonl", data
    )


def quarantine(store: ObjectStore, refused: Iterable[RefusedLabel]) -> None:
    """Keep what was refused, so that it can be mended and sent again."""
    if data := b"".join(encode(one.to_dict()) for one in refused):
        _create(store, f"{REFUSED_LABELS_PREFIX}{hashlib.sha256(data).hexdigest()}.jsonl", data)


def ledger(store: ObjectStore, since: date) -> Iterator[ObjectInfo]:
    """The batches whose newest event is of ``since`` or later."""
    return store.list(LEDGER_PREFIX, f"{LEDGER_PREFIX}{since:%Y-%m-%d}")


def read_batch(store: ObjectStore, key: str) -> list[Label]:
    """The labels of one batch. Raises ModelUnusable when it was overwritten by hand."""
    try:
        rows = [json.loads(line) for line in store.get(key).data.splitlines() if line]
        return [
            Label(row["event_time"], row.get("prediction_id", ""), row.get("entity_id", ""), row["label"])
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnusable(f"{key} is not a batch of labels any more ({error}); restore its first version.") from error


def incoming(store: ObjectStore) -> Iterator[ObjectInfo]:
    """Files that somebody uploaded and that were not taken in yet, of whatever name: what is no file of labels is refused by name."""
    for info in store.list(INCOMING_PREFIX):
        if info.key.endswith((".csv", ".jsonl")) and not any(store.list(taken_key(info.key, info.etag))):
            yield info


def mark_taken(store: ObjectStore, info: ObjectInfo, counts: dict[str, int], at: datetime) -> None:
    """After its labels are in the ledger: a crash in between only takes them in again, which changes nothing."""
    told = {"format": "stillgood.labels-taken", "format_version": 1, "key": info.key, "at": at.isoformat(), **counts}
    _create(store, taken_key(info.key, info.etag), encode(told))


def _create(store: ObjectStore, key: str, data: bytes) -> bool:
    try:
        store.create(key, data)
    except ObjectExists:
        return False
    return True
