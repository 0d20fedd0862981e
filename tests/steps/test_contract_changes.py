"""The contract changes: a feature goes, comes, gets another kind, gets a level; through train, gate, promotion, clients
of both shapes,
monitoring across the change, and rollback over it.

One world: in November ``b`` means the opposite, and what the new contract says matters. So a model of the old contract
is demonstrably worse, and the gate has to see that on the same rows, each model reading its own columns.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from stillgood.domain.contract.changes import changes
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidRows
from stillgood.steps.predict import predict
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.audit import verify
from stillgood.storage.codec import encode
from stillgood.storage.keys import CONTRACT_KEY, HOLDOUT
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.wiring.in_process import InProcess

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OCTOBER, NOVEMBER = 1200, 4800  # rows

ID = {"id": "customer", "time": "at"}
A = {"name": "a", "kind": "numeric"}
B = {"name": "b", "kind": "numeric"}
CODE = {"name": "code", "kind": "integer", "minimum": 0, "maximum": 9}
PLAN = {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "unseen": "accept"}
OLD = [A, B, CODE, PLAN]
SIGNED = {"negativeNumber": "parentheses"}


def contract(features: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        **ID,
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": features,
        "floors": {"roc_auc": 0.6, "recall": 0.7},
        "training": {"min_rows": 200, "window_days": 28},
        "monitoring": {"min_rows": 50},
        "extra": "ignore",
        **more,
    }


@dataclass(frozen=True)
class Case:
    """``features`` of the new contract. ``shape``: what a client of the new shape sends, beside ``a``; None: a column
    that ended upstream.
    """

    features: list[dict[str, Any]]
    shape: Mapping[str, Any]
    old_client: str | None = None  # what the new model tells a client of the old shape; None: nothing is wrong


CASES = {
    "drop one": Case([A, CODE, PLAN], {"b": None}),
    "add one": Case([*OLD, {"name": "c", "kind": "numeric"}], {"c": 0.5}, "c is required"),
    "add one that may be blank": Case([*OLD, {"name": "c", "kind": "numeric", "nullable": True}], {"c": 0.5}),
    "retype one": Case(
        [A, B, {"name": "code", "kind": "categorical", "levels": ["0", "1", "2", "3"]}, PLAN],
        {"code": "2"},
        "code must be a text",
    ),
    "add a level": Case([A, B, CODE, {**PLAN, "levels": ["basic", "plus", "gold"]}], {"plan": "gold"}),
}


def rows(case: str, *, november: bool, seed: int) -> bytes:
    """Labelled rows as CSV. In October there is no ``c`` and no "gold"; in November ``b`` may have ended upstream."""
    rng, n = np.random.default_rng(seed), NOVEMBER if november else OCTOBER
    a, b, c = rng.normal(size=(3, n))
    code = rng.integers(0, 4, n)
    plan = rng.choice(["basic", "plus", "gold"] if november and case == "add a level" else ["basic", "plus"], n)
    logit = 1.5 * a + (-2.0 if november else 2.0) * b + np.where(plan == "gold", 2.5, 0.0)
    if november and case.startswith("add one"):
        logit += 1.5 * c
    if case == "drop one":  # what b told is gone; something else tells more than it did
        logit = 1.5 * a + (2.0 * (code - 1.5) if november else 2.0 * b)
    if case == "retype one":
        logit += np.array([1.0, -1.0, 1.0, -1.0])[code]
    left = rng.random(n) < 1 / (1 + np.exp(-logit))
    start = datetime(2026, 11, 4, tzinfo=UTC) if november else datetime(2026, 10, 1, tzinfo=UTC)
    columns: dict[str, Any] = {
        "customer": [f"c{seed}-{i}" for i in range(n)],
        "at": [(start + timedelta(minutes=6 * i)).isoformat() for i in range(n)],
        "a": a.round(4),
        "b": b.round(4),
        "code": code,
        "plan": plan,
    }
    if november and case.startswith("add one"):
        columns["c"] = c.round(4)
    if november and case == "drop one":
        del columns["b"]
    columns["left"] = np.where(left, "yes", "no")
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return ("\n".join(lines) + "\n").encode()


class Shop:
    """A store with a champion of the old contract, and a clock of the test's own."""

    def __init__(self, case: str) -> None:
        self.store, self.now = MemoryObjectStore(), NOW - timedelta(days=24)
        self.steps = InProcess(self.store, lambda: self.now, {"STILLGOOD_CHAMPION_TTL_SECONDS": "0"})
        self.case = case
        self.put(contract(OLD), rows(case, november=False, seed=1), "data/2026-11-03/october.csv")
        assert self.steps.run("train", {"request_id": "first"})[1]["result"] == "promoted"
        self.first = self.serving

    def put(self, contract: dict[str, Any], data: bytes, key: str) -> None:
        self.store.put(CONTRACT_KEY, encode(contract))
        self.store.put(key, data)

    def change(self) -> dict[str, Any]:
        """The new contract and November's rows come; returns what the gate said of the candidate."""
        self.now = NOW
        self.put(
            contract(CASES[self.case].features), rows(self.case, november=True, seed=2), "data/2026-11-27/november.csv"
        )
        return self.steps.run("train", {"request_id": "second"})[1]

    @property
    def serving(self) -> str:
        pointer = Registry(self.store).pointer()
        assert pointer is not None
        return pointer.version

    def send(self, **values: Any) -> Any:
        row = {"customer": "c9", "at": self.now.isoformat(), "a": 0.1, **values}
        return predict(
            json.dumps({name: value for name, value in row.items() if value is not None}).encode(), self.steps.serving()
        ).body

    def ask_old(self) -> Any:
        return self.send(b=0.2, code=1, plan="basic")

    def ask_new(self) -> Any:
        return self.send(**{"b": 0.2, "code": 1, "plan": "basic"} | dict(CASES[self.case].shape))


