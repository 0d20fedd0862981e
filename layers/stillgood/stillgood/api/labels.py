"""POST /labels. It needs the target's two values, which the champion's contract says."""

import logging

import orjson
from fastapi import APIRouter, Request, Response

from stillgood.api.answers import TakenLabels
from stillgood.api.openapi import LABEL, body_of, problems
from stillgood.api.predictions import JSON, read_body
from stillgood.aws import logs
from stillgood.domain.outcomes.sources import API, source_name
from stillgood.steps.labels.ingest import post_labels
from stillgood.steps.predict import PredictDeps
from stillgood.storage.objects import ObjectStore


def labels_router(serving: PredictDeps, store: ObjectStore) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/labels",
        operation_id="labels",
        summary="Tell how predictions turned out; sending the same again changes nothing",
        response_description="Kept",
        response_model=TakenLabels,
        openapi_extra=body_of(LABEL),
        responses=problems(
            _400="Not JSON, or neither an object nor a list of objects",
            _413="Too many labels or bytes for one request",
            _422="None of the labels can be used: what is wrong with each",
            _503="No champion yet, or the store does not answer: send the batch again",
        ),
    )
    async def labels(request: Request) -> Response:
        target = serving.champions.current().model.contract.target
        body = await read_body(request, serving.max_bytes)
        limits = {"max_rows": serving.max_rows, "max_bytes": serving.max_bytes}
        taken = post_labels(body, store, target, now=serving.clock(), source=_sender(request), **limits)
        logs.log(logging.DEBUG, "answered", status=200, accepted=taken["accepted"], refused=taken["refused"])
        return Response(orjson.dumps(taken), media_type=JSON)

    return router


def _sender(request: Request) -> str:
    """Who API Gateway says the caller is: a token's client or subject, a role's ARN; "api" where it asks nobody."""
    event = request.scope.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    allowed = context.get("authorizer") if isinstance(context, dict) else None
    if not isinstance(allowed, dict):
        return API
    token, role = allowed.get("jwt"), allowed.get("iam")
    claims = token.get("claims") if isinstance(token, dict) else None
    found = claims.get("client_id") or claims.get("sub") if isinstance(claims, dict) else None
    if found is None and isinstance(role, dict):
        found = role.get("userArn")
    return source_name(str(found)) if found else API
