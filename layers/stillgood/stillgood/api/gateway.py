"""The API as a Lambda handler: Mangum translates API Gateway's events and the application's answers."""

import logging
from collections.abc import Callable
from typing import Any

from mangum import Mangum
from mangum.types import ASGI

from stillgood.api.problems import PROBLEM
from stillgood.aws import logs, metrics

type LambdaHandler = Callable[[object, Any], dict[str, Any]]

_UNREADABLE: dict[str, Any] = {
    "statusCode": 400,
    "headers": {"content-type": PROBLEM},
    "body": (
        '{"type":"about:blank","title":"Bad Request","status":400,"detail":"The request cannot be read; check its'
        ' headers."}'
    ),
    "isBase64Encoded": False,
}


def lambda_handler(app: ASGI, warm: Callable[[], object], stale: Callable[[], bool] = lambda: False) -> LambdaHandler:
    """``app`` as a Lambda handler. An event that is not HTTP (a scheduled warm-up ping) only calls ``warm``.

    ``stale`` says whether an outdated champion serves, for the metric of that name.
    """
    adapter = Mangum(app, lifespan="off", text_mime_types=["text/", "application/json", PROBLEM])

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
        if "version" not in event and "resource" not in event:  # neither of API Gateway's two kinds
            return _UNREADABLE
        try:
            return adapter(event, context)
        except RuntimeError:  # of the event loop: not the caller's fault
            raise
        except Exception as error:
            # Reading an event may raise anything, for instance for a port that is no number. The app's own errors never
            # get here.
            logs.log(logging.WARNING, "refused", error=error, status=400)
            return _UNREADABLE

    return handler
