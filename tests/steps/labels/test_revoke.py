"""Taking labels back: batches, the ledger and training rows lose them, and what they had overruled holds again."""

import hashlib
import json
from datetime import timedelta

import numpy as np
import pytest
from stillgood.domain.errors import InvalidEvent
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.steps.labels.revoke import Which, revoke
from stillgood.storage.codec import encode
from stillgood.training.judged import learnt, row_ids

from tests.steps.monitor.feed import Shop

MALLORY = "caller:mallory"


def shop_of_two() -> Shop:
    """A file told all outcomes of a day; a caller turned 50 of another day, and told the other 200."""
    shop = Shop(labels={"vouched_sources": ["mallory"]})
    first, second = shop.predict(0), shop.predict(1)
    shop.send(first + second[:50], 3)
    lies = [row | {"leaves": not row["leaves"]} for row in second[:50]]
    shop.send(lies + second[50:], 4, event=1.5, source=MALLORY)
    shop.judge(14)
    return shop


def test_what_a_caller_taught_is_taken_back_and_what_it_had_overruled_holds_again() -> None:
    shop = shop_of_two()
    dry = revoke(shop.store, shop.contract, Which(caller="mallory"), because="lies", dry=True)
    assert (dict(dry.labels), dry.predictions, dry.rows) == ({MALLORY: 250}, 250, 250)
    assert len(shop.learnt()) == 500
    assert revoke(shop.store, shop.contract, Which(caller="mallory"), because="lies") == dry
    assert len(shop.learnt()) == 250
    judged = shop.judge(15)
    assert judged.evidence.rows.n == 300
    truth = {row["prediction_id"]: row["leaves"] for row in shop.rows}
    assert all((row["left"] == "yes") == truth[row["prediction_id"]] for row in shop.learnt())
    assert len(shop.learnt()) == 300
    kept = [
        json.loads(line)
        for info in shop.store.list("quarantine/labels/")
        for line in shop.store.get(info.key).data.splitlines()
    ]
    assert len(kept) == 250
    assert all("revoked, told by caller:mallory: lies" in line["message"] for line in kept)
    again = revoke(shop.store, shop.contract, Which(caller="mallory"), because="lies")
    assert (dict(again.labels), again.predictions, again.rows) == ({}, 0, 0)


def test_a_batch_that_cannot_be_read_is_left_to_monitor() -> None:
    shop = shop_of_two()
    shop.store.put("labels/dt=2026-01-03/junk.jsonl", b"\x00 not what was written")
    assert revoke(shop.store, shop.contract, Which(caller="mallory"), because="lies").predictions == 250


def test_one_prediction_one_batch_or_what_came_since() -> None:
    shop = shop_of_two()
    revoked = revoke(shop.store, shop.contract, Which(prediction="p0-3-6"), because="wrong customer")
    assert (revoked.predictions, revoked.rows, len(shop.learnt())) == (1, 1, 499)
    late = Which(caller=MALLORY, since=shop.at(5))
    assert revoke(shop.store, shop.contract, late, because="late").predictions == 0
    batches = [info.key for info in shop.store.list("labels/dt=")]
    assert revoke(shop.store, shop.contract, Which(batch=batches[0]), because="file", dry=True).predictions in (
        249,
        250,
    )


def test_the_models_that_learnt_from_it_are_named() -> None:
    shop = shop_of_two()
    row = next(learnt_row for learnt_row in shop.learnt() if learnt_row["prediction_id"].startswith("p1"))
    names = np.array([int.from_bytes(hashlib.sha256(row["customer"].encode()).digest()[:8])], np.uint64)
    times = np.array([microseconds(shop.at(1) + timedelta(hours=6))]).astype("datetime64[us]")
    shop.store.put("models/v7/learnt.json", encode(learnt("v7", row_ids(times, names))))
    shop.store.put("models/v8/learnt.json", encode(learnt("v8", row_ids(times + np.timedelta64(1, "us"), names))))
    assert revoke(shop.store, shop.contract, Which(caller=MALLORY), because="lies").models == ("v7",)


@pytest.mark.parametrize("named", [{}, {"caller": "a", "batch": "b"}])
def test_exactly_one_thing_is_named(named: dict[str, str]) -> None:
    with pytest.raises(InvalidEvent, match="one of them"):
        Which(**named)
