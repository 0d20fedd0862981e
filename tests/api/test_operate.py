"""GET /health and GET /metrics through the real app."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from stillgood.api.app import create_app
from stillgood.api.operate import operate_router
from stillgood.pages.writer import write_pages
from stillgood.steps.predict import PredictDeps
from stillgood.steps.promote.mode import set_mode
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeCapture, FakeInvoker

from tests.faults import story

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def get(store: MemoryObjectStore, path: str) -> httpx.Response:
    deps = PredictDeps(ChampionSource(store, lambda: NOW, 10), FakeCapture(), lambda: NOW, lambda: "id", 10, 10_000)
    app = create_app(deps, [operate_router(deps, store)])

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
            return await http.get(path)

    return asyncio.run(send())


@pytest.fixture(scope="module")
def store() -> MemoryObjectStore:
    store = MemoryObjectStore()
    story.write(store)
    return store


def test_a_load_balancer_hears_whether_a_champion_serves(store: MemoryObjectStore) -> None:
    health = get(store, "/health")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert get(MemoryObjectStore(), "/health").status_code == 503


def test_prometheus_reads_what_serves_the_newest_window_and_what_waits(store: MemoryObjectStore) -> None:
    write_pages(store, story.WORK["monitor"](store, FakeInvoker()))
    event = {"action": "mode", "mode": "ask", "request_id": "r-ask", "reason": "Audit."}
    write_pages(store, set_mode(event, PromoteDeps(store, lambda: NOW)))
    metrics = get(store, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = metrics.text.splitlines()
    assert "stillgood_serving 1" in lines
    assert 'stillgood_mode{mode="ask"} 1' in lines
    assert "stillgood_waiting_for_a_person 0" in lines
    assert any(line.startswith("stillgood_window_rows ") for line in lines)
    assert all(line.startswith(("#", "stillgood_")) for line in lines)


def test_metrics_answer_before_anything_serves() -> None:
    assert get(MemoryObjectStore(), "/metrics").text.splitlines()[1] == "stillgood_serving 0"
