"""Refused rows are weighed by who sent them: one caller's broken rows are named, and the others are judged as ever."""

import asyncio
import json
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from mangum import Mangum
from stillgood.api.app import create_app
from stillgood.aws.capture import Capture
from stillgood.domain.policy.refusals import MAX_SHARE
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.testing.gateway import http_event

from tests.steps.monitor.feed import DAY, FIRST, Shop

SHOP, MALLORY = "shop", "mallory"
BROKEN = {"customer": "m", "at": "2026-09-01T00:00:00Z", "risk": "none"}


class Counter:
    """The API of a shop behind API Gateway, which says who calls."""

    def __init__(self, shop: Shop) -> None:
        self.shop, ids = shop, count()
        champions = ChampionSource(shop.store, lambda: shop.now, 0)
        deps = PredictDeps(
            champions, Capture(shop.store), lambda: shop.now, lambda: f"i{next(ids)}", 5_000, 5_000_000,
            store=shop.store,
        )  # fmt: skip
        self.handler = Mangum(create_app(deps), lifespan="off")

    def post(self, rows: list[dict[str, Any]], caller: str | None) -> int:
        asyncio.get_event_loop()  # Mangum runs on it
        event = http_event(
            "/predict",
            json.dumps(rows),
            headers={"content-type": "application/json"},
            authorizer={"jwt": {"claims": {"client_id": caller}}} if caller else None,
        )
        return int(self.handler(event, None)["statusCode"])  # type: ignore[arg-type]

    def day(self, day: int, sent: list[tuple[str | None, int, int]], *, at_once: int = 10) -> dict[str, Any]:
        """The report of ``day``, in which callers sent so many good rows, and so many broken ones, some at once."""
        rng = self.shop.rng
        self.shop.now = FIRST + day * DAY + timedelta(hours=6)
        for caller, good, broken in sent:
            rows = [
                {"customer": f"{caller}{number}", "at": "2026-09-01T00:00:00Z", "risk": float(rng.normal())}
                for number in range(good)
            ]
            if good:
                assert self.post(rows, caller) == 200
            for start in range(0, broken, at_once):
                assert self.post([BROKEN] * min(at_once, broken - start), caller) == 422
        return self.shop.monitor(day + 1)


@pytest.fixture
def counter() -> Counter:
    return Counter(Shop())


def states(report: dict[str, Any]) -> dict[str, str]:
    return {state["name"]: state["message"] for state in report["standing"]}


def frozen(report: dict[str, Any]) -> bool:
    return "refused by the contract" in json.dumps(report["operating_point"])


def test_one_caller_who_only_sends_broken_rows_is_named_and_the_others_are_judged(counter: Counter) -> None:
    first, second = (counter.day(day, [(SHOP, 1_200, 0), (MALLORY, 0, 1_000)]) for day in range(2))
    message = states(first)["refused_alone"]
    assert message.startswith("the rows of caller mallory break the contract")
    assert first["decision"]["action"] == "alert"  # a person is told once, with the name
    assert not [reason for reason in first["decision"]["reasons"] if "upstream" in reason]
    assert second["decision"]["action"] == "nothing"
    for report in (first, second):
        assert "refused" not in states(report)
        assert report["drift"] is not None
        assert report["estimated_performance"] is not None
        assert not frozen(report)
        assert report["contract"]["callers"] == [{"caller": MALLORY, "refused": 1_000, "accepted": 0}]
        assert report["contract"]["refused"] == 1_000


def test_broken_rows_of_whoever_sends_most_rows_are_a_fault_upstream(counter: Counter) -> None:
    report = counter.day(0, [(SHOP, 1_000, 100), ("other", 200, 0)])
    assert any(reason.startswith("data fault upstream: 7.7%") for reason in report["decision"]["reasons"])
    assert set(states(report)) >= {"refused"}
    assert "refused_alone" not in states(report)
    assert report["estimated_performance"] is None
    assert report["contract"]["callers"][0] == {"caller": SHOP, "refused": 100, "accepted": 1_000}


def test_broken_rows_of_two_callers_are_a_fault_upstream(counter: Counter) -> None:
    report = counter.day(0, [(SHOP, 1_200, 0), ("web", 100, 150), ("app", 100, 150)])
    assert "refused" in states(report)
    assert frozen(report)


def test_a_caller_of_a_fifth_of_the_rows_can_be_set_aside_and_of_more_cannot(counter: Counter) -> None:
    assert MAX_SHARE == 0.2
    assert "refused_alone" in states(counter.day(0, [(SHOP, 800, 0), ("web", 200, 120)]))
    assert "refused" in states(counter.day(1, [(SHOP, 796, 0), ("web", 204, 120)]))


def test_one_request_of_nobody_known_is_no_fault_upstream_and_many_are(counter: Counter) -> None:
    """70 broken rows among 1,200 good ones, as O4 was seen on an open API."""
    report = counter.day(0, [(None, 1_200, 70)], at_once=70)
    assert states(report)["refused_alone"].startswith("the rows of one request break the contract")
    assert report["contract"]["largest_refusal"] == 70
    many = counter.day(1, [(None, 1_200, 120)], at_once=10)
    assert "refused" in states(many)
    assert "refused_alone" not in states(many)


def test_too_few_other_rows_leave_the_fault_as_it_is(counter: Counter) -> None:
    report = counter.day(0, [(SHOP, 150, 0), (MALLORY, 0, 300)])
    assert "refused_alone" not in states(report)
    assert "refused" in states(report)


def test_a_stored_window_is_decided_alike_from_its_report(counter: Counter) -> None:
    from stillgood.domain.policy.refusals import set_aside
    from stillgood.domain.policy.stored import evidence_of

    report = counter.day(0, [(SHOP, 1_200, 0), (MALLORY, 0, 1_000)])
    evidence = evidence_of(json.loads(json.dumps(report)))
    alone = set_aside(evidence, 0.05)
    assert alone is not None
    assert (alone.caller, alone.refused, alone.rate) == (MALLORY, 1_000, 0.0)
    older = {
        **report,
        "evidence": {k: v for k, v in report["evidence"].items() if k not in ("callers", "largest_refusal")},
    }
    assert set_aside(evidence_of(older), 0.05) is None
