"""The monitor function, driven by its event file on a mocked S3 (a server: obstore speaks HTTP, not boto3)."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.cli.main import main
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.profile import build_reference
from stillgood.domain.errors import InvalidEvent, SettingsInvalid
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.promotion.decision import Pointer, Proposal, Release
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import POINTER_KEY, capture_key, decision_key, report_key
from stillgood.storage.registry import Registry
from stillgood.storage.windows import iso
from stillgood.testing.fakes import FakeInvoker
from stillgood.wiring import monitor as wiring

ROOT = Path(__file__).parents[2]
EVENT = json.loads((ROOT / "events/monitor.json").read_text())
END = datetime.fromisoformat(EVENT["scheduled_time"])
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "one reading",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "reading", "kind": "numeric"}],
        "operating_point": {"mode": "fixed"},  # what follows is about the policy
    }
)
MODEL = Model("v1", CONTRACT, (NumericTerm("reading", 50.0, 20.0, 1.0),), 0.0, 0.0, Calibration(1.0, 0.0))


@pytest.fixture
def handler(app):
    loaded = app("monitor")
    return lambda event: loaded.handler(event, None)


@pytest.fixture
def s3(s3_bucket, lambda_process):
    """A client of an empty bucket, and an environment as Lambda's."""
    with lambda_process(
        wiring.monitoring,
        STILLGOOD_BUCKET=s3_bucket,
        STILLGOOD_POLICY="simple",
        STILLGOOD_SETTLE_SECONDS="0",
        STILLGOOD_TRAIN_FUNCTION="train",
        AWS_REGION="us-east-1",
    ):
        yield boto3.client("s3")


def put(s3, key, data):
    s3.put_object(Bucket=os.environ["STILLGOOD_BUCKET"], Key=key, Body=data)


def promoted(s3):
    """A champion that was trained on readings from 0 to 99."""
    rows = [{"reading": float(value % 100)} for value in range(1_000)]
    scores = [MODEL.score(row).score for row in rows]
    data = encode(MODEL.to_dict())
    put(s3, "models/v1/model.json", data)
    put(
        s3,
        "models/v1/reference.json",
        encode(build_reference(MODEL, Frame.from_values(CONTRACT, rows), scores).to_dict()),
    )
    pointer = Pointer(
        "v1",
        "models/v1/model.json",
        sha256(data),
        "models/v1/reference.json",
        {},
        0.5,
        1,
        1,
        EVENT["scheduled_time"],
        None,
    )
    put(s3, POINTER_KEY, encode(pointer.to_dict()))


def decided(s3):
    """The same champion, by a record of the log."""
    promoted(s3)
    pointer = json.loads(s3.get_object(Bucket=os.environ["STILLGOOD_BUCKET"], Key=POINTER_KEY)["Body"].read())
    s3.delete_object(Bucket=os.environ["STILLGOOD_BUCKET"], Key=POINTER_KEY)
    proposal = Proposal("2024-12-01T00:00:00Z", "promote", "v1", "v1", ("better",), release=Release.from_dict(pointer))
    Registry(Boto3ObjectStore(os.environ["STILLGOOD_BUCKET"])).decide("v1", lambda _: proposal)


def captured(s3, readings):
    at = END - timedelta(hours=2)
    lines = []
    for number, reading in enumerate(readings):
        score = MODEL.score({"reading": reading})
        lines.append(
            {"kind": "prediction", "prediction_id": str(number), "time": EVENT["scheduled_time"], "entity_id": None,
             "features": {"reading": reading}, "score": score.score, "probability": score.probability,
             "decision": score.decision, "model": "v1"}
        )  # fmt: skip
    put(s3, capture_key(at, "u1"), "".join(json.dumps(line) + "\n" for line in lines).encode())


