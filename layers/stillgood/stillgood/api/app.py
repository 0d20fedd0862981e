"""The HTTP edge of predict: routes, correlation ids, and the one place where errors become problem details (RFC 9457).

Rows are checked by the feature contract of the serving champion, so there are no response models and no dependencies to solve per request:
endpoints are plain ``async def`` routes, and the OpenAPI document is generated from the contract when somebody asks for it.
"""

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stillgood.api.gateway import PROBLEM
from stillgood.aws import logs, metrics
from stillgood.domain.errors import InvalidRows, StillgoodError
from stillgood.steps.predict import PredictDeps, contract, describe, predict, status

PROBLEM_TYPE = "urn:stillgood:problem:"

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:=/-]{1,128}")


class Answer(NamedTuple):
    """What an endpoint returns: the JSON body, what the request's log line tells beside the status, and the status."""

    body: Mapping[str, object]
    logged: Mapping[str, Any] = {}  # never written to
    status: int = 200


type Endpoint = Callable[[Receive], Awaitable[Answer]]


def create_app(serving: PredictDeps, more: Sequence[tuple[str, str, Endpoint]] = ()) -> FastAPI:
    """The API over ``serving``; ``more`` are (method, path, endpoint) of other steps, answered and mapped in the same way."""

    async def predictions(receive: Receive) -> Answer:
        try:
            answered = predict(await read_body(receive, serving.max_bytes), serving)
        except InvalidRows as error:
            metrics.count("RejectedRows", error.rows)
            raise
        metrics.count("Predictions", answered.rows)
        return Answer(answered.body, {"model_version": answered.model_version, "rows": answered.rows})

    async def model(_: Receive) -> Answer:
        return Answer(describe(serving))

    async def state(_: Receive) -> Answer:
        return Answer(status(serving))

    own: list[tuple[str, str, Endpoint]] = [
        ("POST", "/predict", predictions),
        ("GET", "/model", model),
        ("GET", "/status", state),
    ]
    app = _Api(
        routes=[
            Route(path, _Answering(endpoint, serving), methods=[method]) for method, path, endpoint in (*own, *more)
        ],
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # It would record the messages of exceptions, which may quote a customer's values.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )

    def openapi() -> dict[str, Any]:
        from stillgood.api.openapi import document  # only who asks for the document pays for it

        schema: dict[str, Any] = document(contract(serving), serving.max_rows)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to a schema of one's own
    return app


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The body, or enough of it to see that it is longer than ``max_bytes``."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= max_bytes:
        message = await receive()
        body += message.get("body", b"")
    return body


class _Api(FastAPI):
    """FastAPI without its middleware, which is for errors: an endpoint's are answered where they happen, the rest here."""

    def build_middleware_stack(self) -> ASGIApp:
        router = self.router

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await router(scope, receive, send)
            except HTTPException as error:
                await _routing_problem(error, scope)(send)
            except Exception as error:  # from FastAPI's own routes, such as that of the document
                await _problem(error, _correlation_id(scope, lambda: ""))(send)

        return answer


class _Answering:
    """``endpoint`` as an ASGI application, with what every route shares: correlation id, one log line, and errors mapped to problem details.

    Not a function of a request: Starlette would wrap that into handlers of exceptions, of which none are left here.
    """

    def __init__(self, endpoint: Endpoint, serving: PredictDeps) -> None:
        self._endpoint, self._serving = endpoint, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope, receive)
        await response(send)

    async def _answer(self, scope: Scope, receive: Receive) -> "_Response":
        correlation, path = _correlation_id(scope, self._serving.new_id), scope["path"]
        logs.bind(correlation_id=correlation, path=path)
        try:
            given = await self._endpoint(receive)
            response = _Response(given.status, orjson.dumps(given.body), "application/json", correlation)
        except Exception as error:  # nothing a caller sends may end in a stack trace or an unmapped 500
            logs.bind(correlation_id=correlation, path=path, model_version=self._serving.champions.version)
            return _problem(error, correlation)
        # At DEBUG: a line a request would cost a sixth of its time, and the capture already says what was answered.
        logs.log(logging.DEBUG, "answered", status=given.status, **given.logged)
        return response


class _Response(NamedTuple):
    """An answer as ASGI messages; Starlette's own would encode the same headers anew and look for cookies."""

    status: int
    body: bytes
    media_type: str
    correlation: str
    more: Mapping[str, str] = {}  # never written to

    async def __call__(self, send: Send) -> None:
        headers = {"content-type": self.media_type, "x-correlation-id": self.correlation, **self.more}
        headers["content-length"] = str(len(self.body))
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": self.body})


def _problem(error: Exception, correlation: str) -> _Response:
    """The one mapping of errors to HTTP. What is unexpected is logged, and answered without saying what it was."""
    known = (
        error
        if isinstance(error, StillgoodError)
        else StillgoodError("Something failed that should not; the correlation id finds it in the logs.")
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
    return _Response(known.status, orjson.dumps(body), PROBLEM, correlation)


def _routing_problem(error: HTTPException, scope: Scope) -> _Response:
    """404 and 405, which the router raises before any endpoint is reached."""
    correlation = _correlation_id(scope, lambda: "")
    body = {"type": "about:blank", "title": error.detail, "status": error.status_code, "correlation_id": correlation}
    body["detail"] = "See GET /docs or GET /openapi.json for the paths and methods there are."
    return _Response(error.status_code, orjson.dumps(body), PROBLEM, correlation, error.headers or {})


def _correlation_id(scope: Scope, new_id: Callable[[], str]) -> str:
    """The caller's ``x-correlation-id`` if it is plain, else API Gateway's request id, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-correlation-id" and _CORRELATION_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    gateway = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    if isinstance(gateway, str) and _CORRELATION_ID.fullmatch(gateway):
        return gateway
    return new_id()
