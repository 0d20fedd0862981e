"""SnapStart: a snapshot never serves an old champion, and takes its credentials from where Lambda puts them then."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stillgood.aws import credentials as container_credentials
from stillgood.aws import logs
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import StoreUnavailable
from stillgood.domain.model.model import Model
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore, Stored
from stillgood.wiring import predict as wiring

EVENT = json.loads((Path(__file__).parents[2] / "events/predict.json").read_text())


class Runtime(ModuleType):
    """``snapshot_restore_py``: what Lambda's runtime brings. Before: last registered first; after: first registered
    first.
    """

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []

    def register_before_snapshot(self, hook: Callable[[], None]) -> None:
        self.before.insert(0, hook)

    def register_after_restore(self, hook: Callable[[], None]) -> None:
        self.after.append(hook)

    def snapshot(self) -> None:
        for hook in self.before:
            hook()

    def restore(self) -> None:
        for hook in self.after:
            hook()


class Connected(MemoryObjectStore):
    reads = 0
    down = False

    def get(self, key: str) -> Stored:
        self.reads += 1
        if self.down:
            raise StoreUnavailable("S3 does not answer.")
        return super().get(key)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Connected:
    return Connected()


@pytest.fixture
def connections(store: Connected, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A name for each client that was made; all see the one bucket."""
    made: list[str] = []

    def connect(bucket: str, **_: Any) -> ObjectStore:
        made.append(bucket)
        return store

    monkeypatch.setattr(wiring, "ObstoreObjectStore", connect)
    monkeypatch.setattr(wiring, "configure", lambda *_, **__: None)
    monkeypatch.setenv("STILLGOOD_BUCKET", "stillgood")
    # Long: a champion of before the snapshot would be served for a day.
    monkeypatch.setenv("STILLGOOD_CHAMPION_TTL_SECONDS", "86400")
    wiring.api.cache_clear()
    yield made
    wiring.api.cache_clear()


@pytest.fixture
def runtime(connections: list[str], monkeypatch: pytest.MonkeyPatch) -> Runtime:
    runtime = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    assert wiring.register_hooks()
    return runtime


@pytest.fixture
def promote(
    store: Connected, telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]
) -> Callable[[str], None]:
    return lambda version: make_champion(store, draw_model(telco, version))


def served() -> str:
    answer = wiring.api()(EVENT, None)
    assert answer["statusCode"] == 200
    version: str = json.loads(answer["body"])["model_version"]
    return version


def test_a_restored_snapshot_serves_the_champion_of_now(
    runtime: Runtime, store: Connected, promote: Callable[[str], None]
) -> None:
    promote("20261123-old")
    assert served() == "20261123-old"
    runtime.snapshot()
    promote("20261123-new")
    runtime.restore()
    reads = store.reads
    assert served() == "20261123-new"
    assert store.reads == reads  # the first request waits for no look at the registry


def test_a_snapshot_reads_nothing_and_keeps_no_client(
    runtime: Runtime, store: Connected, promote: Callable[[str], None], connections: list[str]
) -> None:
    promote("20261123-first")
    reads = store.reads
    runtime.snapshot()
    assert store.reads == reads
    assert wiring.api.cache_info().currsize == 0
    before = len(connections)
    runtime.restore()
    assert len(connections) == before + 1


def test_two_processes_of_one_snapshot_give_different_ids(
    runtime: Runtime, promote: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import random

    promote("20261123-first")
    runtime.snapshot()
    state, ids, jitters = random.getstate(), [], []
    for _ in range(2):
        random.setstate(state)
        runtime.restore()
        ids.append(json.loads(wiring.api()(EVENT, None)["body"])["prediction_id"])
        jitters.append(random.random())
    assert ids[0] != ids[1]
    assert jitters[0] != jitters[1]


def test_an_outage_at_restore_fails_no_restore_and_the_first_request_looks_again(
    runtime: Runtime, store: Connected, promote: Callable[[str], None]
) -> None:
    promote("20261123-first")
    runtime.snapshot()
    store.down = True
    runtime.restore()
    assert wiring.api()(EVENT, None)["statusCode"] == 503
    store.down = False
    assert served() == "20261123-first"


def test_the_first_invocation_after_a_restore_is_a_cold_start(
    runtime: Runtime, promote: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    promote("20261123-first")
    runtime.snapshot()
    runtime.restore()
    cold = []
    for _ in range(2):
        logs.begin(None)
        with caplog.at_level("INFO", "stillgood"):
            logs.log(20, "told")
        cold.append(json.loads(logs.JsonLines("predict").format(caplog.records[-1]))["cold_start"])
    assert cold == [True, False]


def test_elsewhere_there_are_no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    assert not wiring.register_hooks()


class Endpoints(HTTPServer):
    """The credentials' endpoint under /credentials, and an S3 that answers "here" to whoever signs with the newest
    key.
    """

    issued = 0
    authorizations: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Endpoints

    def do_GET(self) -> None:
        if self.path == "/credentials":
            self.server.issued += 1
            self.server.authorizations.append(self.headers["Authorization"])
            self._answer(
                json.dumps(
                    {
                        "AccessKeyId": f"KEY{self.server.issued}",
                        "SecretAccessKey": "secret",
                        "Token": "session",
                        "Expiration": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    }
                ).encode()
            )
        elif f"Credential=KEY{self.server.issued}/" in self.headers["Authorization"]:
            self._answer(b"here")
        else:
            self.send_error(403)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Mon, 23 Nov 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoints() -> Iterator[Endpoints]:
    server = Endpoints(("127.0.0.1", 0), _Handler)
    server.authorizations = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_credentials_come_from_lambdas_endpoint_where_there_are_no_keys(
    endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{endpoints.server_port}"
    monkeypatch.setenv(container_credentials.ENDPOINT, f"{url}/credentials")
    monkeypatch.setenv(container_credentials.TOKEN, "the token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = ObstoreObjectStore("stillgood", endpoint_url=url)
    assert store.get("k").data == b"here"
    assert store.get("k").data == b"here"
    assert endpoints.authorizations == ["the token"]  # kept until they expire
    assert ObstoreObjectStore("stillgood", endpoint_url=url).get("k").data == b"here"
    assert endpoints.issued == 2  # a new client, as after a restore, asks anew


def test_keys_in_the_environment_come_first() -> None:
    offered = {container_credentials.ENDPOINT: "http://x/", container_credentials.TOKEN: "t"}
    assert container_credentials.are_offered(offered)
    assert not container_credentials.are_offered({**offered, container_credentials.KEY: "AKIA"})
    assert not container_credentials.are_offered({container_credentials.ENDPOINT: "http://x/"})


def test_lambdas_own_module_takes_the_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes with the runtime interface client, so that the double above cannot drift from it."""
    real = pytest.importorskip("snapshot_restore_py")
    monkeypatch.setattr(real, "_before_snapshot_registry", [])
    monkeypatch.setattr(real, "_after_restore_registry", [])
    assert wiring.register_hooks()
    hooks = [
        [getattr(hook, "func", hook[0] if isinstance(hook, tuple) else hook) for hook in registry]
        for registry in (real.get_before_snapshot(), real.get_after_restore())
    ]
    assert hooks == [[wiring.before_snapshot], [wiring.after_restore]]
