"""The HTTP API of predict, an ordinary FastAPI application: routers, one middleware, and errors as problem details (RFC
9457).

Bodies are read by the routes themselves: rows are checked by the feature contract of the serving champion, which
changes while the application runs, so that no model of Pydantic could do it.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI

from stillgood.api import docs, problems
from stillgood.api.correlation import CorrelationMiddleware
from stillgood.api.openapi import document
from stillgood.api.predictions import predictions_router
from stillgood.steps.predict import PredictDeps, contract


def create_app(serving: PredictDeps, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """The API over ``serving``; ``routers`` are those of other steps, whose errors are mapped in the same way."""
    app = FastAPI(
        title="Predictions",
        version="1",
        description="Every answer carries its exact reasons; every error is an RFC 9457 problem.",
        # Relative to the document: right behind every prefix that a gateway may put before the paths.
        servers=[{"url": "."}],
        root_path_in_servers=False,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        # It would record the messages of exceptions, which may quote a customer's values.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.serving = serving
    app.add_middleware(CorrelationMiddleware, new_id=serving.new_id)
    problems.register(app)
    for router in (predictions_router(serving), *routers, docs.router):
        app.include_router(router)

    def openapi() -> dict[str, Any]:
        return document(app, contract(serving), serving.max_rows)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app
