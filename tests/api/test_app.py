import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stillgood.api.app import create_app
from stillgood.api.gateway import lambda_handler
from stillgood.aws import logs
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import StillgoodError, StoreUnavailable, UnknownVersion
from stillgood.domain.model.model import Model
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore, Stored
from stillgood.testing.gateway import http_event

type Call = Callable[..., httpx.Response]
type Draw = Callable[..., Model]
type Enthrone = Callable[[ObjectStore, Model], None]

AS_JSON = {"content-type": "application/json"}


class Weather(MemoryObjectStore):
    """A store that answers only while ``fair``."""

    fair = True

    def get(self, key: str) -> Stored:
        self._check()
        return super().get(key)

    def put(self, key: str, data: bytes) -> str:
        self._check()
        return super().put(key, data)

    def create(self, key: str, data: bytes) -> str:
        self._check()
        return super().create(key, data)

    def _check(self) -> None:
        if not self.fair:
            raise StoreUnavailable("S3 does not answer.")


@pytest.fixture
def store() -> Weather:
    return Weather()


@pytest.fixture
def serving(store: Weather) -> PredictDeps:
    numbers = count(1)
    times = count()

    def clock() -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=next(times))

    return PredictDeps(
        ChampionSource(store, clock, 0), Capture(store), clock, lambda: f"id-{next(numbers)}", 100, 100_000
    )


@pytest.fixture
def model(store: Weather, telco: Contract, draw_model: Draw, make_champion: Enthrone) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


@pytest.fixture
def call(serving: PredictDeps) -> Call:
    """Calls the API in process: ``call("POST", "/predict", json={...})``."""

    router = APIRouter()

    @router.get("/boom")
    async def boom() -> None:
        raise KeyError("4111 1111 1111 1111")

    @router.get("/missing")
    async def missing() -> None:
        raise UnknownVersion("There is no version 7.", version="7")

    @router.post("/kept", status_code=202)
    async def kept() -> dict[str, int]:
        return {"kept": 1}

    @router.get("/page/{number}")
    async def numbered(number: int) -> int:
        return number

    app = create_app(serving, [router])

    def do(method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            # Starlette raises an unforeseen error again once it has been answered, for the server's log.
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, **more)

        return asyncio.get_event_loop().run_until_complete(send())

    return do


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "stillgood")
    return caplog


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = response.json()
    assert members["status"] == response.status_code
    assert {"type", "title", "detail", "correlation_id"} <= set(members)
    assert members["correlation_id"] == response.headers["x-correlation-id"]
    return members


def test_a_row_is_predicted(call: Call, model: Model, telco: Contract) -> None:
    response = call("POST", "/predict", json=telco.example())
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json()["model_version"] == "20261123-first"


def test_a_list_of_rows_is_predicted(call: Call, model: Model, telco: Contract) -> None:
    response = call("POST", "/predict", json=[telco.example()] * 3)
    assert len({prediction["prediction_id"] for prediction in response.json()["predictions"]}) == 3


def test_reasons_may_be_asked_for_by_feature_and_nothing_else(call: Call, model: Model, telco: Contract) -> None:
    response = call("POST", "/predict?reasons=features", json=telco.example())
    assert {reason["feature"] for reason in response.json()["reasons"]} == {feature.name for feature in telco.features}
    response = call("POST", "/predict?reasons=some", json=telco.example())
    assert (response.status_code, problem(response)["violations"][0]["field"]) == (422, "query.reasons")