def logged(capsys, message):
    """The log line with ``message``, among those of the mocked S3."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return next(line for line in lines if line.get("message") == message)


def test_the_event_file_names_a_whole_hour_that_has_passed():
    assert datetime.now(UTC) >= END
    assert (END.minute, END.second) == (0, 0)


def test_without_a_champion_the_answer_says_so(handler, s3):
    assert handler(EVENT)["result"] == "no champion"


def test_a_quiet_day_is_reported_and_logged(handler, s3, capsys):
    promoted(s3)
    captured(s3, [float(value % 100) for value in range(500)])

    result = handler(EVENT)

    assert (result["result"], result["rows"], result["policy"]) == ("nothing", 500, "simple")
    report = json.loads(s3.get_object(Bucket=os.environ["STILLGOOD_BUCKET"], Key=result["report"])["Body"].read())
    assert report["decision"]["reasons"] == ["no feature drifted and the model is as confident as it was"]
    line = logged(capsys, "window judged: nothing")
    assert (line["service"], line["message"], line["model_version"]) == ("monitor", "window judged: nothing", "v1")


def test_what_is_over_is_compacted_between_windows(handler, s3, capsys):
    event = json.loads((ROOT / "events/compact.json").read_text())
    assert handler(event) == {"step": "monitor", "result": "no champion", "hours": [], "labels": 0}
    promoted(s3)
    deps = wiring.monitoring()
    at = deps.clock().replace(minute=0) - timedelta(hours=2)
    for number in range(3):
        put(s3, capture_key(at, f"u{number}"), b"{}\n")
    hours = handler(event)["hours"]
    assert hours == [iso(at.replace(second=0, microsecond=0))]
    assert logged(capsys, "compacted: compacted")["hours"] == hours
    assert handler(event)["hours"] == []


def test_drift_invokes_train_once_per_delivery_with_one_request_id(handler, s3, monkeypatch, capsys):
    promoted(s3)
    captured(s3, [float(value % 50 + 50) for value in range(500)])
    invoked = FakeInvoker()
    monkeypatch.setattr("stillgood.aws.invoke.LambdaInvoker", lambda functions: invoked)

    results = [handler(EVENT), handler(EVENT)]

    assert [result["result"] for result in results] == ["retrain", "retrain"]
    assert [result["duplicate"] for result in results] == [False, True]
    assert {(step, event["request_id"]) for step, event in invoked.events} == {
        ("train", f"monitor:{results[0]['window']}")
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    # The id that train logs, and hands to promote.
    assert {line["correlation_id"] for line in lines if line.get("message") == "window judged: retrain"} == {
        f"monitor:{results[0]['window']}"
    }
    counts = [(line["WindowsJudged"], line["RetrainsStarted"], line["Alerts"]) for line in lines if "_aws" in line]
    assert counts == [(1, 1, 0), (1, 1, 0)]


def test_a_bad_event_raises_and_is_logged_for_a_person(handler, s3, capsys):
    with pytest.raises(InvalidEvent, match="scheduled_time"):
        handler({"scheduled_at": "2026-11-23"})

    assert logged(capsys, "the window was not judged")["level"] == "ERROR"


def test_a_missing_variable_is_named(handler, s3, monkeypatch):
    monkeypatch.delenv("STILLGOOD_BUCKET")

    with pytest.raises(SettingsInvalid, match="STILLGOOD_BUCKET"):
        handler(EVENT)


def test_the_policy_comes_from_the_environment(s3, monkeypatch):
    assert wiring.monitoring().policy.name == "simple"
    monkeypatch.delenv("STILLGOOD_POLICY")
    wiring.monitoring.cache_clear()

    assert wiring.monitoring().policy.name == "guarded"


def test_the_hashes_of_a_day_are_kept_in_another_bucket_and_name_what_was_rewritten(
    handler, s3, s3_bucket, monkeypatch, capsys
):
    decided(s3)
    s3.create_bucket(Bucket="anchors")
    monkeypatch.setenv("STILLGOOD_ANCHOR_BUCKET", "anchors")
    captured(s3, range(50))
    try:
        handler(EVENT)
        handler(EVENT)  # the day has its anchor
        hashes = logged(capsys, "heads of the logs")["sha256"]
        (anchor,) = s3.list_objects_v2(Bucket="anchors")["Contents"]
        stored = json.loads(s3.get_object(Bucket="anchors", Key=anchor["Key"])["Body"].read())
        assert stored["sha256"] == hashes
        assert set(hashes) == {decision_key(1), report_key("20241231T000000Z_20250101T000000Z")}
        assert main(["audit", "--bucket", s3_bucket, "--anchors", "anchors"]) == 0
        assert "1 anchors: all fit" in capsys.readouterr().out
        put(s3, report_key("20241231T000000Z_20250101T000000Z"), b"{}")
        assert main(["audit", "--bucket", s3_bucket, "--anchors", "anchors"]) == 1
        assert "rewritten: monitoring/reports/20241231T000000Z" in capsys.readouterr().out
    finally:
        for item in s3.list_objects_v2(Bucket="anchors").get("Contents", []):
            s3.delete_object(Bucket="anchors", Key=item["Key"])
        s3.delete_bucket(Bucket="anchors")


def test_an_anchor_that_cannot_be_written_is_counted_and_the_window_is_judged(handler, s3, monkeypatch, capsys):
    decided(s3)
    monkeypatch.setenv("STILLGOOD_ANCHOR_BUCKET", "nowhere")
    assert handler(EVENT)["report"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["AnchorFailures"] for line in lines if "_aws" in line] == [1]
