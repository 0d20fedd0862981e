"""What strangers send: too much to answer, no JSON, ids that nobody could label, and the same request twice."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from stillgood.api.app import create_app
from stillgood.api.labels import labels_router
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import StoreUnavailable
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.steps.forget import forget
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = {"idempotency-key": "order-7"}


class Store(MemoryObjectStore):
    """Refuses captures while ``full``."""

    full = False

    def create(self, key: str, data: bytes) -> str:
        if self.full and key.startswith("capture/"):
            raise StoreUnavailable("S3 does not answer.")
        return super().create(key, data)


class Edge:
    """The API in process, over a store; ``now`` may be moved."""

    def __init__(self, contract: Contract, model: Model, make_champion: Callable[..., None]) -> None:
        self.store, self.now, self.contract = Store(), NOW, contract
        make_champion(self.store, model)
        numbers = count()
        self.deps = PredictDeps(
            ChampionSource(self.store, lambda: self.now, 10),
            Capture(self.store),
            lambda: self.now,
            lambda: f"id-{next(numbers)}",
            1_000,
            50_000_000,
            store=self.store,
        )
        self.app = create_app(self.deps, [labels_router(self.deps, self.store)])

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
                return await http.post(path, **({"json": body} if body is not None else {}), **more)

        loop = asyncio.new_event_loop()  # asyncio.run would leave later tests without a loop
        try:
            return loop.run_until_complete(send())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def captured(self) -> list[dict[str, Any]]:
        texts = [self.store.get(info.key).data for info in self.store.list("capture/")]
        return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.fixture
def edge(telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]) -> Edge:
    return Edge(telco, draw_model(telco, "v1"), make_champion)


def wide(features: int, **more: Any) -> tuple[Contract, Model]:
    """A contract of many numbers, and a model of it."""
    columns = [{"name": f"a_feature_with_a_name_{at}", "kind": "numeric"} for at in range(features)]
    contract = read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "wide",
            "version": "1",
            "id": "id",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": columns,
            **more,
        }
    )
    terms = tuple(NumericTerm(feature.name, 0.0, 1.0, 0.001) for feature in contract.features)
    return contract, Model("v1", contract, terms, -1.0, -1.0, Calibration(1.0, 0.0))


@pytest.mark.parametrize("features", [80, 500])
def test_an_answer_that_lambda_would_not_let_through_is_refused_before_it_is_captured(
    features: int, make_champion: Callable[..., None]
) -> None:
    contract, model = wide(features)
    edge = Edge(contract, model, make_champion)
    row = {feature.name: 0.123456789 for feature in contract.features}
    rows = 800 if features == 80 else 150
    refused = edge.post("/predict", [row] * rows)
    assert (refused.status_code, edge.captured()) == (413, [])
    allowed = refused.json()["max_rows"]
    assert 0 < allowed < rows
    answer = edge.post("/predict", [row] * allowed)
    assert answer.status_code == 200
    # As API Gateway's answer holds it: a JSON text in JSON.
    assert 5_000_000 < len(json.dumps(answer.text)) < 6_291_556
    assert len(edge.captured()) == allowed


def test_reasons_are_given_on_request(edge: Edge) -> None:
    rows = [edge.contract.example()] * 3
    everything = edge.post("/predict", rows).json()["predictions"][0]["reasons"]
    assert edge.post("/predict?reasons=all", rows).json()["predictions"][0]["reasons"] == everything
    assert edge.post("/predict?reasons=top", rows).json()["predictions"][0]["reasons"] == everything[:5]
    assert edge.post("/predict?reasons=none", rows).json()["predictions"][0]["reasons"] == []


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", ["/predict", "/labels"])
def test_what_a_form_of_another_site_can_send_is_refused(edge: Edge, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = edge.post(path, None, content=json.dumps(edge.contract.example()), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:stillgood:problem:unsupported-media")
    assert edge.captured() == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"])
def test_json_is_taken_however_it_is_spelt(edge: Edge, kind: str) -> None:
    sent = json.dumps(edge.contract.example())
    assert edge.post("/predict", None, content=sent, headers={"content-type": kind}).status_code == 200


@pytest.mark.parametrize("identifier", ["x" * 257, "a\x00b", "a\nb", True, 1.5, [1], 2**63])
def test_an_id_that_no_label_could_name_is_refused_for_a_row_too(edge: Edge, identifier: Any) -> None:
    answer = edge.post("/predict", edge.contract.example() | {str(edge.contract.id_column): identifier})
    assert answer.status_code == 422
    (broken,) = answer.json()["violations"]
    assert (broken["field"], broken["rule"]) == (edge.contract.id_column, "id")
    label = {"entity_id": identifier, "label": "Yes", "event_time": "2026-11-24T10:00:00Z"}
    assert edge.post("/labels", label).status_code == 422


@pytest.mark.parametrize(
    ("identifier", "read"), [("x" * 256, "x" * 256), (7, "7"), (" C-1 ", "C-1"), (None, None), ("", None)]
)
def test_an_id_that_a_label_could_name_is_taken(edge: Edge, identifier: Any, read: str | None) -> None:
    answer = edge.post("/predict", edge.contract.example() | {str(edge.contract.id_column): identifier})
    assert (answer.status_code, answer.json()["entity_id"]) == (200, read)


def test_the_same_key_and_body_get_the_same_answer_and_are_captured_once(edge: Edge) -> None:
    rows = [edge.contract.example()] * 2
    first = edge.post("/predict", rows, headers=KEY)
    edge.now += timedelta(hours=23)
    again = edge.post("/predict", rows, headers=KEY)
    assert (first.status_code, again.json()) == (200, first.json())
    assert len(edge.captured()) == 2
    single = edge.post("/predict", rows[0], headers={"idempotency-key": "another"})
    assert edge.post("/predict", rows[0], headers={"idempotency-key": "another"}).json() == single.json()


def test_a_key_that_comes_with_something_else_is_refused_and_free_again_after_a_day(edge: Edge) -> None:
    row = edge.contract.example()
    edge.post("/predict", row, headers=KEY)
    for path, body in (("/predict", [row]), ("/predict?reasons=none", row)):
        answer = edge.post(path, body, headers=KEY)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:stillgood:problem:idempotency-key-reused")
    assert len(edge.captured()) == 1
    edge.now += timedelta(days=1)
    assert edge.post("/predict", [row], headers=KEY).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
def test_a_key_that_is_none_is_refused(edge: Edge, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    assert edge.post("/predict", edge.contract.example(), headers=headers).status_code == 400


def test_whoever_is_forgotten_is_forgotten_in_kept_answers_too(edge: Edge) -> None:
    row = edge.contract.example() | {str(edge.contract.id_column): "C-1"}
    edge.post("/predict", row, headers=KEY)
    forget(edge.store, "C-1", lambda: edge.now)
    assert not any(b"C-1" in edge.store.get(info.key).data for info in edge.store.list(""))
    assert edge.post("/predict", row, headers=KEY).status_code == 200


def test_where_the_contract_wants_it_nothing_is_answered_that_was_not_captured(
    make_champion: Callable[..., None],
) -> None:
    for rule, status in (("best_effort", 200), ("required", 503)):
        contract, model = wide(3, capture=rule)
        edge = Edge(contract, model, make_champion)
        row = {feature.name: 1.0 for feature in contract.features}
        assert edge.post("/predict", row).status_code == 200
        edge.store.full = True
        answer = edge.post("/predict", row)
        assert answer.status_code == status
        assert edge.deps.capture.status()["pending"] == (0 if status == 503 else 1)
        edge.store.full = False
