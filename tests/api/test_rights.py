"""docs/rights.md: every route, who may call it under each setting of ``ApiAuth``, and what a request may leave behind.

Real tokens go through the deployed authoriser in tests/local/test_auth.py.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from moto.iam.access_control import IAMPolicy, PermissionResult
from stillgood.api.actions import actions_router
from stillgood.api.app import create_app
from stillgood.api.labels import labels_router
from stillgood.api.operate import operate_router
from stillgood.api.reports import reports_router
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Model
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore

from docs import rights
from local.package import packaged

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
# moto reads a policy's pattern as a regular expression, in which the name $default would match nothing.
STAGE = "arn:aws:execute-api:eu-west-1:123456789012:11fec7c1/live"
TEMPLATE = packaged(rights.ROOT, lambda key, body: None)
RIGHTS = rights.rights(TEMPLATE)
OTHERS = {"anonymous": (), "predict and labels:write": ("predict", "labels:write")}
CALLERS = {**{right: (right,) for right in rights.SCOPE_PARAMETERS}, **OTHERS}
LABEL = {"prediction_id": "p1", "label": "Yes", "event_time": "2026-11-20T10:00:00Z"}
ACTION = {"prediction_id": "p1", "action": "call", "time": "2026-11-20T10:00:00Z"}


def api(store: MemoryObjectStore) -> FastAPI:
    """The whole application, with the routers that wiring/predict.py gives it."""
    numbers = count()
    deps = PredictDeps(
        ChampionSource(store, lambda: NOW, 10), Capture(store), lambda: NOW, lambda: f"id-{next(numbers)}",
        1_000, 1_000_000, store=store,
    )  # fmt: skip
    routers = [
        labels_router(deps, store), actions_router(deps, store), reports_router(store), operate_router(deps, store),
    ]  # fmt: skip
    return create_app(deps, routers)


def path_of(key: str) -> str:
    """A request's path for a route's key."""
    page = {"/docs/{file+}": "/docs/swagger-ui.css", "/report/{page+}": "/report/index.html"}
    path = key.split(" ")[1]
    return page.get(path, path)


def test_the_page_is_that_of_the_template() -> None:
    assert rights.page(TEMPLATE) == rights.PAGE.read_text(encoding="utf-8"), "run `make docs`"


def test_the_api_has_the_routes_of_the_template_and_no_others() -> None:
    routers = [
        router for route in api(MemoryObjectStore()).routes if (router := getattr(route, "original_router", None))
    ]
    served = {f"{method} {route.path}" for router in routers for route in router.routes for method in route.methods}
    listed = {key.replace("{page+}", "{page:path}") for key in RIGHTS}
    files = {"GET /docs/swagger-ui-bundle.js", "GET /docs/swagger-ui.css"}
    assert served - files == listed - {"GET /docs/{file+}", "GET /openapi.json"}  # FastAPI itself adds openapi.json
    assert files <= served
    assert rights.EFFECTS.keys() == RIGHTS.keys()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("key", RIGHTS)
def test_an_iam_policy_opens_the_routes_of_its_right_and_no_other(key: str, caller: str) -> None:
    """Each policy of the page, asked as IAM asks it for the ARN of a request."""
    method = key.split(" ")[0]
    policies = [rights.policy(right, TEMPLATE, STAGE) for right in CALLERS[caller]]
    results = [
        IAMPolicy(json.dumps(policy)).is_action_permitted("execute-api:Invoke", f"{STAGE}/{method}{path_of(key)}")
        for policy in policies
    ]
    assert (PermissionResult.PERMITTED in results) == any(right in RIGHTS[key] for right in CALLERS[caller])


@pytest.mark.parametrize("right", rights.SCOPE_PARAMETERS)
def test_an_iam_policy_opens_no_other_method_path_or_api(right: str) -> None:
    policy = IAMPolicy(json.dumps(rights.policy(right, TEMPLATE, STAGE)))
    wrong = [
        f"{STAGE}/DELETE/labels",
        f"{STAGE}/GET/predict",
        f"{STAGE}/POST/labels/more",
        f"{STAGE}/POST/predict/more",
        STAGE.replace("11fec7c1", "22222222") + "/POST/predict",
    ]
    assert {policy.is_action_permitted("execute-api:Invoke", arn) for arn in wrong} == {PermissionResult.NEUTRAL}


def test_no_right_reaches_what_another_right_alone_guards() -> None:
    assert RIGHTS["POST /predict"] == ("predict",)
    assert RIGHTS["POST /labels"] == ("labels:write",)
    assert all(
        RIGHTS[key] == ("operate",) for key in ("GET /status", "GET /metrics", "GET /report", "GET /report/{page+}")
    )


@pytest.mark.parametrize("key", RIGHTS)
def test_a_request_leaves_nothing_but_what_the_page_says(
    key: str, telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]
) -> None:
    """Good and bad requests, each on the whole application: what is new in the bucket lies under the named prefixes,
    and each of these was used.
    """
    store = MemoryObjectStore()
    make_champion(store, draw_model(telco, "20260901-000000000001"))
    store.put("pages/index.html", b"<html></html>")
    before = {info.key for info in store.list("")}
    method = key.split(" ")[0]
    row = {feature.name: _value(feature) for feature in telco.features}
    bodies = {
        "POST /predict": [[row], [{"tenure": "never"}]],
        "POST /labels": [[LABEL], [LABEL | {"label": "perhaps"}]],
        "POST /actions": [[ACTION], [ACTION | {"time": "never"}]],
    }
    statuses = [_send(api(store), method, path_of(key), body) for body in bodies.get(key, [None])]
    assert statuses[0] in (200, 307)
    new = {info.key for info in store.list("")} - before
    prefixes = rights.EFFECTS[key].writes
    assert [name for name in sorted(new) if not name.startswith(prefixes)] == []
    assert [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in new)] == []


def _value(feature: Any) -> Any:
    if getattr(feature, "levels", None):
        return feature.levels[0]
    return getattr(feature, "min", None) or 1


def _send(app: FastAPI, method: str, path: str, body: Any) -> int:
    async def send() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
            more: dict[str, Any] = {} if body is None else {"json": body, "headers": {"idempotency-key": "order-7"}}
            return (await http.request(method, path, **more)).status_code

    return asyncio.get_event_loop().run_until_complete(send())
