"""The deployed stack, end to end: the real template and handlers on the embedded cloud, by HTTP, events and the
schedule.

The tests build on each other, in this order, as a life does.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stillgood.storage.registry import Registry

from local import cloud, customers, datasets
from local import up as keep
from local.api import Api
from local.deploy import Stack, bring_up

pytestmark = pytest.mark.deployed

ROOT = Path(__file__).resolve().parent.parent.parent
PARAMETERS = keep.PARAMETERS | {"MonitorSchedule": "rate(1 minute)", "ChampionTtlSeconds": "0"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("deployed")
    yield path
    cloud.stop(path)


@pytest.fixture
def stack(home: Path) -> Stack:
    return bring_up(home, PARAMETERS)


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack.api_url)


@pytest.fixture(scope="module")
def usual() -> list[dict[str, Any]]:
    return customers.as_requests(customers.split(datasets.telco())[1], datasets.contract("telco"))


def keys(stack: Stack, prefix: str) -> list[str]:
    return [info.key for info in stack.store.list(prefix)]


def test_before_the_first_model_predict_says_how_to_get_one(api: Api, usual: list[dict[str, Any]]) -> None:
    answer = api.predict(usual[0])
    assert answer.status == 503
    assert answer.body["type"] == "urn:stillgood:problem:no-champion"
    assert "events/train.json" in answer.body["detail"]


def test_train_hands_over_to_promote_and_the_first_model_serves(stack: Stack, api: Api) -> None:
    first, _ = customers.split(datasets.telco())
    keep.seed(
        stack, "data/2026-08-01/customers.csv", first.to_csv(index=False).encode(), datasets.contract_text("telco")
    )

    decision = keep.train_first(stack)

    assert decision.action == "promote", decision.reasons
    pointer = Registry(stack.store).pointer()
    assert pointer is not None
    assert api.get("/status").status == 200
    assert pointer.version in json.dumps(api.get("/model").body)


def test_a_duplicate_event_changes_nothing(stack: Stack) -> None:
    before = keys(stack, "registry/")
    assert keep.train_first(stack).n == 1
    assert keys(stack, "registry/") == before


def test_predictions_explain_themselves_and_are_captured(stack: Stack, api: Api, usual: list[dict[str, Any]]) -> None:
    answer = api.predict(usual[0]).body
    logit = answer["baseline"] + sum(reason["contribution"] for reason in answer["reasons"])
    assert logit == pytest.approx(answer["logit"], abs=1e-12)
    assert answer["decision"] == (answer["probability"] >= answer["threshold"])

    for rows in customers.chunks(usual[:400], 100):
        assert api.predict(rows).status == 200

    captured = [json.loads(line) for key in keys(stack, "capture/") for line in stack.store.get(key).data.splitlines()]
    assert sum(record["kind"] == "prediction" for record in captured) == 401
    assert answer["prediction_id"] in {record.get("prediction_id") for record in captured}


def test_a_row_that_breaks_the_contract_is_refused_field_by_field(api: Api, usual: list[dict[str, Any]]) -> None:
    answer = api.predict(usual[0] | {"tenure": -3, "contract": "Weekly", "monthly_charges": "cheap"})
    assert answer.status == 422
    assert {violation["field"] for violation in answer.body["violations"]} == {"tenure", "contract", "monthly_charges"}


def test_batch_gives_the_answers_of_the_api(stack: Stack, api: Api) -> None:
    _, others = customers.split(datasets.telco())
    some = others.drop(columns="churn").iloc[:50]
    stack.store.put("batch/input/fifty.csv", some.to_csv(index=False).encode())

    result = stack.invoke("batch", {"input": "batch/input/fifty.csv"})

    rows = customers.as_requests(others.iloc[:50], datasets.contract("telco"))
    online = {prediction["entity_id"]: prediction for prediction in api.predict(rows).body["predictions"]}
    offline = batch_answers(stack, result)
    assert offline.keys() == online.keys()
    for customer, answer in offline.items():
        assert answer["decision"] == online[customer]["decision"]
        assert answer["probability"] == pytest.approx(online[customer]["probability"], abs=1e-12)


def batch_answers(stack: Stack, result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    lines = stack.store.get(result["output"]["predictions"]).data.splitlines()
    return {answer["entity_id"]: answer for answer in map(json.loads, lines)}


def test_rollback_of_the_first_champion_is_refused_with_a_reason(stack: Stack) -> None:
    result = stack.invoke("promote", json.loads((ROOT / "events" / "rollback.json").read_text()))
    assert result["result"] == "refused"
    assert "first champion" in result["reasons"][0]


def test_the_schedule_fires_by_itself(stack: Stack) -> None:
    """EventBridge Scheduler's one minute is the least there is; the window's end is the scheduled time, not the
    clock's. The minute that ended before anybody was predicted has a report without rows.
    """

    def busy() -> dict[str, Any] | None:
        bodies = (json.loads(stack.store.get(key).data) for key in keys(stack, "monitoring/reports/"))
        return next((body for body in bodies if body["rows"]), None)

    body = keep.wait_for(busy, "a report with rows", seconds=150)
    assert body["window"]["end"].endswith(":00Z")
    assert body["rows"] >= 400
    assert body["decision"]["action"] == "nothing", body["decision"]["reasons"]


def test_kill_9_loses_nothing(home: Path, stack: Stack, usual: list[dict[str, Any]]) -> None:
    before = keys(stack, "")
    pointer = Registry(stack.store).pointer()
    answer = Api(stack.api_url).predict(usual[1]).body
    os.kill(stack.cloud.pid, signal.SIGKILL)

    again = bring_up(home, PARAMETERS)

    assert again.cloud.pid != stack.cloud.pid
    assert again.api_url == stack.api_url
    assert set(before) <= set(keys(again, ""))
    assert Registry(again.store).pointer() == pointer
    after = Api(again.api_url).predict(usual[1]).body
    same = ("probability", "decision", "logit", "reasons", "model_version")
    assert {name: after[name] for name in same} == {name: answer[name] for name in same}
