"""Labels come in by HTTP body or by file, idempotently, and what is refused can be found again."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from stillgood.domain.contract.contract import Target
from stillgood.domain.errors import InvalidRows, MalformedRequest
from stillgood.steps.labels.ingest import ingest_label_files, post_labels
from stillgood.storage.keys import INCOMING_PREFIX, LEDGER_PREFIX, REFUSED_LABELS_PREFIX
from stillgood.storage.labels import ledger, read_batch
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.faulty import Crashed, FaultyObjectStore

TARGET = Target("churn", "Yes", "No")
LIMITS: dict[str, Any] = {"now": datetime(2026, 11, 24, tzinfo=UTC), "max_rows": 10, "max_bytes": 10_000}
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
    outcomes = first.pop("outcomes")
    assert first == {"accepted": 2, "refused": 0, "duplicate": False, "violations": []}
    assert {name: outcome["count"] for name, outcome in outcomes.items()} == {"kept": 1, "repeated": 1}
    assert outcomes["repeated"]["example"]["prediction_id"] == "p1"
    assert again["outcomes"] == {"sent_before": {"count": 1}}
    assert again["duplicate"] is True
    (batch,) = keys(store, LEDGER_PREFIX)
    assert batch.startswith("labels/dt=2026-11-24/")  # the day it arrived
    kept = read_batch(store, batch)
    assert [label.prediction_id for label in kept.labels] == ["p1"]
    assert (kept.source, kept.arrived, kept.complete_until) == ("api", now(), None)


def test_a_label_dated_in_the_future_is_refused() -> None:
    store = MemoryObjectStore()
    with pytest.raises(InvalidRows, match="None of the 1 labels"):
        post_labels(json.dumps(GOOD | {"event_time": "9999-12-31T00:00:00Z"}).encode(), store, TARGET, **LIMITS)
    assert keys(store, LEDGER_PREFIX) == []


def test_a_watermark_alone_is_taken_in_and_told_back() -> None:
    store = MemoryObjectStore()
    answer = post_labels(b'{"complete_until": "2026-11-23T00:00:00+01:00"}', store, TARGET, **LIMITS)
    assert answer["complete_until"] == "2026-11-22T23:00:00Z"
    assert (answer["accepted"], answer["refused"]) == (0, 0)
    (batch,) = keys(store, LEDGER_PREFIX)
    assert read_batch(store, batch).complete_until == "2026-11-22T23:00:00Z"
    with pytest.raises(InvalidRows):
        post_labels(b'{"complete_until": "soon"}', store, TARGET, **LIMITS)


@pytest.mark.parametrize(
    ("name", "source", "until"),
    [
        ("crm/left-2026-11-20.csv", "crm", "2026-11-20T00:00:00Z"),
        ("left_20261120.csv", "upload", "2026-11-20T00:00:00Z"),
        ("left.csv", "upload", "2026-11-24T00:00:00Z"),
        ("2026-19-99.csv", "upload", "2026-11-24T00:00:00Z"),
    ],
)
def test_a_file_has_a_source_and_by_contract_a_date_until_which_it_is_complete(
    name: str, source: str, until: str
) -> None:
    store = MemoryObjectStore(now)
    store.put(INCOMING_PREFIX + name, b"entity_id,label,event_time\n")
    ingest_label_files(store, TARGET, now, complete_by_file_date=True)
    (batch,) = keys(store, LEDGER_PREFIX)
    kept = read_batch(store, batch)
    assert (kept.source, kept.complete_until, kept.labels) == (source, until, ())


def test_a_file_that_cannot_be_read_to_its_end_is_complete_until_never() -> None:
    store = MemoryObjectStore(now)
    store.put(INCOMING_PREFIX + "left-2026-11-20.csv", b"entity_id,label,event_time\n\xff")
    ingest_label_files(store, TARGET, now, complete_by_file_date=True)
    assert keys(store, LEDGER_PREFIX) == []


def test_a_csv_may_carry_the_watermark_in_a_column_of_its_own() -> None:
    store = MemoryObjectStore(now)
    text = b"entity_id,label,event_time,complete_until\nc1,Yes,2026-11-20T10:00:00Z,\n,,,2026-11-23T00:00:00Z\n"
    store.put(INCOMING_PREFIX + "a.csv", text)
    assert ingest_label_files(store, TARGET, now)["accepted"] == 1
    (batch,) = keys(store, LEDGER_PREFIX)
    assert read_batch(store, batch).complete_until == "2026-11-23T00:00:00Z"


def test_a_batch_of_older_code_is_read() -> None:
    store = MemoryObjectStore()
    store.put("labels/dt=2026-11-20/old.jsonl", json.dumps(GOOD).encode() + b"\n")
    kept = read_batch(store, "labels/dt=2026-11-20/old.jsonl")
    assert [label.prediction_id for label in kept.labels] == ["p1"]
    assert (kept.arrived, kept.source) == (None, "")


def test_good_labels_are_kept_beside_bad_ones_which_are_quarantined() -> None:
    store = MemoryObjectStore()
    answer = post_labels(json.dumps([GOOD, BAD]).encode(), store, TARGET, **LIMITS)
    assert (answer["accepted"], answer["refused"]) == (1, 1)
    assert answer["violations"][0]["field"] == "label"
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


def test_an_answer_counts_labels_that_contradict_each_other_with_an_example() -> None:
    both = [GOOD, GOOD | {"label": "No"}, GOOD | {"prediction_id": "p2"}, {"label": "abc"}]
    outcomes = post_labels(json.dumps(both).encode(), MemoryObjectStore(), TARGET, **LIMITS)["outcomes"]
    assert {name: outcome["count"] for name, outcome in outcomes.items()} == {
        "kept": 1,
        "contradicting": 2,
        "refused": 1,
    }
    assert {label["label"] for label in outcomes["contradicting"]["example"]} == {"Yes", "No"}
    assert outcomes["refused"]["example"]["row"] == 3
