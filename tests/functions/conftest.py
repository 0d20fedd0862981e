"""The predict function as Lambda runs it, over a bucket in memory that can be broken."""

import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from stillgood.domain.errors import StoreUnavailable
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import Stored
from stillgood.wiring import predict as wiring

type Handler = Callable[[Any, Any], dict[str, Any]]
type LambdaProcess = Callable[..., AbstractContextManager[None]]


class Bucket(MemoryObjectStore):
    """Answers while ``fault`` is None, else raises it."""

    fault: Exception | None = None

    def get(self, key: str) -> Stored:
        self._check()
        return super().get(key)

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        self._check()
        return super().get_if_changed(key, etag)

    def put(self, key: str, data: bytes) -> str:
        self._check()
        return super().put(key, data)

    def create(self, key: str, data: bytes) -> str:
        self._check()
        return super().create(key, data)

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    def fail(self, detail: str) -> None:
        self.fault = StoreUnavailable(detail)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def app() -> Callable[[str], ModuleType]:
    """Loads functions/<step>/app.py anew, as a new Lambda does."""

    def load(step: str) -> ModuleType:
        path = Path(__file__).parents[2] / f"functions/{step}/app.py"
        spec = importlib.util.spec_from_file_location(f"{step}_app", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """S3 over HTTP: obstore does not go through boto3, which moto could patch."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def lambda_process(monkeypatch: pytest.MonkeyPatch) -> LambdaProcess:
    """``with lambda_process(wiring.api, STILLGOOD_BUCKET="b"):`` is a new Lambda process: those variables beside the
    account's, nothing wired yet. Logging is put back at the end.
    """
    account = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}

    @contextmanager
    def process(wired: Any, **variables: str) -> Iterator[None]:
        for name, value in (account | variables).items():
            monkeypatch.setenv(name, value)
        root, ours = logging.getLogger(), logging.getLogger("stillgood")
        before = (root.handlers, root.level, ours.level)
        wired.cache_clear()
        yield
        wired.cache_clear()
        root.handlers, root.level = before[0], before[1]
        ours.setLevel(before[2])

    return process


@pytest.fixture
def s3_bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty bucket of the test's own, and the variable by which boto3 finds it."""
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    ).create_bucket(Bucket=name)
    return name


@pytest.fixture
def predict_function(
    app: Callable[[str], ModuleType],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    lambda_process: LambdaProcess,
) -> Iterator[Handler]:
    """``handler(event, context)`` of functions/predict/app.py, which looks for a new champion at every request."""
    monkeypatch.setattr(wiring, "ObstoreObjectStore", lambda *_, **__: bucket)
    with lambda_process(wiring.api, STILLGOOD_BUCKET="stillgood", STILLGOOD_CHAMPION_TTL_SECONDS="0"):
        yield app("predict").handler
