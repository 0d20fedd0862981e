"""API Gateway's events as requests to an ASGI application, and its answers as what API Gateway wants.

Mangum translates both ways. The application runs on no event loop: a Lambda answers one request at a time, and what it waits for (S3) it
waits for in place, so that a loop would only cost time. See docs/decisions/0015.
"""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from mangum import Mangum
from mangum.handlers.api_gateway import HTTPGateway
from mangum.types import ASGI, Message, Scope

from stillgood.aws import logs, metrics

type LambdaHandler = Callable[[object, Any], dict[str, Any]]

PROBLEM = "application/problem+json"

_UNREADABLE: dict[str, Any] = {
    "statusCode": 400,
    "headers": {"content-type": PROBLEM},
    "body": '{"type":"about:blank","title":"Bad Request","status":400,"detail":"The request cannot be read; check its headers."}',
    "isBase64Encoded": False,
}


def lambda_handler(app: ASGI, warm: Callable[[], object], stale: Callable[[], bool] = lambda: False) -> LambdaHandler:
    """``app`` as a Lambda handler. An event that is not HTTP (a scheduled warm-up ping) only calls ``warm``.

    ``stale`` says whether an outdated champion serves, for the metric of that name. ``app`` answers its own errors, and waits for nothing.
    """
    adapter = _Adapter(
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
        try:
            request = adapter.infer(event, context)
            scope, body = request.scope, request.body
        except Exception as error:  # whatever reading an event may raise, such as for a port that is no number
            logs.log(logging.WARNING, "refused", error=error, status=400)
            return _UNREADABLE
        return request(_run(app, scope, body))

    return handler


class _Adapter(Mangum):
    """Mangum without a loop. Should the name of this method change, there is one that nobody uses."""

    def _setup_event_loop(self) -> None:
        pass


class _Gateway(HTTPGateway):
    """Mangum's reader of HTTP API events; it would build the scope of a request twice."""

    @cached_property
    def scope(self) -> Any:
        return super().scope


def _run(app: ASGI, scope: Scope, body: bytes) -> Any:
    """What ``app`` answers, as Mangum's handlers take it. Raises RuntimeError when it waits: nobody would wake it."""
    received: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": body, "more_body": False}]
    answer: dict[str, Any] = {"body": b""}

    async def receive() -> Message:
        return received.pop() if len(received) > 1 else received[0]

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer["status"], answer["headers"] = message["status"], message["headers"]
        else:
            answer["body"] += message.get("body", b"")

    coroutine = app(scope, receive, send)
    try:
        coroutine.send(None)
    except StopIteration:
        return answer
    coroutine.close()
    raise RuntimeError("an endpoint waits for an event loop, and there is none")
