"""Each Lambda package as `sam build` makes it: small enough, complete on its own, and free of what it must not
carry.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.storage.registry import Registry

import local.fake_lambda
from benchmarks.sizes import LIMITS, build, mib
from local import cloud, customers, datasets
from local.fake_lambda import RecordingServer

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_PARQUET = 70
PUBLISHED = {
    row["name"]: row for row in json.loads((ROOT / "benchmarks" / "results" / "sizes.json").read_text(encoding="utf-8"))
}
FORBIDDEN = {
    "predict": ("numpy", "scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
    "batch": ("scipy", "sklearn", "pandas", "mlflow", "boto3"),
    "monitor": ("scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
    "train": ("boto3", "pyarrow", "fastapi_cli"),
    "promote": ("scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
}
MODULES = {"predict": "app", "batch": "app", "monitor": "app", "train": "app", "promote": "app"}
# What Lambda's Python runtime brings of its own: boto3, and what that needs.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
BUCKET = "stillgood-packages"
# Reads an event, and prints the answer last. Whatever it imports comes from where sys.path says.
RUN = """
import importlib, json, sys
sys.path[:0] = json.loads(sys.argv[1])
handler = importlib.import_module(sys.argv[2]).handler
assert sys.modules["stillgood"].__file__.startswith(sys.path[1])
print(json.dumps(handler(json.load(sys.stdin), None)))
"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("layer", tmp_path_factory.mktemp("layer") / "python")


