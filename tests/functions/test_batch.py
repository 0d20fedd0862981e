"""The batch function, driven by its event file: the real handler and obstore, against S3 over HTTP."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import InvalidEvent, ObjectNotFound
from stillgood.domain.model.model import Model
from stillgood.storage.objects import ObjectStore
from stillgood.wiring import batch as wiring

ROOT = Path(__file__).parents[2]
EVENT: dict[str, Any] = json.loads((ROOT / "events/batch.json").read_text())


@pytest.fixture
def store(s3_bucket: str, s3_url: str, lambda_process: Any) -> Iterator[ObjectStore]:
    """An empty bucket, and an environment as Lambda's."""
    with lambda_process(wiring.scoring, STILLGOOD_BUCKET=s3_bucket):
        yield ObstoreObjectStore(s3_bucket, endpoint_url=s3_url)


@pytest.fixture
def handler(app: Callable[[str], ModuleType]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    loaded = app("batch")
    return lambda event: loaded.handler(event, SimpleNamespace(aws_request_id="r-1"))


@pytest.fixture
def model(
    store: ObjectStore, telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]
) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


def upload(store: ObjectStore, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    store.put(EVENT["input"], text.getvalue().encode())


def test_the_event_scores_its_object_and_a_repetition_looks_it_up(
    handler: Any, store: ObjectStore, model: Model, telco: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"customer_id": "c1", **telco.example()}
    upload(store, [good, {**good, "tenure": "-1"}, {**good, "customer_id": "c3"}])
    result = handler(EVENT)
    assert (result["rows"], result["predicted"], result["rejected"], result["repeated"]) == (3, 2, 1, False)
    lines = store.get(result["output"]["predictions"]).data.splitlines()
    assert [json.loads(line)["entity_id"] for line in lines] == ["c1", "c3"]
    assert json.loads(lines[0])["logit"] == model.score(RowChecker(telco).check(good).values).logit
    assert handler(EVENT) == {**result, "repeated": True}
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"scored"' in line]
    assert [(line["service"], line["correlation_id"], line["rejected"]) for line in logged] == [("batch", "r-1", 1)] * 2


def test_a_large_object_goes_through_in_parts(handler: Any, store: ObjectStore, model: Model, telco: Contract) -> None:
    upload(store, [{"customer_id": f"c{n}", **telco.example()} for n in range(60_000)])
    result = handler(EVENT)
    assert (result["predicted"], result["rejected"]) == (60_000, 0)
    data = store.get(result["output"]["predictions"]).data
    assert len(data) > 8 * 1024 * 1024
    assert data.count(b"\n") == 60_000


def test_errors_are_typed_and_logged(
    handler: Any, store: ObjectStore, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ObjectNotFound):
        handler(EVENT)
    with pytest.raises(InvalidEvent):
        handler({"input": "models/v1/model.csv"})
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"nothing was scored"' in line]
    assert [line["exception_name"] for line in logged] == ["ObjectNotFound", "InvalidEvent"]


def test_a_cold_start_leaves_no_thread_that_spins_and_the_collector_on() -> None:
    code = "import app, gc, os; print(len(os.listdir('/proc/self/task')), gc.isenabled(), gc.get_freeze_count() > 0)"
    folder = ROOT / "functions" / "batch"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # as the template has it
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "True", "True"]
