"""The built packages under the real SAM CLI: each function by its event, the API over HTTP, and the hand-over from
monitor to train to promote.

What counts is the payload and the state in S3: `sam local invoke` exits 0 when a handler raises. The tests build on
each other, as a life does.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from stillgood.storage.registry import Registry

from benchmarks.sizes import LIMITS, mib
from local.cloud import ROOT
from local.sam import SamLocal, decisions, drift, event, free_port, missing, request, sam_local, score_job, seed

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(missing() is not None, reason=f"sam local cannot run: {missing()}"),
]


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


def published(name: str) -> float:
    rows = json.loads((ROOT / "benchmarks/results/sizes.json").read_text())
    return float(next(row["value"] for row in rows if row["name"] == name))


def body(answer: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(answer["body"])
    return parsed


def state(sam: SamLocal) -> dict[str, str]:
    """All that lies in S3."""
    return {info.key: info.etag for info in sam.store.list("")}


def written(sam: SamLocal, before: dict[str, str]) -> set[str]:
    """The keys that are new or changed since; nothing is ever deleted."""
    after = state(sam)
    assert before.keys() <= after.keys()
    return {key for key, etag in after.items() if before.get(key) != etag}


def test_before_the_first_model_predict_says_how_to_get_one(sam: SamLocal, requests: Sequence[dict[str, Any]]) -> None:
    before = state(sam)
    answer = sam.invoke("PredictFunction", event("predict"))
    assert answer["statusCode"] == 503
    assert "events/train.json" in body(answer)["detail"]
    assert written(sam, before) == set()


@pytest.mark.parametrize("name", LIMITS)
def test_what_sam_built_is_within_its_limit(sam: SamLocal, name: str) -> None:
    built = ROOT / ".aws-sam" / "build"
    size = mib(built / f"{name.title()}Function") + mib(built / "StillgoodLayer" / "python")
    assert size <= LIMITS[name]
    assert size == pytest.approx(published(name), abs=1)


def test_train_publishes_a_version_and_has_promote_judge_it(
    sam: SamLocal, requests: Sequence[dict[str, Any]], steps: str
) -> None:
    before = state(sam)
    answer = sam.invoke("TrainFunction", event("train"))
    assert answer["result"] == "trained", answer
    assert decisions(sam, 1) == ["promote"]
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    assert pointer.version == answer["version"]
    new = written(sam, before)
    assert {f"models/{answer['version']}/{file}" for file in ("model.json", "metrics.json", "card.md")} <= new
    assert {key.split("/")[0] for key in new} == {"models", "pages", "training", "registry"}


def test_promote_answers_a_duplicate_with_the_first_decision(sam: SamLocal) -> None:
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    before = state(sam)
    again = event("promote") | {"candidate": pointer.version, "request_id": event("train")["request_id"]}
    answer = sam.invoke("PromoteFunction", again)
    assert (answer["decision"], answer["duplicate"]) == (1, True)
    assert written(sam, before) == set()


def test_a_version_that_is_not_there_is_not_promoted(sam: SamLocal) -> None:
    """The event as it ships: its candidate is to be replaced by one's own."""
    before = state(sam)
    answer = sam.invoke("PromoteFunction", event("promote"))
    assert answer["errorType"] == "UnknownVersion"
    assert event("promote")["candidate"] in answer["errorMessage"]
    assert written(sam, before) == set()


@pytest.mark.parametrize(("name", "status"), [("predict", 200), ("predict_batch", 200), ("predict_invalid", 422)])
def test_predict_answers_each_event_and_captures_it(sam: SamLocal, name: str, status: int) -> None:
    before = state(sam)
    answer = sam.invoke("PredictFunction", event(name))
    assert answer["statusCode"] == status, answer
    (capture,) = written(sam, before)
    assert capture.startswith("capture/dt=")
    records = [json.loads(line) for line in sam.store.get(capture).data.splitlines()]
    if status == 200:
        answered = body(answer).get("predictions", [body(answer)])
        assert [(record["kind"], record["prediction_id"], record["probability"]) for record in records] == [
            ("prediction", prediction["prediction_id"], prediction["probability"]) for prediction in answered
        ]
    else:
        assert {record["kind"] for record in records} == {"rejection"}
        assert "Weekly" not in sam.store.get(capture).data.decode()  # no value of a refused row is kept