def test_broken_rows_are_a_422_that_names_field_value_rule_and_row(call: Call, model: Model, telco: Contract) -> None:
    response = call("POST", "/predict", json=[telco.example(), {**telco.example(), "tenure": -1, "contract": "Weekly"}])
    members = problem(response)
    assert (response.status_code, members["type"]) == (422, "urn:stillgood:problem:invalid-rows")
    assert [(v["row"], v["field"], v["rule"], v["value"]) for v in members["violations"]] == [
        (1, "tenure", "range", -1),
        (1, "contract", "level", "Weekly"),
    ]


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"tenure=5", 400, "malformed-request"),
        (b"", 400, "malformed-request"),
        (b'{"tenure": NaN}', 400, "malformed-request"),
        (b"\xff\xfe{\x00}\x00", 400, "malformed-request"),
        (b"[" * 50_000, 400, "malformed-request"),
        (b"[" + b"{}," * 100 + b"{}]", 413, "request-too-large"),
        (b" " * 100_001, 413, "request-too-large"),
    ],
)
def test_what_is_no_request_is_a_problem(call: Call, model: Model, content: bytes, status: int, slug: str) -> None:
    response = call("POST", "/predict", content=content, headers=AS_JSON)
    assert (response.status_code, problem(response)["type"]) == (status, f"urn:stillgood:problem:{slug}")


def test_without_a_champion_it_is_a_503_that_says_how_to_get_one(call: Call) -> None:
    for response in (call("POST", "/predict", json={}), call("GET", "/model")):
        assert response.status_code == 503
        assert "train a model and promote it" in problem(response)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/predict", 405),
        ("POST", "/predict/", 404),
        ("DELETE", "/model", 405),
        ("PUT", "/docs", 405),
    ],
)
def test_paths_and_methods_there_are_not_are_problems_too(call: Call, method: str, path: str, status: int) -> None:
    response = call(method, path)
    assert response.status_code == status
    assert problem(response)["type"] == "about:blank"
    assert ("allow" in response.headers) == (status == 405)


def test_the_endpoint_of_another_step_is_answered_and_mapped_the_same_way(call: Call) -> None:
    assert (call("POST", "/kept").status_code, call("POST", "/kept").json()) == (202, {"kept": 1})
    response = call("GET", "/missing")
    assert (response.status_code, problem(response)["version"]) == (404, "7")


def test_a_parameter_that_is_wrong_is_a_problem_that_does_not_repeat_it(call: Call) -> None:
    response = call("GET", "/page/s3cret")
    assert (response.status_code, problem(response)["violations"][0]["field"]) == (422, "path.number")
    assert "s3cret" not in response.text


def test_every_error_has_a_slug_of_its_own() -> None:
    listed, slugs = [StillgoodError], []
    while listed:
        error = listed.pop()
        listed += error.__subclasses__()
        slugs.append(error.slug)
    assert len(slugs) == len(set(slugs)) > 15
    assert not hasattr(StillgoodError, "status")


def test_an_error_nobody_foresaw_is_a_500_that_tells_nothing(call: Call, logged: pytest.LogCaptureFixture) -> None:
    response = call("GET", "/boom")
    assert response.status_code == 500
    assert "4111" not in response.text
    (record,) = [record for record in logged.records if record.message == "failed"]
    line = logs.JsonLines("predict").format(record)
    assert "4111" not in line
    assert "test_app.py:" in line


def test_so_is_one_outside_of_the_endpoints(
    call: Call, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: object) -> None:
        raise KeyError("4111 1111 1111 1111")

    monkeypatch.setattr("stillgood.api.app.document", boom)
    response = call("GET", "/openapi.json")
    assert (response.status_code, problem(response)["type"]) == (500, "urn:stillgood:problem:internal")
    assert "4111" not in response.text
    assert [record.message for record in logged.records] == ["failed"]


