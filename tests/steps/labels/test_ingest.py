"""Labels come in by HTTP body or by file, idempotently, and what is refused can be found again."""

import json
from datetime import UTC, datetime

import pytest
from stillgood.domain.contract.contract import Target
from stillgood.domain.errors import InvalidRows, MalformedRequest
from stillgood.steps.labels.ingest import ingest_label_files, post_labels
from stillgood.storage.keys import INCOMING_PREFIX, LEDGER_PREFIX, REFUSED_LABELS_PREFIX
from stillgood.storage.labels import ledger, read_batch
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.faulty import Crashed, FaultyObjectStore

TARGET = Target("churn", "Yes", "No")
LIMITS = {"max_rows": 10, "max_bytes": 10_000}
GOOD = {"prediction_id": "p1", "label": "Yes", "event_time": "2026-11-20T10:00:00Z"}
BAD = {"prediction_id": "p2", "label": "perhaps", "event_time": "2026-11-20T10:00:00Z"}


def now() -> datetime:
    return datetime(2026, 11, 24, tzinfo=UTC)


def keys(store: MemoryObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_a_batch_is_kept_once_however_often_it_is_sent() -> None:
    store = MemoryObjectStore()
    first = post_labels(json.dumps([GOOD, GOOD]).encode(), store, TARGET, **LIMITS)
    again = post_labels(json.dumps([GOOD]).encode(), store, TARGET, **LIMITS)
    assert first == {"accepted": 2, "refused": 0, "duplicate": False, "violations": []}
    assert again["duplicate"] is True
    (batch,) = keys(store, LEDGER_PREFIX)
    assert batch.startswith("labels/dt=2026-11-20/")
    assert [label.prediction_id for label in read_batch(store, batch)] == ["p1"]


def test_good_labels_are_kept_beside_bad_ones_which_are_quarantined() -> None:
    store = MemoryObjectStore()
    told = post_labels(json.dumps([GOOD, BAD]).encode(), store, TARGET, **LIMITS)
    assert (told["accepted"], told["refused"]) == (1, 1)
    assert told["violations"][0]["field"] == "label"
    (kept,) = keys(store, REFUSED_LABELS_PREFIX)
    assert json.loads(store.get(kept).data)["raw"] == BAD


def test_a_batch_of_bad_labels_only_is_an_error() -> None:
    with pytest.raises(InvalidRows, match="None of the 1 labels"):
        post_labels(json.dumps(BAD).encode(), MemoryObjectStore(), TARGET, **LIMITS)
    with pytest.raises(MalformedRequest):
        post_labels(b"{", MemoryObjectStore(), TARGET, **LIMITS)


def test_uploaded_files_are_taken_in_once() -> None:
    store = MemoryObjectStore()
    store.put(
        INCOMING_PREFIX + "a.csv",
        b"prediction_id,entity_id,label,event_time\r\np1,,Yes,2026-11-20T10:00:00Z\r\n,e1,No,2026-11-21T10:00:00Z\r\np3,No\r\n",
    )
    store.put(INCOMING_PREFIX + "b.jsonl", json.dumps(GOOD).encode() + b"\n[]\n{\n")
    store.put(INCOMING_PREFIX + "c.csv", b"\xff\xfe")
    assert ingest_label_files(store, TARGET, now) == {"files": 3, "accepted": 3, "refused": 4}
    assert ingest_label_files(store, TARGET, now) == {"files": 0, "accepted": 0, "refused": 0}
    assert len(list(ledger(store, now().date().replace(day=1)))) == 2


def test_a_crash_at_any_write_is_mended_by_the_retry() -> None:
    clean = MemoryObjectStore(now)
    clean.put(INCOMING_PREFIX + "a.jsonl", (json.dumps(GOOD) + "\n" + json.dumps(BAD)).encode())
    ingest_label_files(clean, TARGET, now)
    wanted = [(info.key, info.etag) for info in clean.list("")]
    tried = 0
    for when in ("before", "after"):
        for at in range(1, 4):
            store = MemoryObjectStore(now)
            store.put(INCOMING_PREFIX + "a.jsonl", (json.dumps(GOOD) + "\n" + json.dumps(BAD)).encode())
            with pytest.raises(Crashed):
                ingest_label_files(FaultyObjectStore(store, at=at, when=when), TARGET, now)  # type: ignore[arg-type]
            ingest_label_files(store, TARGET, now)
            assert [(info.key, info.etag) for info in store.list("")] == wanted
            tried += 1
    assert tried == 6
