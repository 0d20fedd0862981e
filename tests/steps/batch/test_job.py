import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import InvalidEvent, ModelUnusable, NoChampion, ObjectNotFound, UnknownVersion
from stillgood.domain.model.model import Model
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.batch.job import MAX_KEY_BYTES, MAX_SHARDS, plan, report
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
PREFIX = "batch/input/november/"
ROW = {
    "customer_id": "c1",
    "tenure": 3,
}
type Draw = Callable[..., Model]
type Enthrone = Callable[[ObjectStore, Model], None]


@pytest.fixture
def first(store: MemoryObjectStore, telco: Contract, draw_model: Draw, make_champion: Enthrone) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


def fill(store: MemoryObjectStore, *names: str) -> None:
    """Objects of one line each, which keeps no contract: every row is rejected, and accounted for."""
    for name in names:
        store.put(PREFIX + name, json.dumps({**ROW, "customer_id": name}).encode() + b"\n")


def score(planned: dict[str, Any], number: int, deps: BatchDeps) -> dict[str, Any]:
    """What the state machine asks of batch for one shard."""
    event = {"input": planned["shards"][number], "model": planned["model"], "reasons": planned["reasons"]}
    return batch(event, deps)


def test_all_shards_are_scored_by_the_champion_of_the_plan(
    store: MemoryObjectStore, deps: BatchDeps, first: Model, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    fill(store, "0.jsonl", "1.jsonl", "2.ndjson")
    planned = plan({"prefix": PREFIX}, deps)
    assert planned["shards"] == [f"{PREFIX}0.jsonl", f"{PREFIX}1.jsonl", f"{PREFIX}2.ndjson"]

    versions = [score(planned, 0, deps)["model_version"]]
    make_champion(store, draw_model(telco, "20261123-second", 1))
    versions += [score(planned, number, deps)["model_version"] for number in (1, 2)]

    assert set(versions) == {first.version}
    reported = report({"folder": planned["folder"], "shards": [{"shard": n} for n in range(3)]}, deps)
    assert (reported["shards"], reported["done"], reported["failed"]) == (3, 3, 0)
    assert (reported["rows"], reported["predicted"], reported["rejected"]) == (3, 0, 3)
    assert json.loads(store.get(reported["report"]).data)["failures"] == []
    assert plan({"prefix": PREFIX}, deps)["job"] != planned["job"]  # another champion, another job


def test_what_failed_is_told_with_its_message(store: MemoryObjectStore, deps: BatchDeps, first: Model) -> None:
    fill(store, *(f"{number}.jsonl" for number in range(5)))
    planned = plan({"prefix": PREFIX}, deps)
    score(planned, 0, deps)
    cause = {"errorMessage": 'It said "no".', "errorType": "InvalidEvent", "stackTrace": ["x" * 500]}
    said = [
        {"shard": 0},
        {"shard": 1, "error": "InvalidEvent", "cause": json.dumps(cause)[:300]},
        {"shard": 2, "error": "Lambda.TooManyRequestsException", "cause": "Rate Exceeded."},
        {"shard": 3, "error": "States.Timeout"},
    ]
    reported = report({"folder": planned["folder"], "shards": said}, deps)
    assert (reported["done"], reported["failed"], reported["rows"]) == (1, 4, 1)
    assert [(failure["input"][-7:], failure["error"]) for failure in reported["failures"]] == [
        ("1.jsonl", "InvalidEvent"),
        ("2.jsonl", "Lambda.TooManyRequestsException"),
        ("3.jsonl", "States.Timeout"),
        ("4.jsonl", "NotScored"),
    ]
    assert [failure["detail"] for failure in reported["failures"][:2]] == ['It said "no".', "Rate Exceeded."]
    assert "start the job again" in reported["failures"][3]["detail"]


def test_a_shard_that_is_done_is_done_whatever_was_said_of_it(
    store: MemoryObjectStore, deps: BatchDeps, first: Model
) -> None:
    """A function may write all it has to, and fail to say so."""
    fill(store, "0.jsonl")
    planned = plan({"prefix": PREFIX}, deps)
    score(planned, 0, deps)
    reported = report({"folder": planned["folder"], "shards": [{"shard": 0, "error": "Sandbox.Timedout"}]}, deps)
    assert (reported["done"], reported["failed"]) == (1, 0)


def test_a_shard_that_was_replaced_after_the_plan_is_not_taken_for_the_planned_one(
    store: MemoryObjectStore, deps: BatchDeps, first: Model
) -> None:
    fill(store, "0.jsonl")
    planned = plan({"prefix": PREFIX}, deps)
    store.put(f"{PREFIX}0.jsonl", b"{}\n{}\n")
    score(planned, 0, deps)
    reported = report({"folder": planned["folder"], "shards": [{"shard": 0}]}, deps)
    assert (reported["failed"], reported["rows"]) == (1, 0)


def test_the_same_objects_are_the_same_job(store: MemoryObjectStore, deps: BatchDeps, first: Model) -> None:
    fill(store, "0.jsonl", "_SUCCESS", ".hidden.csv")
    store.put(f"{PREFIX}notes/_README.txt", b"not rows")
    before = plan({"prefix": PREFIX, "reasons": False}, deps)
    assert plan({"prefix": PREFIX}, deps) == before
    assert plan({"prefix": PREFIX, "reasons": True}, deps)["job"] != before["job"]
    fill(store, "1.jsonl")
    assert plan({"prefix": PREFIX}, deps)["job"] != before["job"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"prefix": 3},
        {"prefix": ""},
        {"prefix": "/"},
        {"prefix": "batch/"},
        {"prefix": "data/"},
        {"prefix": "batch/output/"},
        {"prefix": "batch/o"},
        {"prefix": "batch/../data/"},
        {"prefix": "batch/input/x\n"},
        {"prefix": PREFIX, "reasons": "yes"},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(deps: BatchDeps, first: Model, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        plan(event, deps)


def test_what_cannot_be_scored_is_refused_before_anything_is(
    store: MemoryObjectStore, deps: BatchDeps, first: Model
) -> None:
    with pytest.raises(InvalidEvent, match="upload the objects"):
        plan({"prefix": PREFIX}, deps)
    fill(store, "0.jsonl", "notes.txt")
    with pytest.raises(InvalidEvent, match=r"notes\.txt"):
        plan({"prefix": PREFIX}, deps)
    store.delete(f"{PREFIX}notes.txt")
    fill(store, *(f"{number}.jsonl" for number in range(MAX_SHARDS)))
    assert len(plan({"prefix": PREFIX}, deps)["shards"]) == MAX_SHARDS
    fill(store, "one_more.jsonl")
    with pytest.raises(InvalidEvent, match="several prefixes"):
        plan({"prefix": PREFIX}, deps)


def test_names_that_the_state_machine_could_not_carry_are_refused(
    store: MemoryObjectStore, deps: BatchDeps, first: Model
) -> None:
    fill(store, *(f"{number:03}{'x' * 900}.csv" for number in range(MAX_KEY_BYTES // 900)))
    with pytest.raises(InvalidEvent, match="bytes of names"):
        plan({"prefix": PREFIX}, deps)


def test_without_a_champion_there_is_no_plan(store: MemoryObjectStore, deps: BatchDeps) -> None:
    fill(store, "0.jsonl")
    with pytest.raises(NoChampion):
        plan({"prefix": PREFIX}, deps)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("20261123-first", InvalidEvent),
        ({"version": "20261123-first"}, InvalidEvent),
        ({"version": "20261123-first", "sha256": "0" * 64}, ModelUnusable),
        ({"version": "20261123-other", "sha256": "0" * 64}, ModelUnusable),
        ({"version": "../../data/x", "sha256": "0" * 64}, UnknownVersion),
    ],
)
def test_a_shard_names_a_model_by_its_bytes(
    store: MemoryObjectStore, deps: BatchDeps, first: Model, model: object, error: type[Exception]
) -> None:
    fill(store, "0.jsonl")
    with pytest.raises(error):
        batch({"input": f"{PREFIX}0.jsonl", "model": model}, deps)
    assert list(store.list("batch/output/")) == []


@pytest.mark.parametrize("event", [{}, {"folder": "batch/input/x", "shards": []}, {"folder": 1, "shards": []}])
def test_a_report_of_nothing_is_refused(deps: BatchDeps, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        report(event, deps)


def test_a_report_needs_its_plan(deps: BatchDeps) -> None:
    with pytest.raises(ObjectNotFound):
        report({"folder": "batch/output/jobs/x-1", "shards": []}, deps)
