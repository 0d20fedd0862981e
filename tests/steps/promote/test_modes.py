"""Who decides what serves: the mode, the cases that wait for a person, the floors, and what a person rejected."""

from dataclasses import replace
from datetime import timedelta

import pytest
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidEvent
from stillgood.steps.promote.cases import approve, refuse_case
from stillgood.steps.promote.mode import set_mode
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.artifacts import publish
from stillgood.storage.audit import verify
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.keys import decision_key, request_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.records import IndexEntry, encode_index
from stillgood.storage.registry import Registry

from tests.steps.promote.test_promote import (
    CONTRACT,
    NOW,
    STRONG,
    WEAK,
    artifacts,
    back,
    deps_of,
    holdout,
    judge,
    serving,
)

BETWEEN = (1.5, 1.0)


def say(deps, mode, request_id=None):
    event = {"action": "mode", "mode": mode, "request_id": request_id or f"r-{mode}", "reason": "Audit.", "by": "ada"}
    return set_mode(event, deps)


def answer(deps, how, case, request_id="r-answer"):
    return how({"case": case, "request_id": request_id, "reason": "Seen by risk.", "by": "ada"}, deps)


def orders(deps):
    return Registry(deps.store).orders_now()


def whole(deps):
    """The log is whole, and every decision comes out the same again."""
    assert verify(deps.store) == ()
    assert [replayed.detail for replayed in replay(deps.store) if not replayed.same] == []


def asking(*more):
    """v1 serves in mode ask, and v2 waits by decision 3."""
    deps = deps_of(("v1", WEAK), ("v2", STRONG), *more)
    judge(deps, "v1")
    say(deps, "ask")
    assert judge(deps, "v2", "monitor:w1")["result"] == "asked"
    return deps


def test_a_mode_is_kept_with_who_said_it_and_why():
    deps = deps_of(("v1", WEAK))
    result = say(deps, "ask")
    said = orders(deps).mode
    assert (result["result"], said.mode, said.said.by, said.said.because) == ("mode set", "ask", "ada", "Audit.")
    with pytest.raises(InvalidEvent, match="watch, ask, automatic"):
        say(deps, "sleep")
    whole(deps)


def test_in_mode_ask_what_passes_the_gate_waits_and_serves_once_approved():
    deps = asking()
    assert serving(deps) == "v1"
    (case,) = orders(deps).waiting
    assert (case.n, case.kind, case.candidate) == (3, "promote", "v2")
    result = answer(deps, approve, 3)
    assert (result["result"], serving(deps), orders(deps).waiting) == ("promoted", "v2", ())
    assert result["reasons"][0] == "Approved: case 3 of 2026-11-23T12:00:00Z."
    assert Registry(deps.store).decision(4).figures["by"] == "ada"
    whole(deps)


def test_the_deployments_mode_holds_until_a_person_says_another():
    deps = replace(deps_of(("v1", WEAK), ("v2", STRONG)), mode="ask")
    assert judge(deps, "v1")["result"] == "asked"
    say(deps, "automatic")
    assert judge(deps, "v2")["result"] == "promoted"
    whole(deps)


def test_a_refused_candidate_returns_only_by_force():
    deps = asking()
    assert answer(deps, refuse_case, 3)["result"] == "refused"
    say(deps, "automatic")
    assert judge(deps, "v2", "again")["gate"] == "rejected"
    forced = {"action": "promote", "candidate": "v2", "request_id": "forced", "force": True}
    assert promote(forced, deps)["result"] == "promoted"
    whole(deps)


def test_a_case_expires():
    deps = asking()
    late = replace(deps, clock=lambda: NOW + timedelta(days=15))
    result = answer(late, approve, 3)
    assert (result["result"], serving(deps)) == ("refused", "v1")
    assert "expired" in result["reasons"][0]


def test_a_case_is_judged_anew_where_another_champion_serves_by_now():
    deps = asking(("v3", BETWEEN))
    say(deps, "automatic")
    assert judge(deps, "v3")["result"] == "promoted"
    result = answer(deps, approve, 3)
    assert result["reasons"][0].startswith("Case 3 was judged anew, because v3 serves")
    assert "alpha" in Registry(deps.store).decision(result["decision"]).figures
    whole(deps)


