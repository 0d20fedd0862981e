"""POST /predict, GET /model, GET /status."""

import logging
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request, Response

from stillgood.api.answers import Champion, Prediction, Predictions, Status
from stillgood.api.caller import caller_of
from stillgood.api.openapi import ROW, body_of, problems
from stillgood.aws import logs, metrics
from stillgood.domain.errors import InvalidRows, UnsupportedMedia
from stillgood.steps.predict import TOP_REASONS, PredictDeps, describe, predict, status
from stillgood.steps.repeat import Repeat

type Reasons = Annotated[
    Literal["all", "parts", "features", "top", "none"],
    Query(
        description=(
            "all (or parts): a pair of features that act together is a reason of its own; features: its share is split"
            f" evenly between the two; top: the {TOP_REASONS} largest; none: a smaller answer"
        )
    ),
]
JSON = "application/json"
_LISTED = {"top": TOP_REASONS, "none": 0}
_UNAVAILABLE = "No champion yet, or the store does not answer"


def predictions_router(serving: PredictDeps) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/predict",
        operation_id="predict",
        summary="Decide one row or a list of rows",
        response_description="Predicted",
        response_model=Prediction | Predictions,
        openapi_extra=body_of(ROW),
        responses=problems(
            _400="Not JSON, or neither an object nor a list of objects",
            _413="Too many rows or bytes for one request, or its answer; nothing was captured",
            _415="Not sent as application/json",
            _422="Values break the contract: all of them are named; or the Idempotency-Key came with another body",
            _503=_UNAVAILABLE,
        ),
    )
    async def predictions(
        request: Request,
        reasons: Reasons = "all",
        idempotency_key: Annotated[
            str | None,
            Header(description="The same key with the same body gets the same answer for a day, captured once"),
        ] = None,
    ) -> Response:
        """One object is answered by one prediction, a list by {predictions: [...]} in its order. One bad value refuses
        the request.
        """
        try:
            body, caller = await read_body(request, serving.max_bytes), caller_of(request)
            repeat = None
            if idempotency_key is not None and serving.store is not None:
                repeat = Repeat.of(serving.store, caller, idempotency_key, body, reasons)
            answered = predict(
                body,
                serving,
                split_pairs=reasons == "features",
                reasons=_LISTED.get(reasons),
                repeat=repeat,
                caller=caller,
            )
        except InvalidRows as error:
            metrics.count("RejectedRows", error.rows)
            raise
        if not answered.repeated:
            metrics.count("Predictions", answered.rows)
        # At DEBUG: a line a request would cost a sixth of its time, and the capture already says what was answered.
        logs.log(logging.DEBUG, "answered", status=200, model_version=answered.model_version, rows=answered.rows)
        return Response(answered.data, media_type=JSON)

    @router.get(
        "/model",
        operation_id="model",
        summary="The champion: version, metrics, threshold and contract",
        response_model=Champion,
        responses=problems(_503=_UNAVAILABLE),
    )
    async def model() -> Response:
        return Response(orjson.dumps(describe(serving)), media_type=JSON)

    @router.get(
        "/status",
        operation_id="status",
        summary="How the champion and the capture stand in the process that answers",
        response_model=Status,
        responses=problems(),
    )
    async def state() -> Response:
        return Response(orjson.dumps(status(serving)), media_type=JSON)

    return router


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, or enough of it to see that it is longer than ``max_bytes``.

    Raises UnsupportedMedia unless it is sent as JSON, a type that a form of another site cannot send without a
    preflight request.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMedia("Send the header Content-Type: application/json.")
    message = await request.receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= max_bytes:
        message = await request.receive()
        body += message.get("body", b"")
    return body
