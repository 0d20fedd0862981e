"""The predict function, driven by its event files: the real handler, FastAPI, Mangum and obstore, against S3 over
HTTP.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import SettingsInvalid
from stillgood.domain.model.model import Model
from stillgood.storage.objects import ObjectStore
from stillgood.wiring import predict as wiring

ROOT = Path(__file__).parents[2]


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return loaded


@pytest.fixture
def store(s3_bucket: str, s3_url: str, lambda_process: Any) -> Iterator[ObjectStore]:
    """An empty bucket, and an environment as Lambda's."""
    with lambda_process(wiring.api, STILLGOOD_BUCKET=s3_bucket, STILLGOOD_CHAMPION_TTL_SECONDS="0"):
        yield ObstoreObjectStore(s3_bucket, endpoint_url=s3_url)


@pytest.fixture
def handler(app: Callable[[str], ModuleType]) -> Callable[[str], dict[str, Any]]:
    """Calls the handler with an event file."""
    loaded = app("predict")
    return lambda name: loaded.handler(event(name), None)


@pytest.fixture
def model(
    store: ObjectStore, telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]
) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


def captured(store: ObjectStore) -> list[dict[str, Any]]:
    return [json.loads(line) for info in store.list("capture/") for line in store.get(info.key).data.splitlines()]


def test_the_event_is_predicted_and_captured_in_s3(
    handler: Any, store: ObjectStore, model: Model, telco: Contract
) -> None:
    answer = handler("predict")
    prediction = json.loads(answer["body"])
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["headers"]["x-correlation-id"] == "VNd2tjfDliAEPjw="
    assert (
        prediction["logit"] == model.score(RowChecker(telco).check(json.loads(event("predict")["body"])).values).logit
    )
    (record,) = captured(store)
    assert (record["prediction_id"], record["entity_id"]) == (prediction["prediction_id"], "7590-VHVEG")


def test_the_event_of_many_rows_is_predicted(handler: Any, store: ObjectStore, model: Model) -> None:
    predictions = json.loads(handler("predict_batch")["body"])["predictions"]
    assert [prediction["entity_id"] for prediction in predictions] == ["7590-VHVEG", "5575-GNVDE"]
    assert len({prediction["prediction_id"] for prediction in predictions}) == 2
    assert len(captured(store)) == 2


def test_the_invalid_event_is_refused_in_every_field_and_counted_for_monitoring(
    handler: Any, store: ObjectStore, model: Model
) -> None:
    answer = handler("predict_invalid")
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (422, "application/problem+json")
    broken = [(v["row"], v["field"], v["rule"]) for v in json.loads(answer["body"])["violations"]]
    assert broken == [
        (1, "tenure", "range"),
        (1, "internet_service", "required"),
        (1, "contract", "level"),
        (1, "monthly_charges", "type"),
        (1, "colour", "unknown"),
    ]
    assert [record["kind"] for record in captured(store)] == ["rejection"]


def test_model_and_status_events_are_answered(handler: Any, store: ObjectStore, model: Model) -> None:
    assert json.loads(handler("model")["body"])["version"] == "20261123-first"
    status = json.loads(handler("status")["body"])
    assert (status["serving"], status["champion"]["version"], status["limits"]["max_rows"]) == (
        True,
        "20261123-first",
        1000,
    )


def test_before_the_first_champion_events_are_503_and_the_status_is_not(handler: Any, store: ObjectStore) -> None:
    assert [handler(name)["statusCode"] for name in ("predict", "model", "status")] == [503, 503, 200]


def test_without_its_environment_it_says_which_variable_is_missing(handler: Any) -> None:
    wiring.api.cache_clear()
    with pytest.raises(SettingsInvalid, match="STILLGOOD_BUCKET"):
        handler("predict")


def test_the_prediction_path_needs_none_of_the_heavy_packages() -> None:
    heavy = ["numpy", "scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow", "msgspec"]
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "functions/predict")!r})
for name in {heavy!r}:
    sys.modules[name] = None
import app
print(sorted(name for name in sys.modules if name.startswith("stillgood.training")))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "[]\n", "")


def test_a_cold_start_builds_no_validator_of_an_answer() -> None:
    """Answers' models are there for the document alone."""
    code = "import app; from stillgood.api.answers import Prediction; print(Prediction.__pydantic_complete__)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "functions/predict"), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
