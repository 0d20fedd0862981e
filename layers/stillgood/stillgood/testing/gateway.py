"""Events as API Gateway's HTTP API sends them to a Lambda function (payload format 2.0)."""

import base64
from collections.abc import Mapping
from typing import Any


def http_event(
    path: str,
    body: str | bytes | None = None,
    *,
    method: str = "POST",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    request_id: str = "r-1",
    authorizer: object = None,
    stage: str = "$default",
) -> dict[str, Any]:
    """A request for ``path``. Bytes as ``body`` are sent in base 64; ``authorizer``: what the gateway says of who
    sends it; ``headers`` with small letters.
    """
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "curl"}
    context: dict[str, Any] = {"http": http, "requestId": request_id, "stage": stage}
    if authorizer is not None:
        context["authorizer"] = authorizer
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api", **(headers or {})},
        "requestContext": context,
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }
