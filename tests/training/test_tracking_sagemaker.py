"""An ARN as the tracking URI: the built train package alone finds SageMaker's plug-in, signs every request and survives
a server that refuses.
"""

import json
import os
import site
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sizes import build

SERVER = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/churn"
APP = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-app/app-1"
RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py")  # what Lambda brings
TRACK = """
import json, sys
from stillgood.training.tracking import Tracking, track
print(json.dumps(track(Tracking(sys.argv[1]), name="v1", parameters={"C": 1.0}, metrics={"roc_auc": 0.8},
                       artifacts={"card.md": b"# card"}, tags={"version": "v1"})))
"""


class SageMaker:
    """Answers as an MLflow server does, but refuses files: they are S3's, and the bucket is somebody else's.
    ``refuses``: everything.
    """

    def __init__(self) -> None:
        self.refuses = False
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.partition("?")[0]
                server.seen.append((path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, answer = server.answer(path.removeprefix("/api/2.0/mlflow/"))
                self.send_response(status)
                text = json.dumps(answer).encode()
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST  # noqa: N815 -- the names of the library

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, what: str) -> tuple[int, Any]:
        info = {
            "run_id": "r1",
            "run_name": "v1",
            "experiment_id": "7",
            "status": "RUNNING",
            "artifact_uri": "s3://theirs/7/r1/artifacts",
        }
        match what:
            case _ if self.refuses:
                return 403, {"error_code": "PERMISSION_DENIED", "message": "not you"}
            case "experiments/get-by-name":
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}
            case "experiments/create":
                return 200, {"experiment_id": "7"}
            case "runs/create" | "runs/get":
                return 200, {"run": {"info": info, "data": {}}}
            case "runs/log-batch":
                return 200, {}
            case "runs/update":
                return 200, {"run_info": info}
        return 403, {}


@pytest.fixture
def server() -> Iterator[SageMaker]:
    server = SageMaker()
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """``sys.path`` of train in Lambda: package, layer, runtime."""
    folder = tmp_path_factory.mktemp("train")
    runtime = folder / "runtime"
    runtime.mkdir()
    for name in RUNTIME:
        (runtime / name).symlink_to(Path(site.getsitepackages()[0]) / name)
    return os.pathsep.join(
        str(path) for path in (build("train", folder / "package"), build("layer", folder / "layer"), runtime)
    )


def track(package: str, server: SageMaker, uri: str) -> dict[str, Any]:
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": package,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": server.url,
        "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": server.url,
    }
    done = subprocess.run([sys.executable, "-S", "-c", TRACK, uri], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    logged: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return logged


@pytest.mark.parametrize(
    ("uri", "service", "header"),
    [(SERVER, "sagemaker-mlflow", "x-mlflow-sm-tracking-server-arn"), (APP, "sagemaker", "x-sm-mlflow-app-arn")],
)
def test_the_package_logs_a_run_with_signed_requests(
    package: str, server: SageMaker, uri: str, service: str, header: str
) -> None:
    logged = track(package, server, uri)

    calls = [path.removeprefix("/api/2.0/mlflow/") for path, _, _ in server.seen if "/mlflow/" in path]
    assert calls[:4] == ["experiments/get-by-name", "experiments/create", "runs/create", "runs/log-batch"]
    assert calls[-1] == "runs/update"
    assert set(calls) <= {
        "experiments/get-by-name",
        "experiments/create",
        "runs/create",
        "runs/log-batch",
        "runs/get",
        "runs/update",
    }
    for path, headers, _ in server.seen:
        if "/mlflow/" in path:
            assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
            assert f"/eu-west-1/{service}/aws4_request" in headers["authorization"]
            assert headers[header] == uri
    ended = next(body for path, _, body in server.seen if path.endswith("runs/update"))
    assert json.loads(ended)["status"] == "FINISHED"
    assert logged["run_id"] == "r1"
    assert logged["error"].startswith("no files:")  # the bucket is not ours; everything else is logged


def test_a_server_that_refuses_is_a_note(package: str, server: SageMaker) -> None:
    server.refuses = True
    logged = track(package, server, SERVER)
    assert (logged["uri"], logged["run_id"]) == (SERVER, None)
    assert "not you" in logged["error"]


def test_an_arn_of_something_else_is_a_note(package: str, server: SageMaker) -> None:
    logged = track(package, server, "arn:aws:s3:::bucket")
    assert logged["run_id"] is None
    assert logged["error"]
    assert server.seen == []