@pytest.fixture(scope="module", params=CASES)
def changed(request: pytest.FixtureRequest) -> tuple[Shop, dict[str, Any]]:
    shop = Shop(request.param)
    for _ in range(60):
        shop.ask_old()
    return shop, shop.change()


def test_the_candidate_is_judged_against_the_champion_on_the_same_rows(changed: tuple[Shop, dict[str, Any]]) -> None:
    shop, decision = changed
    assert decision["result"] == "promoted", decision["reasons"]
    figures = Registry(shop.store).decision(2).figures
    assert figures["candidate"]["rows"] == figures["champion"]["rows"]
    assert figures["candidate"]["roc_auc"]["value"] > figures["champion"]["roc_auc"]["value"] + 0.02
    assert verify(shop.store) == ()


def test_kept_rows_hold_every_column_of_the_data(changed: tuple[Shop, dict[str, Any]]) -> None:
    shop, decision = changed
    kept = json.loads(read_artifact(shop.store, decision["candidate"], HOLDOUT))["frame"]
    columns = rows(shop.case, november=True, seed=2).splitlines()[0].decode().split(",")
    assert {*kept["columns"], *kept["other"], "customer", "at", "left"} >= set(columns)


def test_clients_of_both_shapes_are_answered_or_told(changed: tuple[Shop, dict[str, Any]]) -> None:
    shop, _ = changed
    assert shop.ask_new()["model_version"] == shop.serving
    if (refusal := CASES[shop.case].old_client) is None:
        assert shop.ask_old()["model_version"] == shop.serving
    else:
        with pytest.raises(InvalidRows) as refused:
            shop.ask_old()
        assert refusal in str(refused.value.violations)


def test_a_window_across_the_change_is_judged(changed: tuple[Shop, dict[str, Any]]) -> None:
    shop, _ = changed
    shop.now = NOW + timedelta(hours=1)
    for _ in range(60):
        shop.ask_new()
    shop.now = NOW + timedelta(hours=2)
    # Long enough to hold predictions of the old model, by clients of the old shape, and of the new one.
    answer = shop.steps.run("monitor", {"scheduled_time": shop.now.isoformat()}, window_hours=24 * 30)[0]
    assert answer["champion"] == shop.serving
    report = json.loads(shop.store.get(answer["report"]).data)
    # Rows that lack a feature, or hold it as another kind, cannot be compared with the champion's; they are counted and
    # nothing else:
    # as blanks they would look like a fault upstream.
    lacking = shop.case in ("add one", "add one that may be blank", "retype one")
    old_rows = 60 + (CASES[shop.case].old_client is None and not lacking)
    assert report["unreadable_records"] == (60 if lacking else 0)
    assert report["rows"] >= 60 + (0 if lacking else old_rows)


def test_back_over_the_change_and_forth(changed: tuple[Shop, dict[str, Any]]) -> None:
    shop, decision = changed
    second = decision["candidate"]
    event = {"action": "rollback", "request_id": "back", "to": None, "reason": "a test"}
    assert shop.steps.run("promote", event)[0]["result"] == "rolled back"
    assert shop.serving == shop.first
    assert shop.ask_old()["model_version"] == shop.first
    if CASES[shop.case].shape.get("b", 0) is not None and shop.case != "retype one":
        assert shop.ask_new()["model_version"] == shop.first  # extra columns are ignored, a new level is unseen
    else:
        with pytest.raises(InvalidRows):  # it is told what the old model needs
            shop.ask_new()
    report = shop.steps.run(
        "monitor", {"scheduled_time": (shop.now - timedelta(minutes=30)).isoformat()}, window_hours=24 * 30
    )[0]
    assert report["champion"] == shop.first
    shop.steps.run("promote", event | {"request_id": "forth", "to": second})
    assert verify(shop.store) == ()


@pytest.mark.parametrize("case", CASES)
def test_the_difference_says_what_it_means(case: str) -> None:
    differences = changes(read_contract(contract(OLD)), read_contract(contract(CASES[case].features)))
    (change,) = differences
    assert set(change.means) == {"champion", "clients", "captured", "labels", "reference"}
    assert change.place == f"features.{ {'drop one': 'b', 'retype one': 'code', 'add a level': 'plan'}.get(case, 'c') }"


def test_no_difference_is_none_and_settings_are_told_by_path() -> None:
    old = read_contract(contract(OLD))
    assert changes(old, old) == []
    new = read_contract(contract(OLD, floors={"roc_auc": 0.6, "recall": 0.8}, monitoring={"min_rows": 80}))
    assert [(change.place, change.what) for change in changes(old, new)] == [
        ("floors", "recall 0.7 becomes 0.8"),
        ("monitoring", "min_rows 50 becomes 80"),
    ]
    plain = contract(OLD)
    del plain["extra"]
    told = changes(read_contract(plain), read_contract(plain | {"extra": "ignore", "capture": "required"}))
    assert {change.what for change in told} == {"'refuse' becomes 'ignore'", "'best_effort' becomes 'required'"}
    dotted = [read_contract(plain | {"source": {"bareNumber": False} | more}) for more in ({}, SIGNED)]
    assert [change.what for change in changes(*dotted)] == ["negativeNumber 'minus' becomes 'parentheses'"]
    target = read_contract(contract(OLD, target={"name": "left", "positive": "no", "negative": "yes"}))
    assert changes(old, target)[0].means["labels"] == "with the old values are refused from now on"