@pytest.fixture(scope="module")
def package_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A package's folder, built when it is first asked for."""
    home, built = tmp_path_factory.mktemp("packages"), {}

    def folder(name: str) -> Path:
        if name not in built:
            built[name] = build(name, home / name)
        return built[name]

    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing of this environment but what Lambda brings, too."""
    home, installed = tmp_path_factory.mktemp("runtime"), Path(boto3.__file__).parents[1]
    for name in RUNTIME:
        (home / name).symlink_to(installed / name)
    return home


type Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(package_of: Callable[[str], Path], layer: Path, runtime: Path) -> Run:
    """``run(name, event, **variables)``: the package's handler in a process that can import the package, the layer and
    the runtime only.
    """

    def call(name: str, event: Any, **variables: str) -> Any:
        places = [str(place) for place in (package_of(name), layer, runtime)]
        # -I -S: no environment variables, no site-packages.
        words = [sys.executable, "-I", "-S", "-c", RUN, json.dumps(places), MODULES[name]]
        environment = {"PATH": os.defpath, "AWS_LAMBDA_FUNCTION_NAME": name, **variables}
        done = subprocess.run(
            words, input=json.dumps(event), capture_output=True, text=True, env=environment, cwd="/", check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return call


@pytest.mark.parametrize("name", LIMITS)
def test_a_package_is_small_and_carries_nothing_it_must_not(
    name: str, layer: Path, package_of: Callable[[str], Path]
) -> None:
    package = package_of(name)
    size = mib(package) + mib(layer)
    print(f"{name}: {size:.1f} MiB of {LIMITS[name]}")
    assert size <= LIMITS[name]
    assert size == pytest.approx(PUBLISHED[name]["value"], abs=1), "run `python -m benchmarks.sizes`"
    if name == "batch":
        assert size - mib(package / "pyarrow") <= WITHOUT_PARQUET
    assert [forbidden for forbidden in FORBIDDEN[name] if (package / forbidden).exists()] == []


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cloud.Cloud]:
    """S3, of the embedded cloud."""
    home = tmp_path_factory.mktemp("cloud")
    yield cloud.start(home)
    cloud.stop(home)


@pytest.fixture(scope="module")
def handed_over() -> Iterator[RecordingServer]:
    with local.fake_lambda.recording_server("127.0.0.1") as server:
        yield server


def test_a_life_of_the_packages_with_nothing_else_to_import(
    run: Run, here: cloud.Cloud, handed_over: RecordingServer, mlflow_url: str
) -> None:
    """What is imported only when it is used (Arrow for Parquet, MLflow for a run, boto3 to invoke) is used here,
    too.
    """
    client = here.client("s3")
    client.create_bucket(Bucket=BUCKET)
    store = Boto3ObjectStore(BUCKET, client)
    first, others = customers.split(datasets.telco())
    store.put("contract.json", datasets.contract_text("telco").encode())
    store.put("data/2026-08-25/customers.csv", first.to_csv(index=False).encode())

    def step(name: str, event: Any) -> Any:
        return run(
            name, event, STILLGOOD_BUCKET=BUCKET, STILLGOOD_SETTLE_SECONDS="0", STILLGOOD_CHAMPION_TTL_SECONDS="0",
            STILLGOOD_TRAIN_FUNCTION="train", STILLGOOD_PROMOTE_FUNCTION="promote", STILLGOOD_POLICY="simple",
            MLFLOW_TRACKING_URI=mlflow_url, AWS_ENDPOINT_URL=here.endpoint, AWS_ENDPOINT_URL_LAMBDA=handed_over.url,
            AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1",
        )  # fmt: skip

    def sent(name: str) -> Any:
        return json.loads((ROOT / "events" / f"{name}.json").read_text())

    assert step("predict", sent("predict"))["statusCode"] == 503
    trained = step("train", sent("train"))
    assert (trained["result"], trained["tracking"]["error"]) == ("trained", None)
    path, event = handed_over.events[-1]
    assert path == "/2015-03-31/functions/promote/invocations"
    assert step("promote", event)["result"] == "promoted"

    rows = customers.as_requests(others, datasets.contract("telco"))[:600]
    drifted = [row | {"contract": "Month-to-month", "tenure": min(row["tenure"], 5)} for row in rows]
    answer = step("predict", sent("predict") | {"body": json.dumps(drifted)})
    assert (answer["statusCode"], len(json.loads(answer["body"])["predictions"])) == (200, 600)
    for name in ("labels", "model", "status", "predict_invalid"):
        assert step("predict", sent(name))["statusCode"] == (422 if name == "predict_invalid" else 200)
    captured = [line for info in store.list("capture/") for line in store.get(info.key).data.splitlines()]
    assert sum(b'"kind":"prediction"' in line for line in captured) == 600

    inputs = pd.concat(
        [others.drop(columns="churn")] * 4
    )  # 1.4 MiB: several blocks, of which Arrow reads all but the first
    files = {
        "many.csv": inputs.to_csv(index=False).encode(),
        "some.jsonl": "\n".join(map(json.dumps, rows[:100])).encode(),
        "some.parquet": pd.DataFrame(rows[:100]).to_parquet(index=False),
    }
    for name, data in files.items():
        store.put(f"batch/input/{name}", data)
        result = step("batch", {"input": f"batch/input/{name}"})
        assert result["rows"] == result["predicted"] == (len(inputs) if name == "many.csv" else 100), (name, result)
        assert len(store.get(result["output"]["predictions"]).data.splitlines()) == result["rows"]

    store.put(f"data/{datetime.now(UTC):%Y-%m-%d}/more.csv", others.to_csv(index=False).encode())
    result = step("monitor", {"scheduled_time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
    assert result["result"] == "retrain", result
    # The window moves the operating point, too; the retrain is what train is asked for.
    event = next(event for path, event in reversed(handed_over.events) if "/functions/train/" in path)
    assert step("train", event)["result"] == "trained"
    assert step("promote", handed_over.events[-1][1])["result"] in ("promoted", "refused")
    assert step("train", sent("recalibrate"))["result"] == "trained"
    assert step("promote", sent("rollback"))["result"] in ("rolled back", "refused")
    assert len(list(Registry(store).decisions())) == 3


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["layer", "predict", "promote"])
def test_built_again_it_is_the_same_to_the_byte(
    name: str, layer: Path, package_of: Callable[[str], Path], tmp_path: Path
) -> None:
    before = contents(layer if name == "layer" else package_of(name))
    after = contents(build(name, tmp_path / "elsewhere" / name))
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()


@pytest.mark.parametrize("name", ["layer", "predict", "batch", "monitor", "promote"])
def test_where_a_cold_start_is_waited_for_there_is_byte_code_for_every_module(
    name: str, layer: Path, package_of: Callable[[str], Path]
) -> None:
    folder = layer if name == "layer" else package_of(name)
    modules = list(folder.rglob("*.py"))
    assert modules
    compiled = [path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in modules]
    assert [path for path in compiled if not path.exists()] == []


# Enough rows for Arrow to read the CSV, too.
READS = r"""
import decimal, io, pyarrow, pyarrow.parquet
from stillgood.storage.tables.opening import open_table
rows, file = 100_000, io.BytesIO()
pyarrow.parquet.write_table(pyarrow.table({"a": ["x"] * rows, "b": [decimal.Decimal("1.5")] * rows}), file)
for name, data in (
    ("x.parquet", file.getvalue()),
    ("x.csv", b"a,b\n" + b"x,y\n" * rows),
    ("x.jsonl", b'{"a":"x"}\n' * rows),
):
    assert sum(len(chunk.column("a")) for chunk in open_table(name, [data]).chunks) == rows
assert "stillgood.storage.tables.arrow_text" in sys.modules
"""


def test_batch_reads_every_format_with_what_its_package_has(layer: Path, tmp_path: Path) -> None:
    package = build("batch", tmp_path / "batch")
    code = f"import sys\nsys.path[:0] = [{str(package)!r}, {str(layer)!r}]\n{READS}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env={"PATH": os.defpath}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_published_sizes_are_todays() -> None:
    assert PUBLISHED.keys() == LIMITS.keys()
    for row in PUBLISHED.values():
        assert row["limit"] == LIMITS[row["name"]]
        assert row["met"] is True
