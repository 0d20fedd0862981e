"""POST /actions: what was really done about predictions."""

import logging

import orjson
from fastapi import APIRouter, Request, Response

from stillgood.api.answers import TakenActions
from stillgood.api.openapi import ACTION, body_of, problems
from stillgood.api.predictions import JSON, read_body
from stillgood.aws import logs
from stillgood.steps.performed import post_actions
from stillgood.steps.predict import PredictDeps
from stillgood.storage.objects import ObjectStore


def actions_router(serving: PredictDeps, store: ObjectStore) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/actions",
        operation_id="actions",
        summary="Tell what was done about predictions; sending the same again changes nothing",
        response_description="Kept",
        response_model=TakenActions,
        openapi_extra=body_of(ACTION),
        responses=problems(
            _400="Not JSON, or neither an object nor a list of objects",
            _413="Too many actions or bytes for one request",
            _415="Not sent as application/json",
            _422="None of the actions can be used: what is wrong with each",
            _503="The store does not answer: send the batch again",
        ),
    )
    async def actions(request: Request) -> Response:
        body = await read_body(request, serving.max_bytes)
        limits = {"max_rows": serving.max_rows, "max_bytes": serving.max_bytes}
        taken = post_actions(body, store, now=serving.clock(), **limits)
        logs.log(logging.DEBUG, "answered", status=200, accepted=taken["accepted"], refused=taken["refused"])
        return Response(orjson.dumps(taken), media_type=JSON)

    return router
