"""What must not be told: no credential, header or private value in a log, a capture or an answer, whatever fails."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from stillgood.aws import logs
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import StillgoodError
from stillgood.domain.model.model import Model

PREDICT = json.loads((Path(__file__).parents[2] / "events/predict.json").read_text())
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIASEENBYNOBODY0000",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYNEVERTOLD",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEJr//////////wEaDNEVERTOLD==",
    "MLFLOW_TRACKING_TOKEN": "mlflow-token-nevertold",
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return list(SECRETS.values())


def test_everything_struck_from_logs_is_secret_here_too(secrets: list[str]) -> None:
    assert set(SECRETS) - {"AWS_ACCESS_KEY_ID"} <= set(logs.SECRETS)


@pytest.fixture(params=[400, 403, 500])
def telltale_s3(request: pytest.FixtureRequest) -> Iterator[str]:
    """An S3 that quotes the credentials it refuses, as AWS does: the token of an InvalidToken, the key of a bad
    signature.
    """

    class Handler(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token, signature = self.headers["x-amz-security-token"], self.headers["Authorization"]
            body = (
                f"<?xml version='1.0'?><Error><Code>InvalidToken</Code><Message>{token}</Message>"
                f"<Token-0>{token}</Token-0><CanonicalRequest>{signature}</CanonicalRequest></Error>"
            ).encode()
            self.send_response(request.param)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._refuse()

        def do_PUT(self) -> None:
            self._refuse()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failing_s3_that_quotes_credentials_is_not_quoted(
    predict_function: Any,
    secrets: list[str],
    telltale_s3: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = ObstoreObjectStore("stillgood", endpoint_url=telltale_s3)
    monkeypatch.setattr("stillgood.wiring.predict.ObstoreObjectStore", lambda *_, **__: store)
    event = {**PREDICT, "headers": {**PREDICT["headers"], "authorization": "Bearer eyJ.never.told"}}
    answers = [predict_function(event, None)]
    assert answers[0]["statusCode"] == 503
    answers.append(predict_function({**event, "routeKey": "GET /status", "rawPath": "/status"}, None))
    with pytest.raises(StillgoodError) as refused:
        store.put("capture/k", b"1")
    output = capsys.readouterr()
    everything = json.dumps(answers) + output.out + output.err + str(refused.value)
    assert '"failed"' in everything  # something was logged at all
    for secret in (*secrets, "eyJ.never.told", "AWS4-HMAC-SHA256"):
        assert secret not in everything


@pytest.mark.parametrize("value", ["8675309", "private-text"])
def test_a_private_value_is_in_no_capture_log_or_error(
    predict_function: Any,
    bucket: Any,
    telco: Contract,
    draw_model: Callable[..., Model],
    make_champion: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: str,
) -> None:
    monkeypatch.setenv("STILLGOOD_LOG_LEVEL", "DEBUG")
    features = tuple(
        replace(feature, pii=True) if feature.name in ("monthly_charges", "contract") else feature
        for feature in telco.features
    )
    make_champion(bucket, draw_model(replace(telco, features=features), "20261123-private"))
    row = json.loads(PREDICT["body"])
    row["monthly_charges"] = 61.8125  # keeps the contract, and is private all the same
    broken = [
        {**row, name: wrong} for name in ("monthly_charges", "contract") for wrong in (value, [value], {"is": value})
    ]
    bodies = []
    for body in broken:
        answer = predict_function({**PREDICT, "body": json.dumps(body)}, None)
        assert answer["statusCode"] == 422
        bodies.append(answer["body"])
    assert predict_function({**PREDICT, "body": json.dumps(row)}, None)["statusCode"] == 200
    captures = b"".join(bucket.get(info.key).data for info in bucket.list("capture/")).decode()
    assert captures.count('"rejection"') == len(broken)
    assert captures.count('"features"') == 1
    assert '"monthly_charges":' not in captures
    assert '"contract":' not in captures
    kept = captures + "".join(capsys.readouterr())
    assert "61.8125" not in kept
    assert value not in kept + "".join(bodies)
