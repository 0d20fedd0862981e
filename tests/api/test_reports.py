"""GET /report through the real app: stored pages under their own policy, and nothing else of the bucket."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from stillgood.api.app import create_app
from stillgood.api.reports import reports_router
from stillgood.pages import layout
from stillgood.pages.writer import write_all
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeCapture, FakeInvoker

from tests.faults import story


@pytest.fixture(scope="module")
def get() -> Callable[[str], httpx.Response]:
    store = MemoryObjectStore()
    story.write(store)
    for name in ("monitor", "promote"):
        story.WORK[name](store, FakeInvoker())
    write_all(store)

    def now() -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    deps = PredictDeps(ChampionSource(store, now, 10), FakeCapture(), now, lambda: "id", 10, 10_000)
    app = create_app(deps, [reports_router(store)])

    def request(path: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api/stage") as http:
                return await http.get(path)

        return asyncio.get_event_loop().run_until_complete(send())

    return request


def test_the_overview_is_found_by_a_relative_address(get: Callable[[str], httpx.Response]) -> None:
    answer = get("http://api/report")
    assert (answer.status_code, answer.headers["location"]) == (307, "report/index.html")
    page = get("http://api/report/index.html")
    assert page.status_code == 200
    assert "Is the model still good?" in page.text


@pytest.mark.parametrize(
    "path", ["windows/20261123T000000Z_20261124T000000Z", "decisions/3", "decisions/00000003.html", "models/v2.html"]
)
def test_each_page_is_answered_under_its_own_policy(get: Callable[[str], httpx.Response], path: str) -> None:
    answer = get(f"http://api/report/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == layout.policy()
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "decisions/9",
        "decisions/x",
        "models/none",
        "overview.json",
        "../contract.json",
        "windows/..%2F..%2Fcontract.json",
    ],
)
def test_nothing_else_of_the_bucket_is_answered(get: Callable[[str], httpx.Response], path: str) -> None:
    answer = get(f"http://api/report/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
