"""The one place where errors become HTTP: problem details (RFC 9457), by registered exception handlers."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stillgood.api.correlation import correlation_id
from stillgood.aws import logs, metrics
from stillgood.domain import errors

PROBLEM = "application/problem+json"
PROBLEM_TYPE = "urn:stillgood:problem:"


STATUSES: Mapping[type[errors.StillgoodError], int] = {
    errors.StillgoodError: 500,
    errors.InvalidRows: 422,
    errors.MalformedRequest: 400,
    errors.RequestTooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.KeyReused: 422,
    errors.InvalidEvent: 400,
    errors.UnknownVersion: 404,
    errors.NoChampion: 503,
    errors.DocumentUnusable: 503,
    errors.NotEnoughData: 409,
    errors.InvocationFailed: 503,
    errors.StorageError: 503,
}
"""An error that is not named here has the status of the nearest class above it."""


def status_of(error: errors.StillgoodError) -> int:
    """
    >>> status_of(errors.StoreUnavailable("S3 does not answer."))
    503
    """
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def register(app: FastAPI) -> None:
    """Have ``app`` answer every error with problem details."""
    app.add_exception_handler(errors.StillgoodError, _stillgood_problem)
    app.add_exception_handler(HTTPException, _routing_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(Exception, _unforeseen_problem)


async def _stillgood_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.StillgoodError)
    status = status_of(error)
    champions = request.app.state.serving.champions
    logs.bind(correlation_id=correlation_id(request.scope), path=request.scope["path"], model_version=champions.version)
    fields: dict[str, Any] = {"problem": error.slug, "status": status}
    if isinstance(error, errors.InvalidRows):
        fields["rules"] = dict(Counter(str(violation["rule"]) for violation in error.violations))
    if status >= 500:
        metrics.count("Failed")
        logs.log(logging.ERROR, "failed", error=error, **fields)
    else:
        logs.log(logging.WARNING, "refused", **fields)
    members = error.to_dict()
    return _problem(request, {**members, "type": PROBLEM_TYPE + error.slug, "status": status})


async def _unforeseen_problem(request: Request, error: Exception) -> Response:
    """An unexpected error is logged; the answer does not repeat its message."""
    metrics.count("Failed")
    logs.bind(correlation_id=correlation_id(request.scope), path=request.scope["path"])
    logs.log(logging.ERROR, "failed", error=error, problem="internal", status=500)
    unknown = errors.StillgoodError("Something failed that should not; the correlation id finds it in the logs.")
    return _problem(request, {**unknown.to_dict(), "type": PROBLEM_TYPE + unknown.slug, "status": 500})


async def _routing_problem(request: Request, error: Exception) -> Response:
    """404 and 405, which the router raises before any endpoint is reached."""
    assert isinstance(error, HTTPException)
    detail = "See GET /docs or GET /openapi.json for the paths and methods there are."
    members = {"type": "about:blank", "title": error.detail, "status": error.status_code, "detail": detail}
    return _problem(request, members, error.headers)


async def _validation_problem(request: Request, error: Exception) -> Response:
    """A route with parameters of its own may be asked wrongly; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    listed = [
        {"field": ".".join(map(str, violation["loc"])), "message": violation["msg"]} for violation in error.errors()
    ]
    members = {
        "type": PROBLEM_TYPE + "invalid-request",
        "title": "The request breaks a rule",
        "status": 422,
        "detail": f"{len(listed)} parts of the request break a rule; all of them are named.",
        "violations": listed,
    }
    return _problem(request, members)


def _problem(request: Request, members: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    correlation = correlation_id(request.scope)
    # Unforeseen errors are answered outside of the middleware that adds the header elsewhere.
    named = {**(headers or {}), "x-correlation-id": correlation}
    return Response(orjson.dumps({**members, "correlation_id": correlation}), members["status"], named, PROBLEM)