@pytest.mark.parametrize("name", ["model", "status", "report"])
def test_what_serves_can_be_asked(sam: SamLocal, name: str) -> None:
    before = state(sam)
    answer = sam.invoke("PredictFunction", event(name))
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    assert answer["statusCode"] == 200
    assert pointer.version in answer["body"]
    assert written(sam, before) == set()


def test_labels_are_kept(sam: SamLocal) -> None:
    before = state(sam)
    answer = sam.invoke("PredictFunction", event("labels"))
    assert (answer["statusCode"], body(answer)["accepted"]) == (200, 2)
    assert len(keys(sam, "labels/dt=")) == 1
    assert written(sam, before) == set(keys(sam, "labels/dt="))
    assert b"C06973" in sam.store.get(keys(sam, "labels/dt=")[0]).data
    before = state(sam)
    assert body(sam.invoke("PredictFunction", event("labels")))["duplicate"] is True
    assert written(sam, before) == set()


def test_batch_scores_every_row_of_an_object(sam: SamLocal) -> None:
    before = state(sam)
    answer = sam.invoke("BatchFunction", event("batch"))
    assert "errorType" not in answer, answer
    (predictions,) = [key for key in keys(sam, "batch/") if key.endswith("predictions.jsonl")]
    assert len(sam.store.get(predictions).data.splitlines()) == 200
    made = written(sam, before)
    # Its rows are predictions of their day by one reference among the captures, and the input is marked as scored.
    (reference,) = [key for key in made if key.startswith("capture/") and key.endswith(".batch.json")]
    (mark,) = [key for key in made if key.startswith("batch/output/scored/")]
    assert made - {reference, mark} == set(answer["output"].values()) | {
        predictions.replace("predictions.jsonl", "summary.json")
    }


def test_a_batch_job_is_scored_and_a_wrong_one_fails_under_the_name_that_the_state_machine_knows(
    sam: SamLocal,
) -> None:
    before = state(sam)
    report = score_job(sam, event("batch_job"))
    assert (report["shards"], report["done"], report["failed"], report["predicted"]) == (2, 2, 0, 100)
    new = written(sam, before)
    assert sum(key.endswith("/predictions.jsonl") for key in new) == 2
    assert {key.rpartition("/")[2] for key in new if "/jobs/" in key} == {"plan.json", "report.json"}
    answer = sam.invoke("BatchFunction", {"step": "plan", "prefix": "data/"})
    assert answer["errorType"] == "InvalidEvent"


def test_the_api_answers_over_http(sam: SamLocal, requests: Sequence[dict[str, Any]]) -> None:
    port = free_port("127.0.0.1")
    before = state(sam)
    with sam.serving("start-api", port, "127.0.0.1") as url:
        status, answer = request(f"{url}/predict", requests[0])
        assert (status, 0.0 <= answer["probability"] <= 1.0) == (200, True)
        assert request(f"{url}/predict", requests[0] | {"tenure": -1})[0] == 422
        assert request(f"{url}/status")[0] == 200
    captured = [json.loads(line) for key in written(sam, before) for line in sam.store.get(key).data.splitlines()]
    assert sorted(record["kind"] for record in captured) == ["prediction", "rejection"]
    assert answer["prediction_id"] in {record.get("prediction_id") for record in captured}