def test_what_does_not_wait_is_no_case_and_the_answer_says_what_waits():
    deps = asking()
    assert "waiting: 3 (promote v2)" in answer(deps, approve, 1)["reasons"][0]
    with pytest.raises(InvalidEvent, match="'case'"):
        answer(deps, approve, "3")


def test_the_schedules_rollback_waits_in_mode_ask_and_a_persons_does_not():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")
    say(deps, "ask")
    assert back(deps, request_id="monitor:w2")["result"] == "asked"
    assert serving(deps) == "v2"
    assert answer(deps, approve, 4)["result"] == "rolled back"
    assert (serving(deps), orders(deps).hold.version) == ("v1", "v2")
    whole(deps)
    say(deps, "watch")
    assert back(deps, to="v2", request_id="r-2")["result"] == "refused"  # a person rejected it
    event = {"action": "rollback", "request_id": "r-3", "to": "v2", "reason": "It was right.", "force": True}

    assert roll_back(event, deps)["result"] == "rolled back"
    whole(deps)


def under_the_floor(rule):
    """v2 is demonstrably better than v1, and both are under the contract's floor of ROC-AUC."""
    raw = {name: value for name, value in CONTRACT.items() if name != "costs"}
    floors = {"roc_auc": 0.95, "recall": 0.1, "precision": 0.0}
    contract = read_contract({**raw, "floors": {**floors, "roc_auc": 0.5}, "version": "0"})
    strict = read_contract({**raw, "floors": floors, "promotion": {"below_floors": rule}})
    deps = PromoteDeps(MemoryObjectStore(), lambda: NOW)
    publish(deps.store, "v1", artifacts("v1", WEAK, holdout(contract)))
    publish(deps.store, "v2", artifacts("v2", STRONG, holdout(strict)))
    judge(deps, "v1")
    return deps, judge(deps, "v2")


def test_nothing_under_the_floors_replaces_a_champion_without_a_person():
    """O1: a champion of .848 was replaced by one of .580 whose labels were lies."""
    deps, result = under_the_floor("ask")
    assert (result["result"], serving(deps)) == ("asked", "v1")
    assert "under the contract's floor 0.950" in result["reasons"][1]
    assert answer(deps, approve, 2)["result"] == "promoted"
    whole(deps)


def test_a_contract_may_refuse_what_is_under_its_floors():
    deps, result = under_the_floor("refuse")
    assert (result["result"], serving(deps)) == ("refused", "v1")
    assert "below_floors" in result["would_change"][0]
    whole(deps)


def test_rollback_goes_back_in_the_order_of_service():
    """O13: the second `to: null` went forward to the rejected model."""
    deps = deps_of(("v1", (1.5, -0.2)), ("v2", (1.5, 0.4)), ("v3", STRONG))
    for version in ("v1", "v2", "v3"):
        assert judge(deps, version)["result"] == "promoted"
    assert back(deps, request_id="first")["new_version"] == "v2"
    assert back(deps, request_id="second")["new_version"] == "v1"
    last = back(deps, request_id="third")
    assert (last["result"], last["new_version"]) == ("refused", "v1")
    assert "not rolled back from" in last["reasons"][0]
    whole(deps)
    assert orders(deps).rejected == ("v3", "v2")


def test_a_record_from_before_orders_replays_and_its_hold_is_read_from_the_log():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")
    back(deps)

    before = None
    for n in (1, 2, 3):  # as the code of before wrote them
        raw = decode_any(deps.store.get(decision_key(n)).data)
        raw.pop("orders")
        data = encode(raw | {"prev_sha256": before})
        deps.store.put(decision_key(n), data)
        before = sha256(data)
        deps.store.put(request_key(raw["request_id"]), encode_index(IndexEntry(raw["request_id"], n, before)))
    whole(deps)
    assert orders(deps).hold.version == "v2"
    assert judge(deps, "v2", "monitor:w1")["gate"] == "hold"
    whole(deps)
