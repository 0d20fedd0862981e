"""Another operating point in force: one record, decided from its evidence, replayable, and rolled back by point or by
model.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from stillgood.cli.place import Place
from stillgood.cli.verbs.status import status
from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import DocumentUnusable, InvalidEvent
from stillgood.domain.model.model import Calibration, Model, NumericTerm, sigmoid
from stillgood.domain.operating_point.calibration import Labelled
from stillgood.domain.operating_point.correction import Correction
from stillgood.domain.operating_point.decide import PointInputs, uncertain
from stillgood.domain.operating_point.evidence import from_dict, to_dict, trimmed
from stillgood.domain.operating_point.placement import Population
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.pages.writer import write_decision
from stillgood.steps.promote.move import champion_of, move
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.champion import ChampionSource, load_served
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import INDEX_PAGE, POINTER_KEY, point_evidence_key, point_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.points import write_evidence
from stillgood.storage.registry import Registry

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "c",
        "version": "1",
        "target": {"name": "left", "positive": "1", "negative": "0"},
        "features": [{"name": "x", "kind": "numeric"}],
    }
)


def release(store: MemoryObjectStore, version: str) -> Release:
    model = Model(version, CONTRACT, (NumericTerm("x", 0.0, 1.0, 1.0),), 0.0, 0.5, Calibration(1.0, 0.0))
    data = encode(model.to_dict())
    store.put(f"models/{version}/model.json", data)
    return Release(version, f"models/{version}/model.json", sha256(data), "r", {}, model.threshold)


def serve(store: MemoryObjectStore, version: str) -> None:
    Registry(store).decide(
        f"promote {version}",
        lambda head: Proposal(
            "2026-11-01T00:00:00Z", "promote", f"promote {version}", version, (), release=release(store, version)
        ),
    )


def evidence(mean: float, seed: int = 0) -> PointInputs:
    logits = np.random.default_rng(seed).normal(mean, 1.5, 3000)
    nobody = Labelled(np.empty(0), np.empty(0, dtype=bool), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    return PointInputs(
        Objective("recall", 0.8), 0.8, PointRules(), uncertain(Calibration(1.0, 0.0)), 0.5, Correction(),
        Population(logits, np.arange(3000)), nobody,
    )  # fmt: skip


def request_move(store: MemoryObjectStore, inputs: PointInputs, request: str, **about: object) -> dict[str, object]:
    pointer = Registry(store).pointer()
    assert pointer is not None
    document = {"champion": champion_of(pointer) | about, "window": "w", **to_dict(trimmed(inputs))}
    event = {"action": "move", "request_id": request, "evidence": write_evidence(store, document)}
    return move(event, deps(store))


def deps(store: MemoryObjectStore) -> PromoteDeps:
    return PromoteDeps(store, lambda: NOW)


@pytest.fixture
def store() -> MemoryObjectStore:
    store = MemoryObjectStore()
    serve(store, "v1")
    return store


def test_a_move_is_one_record_and_the_next_answer_is_decided_by_it(store: MemoryObjectStore) -> None:
    source = ChampionSource(store, lambda: NOW, 0.0)
    before = source.current()
    result = request_move(store, evidence(-2.0), "monitor:w")
    assert (result["result"], result["new_version"]) == ("moved", "v1")
    after = source.current()
    pointer = Registry(store).pointer()
    assert pointer is not None
    assert pointer.point is not None
    assert (pointer.generation, pointer.point.generation, pointer.previous) == (2, 2, None)
    assert pointer.promoted_at == "2026-11-01T00:00:00Z"
    assert after.model.operating_point == pointer.point.id
    row = {"x": -0.5}
    assert (before.model.score(row).decision, after.model.score(row).decision) == (False, True)
    assert before.model.score(row).contributions == after.model.score(row).contributions
    later = np.random.default_rng(9).normal(-2.0, 1.5, 50_000)
    left = np.random.default_rng(10).uniform(size=50_000) < np.vectorize(sigmoid)(later)
    assert (later >= after.model.threshold_logit)[left].mean() == pytest.approx(0.8, abs=0.02)


def test_the_served_point_costs_no_request_while_nothing_changes(store: MemoryObjectStore) -> None:
    request_move(store, evidence(-2.0), "monitor:w")
    source = ChampionSource(store, lambda: NOW, 0.0)
    source.current()
    reads: list[str] = []
    get, store.get = store.get, lambda key: reads.append(key) or get(key)  # type: ignore[method-assign, func-returns-value]
    assert source.current().model.operating_point is not None
    assert reads in ([], [POINTER_KEY])


def test_a_duplicate_gets_the_first_answer(store: MemoryObjectStore) -> None:
    first, second = (request_move(store, evidence(-2.0), "monitor:w", point=None) for _ in range(2))
    assert second == first | {"duplicate": True, "says": second["says"]}


def test_evidence_about_another_point_than_the_one_in_force_is_refused(store: MemoryObjectStore) -> None:
    request_move(store, evidence(-2.0), "monitor:1")
    result = request_move(store, evidence(-4.0), "monitor:2", point=None)
    assert result["result"] == "refused"
    assert "v1 at its own operating point" in str(result["reasons"])


def test_evidence_that_moves_nothing_is_refused_with_its_reasons(store: MemoryObjectStore) -> None:
    threshold = float(np.quantile(evidence(0.0).population.logits, 0.4))
    result = request_move(store, replace(evidence(0.0), rules=PointRules(margin=0.5), threshold=threshold), "monitor:w")
    assert result["result"] == "refused"
    assert "within" in str(result["reasons"])


@pytest.mark.parametrize("data", [b"{}", b"not json", None])
def test_evidence_that_was_tampered_with_or_lost_is_refused(store: MemoryObjectStore, data: bytes | None) -> None:
    pointer = Registry(store).pointer()
    assert pointer is not None
    digest = write_evidence(store, {"champion": champion_of(pointer), **to_dict(trimmed(evidence(-2.0)))})
    store.delete(point_evidence_key(digest)) if data is None else store.put(point_evidence_key(digest), data)
    assert move({"request_id": "r", "evidence": digest}, deps(store))["result"] == "refused"


def test_the_log_of_moves_verifies_and_replays_to_the_same_bytes(store: MemoryObjectStore) -> None:
    request_move(store, evidence(-2.0), "monitor:1")
    request_move(store, replace(evidence(-4.0), threshold=-2.0), "monitor:2")
    roll_back({"request_id": "back", "point": "previous", "reason": "too many calls"}, deps(store))
    roll_back({"request_id": "own", "point": "own", "reason": "start again"}, deps(store))
    assert verify(store) == ()
    decisions = list(Registry(store).decisions())
    assert [decision.action for decision in decisions] == ["promote", "move", "move", "rollback", "rollback"]
    assert all(check_inputs(store, decision) == () for decision in decisions)
    assert [(replayed.n, replayed.same) for replayed in replay(store, [2, 3, 4, 5])] == [
        (2, True),
        (3, True),
        (4, True),
        (5, True),
    ]


def test_a_rollback_by_point_keeps_the_model_and_by_model_takes_its_last_point(store: MemoryObjectStore) -> None:
    request_move(store, evidence(-2.0), "monitor:1")
    first = Registry(store).pointer()
    request_move(store, replace(evidence(-4.0), threshold=-2.0), "monitor:2")
    second = Registry(store).pointer()
    assert first is not None
    assert second is not None
    roll_back({"request_id": "a", "point": "previous", "reason": "x"}, deps(store))
    now = Registry(store).pointer()
    assert now is not None
    assert (now.point, now.generation, now.threshold) == (first.point, 4, first.threshold)
    serve(store, "v2")
    roll_back({"request_id": "b", "to": "v1", "reason": "x"}, deps(store))
    now = Registry(store).pointer()
    assert now is not None
    assert (now.version, now.point) == ("v1", first.point)
    named = roll_back({"request_id": "c", "point": second.point.id, "reason": "x"}, deps(store))  # type: ignore[union-attr]
    assert named["result"] == "rolled back"
    own = roll_back({"request_id": "d", "point": "own", "reason": "x"}, deps(store))
    assert own["result"] == "rolled back"
    assert load_served(store, Registry(store).pointer()).operating_point is None  # type: ignore[arg-type]


def test_a_point_that_never_served_and_both_ways_at_once_are_refused(store: MemoryObjectStore) -> None:
    assert roll_back({"request_id": "a", "point": "abc", "reason": "x"}, deps(store))["result"] == "refused"
    assert roll_back({"request_id": "b", "point": "own", "reason": "x"}, deps(store))["result"] == "refused"
    with pytest.raises(InvalidEvent, match="goes by 'to'"):
        roll_back({"request_id": "c", "point": "own", "to": "v0", "reason": "x"}, deps(store))


def test_a_point_whose_bytes_changed_does_not_serve(store: MemoryObjectStore) -> None:
    request_move(store, evidence(-2.0), "monitor:1")
    pointer = Registry(store).pointer()
    assert pointer is not None
    assert pointer.point is not None
    store.put(point_key(pointer.point.id), b"{}")
    with pytest.raises(DocumentUnusable, match="is not what it was"):
        ChampionSource(store, lambda: NOW, 0.0).current()


def test_evidence_comes_back_from_its_document() -> None:
    inputs = trimmed(replace(evidence(-1.0), fresh=900))
    again = from_dict(to_dict(inputs))
    assert (to_dict(again), again.fresh) == (to_dict(inputs), 900)
    before = {name: part for name, part in to_dict(inputs).items() if name != "fresh"}
    assert from_dict(before).fresh == 0
    with pytest.raises(DocumentUnusable, match="malformed"):
        from_dict(to_dict(inputs) | {"population": {"logits": [1.0], "entities": []}})


def test_status_names_the_promotion_and_the_move_as_the_overview_does() -> None:
    store = MemoryObjectStore()
    serve(store, "v1")
    assert serving_line(store).startswith("v1 since 2026-11-01 00:00 UTC, by decision 1")
    assert "operating point" not in serving_line(store)
    assert request_move(store, evidence(0.0), "w1")["result"] == "moved"
    assert "by decision 1, its operating point by decision 2" in serving_line(store)
    write_decision(store, 1)
    write_decision(store, 2)
    shown = re.sub("<[^>]+>", "", store.get(INDEX_PAGE).data.decode())
    assert "by decision 1, its operating point by decision 2" in shown


def serving_line(store: MemoryObjectStore) -> str:
    (line,) = [line for line in status(Place(store, "here", ""))["lines"] if line["topic"] == "serving"]
    return str(line["text"])