def test_a_window_of_before_the_first_prediction_is_judged_once(sam: SamLocal) -> None:
    before = state(sam)
    assert sam.invoke("MonitorFunction", event("compact"))["result"] == "compacted"
    answer = sam.invoke("MonitorFunction", event("monitor"))
    assert (answer["result"], answer["rows"], answer["duplicate"]) == ("nothing", 0, False)
    assert answer["report"] in written(sam, before)
    before = state(sam)
    again = sam.invoke("MonitorFunction", event("monitor"))
    assert (again["result"], again["duplicate"], again["report"]) == ("nothing", True, answer["report"])
    assert written(sam, before) == set()


def test_monitor_invokes_train_which_invokes_promote(
    sam: SamLocal, steps: str, requests: Sequence[dict[str, Any]]
) -> None:
    """Drift in two windows, new labelled rows, and then the whole chain through ``start-lambda``."""
    port = free_port("127.0.0.1")
    reports = len(keys(sam, "monitoring/reports/"))
    with sam.serving("start-api", port, "127.0.0.1") as url:
        windows = drift(sam, url, requests)
    first = sam.invoke("MonitorFunction", {"scheduled_time": windows[0]})
    assert first.get("result") in ("nothing", "alert"), first
    second = sam.invoke("MonitorFunction", {"scheduled_time": windows[1]})
    assert second.get("result") == "retrain", second
    assert len(decisions(sam, 2)) == 2
    assert len([key for key in keys(sam, "models/") if key.endswith("/model.json")]) == 2
    assert len(keys(sam, "monitoring/reports/")) == reports + 2


def test_a_rollback_without_a_previous_champion_is_refused_and_recorded(sam: SamLocal) -> None:
    before = [decision.action for decision in Registry(sam.store).decisions()]
    answer = sam.invoke("PromoteFunction", event("rollback"))
    assert answer["result"] == ("rolled back" if before.count("promote") > 1 else "refused"), answer
    assert len(list(Registry(sam.store).decisions())) == len(before) + 1
    pointer = Registry(sam.store).pointer()
    assert pointer is not None
    assert pointer.version == answer["new_version"]


def test_a_release_ends_the_hold_of_a_rollback(sam: SamLocal) -> None:
    last = list(Registry(sam.store).decisions())[-1]
    answer = sam.invoke("PromoteFunction", event("release"))
    assert answer["result"] == ("released" if last.action == "rollback" else "refused"), answer


def test_a_move_without_its_evidence_is_refused_and_recorded(sam: SamLocal) -> None:
    before, pointer = len(list(Registry(sam.store).decisions())), Registry(sam.store).pointer()
    answer = sam.invoke("PromoteFunction", event("move"))
    assert answer["result"] == "refused", answer
    assert len(list(Registry(sam.store).decisions())) == before + 1
    assert Registry(sam.store).pointer() == pointer


def test_a_person_says_a_mode_and_answers_what_is_asked(sam: SamLocal) -> None:
    assert sam.invoke("PromoteFunction", event("mode"))["result"] == "mode set"
    for name in ("approve", "refuse"):  # the first decision asked nobody
        assert sam.invoke("PromoteFunction", event(name))["result"] == "refused"


def test_a_bad_event_is_an_error_that_says_what_to_send(sam: SamLocal) -> None:
    before = state(sam)
    answer = sam.invoke("MonitorFunction", {})
    assert answer["errorType"] == "InvalidEvent"
    assert "scheduled_time" in answer["errorMessage"]
    assert written(sam, before) == set()


def test_a_recalibration_keeps_the_champions_weights(sam: SamLocal, steps: str) -> None:
    champion = Registry(sam.store).pointer()
    assert champion is not None
    before = len(list(Registry(sam.store).decisions()))
    answer = sam.invoke("TrainFunction", event("recalibrate"))
    assert answer["result"] == "trained", answer
    assert len(decisions(sam, before + 1)) == before + 1
    kept, made = (
        json.loads(sam.store.get(f"models/{version}/model.json").data)["terms"]
        for version in (champion.version, answer["version"])
    )
    assert made == kept
