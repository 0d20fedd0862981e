"""The promote function, driven by its event files on a mocked S3 (a server: obstore speaks HTTP, not boto3)."""

import json
from pathlib import Path

import boto3
import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidEvent, SettingsInvalid, UnknownVersion
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.promotion.holdout import Holdout
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import HOLDOUT, METRICS, MODEL
from stillgood.wiring import promote as wiring

ROOT = Path(__file__).parents[2]
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "one reading",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "reading", "kind": "numeric"}],
        "floors": {"roc_auc": 0.7, "recall": 0.7, "precision": 0.3},
    }
)


def event(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


@pytest.fixture
def handler(app):
    loaded = app("promote")
    return lambda event: loaded.handler(event, None)


@pytest.fixture
def bucket(s3_bucket, lambda_process):
    """An empty bucket, and an environment as Lambda's."""
    with lambda_process(wiring.deciding, STILLGOOD_BUCKET=s3_bucket):
        yield s3_bucket


def train(version):
    rng = np.random.default_rng(1)
    reading = rng.normal(size=400)
    left = (reading + rng.normal(size=400) > 0).astype(np.int8)
    term = NumericTerm("reading", center=0.0, scale=1.0, weight=2.0)
    model = encode(Model(version, CONTRACT, (term,), 0.0, -0.5, Calibration(1.0, 0.0)).to_dict())
    holdout = Holdout(Frame(CONTRACT, 400, {"reading": reading}), left)
    files = {MODEL: model, METRICS: encode({"model_sha256": sha256(model)}), HOLDOUT: encode(holdout.to_dict())}
    publish(wiring.deciding().store, version, files)


def test_the_event_file_promotes_the_first_model(handler, bucket):
    promote = event("promote")
    train(promote["candidate"])

    result = handler(promote)

    assert (result["step"], result["result"], result["new_version"]) == ("promote", "promoted", promote["candidate"])
    body = boto3.client("s3").get_object(Bucket=bucket, Key="registry/production_metrics.json")["Body"].read()
    assert json.loads(body)["version"] == promote["candidate"]


def test_the_event_file_rolls_back_and_says_when_it_cannot(handler, bucket):
    train(event("promote")["candidate"])
    handler(event("promote"))
    result = handler(event("rollback"))
    assert (result["result"], result["decision"]) == ("refused", 2)
    assert "is the first champion" in result["reasons"][0]


def test_the_decision_is_logged_as_one_json_line_with_the_request_id(handler, bucket, capsys):
    train(event("promote")["candidate"])
    capsys.readouterr()
    wiring.deciding.cache_clear()
    handler(event("promote"))
    line, counts = (json.loads(text) for text in capsys.readouterr().out.splitlines()[-2:])
    assert (counts["Promotions"], counts["Refusals"], counts["Rollbacks"]) == (1, 0, 0)
    assert (line["service"], line["message"]) == ("promote", "decision 1: promoted")
    assert line["correlation_id"] == event("promote")["request_id"]


def test_a_candidate_that_was_never_trained_is_an_error(handler, bucket):
    with pytest.raises(UnknownVersion, match="run train first"):
        handler(event("promote"))


@pytest.mark.parametrize("bad", [{}, {"action": "demote"}, {"action": ["promote"]}])
def test_an_event_without_a_known_action_is_refused(handler, bucket, bad):
    with pytest.raises(InvalidEvent, match="one of promote, rollback"):
        handler(bad)


def test_a_missing_environment_says_what_to_set(handler, bucket, monkeypatch):
    monkeypatch.delenv("STILLGOOD_BUCKET")
    with pytest.raises(SettingsInvalid, match="STILLGOOD_BUCKET"):
        handler(event("promote"))
