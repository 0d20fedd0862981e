"""/docs works without the internet, behind any prefix."""

import asyncio
import hashlib
import re

import httpx
import pytest
from fastapi import FastAPI
from stillgood.api.docs import router

APP = FastAPI(docs_url=None)
APP.include_router(router)


@pytest.fixture(params=["", "/prod"])
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def get(url: str, root_path: str = "") -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(url)

    return asyncio.get_event_loop().run_until_complete(send())


def test_all_that_the_page_names_is_served_by_us_under_the_same_prefix(prefix: str) -> None:
    page = get(f"http://api{prefix}/docs", prefix)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in page.text
    linked = re.findall(r"(?:href|src)=\"([^\"]+)\"|url: '([^']+)'", page.text)
    names = {
        str(page.url.join(attribute or quoted).path)
        for attribute, quoted in linked
        if not attribute.startswith("data:")
    }
    assert names == {
        f"{prefix}/{name}" for name in ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json")
    }
    assert all(get(f"http://api{name}", prefix).status_code == 200 for name in names)


@pytest.mark.parametrize(
    ("name", "media_type", "sha256"),
    [
        (
            "swagger-ui-bundle.js",
            "text/javascript; charset=utf-8",
            "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
        ),
        (
            "swagger-ui.css",
            "text/css; charset=utf-8",
            "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
        ),
    ],
)
def test_the_files_are_the_pinned_ones(name: str, media_type: str, sha256: str) -> None:
    answer = get(f"http://api/docs/{name}")
    assert (answer.headers["content-type"], answer.headers["content-encoding"]) == (media_type, "gzip")
    assert hashlib.sha256(answer.content).hexdigest() == sha256
