"""The container image, built and run: train on rows in S3, promote what it made, and score a file with it."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.steps.promote.promote import PromoteDeps, promote

import local.fake_lambda
from local import customers, datasets
from local.fake_lambda import RecordingServer
from local.sam import free_port

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "stillgood-container"
BASES = ("python:3.13-slim", "public.ecr.aws/lambda/python:3.13")  # any Python 3.13 will do


def docker(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)


def missing() -> str:
    if shutil.which("docker") is None or docker("info").returncode:
        return "no container engine answers (`docker info`)"
    if not any(docker("image", "inspect", base).returncode == 0 for base in BASES):
        return f"none of {', '.join(BASES)} is here to build on"
    return ""


pytestmark = pytest.mark.skipif(bool(why := missing()), reason=f"the image cannot be built: {why}")


@pytest.fixture(scope="module")
def image() -> str:
    base = next(base for base in BASES if docker("image", "inspect", base).returncode == 0)
    digest = docker("image", "inspect", base, "--format", "{{.Id}}").stdout.strip()
    done = subprocess.run(
        ["make", "image", f"IMAGE_BASE={base}", f"IMAGE_DIGEST={digest}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return "stillgood"


@pytest.fixture(scope="module")
def bridge() -> str:
    """The host's address as a container sees it."""
    network = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    return network.stdout.strip()


@pytest.fixture(scope="module")
def s3(bridge: str) -> Iterator[str]:
    url = f"http://{bridge}:{(port := free_port(bridge))}"
    moto = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", bridge, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):
            break
        time.sleep(0.2)
    yield url
    moto.terminate()
    moto.wait(10)


@pytest.fixture(scope="module")
def store(s3: str) -> Boto3ObjectStore:
    client = boto3.client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    return Boto3ObjectStore(BUCKET, client=client)


@pytest.fixture(scope="module")
def recorder(bridge: str) -> Iterator[RecordingServer]:
    with local.fake_lambda.recording_server(bridge) as server:
        yield server


@pytest.fixture
def run(image: str, s3: str, recorder: RecordingServer) -> Any:
    variables = {
        "STILLGOOD_BUCKET": BUCKET,
        "STILLGOOD_PROMOTE_FUNCTION": "promote",
        "AWS_ENDPOINT_URL": s3,
        "AWS_ENDPOINT_URL_LAMBDA": recorder.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    words = ["run", "--rm", "-i", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    for name, value in variables.items():
        words += ["-e", f"{name}={value}"]
    return lambda *arguments, stdin=None: docker(*words, image, *arguments, stdin=stdin)


def test_it_trains_and_scores_what_lies_in_s3(run: Any, store: Boto3ObjectStore, recorder: RecordingServer) -> None:
    first, others = customers.split(datasets.telco())
    store.put("contract.json", datasets.contract_text("telco").encode())
    store.put("data/2026-08-25/customers.csv", first.to_csv(index=False).encode())

    done = run("train", '{"request_id": "container-1", "reason": "too large for a Lambda"}')

    assert done.returncode == 0, done.stderr
    version = json.loads(done.stdout.splitlines()[-1])["version"]
    assert version in {info.key.split("/")[1] for info in store.list("models/")}
    path, event = recorder.events[-1]
    assert path == "/2015-03-31/functions/promote/invocations"
    assert promote(event, PromoteDeps(store, lambda: datetime.now(UTC)))["new_version"] == version

    store.put("batch/input/others.csv", others.head(500).to_csv(index=False).encode())
    scored = run("batch", stdin='{"input": "batch/input/others.csv"}')

    assert scored.returncode == 0, scored.stderr
    result = json.loads(scored.stdout.splitlines()[-1])
    assert (result["rows"], result["predicted"], result["model_version"]) == (500, 500, version)
    assert len(store.get(result["output"]["predictions"]).data.splitlines()) == 500


def test_what_cannot_be_done_is_told_by_the_exit_status(run: Any) -> None:
    assert run("train", "{}").returncode == 1
    assert "request_id" in run("train", "{}").stderr
    assert (run("promote").returncode, run("train", "no-such-file").returncode) == (2, 2)


def test_it_runs_as_nobody(image: str) -> None:
    assert (
        docker("run", "--rm", "--entrypoint", "python3", image, "-c", "import os; print(os.getuid())").stdout
        == "65534\n"
    )
