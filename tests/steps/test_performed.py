"""Reported actions: late, double and unknown ones are handled like labels, and what was done is compared by name."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import InvalidRows
from stillgood.domain.outcomes.ledger import RECORD, identity
from stillgood.steps.performed import ingest_action_files, post_actions
from stillgood.steps.value import reported
from stillgood.storage.keys import ACTIONS_PREFIX, INCOMING_ACTIONS_PREFIX, REFUSED_LABELS_PREFIX
from stillgood.storage.memory import MemoryObjectStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = {"prediction_id": "p1", "action": "call", "time": "2026-02-02T09:00:00Z", "cost": 4}


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore(lambda: NOW)


def post(store: MemoryObjectStore, *rows: dict[str, Any]) -> dict[str, Any]:
    return post_actions(json.dumps(list(rows)).encode(), store, now=NOW, max_rows=100, max_bytes=10_000)


def test_actions_are_kept_once_and_bad_ones_set_aside(store: MemoryObjectStore) -> None:
    first = post(store, CALL, CALL | {"action": ""})
    assert (first["accepted"], first["refused"], first["duplicate"]) == (1, 1, False)
    assert first["violations"][0]["field"] == "action"
    assert post(store, CALL)["duplicate"] is True
    assert len(list(store.list(ACTIONS_PREFIX))) == 1
    assert len(list(store.list(REFUSED_LABELS_PREFIX))) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prediction_id": None}, "prediction_id"),
        ({"entity_id": "e1"}, "prediction_id"),
        ({"time": "2026-02-02T09:00:00"}, "time"),
        ({"time": "2026-04-02T09:00:00Z"}, "time"),
        ({"cost": -1}, "cost"),
        ({"cost": "much"}, "cost"),
        ({"price": 1}, "price"),
    ],
)
def test_what_is_no_action_is_refused_by_name(store: MemoryObjectStore, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRows) as refused:
        post(store, CALL | change)
    assert refused.value.violations[0]["field"] == field


def test_files_are_taken_in_once(store: MemoryObjectStore) -> None:
    text = b"entity_id,action,time,cost\nC-1,letter,2026-02-03T00:00:00Z,\nC-2,,2026-02-03T00:00:00Z,1\n"
    store.put(INCOMING_ACTIONS_PREFIX + "a.csv", text)
    assert ingest_action_files(store, lambda: NOW) == {"files": 1, "accepted": 1, "refused": 1}
    assert ingest_action_files(store, lambda: NOW)["files"] == 0


def test_each_action_finds_its_prediction_and_late_and_unknown_ones_are_counted(
    store: MemoryObjectStore, telco: Contract
) -> None:
    begin = datetime(2026, 2, 1, tzinfo=UTC)
    records = np.zeros(3, RECORD)
    for place, (prediction, entity) in enumerate((("p1", "e1"), ("p2", "e2"), ("p3", "e2"))):
        records[place]["id"], records[place]["entity"] = identity(prediction), identity(entity)
        records[place]["time"] = int((begin + timedelta(days=10 * place)).timestamp() * 1e6)
    post(
        store,
        CALL,
        CALL | {"cost": 2, "action": "letter", "time": "2026-02-05T00:00:00Z"},  # the first one counts
        {"entity_id": "e2", "action": "letter", "time": "2026-02-22T00:00:00Z"},  # of p3, the newest before it
        CALL | {"prediction_id": "nobody"},
        {"entity_id": "e1", "action": "call", "time": "2026-01-01T00:00:00Z"},
    )
    store.create(
        f"{ACTIONS_PREFIX}2026-06-01/x.jsonl",
        b'{"prediction_id":"p2","time":"2026-09-01T00:00:00Z","action":"call"}\n[]\n{\n',
    )
    matched = reported(store, telco, records)
    assert matched.codes.tolist() == [1, 0, 2]
    assert matched.names == ("call", "letter")
    assert (matched.late, matched.not_matched, matched.cost) == (1, 2, 6.0)
