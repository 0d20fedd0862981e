"""The HTTP edge of predict: routes, correlation ids, and the one place where errors become problem details (RFC 9457).

Rows are checked by the feature contract of the serving champion, so there are no response models and no dependencies to solve per request:
endpoints are plain ``async def`` routes, and the OpenAPI document is generated from the contract when somebody asks for it.
"""

import asyncio
import logging
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from fastapi import FastAPI
from mangum import Mangum
from mangum.handlers.api_gateway import HTTPGateway
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lifecycle.aws import logs, metrics
from lifecycle.domain.errors import InvalidRows, LifecycleError
from lifecycle.steps.predict import Serving, contract, describe, predict, status

PROBLEM = "application/problem+json"
PROBLEM_TYPE = "urn:lifecycle:problem:"

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:=/-]{1,128}")


_UNREADABLE: dict[str, Any] = {
    "statusCode": 400,
    "headers": {"content-type": PROBLEM},
    "body": '{"type":"about:blank","title":"Bad Request","status":400,"detail":"The request cannot be read; check its headers."}',
    "isBase64Encoded": False,
}


class Answer(NamedTuple):
    """What an endpoint returns: the JSON body, what the request's log line tells beside the status, and the status."""

    body: Mapping[str, object]
    logged: Mapping[str, Any] = {}  # never written to
    status: int = 200


type Endpoint = Callable[[Request], Awaitable[Answer]]
type LambdaHandler = Callable[[object, Any], dict[str, Any]]


