"""GET /docs: Swagger UI from files of our own (``swagger_ui/``), so that it works without the internet and behind any
prefix.
"""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html

SCRIPT, STYLE = "swagger-ui-bundle.js", "swagger-ui.css"

router = APIRouter(include_in_schema=False)
_FILES = Path(__file__).parent / "swagger_ui"


@router.get("/docs")
async def page() -> Response:
    # Relative URLs: a browser resolves them under whatever prefix the page came from.
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Predictions",
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url="data:,",
    )


@router.get(f"/docs/{SCRIPT}")
async def script() -> Response:
    return _file(SCRIPT, "text/javascript")


@router.get(f"/docs/{STYLE}")
async def style() -> Response:
    return _file(STYLE, "text/css")


def _file(name: str, media_type: str) -> Response:
    headers = {"content-encoding": "gzip", "cache-control": "public, max-age=86400"}
    return Response((_FILES / f"{name}.gz").read_bytes(), headers=headers, media_type=media_type)
