"""POST /predict?reasons=features: a pair's share is split evenly between its two features."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
from stillgood.api.app import create_app
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Model
from stillgood.domain.model.pairs import LevelAxis, NumericAxis, PairTerm
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.testing.fakes import FakeCapture


def test_a_pair_is_a_reason_of_its_own_or_split_between_its_features(
    telco: Contract,
    draw_model: Callable[..., Model],
    make_champion: Callable[[ObjectStore, Model], None],
) -> None:
    levels = telco.feature("contract").levels
    table = tuple(tuple(2**45 * (place + row) for place in range(len(levels) + 1)) for row in range(3))
    axis = LevelAxis("contract", {level: place for place, level in enumerate(levels)}, len(levels) + 1)
    pair = PairTerm(NumericAxis("tenure", (12.0,)), axis, table)
    store = MemoryObjectStore()
    make_champion(store, replace(draw_model(telco, "v1", 3), family="boosted", pairs=(pair,)))
    now = datetime(2026, 11, 28, tzinfo=UTC)
    serving = PredictDeps(
        ChampionSource(store, lambda: now, 60.0), FakeCapture(), lambda: now, lambda: "id", 100, 100_000
    )
    body = json.dumps(telco.example())

    async def answers_to(*queries: str) -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(serving))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return [
                await client.post(f"/predict{query}", content=body, headers={"content-type": "application/json"})
                for query in queries
            ]

    loop = asyncio.new_event_loop()  # asyncio.run would leave later tests without a loop
    by_part, by_feature, wrong = loop.run_until_complete(answers_to("", "?reasons=features", "?reasons=some"))
    loop.close()
    assert wrong.status_code == 422
    parts, features = by_part.json(), by_feature.json()
    assert len(parts["reasons"]) == len(telco.features) + 1
    shares = {reason["feature"]: reason["contribution"] for reason in parts["reasons"]}
    split = {reason["feature"]: reason["contribution"] for reason in features["reasons"]}
    half = shares.pop("tenure x contract") / 2
    for name, share in shares.items():
        assert split[name] == share + (half if name in ("tenure", "contract") else 0)
    assert {**parts, "reasons": None} == {**features, "reasons": None}