def create_app(serving: Serving, more: Sequence[tuple[str, str, Endpoint]] = ()) -> FastAPI:
    """The API over ``serving``; ``more`` are (method, path, endpoint) of other steps, answered and mapped in the same way."""

    async def predictions(request: Request) -> Answer:
        try:
            answered = predict(await read_body(request, serving.max_bytes), serving)
        except InvalidRows as error:
            metrics.count("RejectedRows", error.rows)
            raise
        metrics.count("Predictions", answered.rows)
        return Answer(answered.body, {"model_version": answered.model_version, "rows": answered.rows})

    async def model(_: Request) -> Answer:
        return Answer(describe(serving))

    async def state(_: Request) -> Answer:
        return Answer(status(serving))

    own: list[tuple[str, str, Endpoint]] = [
        ("POST", "/predict", predictions),
        ("GET", "/model", model),
        ("GET", "/status", state),
    ]
    app = FastAPI(
        routes=[
            Route(path, _Answering(endpoint, serving), methods=[method]) for method, path, endpoint in (*own, *more)
        ],
        exception_handlers={HTTPException: _routing_problem},
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # It would record the messages of exceptions, which may quote a customer's values.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )

    def openapi() -> dict[str, Any]:
        from lifecycle.aws.openapi import document  # only who asks for the document pays for it

        schema: dict[str, Any] = document(contract(serving), serving.max_rows)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to a schema of one's own
    return app


def lambda_handler(
    app: FastAPI, warm: Callable[[], object], stale: Callable[[], bool] = lambda: False
) -> LambdaHandler:
    """``app`` as a Lambda handler. An event that is not HTTP (a scheduled warm-up ping) only calls ``warm``.

    ``stale`` says whether an outdated champion serves, for the metric of that name.
    """
    threads = _Threads()
    asyncio.set_event_loop(threads.loop.loop)
    adapter = Mangum(
        app,
        lifespan="off",
        text_mime_types=["text/", "application/json", PROBLEM],  # all else as base64
        custom_handlers=[_Gateway],
    )

    def handler(event: object, context: Any) -> dict[str, Any]:
        with metrics.emitted("predict"):
            answer = handle(event, context)
            if stale():
                metrics.count("ChampionStale")
        return answer

    def handle(event: object, context: Any) -> dict[str, Any]:
        if not isinstance(event, dict) or "requestContext" not in event:
            logs.begin(context)
            warm()
            return {"step": "predict", "result": "warm"}
        gateway = event["requestContext"]
        logs.begin(context, correlation_id=gateway.get("requestId") if isinstance(gateway, dict) else None)
        asyncio.set_event_loop(threads.loop.loop)
        try:
            answer: dict[str, Any] = adapter(event, context)
        # Only from reading the event, such as a port that is no number: what the app raises, it answers itself.
        except Exception as error:
            logs.log(logging.WARNING, "refused", error=error, status=400)
            return _UNREADABLE
        return answer

    return handler


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, or enough of it to see that it is longer than ``max_bytes``."""
    message = await request.receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= max_bytes:
        message = await request.receive()
        body += message.get("body", b"")
    return body


class _Gateway(HTTPGateway):
    """Mangum's reader of HTTP API events; it would build the scope of a request twice."""

    @cached_property
    def scope(self) -> Any:
        return super().scope


class _Loop:
    """An event loop that is closed when its thread ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self) -> None:
        self.loop.close()


class _Threads(threading.local):
    """Mangum runs on the current thread's event loop, and only the main thread is given one: this gives one to each."""

    def __init__(self) -> None:
        self.loop = _Loop()


class _Answering:
    """``endpoint`` as an ASGI application, with what every route shares: correlation id, one log line, and errors mapped to problem details.

    Not a function of a request: Starlette would wrap that into handlers of exceptions, of which none are left here.
    """

    def __init__(self, endpoint: Endpoint, serving: Serving) -> None:
        self._endpoint, self._serving = endpoint, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        correlation, path = _correlation_id(request.scope, self._serving.new_id), request.scope["path"]
        logs.bind(correlation_id=correlation, path=path)
        try:
            given = await self._endpoint(request)
            response = _response(given.status, orjson.dumps(given.body), "application/json", correlation)
        except Exception as error:  # nothing a caller sends may end in a stack trace or an unmapped 500
            logs.bind(correlation_id=correlation, path=path, model_version=self._serving.champions.version)
            return _problem(error, correlation)
        # At DEBUG: a line a request would cost a sixth of its time, and the capture already says what was answered.
        logs.log(logging.DEBUG, "answered", status=given.status, **given.logged)
        return response


def _problem(error: Exception, correlation: str) -> Response:
    """The one mapping of errors to HTTP. What is unexpected is logged, and answered without saying what it was."""
    known = (
        error
        if isinstance(error, LifecycleError)
        else LifecycleError("Something failed that should not; the correlation id finds it in the logs.")
    )
    fields: dict[str, Any] = {"problem": known.slug, "status": known.status}
    if isinstance(error, InvalidRows):
        fields["rules"] = dict(Counter(str(violation["rule"]) for violation in error.violations))
    if known.status >= 500:
        metrics.count("Failed")
        logs.log(logging.ERROR, "failed", error=error, **fields)
    else:
        logs.log(logging.WARNING, "refused", **fields)
    body = {**known.to_dict(), "type": PROBLEM_TYPE + known.slug, "correlation_id": correlation}
    return _response(known.status, orjson.dumps(body), PROBLEM, correlation)


async def _routing_problem(request: Request, error: Exception) -> Response:
    """404 and 405, which the router raises before any endpoint is reached."""
    assert isinstance(error, HTTPException)
    correlation = _correlation_id(request.scope, lambda: "")
    body = {"type": "about:blank", "title": error.detail, "status": error.status_code, "correlation_id": correlation}
    body["detail"] = "See GET /docs or GET /openapi.json for the paths and methods there are."
    return _response(error.status_code, orjson.dumps(body), PROBLEM, correlation, error.headers)


def _correlation_id(scope: Scope, new_id: Callable[[], str]) -> str:
    """The caller's ``x-correlation-id`` if it is plain, else API Gateway's request id, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-correlation-id" and _CORRELATION_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    gateway = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    if isinstance(gateway, str) and _CORRELATION_ID.fullmatch(gateway):
        return gateway
    return new_id()


def _response(
    status_code: int, body: bytes, media_type: str, correlation: str, more: Mapping[str, str] | None = None
) -> Response:
    return Response(body, status_code, {"x-correlation-id": correlation, **(more or {})}, media_type)
