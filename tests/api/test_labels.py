"""POST /labels through the real app: kept before it answers, refused with reasons, 503 without a champion."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from mangum import Mangum
from stillgood.api.app import create_app
from stillgood.api.labels import labels_router
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Model
from stillgood.domain.outcomes.sources import known_as, source_name
from stillgood.steps.labels.revoke import Which, revoke
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.labels import ledger, read_batch
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.gateway import http_event

GOOD = {"prediction_id": "p1", "label": "Yes", "event_time": "2026-11-20T10:00:00Z"}


type Request = Callable[..., httpx.Response]


def serving(store: MemoryObjectStore) -> PredictDeps:
    numbers = count()

    def now() -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    return PredictDeps(ChampionSource(store, now, 10), Capture(store), now, lambda: f"id-{next(numbers)}", 10, 10_000)


def client(store: MemoryObjectStore) -> Request:
    deps = serving(store)
    transport = httpx.ASGITransport(create_app(deps, [labels_router(deps, store)]))

    def request(method: str, path: str, **more: object) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
                return await http.request(method, path, **more)  # type: ignore[arg-type]

        return asyncio.get_event_loop().run_until_complete(send())

    return request


@pytest.fixture
def store(telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]) -> MemoryObjectStore:
    store = MemoryObjectStore()
    make_champion(store, draw_model(telco, "20260901-000000000001"))
    return store


def test_labels_are_kept_and_the_same_batch_again_says_so(store: MemoryObjectStore) -> None:
    api = client(store)
    first, again = (api("POST", "/labels", json=[GOOD]) for _ in range(2))
    assert (first.status_code, first.json()["accepted"], first.json()["duplicate"]) == (200, 1, False)
    assert again.json()["duplicate"] is True
    assert [info.key for info in store.list("labels/")] != []


def test_labels_that_cannot_be_used_are_named(store: MemoryObjectStore) -> None:
    answer = client(store)("POST", "/labels", json=[GOOD | {"label": "maybe"}])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["violations"][0]["field"] == "label"


def test_before_the_first_champion_nobody_can_say_what_a_label_is() -> None:
    assert client(MemoryObjectStore())("POST", "/labels", json=GOOD).status_code == 503


def test_the_document_shows_the_route_with_the_contracts_outcomes(store: MemoryObjectStore) -> None:
    document = client(store)("GET", "/openapi.json").json()
    schema = document["paths"]["/labels"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["oneOf"][0] == {"$ref": "#/components/schemas/Label"}
    assert document["components"]["schemas"]["Label"]["anyOf"][0]["properties"]["label"]["enum"] == ["Yes", "No"]


@pytest.mark.parametrize(
    ("authorizer", "source"),
    [
        ({"jwt": {"claims": {"client_id": "crm", "sub": "x"}}}, "caller:crm"),
        ({"jwt": {"claims": {"sub": "user 7"}}}, "caller:user_7"),
        ({"iam": {"userArn": "arn:aws:iam::1:user/crm"}}, "caller:arn:aws:iam::1:user/crm"),
        (  # every session of a role is the same caller
            {"iam": {"userArn": "arn:aws:sts::1:assumed-role/crm/session-7"}},
            "caller:arn:aws:sts::1:assumed-role/crm",
        ),
        ({"jwt": {"claims": {"sub": "long " * 20}}}, source_name("caller:" + "long " * 20)),
        ({"jwt": None}, "api"),
        (None, "api"),
    ],
)
def test_who_the_gateway_says_sent_a_label_is_kept(store: MemoryObjectStore, authorizer: object, source: str) -> None:
    app = create_app(serving(store), [labels_router(serving(store), store)])
    as_json = {"content-type": "application/json"}
    event = http_event("/labels", json.dumps(GOOD), headers=as_json, authorizer=authorizer)
    assert Mangum(app, lifespan="off")(event, None)["statusCode"] == 200  # type: ignore[arg-type]
    (batch,) = ledger(store, date.min)
    assert read_batch(store, batch.key).source == source


@pytest.mark.parametrize("callers", ["named", "hashed"])
def test_captures_and_labels_keep_a_caller_under_one_name_hashed_where_the_contract_says_so(
    telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None], callers: Any
) -> None:
    store = MemoryObjectStore()
    contract = replace(telco, callers=callers)
    make_champion(store, draw_model(contract, "20260901-000000000001"))
    handler = Mangum(create_app(serving(store), [labels_router(serving(store), store)]), lifespan="off")
    row = {"customer_id": "C-1", **contract.example()}
    for path, body, status in (
        ("/predict", row, 200),
        ("/predict", row | {"tenure": "long"}, 422),
        ("/labels", GOOD, 200),
    ):
        headers = {"content-type": "application/json"}
        event = http_event(path, json.dumps(body), headers=headers, authorizer={"jwt": {"claims": {"sub": "Ann.Lee"}}})
        assert handler(event, None)["statusCode"] == status  # type: ignore[arg-type]
    captured = [json.loads(store.get(info.key).data) for info in store.list("capture/")]
    (batch,) = ledger(store, date.min)
    names = {line["caller"] for line in captured} | {read_batch(store, batch.key).source.removeprefix("caller:")}
    assert {line["kind"] for line in captured} == {"prediction", "rejection"}
    assert names == {known_as("Ann.Lee", hashed=callers == "hashed")}
    kept = b"".join(info.key.encode() + store.get(info.key).data for info in store.list(""))
    assert (b"Ann" in kept) is (callers == "named")
    taken_back = revoke(store, contract, Which(caller="Ann.Lee"), because="tried", dry=True)
    assert sum(taken_back.labels.values()) == 1
