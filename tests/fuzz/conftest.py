"""The API as a client meets it: an HTTP request becomes an event of API Gateway, and the real Lambda handler answers
it.
"""

import asyncio
import base64
import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stillgood.api.app import create_app
from stillgood.api.gateway import LambdaHandler, lambda_handler
from stillgood.api.labels import labels_router
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Model
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.testing.gateway import http_event
from werkzeug.wrappers import Request, Response

MAX_ROWS, MAX_BYTES = 100, 100_000


class Gateway:
    """A WSGI application that does what an HTTP API does between a client and its Lambda (payload format 2.0)."""

    def __init__(self, handler: LambdaHandler) -> None:
        self.handler, self.loop = handler, asyncio.new_event_loop()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        event = http_event(
            request.path,
            request.get_data(),
            method=request.method,
            query=request.query_string.decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        try:
            asyncio.get_event_loop()
        except RuntimeError:  # one of schemathesis' threads; a Lambda's only thread has a loop
            asyncio.set_event_loop(self.loop)
        answer = self.handler(event, None)
        content = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return Response(content, answer["statusCode"], answer["headers"])(environ, start_response)


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def handler(
    store: MemoryObjectStore,
    telco: Contract,
    draw_model: Callable[[Contract, str], Model],
    make_champion: Callable[[ObjectStore, Model], None],
) -> Iterator[LambdaHandler]:
    """predict's Lambda handler, wired as ``wiring/predict.py`` wires it, over a store in memory with a champion."""
    make_champion(store, draw_model(telco, "20261123-fuzz"))
    numbers, times = itertools.count(1), itertools.count()

    def clock() -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=next(times))

    serving = PredictDeps(
        ChampionSource(store, clock, 0), Capture(store), clock, lambda: f"id-{next(numbers)}", MAX_ROWS, MAX_BYTES
    )
    app = create_app(serving, [labels_router(serving, store)])
    logging.disable(logging.CRITICAL)  # thousands of refusals, each rightly logged
    yield lambda_handler(app, warm=serving.champions.current)
    logging.disable(logging.NOTSET)


@pytest.fixture
def gateway(handler: LambdaHandler) -> Iterator[Gateway]:
    made = Gateway(handler)
    yield made
    made.loop.close()


DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]

NOTHING = object()
NASTY: list[Any] = [
    *(NOTHING, None, True, False, 0, -1, 1, 1.5, 1e308, -1e308, 5e-324, float("nan"), float("inf")),
    *(10**400, -(10**400), 2**63, 2**53 + 1, "", " ", "x", "1", "NaN", "\ud800", "\0", "../x", "=1+1", "\ufeff"),
    *([], {}, [None], [[]], [{}], {"a": 1}, {"\ud800": "\ud800"}, ["a", "a"], ["\ud800"], [10**400], DEEP),
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of a JSON value."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from _places(part, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    """``value`` with ``put`` at ``path``."""
    if not path:
        return put
    copy = value.copy()
    if len(path) == 1 and put is NOTHING:
        del copy[path[0]]
    else:
        copy[path[0]] = _changed(value[path[0]], path[1:], put)
    return copy


@pytest.fixture
def nasty() -> list[Any]:
    """Values that belong nowhere; the first means "leave it out"."""
    return NASTY


@pytest.fixture
def places() -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    return _places


@pytest.fixture
def changed() -> Callable[[Any, tuple[Any, ...], Any], Any]:
    return _changed
