"""POST /labels. It needs the target's two values, which the champion's contract says."""

import logging

import orjson
from fastapi import APIRouter, Request, Response

from stillgood.api.answers import TakenLabels
from stillgood.api.caller import caller_of
from stillgood.api.openapi import LABEL, body_of, problems
from stillgood.api.predictions import JSON, read_body
from stillgood.aws import logs
from stillgood.domain.outcomes.sources import source_of_caller
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
            _415="Not sent as application/json",
            _422="None of the labels can be used: what is wrong with each",
            _503="No champion yet, or the store does not answer: send the batch again",
        ),
    )
    async def labels(request: Request) -> Response:
        contract = serving.champions.current().model.contract
        source = source_of_caller(caller_of(request), hashed=contract.callers == "hashed")
        body = await read_body(request, serving.max_bytes)
        limits = {"max_rows": serving.max_rows, "max_bytes": serving.max_bytes}
        taken = post_labels(body, store, contract.target, now=serving.clock(), source=source, **limits)
        logs.log(logging.DEBUG, "answered", status=200, accepted=taken["accepted"], refused=taken["refused"])
        return Response(orjson.dumps(taken), media_type=JSON)

    return router
