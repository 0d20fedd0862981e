"""The built packages under the real SAM CLI: each function by its event, the API over HTTP, and the hand-over from monitor to train to promote.

What counts is the payload and the state in S3: `sam local invoke` exits 0 when a handler raises. The tests build on each other, as a life does.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.storage.registry import Registry

from local import customers, datasets
from local.sam import SamLocal, event, free_port, missing, request, sam_local, seed

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(missing() is not None, reason=f"sam local cannot run: {missing()}"),
]

HAND_OVER_SECONDS = 120.0


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamLocal]:
    with sam_local(tmp_path_factory.mktemp("sam")) as running:
        yield running


@pytest.fixture(scope="module")
def requests(sam: SamLocal) -> Sequence[dict[str, Any]]:
    return seed(sam)


@pytest.fixture(scope="module")
def steps(sam: SamLocal) -> Iterator[str]:
    """``sam local start-lambda``, through which one step invokes the next."""
    with sam.serving("start-lambda", sam.lambda_port, sam.bridge) as url:
        yield url


def keys(sam: SamLocal, prefix: str) -> list[str]:
    return [info.key for info in sam.store.list(prefix)]


def body(answer: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(answer["body"])
    return parsed


def decisions(sam: SamLocal, at_least: int) -> list[str]:
    """The actions in the decision log, once there are enough: steps hand over asynchronously."""
    deadline = time.monotonic() + HAND_OVER_SECONDS
    while time.monotonic() < deadline:
        found = [decision.action for decision in Registry(sam.store).decisions()]
        if len(found) >= at_least:
            return found
        time.sleep(0.5)
    raise AssertionError(f"no decision {at_least} after {HAND_OVER_SECONDS:g} s")


def test_before_the_first_model_predict_says_how_to_get_one(sam: SamLocal, requests: Sequence[dict[str, Any]]) -> None:
    answer = sam.invoke("PredictFunction", event("predict"))
    assert answer["statusCode"] == 503
    assert "events/train.json" in body(answer)["detail"]


def test_train_publishes_a_version_and_has_promote_judge_it(sam: SamLocal, steps: str) -> None:
    told = sam.invoke("TrainFunction", event("train"))
    assert told["result"] == "trained", told
    assert decisions(sam, 1) == ["promote"]
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    assert pointer.version == told["version"]


def test_promote_answers_a_duplicate_with_the_first_decision(sam: SamLocal) -> None:
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    again = event("promote") | {"candidate": pointer.version, "request_id": event("train")["request_id"]}
    told = sam.invoke("PromoteFunction", again)
    assert (told["decision"], told["duplicate"]) == (1, True)


@pytest.mark.parametrize(("name", "status"), [("predict", 200), ("predict_batch", 200), ("predict_invalid", 422)])
def test_predict_answers_each_event_and_captures_it(sam: SamLocal, name: str, status: int) -> None:
    before = len(keys(sam, "capture/"))
    answer = sam.invoke("PredictFunction", event(name))
    assert answer["statusCode"] == status, answer
    assert len(keys(sam, "capture/")) == before + 1


@pytest.mark.parametrize("name", ["model", "status"])
def test_what_serves_can_be_asked(sam: SamLocal, name: str) -> None:
    answer = sam.invoke("PredictFunction", event(name))
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    assert answer["statusCode"] == 200
    assert pointer.version in answer["body"]


def test_labels_are_kept(sam: SamLocal) -> None:
    answer = sam.invoke("PredictFunction", event("labels"))
    assert (answer["statusCode"], body(answer)["accepted"]) == (200, 2)
    assert len(keys(sam, "labels/dt=")) == 1


def test_batch_scores_every_row_of_an_object(sam: SamLocal) -> None:
    _, others = customers.split(datasets.telco())
    given = event("batch")
    sam.store.put(given["input"], others.iloc[:200].to_csv(index=False).encode())
    told = sam.invoke("BatchFunction", given)
    assert "errorType" not in told, told
    (predictions,) = [key for key in keys(sam, "batch/") if key.endswith("predictions.jsonl")]
    assert len(sam.store.get(predictions).data.splitlines()) == 200


def test_a_batch_job_is_planned_and_a_wrong_one_fails_under_the_name_that_the_state_machine_knows(
    sam: SamLocal,
) -> None:
    planned = sam.invoke("BatchFunction", {"step": "plan", **event("batch_job"), "prefix": "batch/input/"})
    assert planned["shards"] == [event("batch")["input"]]
    told = sam.invoke("BatchFunction", {"step": "plan", "prefix": "data/"})
    assert told["errorType"] == "InvalidEvent"


def test_the_api_answers_over_http(sam: SamLocal, requests: Sequence[dict[str, Any]]) -> None:
    port = free_port("127.0.0.1")
    with sam.serving("start-api", port, "127.0.0.1") as url:
        status, answer = request(f"{url}/predict", requests[0])
        assert (status, 0.0 <= answer["probability"] <= 1.0) == (200, True)
        assert request(f"{url}/predict", requests[0] | {"tenure": -1})[0] == 422
        assert request(f"{url}/status")[0] == 200


def test_monitor_invokes_train_which_invokes_promote(
    sam: SamLocal, steps: str, requests: Sequence[dict[str, Any]]
) -> None:
    """Drift in two windows, new labelled rows, and then the whole chain through ``start-lambda``."""
    port = free_port("127.0.0.1")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    drifted = [row | {"contract": "Month-to-month", "tenure": min(row["tenure"], 5)} for row in requests[:600]]
    with sam.serving("start-api", port, "127.0.0.1") as url:
        assert request(f"{url}/predict", drifted)[0] == 200
    captured = sam.store.get(keys(sam, "capture/")[-1]).data
    sam.store.put(
        f"capture/dt={hour - timedelta(hours=30):%Y-%m-%d}/hour={hour - timedelta(hours=30):%H}/000000000000-x.jsonl",
        captured,
    )
    _, others = customers.split(datasets.telco())
    sam.store.put(f"data/{hour:%Y-%m-%d}/more.csv", others.to_csv(index=False).encode())
    first = sam.invoke("MonitorFunction", {"scheduled_time": (hour - timedelta(hours=24)).isoformat()})
    assert first.get("result") in ("nothing", "alert"), first
    second = sam.invoke("MonitorFunction", {"scheduled_time": datetime.now(UTC).replace(microsecond=0).isoformat()})
    assert second.get("result") == "retrain", second
    assert len(decisions(sam, 2)) == 2
    assert len([key for key in keys(sam, "models/") if key.endswith("/model.json")]) == 2
    assert len(keys(sam, "monitoring/reports/")) == 2


def test_a_rollback_without_a_previous_champion_is_refused_and_recorded(sam: SamLocal) -> None:
    before = [decision.action for decision in Registry(sam.store).decisions()]
    told = sam.invoke("PromoteFunction", event("rollback"))
    assert told["result"] == ("rolled back" if before.count("promote") > 1 else "refused"), told
    assert len(list(Registry(sam.store).decisions())) == len(before) + 1


def test_a_bad_event_is_an_error_that_says_what_to_send(sam: SamLocal) -> None:
    told = sam.invoke("MonitorFunction", {})
    assert told["errorType"] == "InvalidEvent"
    assert "scheduled_time" in told["errorMessage"]


def test_a_recalibration_keeps_the_champions_weights(sam: SamLocal, steps: str) -> None:
    champion = Registry(sam.store).pointer()
    assert champion is not None
    before = len(list(Registry(sam.store).decisions()))
    told = sam.invoke("TrainFunction", event("recalibrate"))
    assert told["result"] == "trained", told
    assert len(decisions(sam, before + 1)) == before + 1
    kept, made = (
        json.loads(sam.store.get(f"models/{version}/model.json").data)["terms"]
        for version in (champion.version, told["version"])
    )
    assert made == kept
