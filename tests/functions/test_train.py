"""The train function, driven by its event file on a mocked S3."""

import json
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from stillgood.domain.errors import InvalidEvent, SettingsInvalid, TooFewRows
from stillgood.testing.fakes import FakeInvoker
from stillgood.wiring import train as wiring

from local.datasets import contract_text, telco

ROOT = Path(__file__).parents[2]
EVENT = json.loads((ROOT / "events/train.json").read_text())


@pytest.fixture
def handler(app):
    loaded = app("train")
    return lambda event: loaded.handler(event, None)


@pytest.fixture
def invoked(monkeypatch):
    """What promote would be invoked with."""
    recorded = FakeInvoker()
    monkeypatch.setattr("stillgood.wiring.train.LambdaInvoker", lambda functions: recorded)
    return recorded


@pytest.fixture
def s3(lambda_process):
    """A client of a bucket with the contract, and an environment as Lambda's."""
    with (
        lambda_process(wiring.training, STILLGOOD_BUCKET="stillgood", STILLGOOD_PROMOTE_FUNCTION="promote"),
        mock_aws(),
    ):
        client = boto3.client("s3")
        client.create_bucket(Bucket="stillgood")
        client.put_object(Bucket="stillgood", Key="contract.json", Body=contract_text("telco").encode())
        yield client


def upload(s3, key, data):
    s3.put_object(Bucket="stillgood", Key=key, Body=data)


def logged(capsys):
    """The last line that tells something: the one after it counts."""
    line, counted = capsys.readouterr().out.splitlines()[-2:]
    counts = json.loads(counted)
    return json.loads(line) | {name: counts[name] for name in ("TrainFailures", "ModelsTrained")}


def test_the_event_file_trains_a_version_of_real_customers_and_invokes_promote(handler, s3, invoked, capsys):
    upload(s3, "data/2025-01-01/customers.csv", telco().to_csv(index=False).encode())
    upload(s3, "data/2025-01-01/", b"")  # what the S3 console leaves of a folder made by hand

    result = handler(EVENT)

    assert (result["step"], result["result"], result["rows"]["accepted"]) == ("train", "trained", 7_043)
    assert result["rows"]["refused_objects"] == 0
    metrics = json.loads(
        s3.get_object(Bucket="stillgood", Key=f"models/{result['version']}/metrics.json")["Body"].read()
    )
    assert metrics["rows"]["repaired"] == {"total_charges: if_missing": 11}
    assert metrics["out_of_fold"]["recall"]["value"] >= 0.8
    assert invoked.events == [
        ("promote", {"action": "promote", "candidate": result["version"], "request_id": EVENT["request_id"]})
    ]
    line = logged(capsys)
    assert (line["service"], line["message"]) == ("train", f"trained: {result['version']}")
    assert (line["correlation_id"], line["model_version"]) == (EVENT["request_id"], result["version"])
    assert (line["ModelsTrained"], line["TrainFailures"]) == (1, 0)
    assert json.loads(json.dumps(result)) == result


def test_the_event_file_twice_trains_once(handler, s3, invoked):
    upload(s3, "data/2025-01-01/customers.csv", telco().to_csv(index=False).encode())
    first, second = handler(EVENT), handler(EVENT)
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["version"] == second["version"]


def test_the_same_rows_again_are_logged_as_skipped(handler, s3, invoked, capsys):
    upload(s3, "data/2025-01-01/customers.csv", telco().to_csv(index=False).encode())
    handler(EVENT)
    assert handler(EVENT | {"request_id": "another"})["result"] == "skipped"
    line = logged(capsys)
    assert (line["message"].partition(":")[0], line["ModelsTrained"]) == ("skipped", 0)


def test_without_rows_it_raises_for_the_failure_queue_and_logs_what_to_do(handler, s3, invoked, capsys):
    with pytest.raises(TooFewRows):
        handler(EVENT)
    line = logged(capsys)
    assert (line["level"], line["message"], line["exception_name"]) == ("ERROR", "nothing was trained", "TooFewRows")
    assert (line["TrainFailures"], line["ModelsTrained"]) == (1, 0)
    assert "Upload CSV objects to data/<date>/" in line["detail"]
    assert invoked.events == []


def test_an_event_without_a_request_id_is_refused(handler, s3, invoked):
    with pytest.raises(InvalidEvent, match=r"events/train\.json"):
        handler({"reason": "drift"})


def test_a_missing_variable_is_named(handler, s3, monkeypatch):
    monkeypatch.delenv("STILLGOOD_BUCKET")
    with pytest.raises(SettingsInvalid, match="STILLGOOD_BUCKET"):
        handler(EVENT)
