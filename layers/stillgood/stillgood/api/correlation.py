"""Every request has a correlation id: the caller's, API Gateway's, or a new one. It is in the answer's headers and in
every log line.
"""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stillgood.aws import logs

_PLAIN = re.compile(r"[A-Za-z0-9._:=/-]{1,128}")


class CorrelationMiddleware:
    """Plain ASGI middleware: gives the request its id, and its path a root behind a stage's prefix."""

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app, self._new_id = app, new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = scope["aws.event"].get("requestContext", {}) if "aws.event" in scope else {}
        correlation = scope["correlation_id"] = _plain_id(scope, context.get("requestId")) or self._new_id()
        stage = context.get("stage")
        if isinstance(stage, str) and scope["path"].startswith(f"/{stage}/"):
            scope["root_path"] = f"/{stage}"
        logs.bind(correlation_id=correlation, path=scope["path"])
        header = (b"x-correlation-id", correlation.encode("latin-1"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start" and header not in message["headers"]:
                message["headers"].append(header)
            await send(message)

        await self._app(scope, receive, send_with_id)


def correlation_id(scope: Scope) -> str:
    """The request's id."""
    return str(scope.get("correlation_id", ""))


def _plain_id(scope: Scope, gateway: object) -> str | None:
    """The caller's ``x-correlation-id`` if it is plain, else API Gateway's request id."""
    for name, value in scope["headers"]:
        if name == b"x-correlation-id" and _PLAIN.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return gateway if isinstance(gateway, str) and _PLAIN.fullmatch(gateway) else None
