"""GET /health for load balancers, GET /metrics for Prometheus: from what monitor and promote left, nothing is
judged.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Response

from stillgood.api.openapi import problems
from stillgood.domain.errors import StillgoodError
from stillgood.steps.predict import PredictDeps, status
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import OVERVIEW_KEY
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import utc

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def operate_router(serving: PredictDeps, store: ObjectStore) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/health",
        operation_id="health",
        summary="Whether a champion can be served: 200, else 503",
        responses=problems(_503="No champion yet, or the store does not answer"),
    )
    async def health() -> Response:
        pointer = serving.champions.current().pointer  # what it raises is a 503
        body = {"status": "ok", "version": pointer.version, "generation": pointer.generation}
        return Response(json.dumps(body), media_type="application/json")

    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="The newest window and what serves, in Prometheus' text format",
        response_class=Response,
        responses=problems(),
    )
    async def metrics() -> Response:
        return Response(metrics_text(status(serving), _overview(store)), media_type=_TEXT)

    return router


def metrics_text(state: Mapping[str, Any], overview: Mapping[str, Any]) -> str:
    """``state`` as GET /status answers it, ``overview`` as pages/overview.json holds it, as gauges.

    >>> print(metrics_text({"serving": False, "champion": {"stale": True}, "capture": {"lost": 2}}, {}))
    # TYPE stillgood_serving gauge
    stillgood_serving 0
    # TYPE stillgood_champion_stale gauge
    stillgood_champion_stale 1
    # TYPE stillgood_capture gauge
    stillgood_capture{state="lost"} 2
    <BLANKLINE>
    """
    lines: list[str] = []
    for name, samples in _gauges(state, overview):
        shown = [(labels, value) for labels, value in samples if isinstance(value, int | float)]
        if shown:
            lines.append(f"# TYPE stillgood_{name} gauge")
            lines += [f"stillgood_{name}{labels} {float(value):.12g}" for labels, value in shown]
    return "\n".join(lines) + "\n"


def _gauges(state: Mapping[str, Any], overview: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    champion: Mapping[str, Any] = state["champion"]
    yield "serving", [("", bool(state["serving"]))]
    yield "champion_stale", [("", bool(champion.get("stale")))]
    if champion.get("version"):
        yield "champion_generation", [(_labels(version=champion["version"]), champion.get("generation"))]
    yield "capture", [(_labels(state=name), value) for name, value in (state.get("capture") or {}).items()]
    standing = (state.get("monitoring") or {}).get("standing") or ()
    yield "standing", [(_labels(name=entry.get("name", "")), 1) for entry in standing if isinstance(entry, Mapping)]
    orders = overview.get("orders") or {}
    if orders.get("mode"):
        yield "mode", [(_labels(mode=orders["mode"].get("mode", "")), 1)]
    yield "hold", [("", 1 if orders.get("hold") else 0)] if "orders" in overview else []
    yield "waiting_for_a_person", [("", len(orders.get("waiting") or ()))] if "orders" in overview else []
    windows = overview.get("windows") or ()
    if windows:
        last = windows[-1]
        yield "window_end_seconds", [("", utc(str(last["end"])).timestamp())]
        for name in ("rows", "refused", "coverage", "flagged_share"):
            yield f"window_{name}", [("", last.get(name))]
        yield "window_drifted_features", [("", len(last.get("drifted") or ()))]
        for kind in ("estimated", "realised"):
            figures = last.get(kind) or {}
            yield kind, [(_labels(figure=name), _value(figure)) for name, figure in sorted(figures.items())]


def _value(figure: Any) -> Any:
    return figure.get("value") if isinstance(figure, Mapping) else figure


def _labels(**labels: object) -> str:
    """Prometheus' labels, escaped as its text format asks."""
    shown = []
    for name, value in labels.items():
        text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        shown.append(f'{name}="{text}"')
    return "{" + ",".join(shown) + "}"


def _overview(store: ObjectStore) -> dict[str, Any]:
    try:
        return decode_any(store.get(OVERVIEW_KEY).data, what=OVERVIEW_KEY)
    except StillgoodError:
        return {}