@pytest.mark.parametrize(
    ("sent", "comes_back"),
    [("order-17:b/3", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("", False)],
)
def test_a_plain_correlation_id_comes_back(call: Call, sent: str, comes_back: bool) -> None:
    headers = call("GET", "/status", headers={"x-correlation-id": sent}).headers
    assert (headers["x-correlation-id"] == sent) is comes_back
    assert headers["x-correlation-id"]


def test_a_refusal_is_logged_by_rule_and_correlation_id_without_a_value(
    call: Call, model: Model, telco: Contract, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    formatter = logs.JsonLines("predict")
    monkeypatch.setattr(logged.handler, "emit", lambda record: lines.append(formatter.format(record)))
    call(
        "POST",
        "/predict",
        json={**telco.example(), "contract": "s3cret", "p4ssword": 1},
        headers={"x-correlation-id": "c-9"},
    )
    line = json.loads(lines[-1])
    assert (line["level"], line["rules"], line["correlation_id"]) == ("WARNING", {"level": 1, "unknown": 1}, "c-9")
    assert "s3cret" not in lines[-1]
    assert "p4ssword" not in lines[-1]


def test_the_model_is_told_with_its_contract_and_metrics(call: Call, model: Model, telco: Contract) -> None:
    described = call("GET", "/model").json()
    assert (described["version"], described["metrics"], described["generation"]) == (
        "20261123-first",
        {"roc_auc": 0.84},
        1,
    )
    assert described["contract"] == telco.to_dict()


def test_the_last_good_champion_serves_through_an_outage_and_the_status_says_so(
    call: Call, store: Weather, model: Model, telco: Contract
) -> None:
    assert call("POST", "/predict", json=telco.example()).status_code == 200
    store.fair = False
    assert call("POST", "/predict", json=telco.example()).status_code == 200
    status = call("GET", "/status").json()
    assert status["serving"] is True
    assert (status["champion"]["stale"], status["champion"]["last_error"]) == (True, "S3 does not answer.")
    assert (status["capture"]["written"], status["capture"]["pending"], status["capture"]["failures"]) == (1, 1, 1)
    store.fair = True
    assert call("GET", "/status").json()["champion"]["stale"] is False


def test_the_document_describes_the_champions_rows_and_its_examples_are_answered(
    call: Call, model: Model, telco: Contract
) -> None:
    document = call("GET", "/openapi.json").json()
    row = document["components"]["schemas"]["Row"]
    assert set(row["required"]) == {
        feature.name for feature in telco.features if not feature.nullable and feature.if_missing is None
    }
    assert row["properties"]["tenure"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 120,
        "description": "Months with the company",
    }
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert call("POST", "/predict", json=example["value"]).status_code == 200
    prediction = document["components"]["schemas"]["Prediction"]
    assert set(prediction["required"]) == set(call("POST", "/predict", json=telco.example()).json())


def test_there_is_a_document_before_the_first_champion(call: Call) -> None:
    document = call("GET", "/openapi.json").json()
    assert document["components"]["schemas"]["Row"] == {"type": "object"}
    assert call("GET", "/docs").status_code == 200


def test_a_warm_up_ping_fetches_the_champion(serving: PredictDeps, store: Weather, model: Model) -> None:
    handler = lambda_handler(create_app(serving), serving.champions.current)
    assert handler({"source": "aws.events", "detail-type": "Scheduled Event"}, None) == {
        "step": "predict",
        "result": "warm",
    }
    assert serving.champions.status().version == "20261123-first"


def test_the_gateways_request_id_is_the_correlation_id_unless_one_is_given(serving: PredictDeps, model: Model) -> None:
    handler = lambda_handler(create_app(serving), lambda: None)
    event = http_event("/model", method="GET", request_id="JKJaXmPLvHcESHA=")
    assert handler(event, None)["headers"]["x-correlation-id"] == "JKJaXmPLvHcESHA="
    event["headers"]["X-Correlation-Id"] = "mine"
    assert handler(event, None)["headers"]["x-correlation-id"] == "mine"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
)
CHANGED_FIELDS = st.dictionaries(
    st.sampled_from(["tenure", "contract", "female", "total_charges", "customer_id"]), ANY_JSON
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_whatever_is_an_error_of_the_server(
    data: st.DataObject, serving: PredictDeps, model: Model, telco: Contract
) -> None:
    handler = lambda_handler(create_app(serving), lambda: None)
    row = CHANGED_FIELDS.map(lambda changes: {**telco.example(), **changes})
    value = data.draw(st.one_of(row, st.lists(row, max_size=3), ANY_JSON))
    body = data.draw(st.one_of(st.just(json.dumps(value).encode()), st.binary()))
    answer = handler(http_event("/predict", body, headers=AS_JSON), None)
    assert answer["statusCode"] in (200, 400, 413, 422)
    json.loads(answer["body"], parse_constant=pytest.fail)
