"""What holds for every test: nothing of the shell it is started from can reach it.

And a champion without training: the shipped contract, a model drawn from a seed, and putting it in force.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm, Term
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, REFERENCE, artifact_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
# How long an example takes is nothing that a test may fail by. In CI the examples are the same at each run, so that its
# answer is one about the commit; everywhere else each run looks for new ones.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("untimed")
OF_THE_SHELL = ("AWS_", "STILLGOOD_", "MLFLOW_")
# Read before the tests hide the shell's settings from the code: benchmarks/safety.py names the file here.
COUNTS = os.environ.get("STILLGOOD_COUNTS")
_notes: dict[str, tuple[int, str]] = {}


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of an account that is nobody's, for moto."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture(scope="session", autouse=True)
def loop_of_the_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """One loop for the whole run, so that fixtures of modules have it, too; closed at the end."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(autouse=True)
def event_loop(loop_of_the_thread: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """The loop of the test's thread, as a Lambda's runtime has one: Mangum runs the API on it."""
    asyncio.set_event_loop(loop_of_the_thread)  # a test before may have taken it away, as asyncio.run does
    return loop_of_the_thread


@pytest.fixture(scope="session", autouse=True)
def no_cloud_of_the_shell() -> Iterator[None]:
    """No profile, credentials, endpoint or tracking server of the developer: a forgotten fake must fail, not reach
    AWS.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OF_THE_SHELL)]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``make mlflow`` becomes, over an empty store: MLflow's server on 127.0.0.1, as long as the module's tests
    run.
    """
    home = tmp_path_factory.mktemp("mlflow")
    (home / "mlflow.db").touch()
    code = f"from pathlib import Path; from local.tracking import serve; serve(Path({str(home / 'mlflow.db')!r}), 0)"
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=home,  # its artifacts are kept beside the store
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert server.stdout is not None
    try:
        url = server.stdout.readline().split()[1]
        deadline = time.monotonic() + 120
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    break
            assert server.poll() is None, (home / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "MLflow's server does not answer"
            time.sleep(0.5)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # its workers, too
        server.wait(30)
        server.stdout.close()


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``count(name, value, target="")`` tells how much a test tried: at the end of the run, and as a JSON line in
    $STILLGOOD_COUNTS.

    ``target`` is a comparison that the sum over all tests of that name must meet, such as ">= 200" or "== 0".
    """

    def note(name: str, value: int, target: str = "") -> None:
        _notes[name] = (_notes.get(name, (0, ""))[0] + value, target)
        if COUNTS:
            line = {"name": name, "value": value, "target": target, "test": request.node.nodeid}
            with Path(COUNTS).open("a") as file:
                file.write(json.dumps(line) + "\n")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was tried, in words. Under xdist each worker has its own; only the file has all."""
    if _notes:
        terminalreporter.section("tried")
        for name, (value, target) in _notes.items():
            terminalreporter.write_line(f"{name}: {value}" + (f" (target {target})" if target else ""))


@pytest.fixture
def telco() -> Contract:
    """The contract that ships."""
    return read_contract(json.loads((ROOT / "contracts/telco.json").read_text()))


@pytest.fixture
def draw_model() -> Callable[[Contract, str, int], Model]:
    """A model of a contract, with a version, and weights drawn from a seed; about half of random rows are decided
    either way.
    """

    def draw(contract: Contract, version: str, seed: int = 0) -> Model:
        weight = random.Random(seed)
        terms: list[Term] = []
        for feature in contract.features:
            if feature.kind == "categorical":
                weights = {level: weight.gauss(0, 0.5) for level in feature.levels}
                terms.append(CategoricalTerm(feature.name, weights, missing=0.25, unseen=-0.125))
            else:
                low, high = feature.minimum or 0.0, feature.maximum or 1.0
                term = NumericTerm(
                    feature.name, (low + high) / 3, (high - low) / 3, weight.gauss(0, 0.5), missing=0.375
                )
                terms.append(term)
        return Model(version, contract, tuple(terms), -0.3, 0.1, Calibration(0.9, -0.4), {"rows": 0})

    return draw


@pytest.fixture
def make_champion() -> Callable[[ObjectStore, Model], None]:
    """Publishes a model and makes it champion."""

    def do(store: ObjectStore, model: Model) -> None:
        data = encode(model.to_dict())
        publish(store, model.version, {MODEL: data})
        release = Release(
            version=model.version,
            model_key=artifact_key(model.version, MODEL),
            model_sha256=sha256(data),
            reference_key=artifact_key(model.version, REFERENCE),
            metrics={"roc_auc": 0.84},
            threshold=model.threshold,
        )
        request = f"request {model.version}"
        Registry(store).decide(
            request,
            lambda _: Proposal(
                "2026-11-23T00:00:00Z", "promote", request, model.version, ("it is better",), release=release
            ),
        )

    return do
