"""GET /report: the stored pages, as monitor, train and promote wrote them. Whoever may operate may see them."""

import html
import re

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from stillgood.api.openapi import problems
from stillgood.domain.errors import ObjectNotFound
from stillgood.storage.keys import INDEX_PAGE, PAGES_PREFIX, decision_page_key, model_page_key, window_page_key
from stillgood.storage.objects import ObjectStore

_PAGE = re.compile(r"(?:index|(windows|decisions|models)/([A-Za-z0-9][A-Za-z0-9._-]{0,127}?))(?:\.html)?")
# Each page says itself which style and script may run in it; the header repeats that, for proxies and old browsers.
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


def reports_router(store: ObjectStore) -> APIRouter:
    """Routes over the pages in ``store``."""
    router = APIRouter()

    @router.get("/report", include_in_schema=False)
    async def overview() -> Response:
        # Relative: right behind every prefix that a gateway may put before the paths, and the pages' own links hold.
        return RedirectResponse(f"report/{INDEX_PAGE.removeprefix(PAGES_PREFIX)}", 307)

    @router.get(
        "/report/{page:path}",
        operation_id="report",
        summary="A page for people: the overview, windows/<id>, decisions/<n> or models/<version>",
        response_description="The page",
        responses=problems(_404="No such page", _503="The store does not answer"),
    )
    async def report(page: str) -> Response:
        key = page_key(page)
        try:
            data = None if key is None else store.get(key).data
        except ObjectNotFound:
            data = None
        if data is None:
            raise HTTPException(404, "No such page")
        policy = _POLICY.search(data[:16_384].decode(errors="replace"))
        headers = {
            "content-security-policy": html.unescape(policy[1]) if policy else "default-src 'none'",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
        }
        return Response(data, media_type="text/html; charset=utf-8", headers=headers)

    return router


def page_key(page: str) -> str | None:
    """The key of a page by its address below /report; None for what is no page.

    >>> page_key("index.html"), page_key("decisions/2"), page_key("models/../x")
    ('pages/index.html', 'pages/decisions/00000002.html', None)
    """
    match = _PAGE.fullmatch(page)
    if match is None:
        return None
    kind, name = match.groups()
    if kind is None:
        return INDEX_PAGE
    if ".." in name or (kind == "decisions" and not (name.isascii() and name.isdigit() and len(name) <= 8)):
        return None
    if kind == "decisions":
        return decision_page_key(int(name))
    return window_page_key(name) if kind == "windows" else model_page_key(name)
