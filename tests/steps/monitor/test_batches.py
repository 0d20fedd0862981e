"""Rows that batch scored are predictions of their day: in windows, drift, labels, training rows and forgetting
(O21).
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.explain import explain
from stillgood.steps.forget import forget
from stillgood.storage.batch_capture import COLUMNS, read_blocks
from stillgood.storage.champion import ChampionSource
from stillgood.storage.keys import BATCH_CAPTURE, CAPTURE_PREFIX
from stillgood.storage.memory import MemoryObjectStore

from tests.steps.monitor.feed import Shop


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["customer", "risk"])
    writer.writeheader()
    writer.writerows({"customer": row["entity_id"], "risk": row["features"]["risk"]} for row in rows)
    return text.getvalue().encode()


def score(shop: Shop, rows: list[dict[str, Any]], day: float, name: str = "day", more: bytes = b"") -> dict[str, Any]:
    """``rows`` scored by batch at ``day``; each gets its prediction id of there."""
    shop.now = shop.at(day)
    key = f"batch/input/{name}{day:g}.csv"
    shop.store.put(key, as_csv(rows) + more)
    source = ChampionSource(shop.store, lambda: shop.now, ttl_seconds=0)
    summary = batch({"input": key}, BatchDeps(shop.store, source, lambda: shop.now))
    for line in shop.store.get(summary["output"]["predictions"]).data.splitlines():
        made = json.loads(line)
        rows[made["row"] - 1]["prediction_id"] = made["prediction_id"]
    return summary


def references(store: MemoryObjectStore) -> list[str]:
    return [info.key for info in store.list(CAPTURE_PREFIX) if info.key.endswith(BATCH_CAPTURE)]


@pytest.fixture
def drawn() -> Callable[..., list[dict[str, Any]]]:
    """The customers of a day, who were not captured by the API."""

    def draw(shop: Shop, day: int) -> list[dict[str, Any]]:
        rows = shop.predict(day)
        for info in list(shop.store.list(CAPTURE_PREFIX)):
            if not info.key.endswith(BATCH_CAPTURE):
                shop.store.delete(info.key)
        return rows

    return draw


def test_a_window_says_of_batch_what_it_says_of_the_api(drawn: Callable[..., Any]) -> None:
    api, nightly = Shop(), Shop()
    api.predict(0)
    score(nightly, drawn(nightly, 0), 0.25)
    by_api, by_batch = api.monitor(1), nightly.monitor(1)
    assert by_batch["rows"] == 250
    for name in ("rows", "drift", "estimated_performance", "contract"):
        assert by_batch[name] == by_api[name], name


def test_nothing_is_copied_and_a_repeated_job_counts_once(drawn: Callable[..., Any]) -> None:
    shop = Shop()
    rows = drawn(shop, 0)
    score(shop, rows, 0.25)
    (key,) = references(shop.store)
    assert len(shop.store.get(key).data) < 400
    shop.store.delete(key)  # a crash came before it was written
    assert score(shop, rows, 0.25)["repeated"]
    assert references(shop.store) == [key]
    assert shop.monitor(1)["rows"] == 250


def test_labels_of_what_batch_predicted_judge_and_teach(drawn: Callable[..., Any]) -> None:
    api, nightly = Shop(maturity=3), Shop(maturity=3)
    for shop in (api, nightly):
        for day in range(4):
            rows = shop.predict(day) if shop is api else drawn(shop, day)
            if shop is nightly:
                score(shop, rows, day + 0.25)
            shop.send(rows, day + 1.5)
    by_api, by_batch = api.judge(6), nightly.judge(6)
    assert by_batch.realised is not None
    assert by_batch.realised.to_dict() == by_api.realised.to_dict()

    def taught(shop: Shop) -> list[list[str]]:
        left_out = ("prediction_id", "label_arrived_at")
        return sorted([value for name, value in row.items() if name not in left_out] for row in shop.learnt())

    assert taught(nightly) == taught(api) != []


def test_refused_rows_count_as_the_apis_do(drawn: Callable[..., Any]) -> None:
    shop = Shop()
    score(shop, drawn(shop, 0), 0.25, more=b"c-x,lots\nc-y,\n")
    counted = shop.monitor(1)["contract"]
    assert counted["refused"] == 2
    assert {violation["field"] for violation in counted["violations"]} == {"risk"}


def test_a_forgotten_entity_leaves_the_columns_too(drawn: Callable[..., Any]) -> None:
    shop = Shop()
    output = score(shop, drawn(shop, 0), 0.25)["output"]
    forget(shop.store, "c0-7", lambda: shop.now)
    (block,) = read_blocks([shop.store.get(output["columns"]).data])
    assert (len(block.numbers), 8 in block.numbers) == (249, False)
    assert b'"c0-7"' not in shop.store.get(output["predictions"]).data
    assert shop.monitor(1)["rows"] == 249


def test_an_output_that_was_deleted_keeps_nobody_from_judging(drawn: Callable[..., Any]) -> None:
    shop = Shop()
    output = score(shop, drawn(shop, 0), 0.25)["output"]
    shop.store.delete(output["columns"])
    assert shop.monitor(1)["rows"] == 0
    shop.store.put(output["columns"], b"{")
    assert list(read_blocks([b""])) == []
    assert COLUMNS in output["columns"]


def test_what_batch_predicted_is_explained_by_its_id(drawn: Callable[..., Any]) -> None:
    shop = Shop()
    rows = drawn(shop, 0)
    score(shop, rows, 0.5)
    again = explain(shop.store, rows[7]["prediction_id"])
    assert again is not None
    assert again.same
    assert (again.body["entity_id"], again.row.values["risk"]) == (rows[7]["entity_id"], rows[7]["features"]["risk"])
