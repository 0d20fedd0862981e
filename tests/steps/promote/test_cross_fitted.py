"""What promote does with a version that has fold models: it verifies them, scores each row by the one that had not seen
it,
and counts attempts over the champion's tenure."""

import json

import numpy as np
import pytest
from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.model.model import Calibration
from stillgood.domain.operating_point.calibration import Labelled
from stillgood.domain.operating_point.correction import Correction
from stillgood.domain.operating_point.decide import PointInputs, uncertain
from stillgood.domain.operating_point.evidence import to_dict, trimmed
from stillgood.domain.operating_point.placement import Population
from stillgood.domain.promotion.folds import fold_of
from stillgood.pages.writer import curves
from stillgood.steps.promote.move import champion_of, move
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.rollback import roll_back
from stillgood.steps.train.train import train
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.points import write_evidence
from stillgood.storage.registry import Registry

from tests.steps.train.test_train import CONTRACT, EVENT, NOW, as_csv, rows, working


@pytest.fixture
def store():
    """A champion of 600 rows, and a candidate that is judged on 600 others."""
    bucket = MemoryObjectStore()
    bucket.put("contract.json", json.dumps(CONTRACT).encode())
    bucket.put("data/2026-11-01/a.csv", as_csv(rows()))
    judge(bucket, train(EVENT, working(bucket))["version"], "first")
    return bucket


def more(store, seed, request=None):
    """Another candidate, learnt from 600 more rows."""
    store.put(f"data/2026-11-{seed:02d}/b.csv", as_csv(rows(seed=seed, first=1000 * seed)))
    return train({"request_id": request or f"monitor:{seed}"}, working(store))["version"]


def judge(store, version, request):
    return promote({"action": "promote", "candidate": version, "request_id": request}, PromoteDeps(store, lambda: NOW))


def change(store, version, name, edit, *, restate=False):
    """Change a file of a version; ``restate``: and the hash of it that metrics.json states."""
    key = f"models/{version}/{name}"
    raw = decode_any(store.get(key).data)
    edit(raw)
    store.put(key, encode(raw))
    if restate:
        change(store, version, "metrics.json", lambda m: m.update(folds_sha256=sha256(store.get(key).data)))


def test_attempts_are_counted_over_the_champions_tenure_whatever_the_rows(store):
    """D10: five retrains, each with other rows to be judged by, were each "attempt 1"."""
    for seed in (2, 3, 4):
        judge(store, more(store, seed), f"r{seed}")
    figures = [decision.figures for decision in Registry(store).decisions()]
    assert [decided.get("attempt") for decided in figures] == [None, 1, 2, 3]
    assert [decided.get("alpha") for decided in figures[1:]] == [0.04, pytest.approx(0.03), 0.01]
    assert all(decided["gate_version"] == 4 for decided in figures)


def test_a_new_tenure_has_a_new_budget(store):
    first = Registry(store).pointer().version
    simple = PromoteDeps(store, lambda: NOW, "simple")
    for seed in range(2, 12):
        version = more(store, seed)
        judge(store, version, f"r{seed}")
        if (
            promote({"action": "promote", "candidate": version, "request_id": f"s{seed}"}, simple)["result"]
            == "promoted"
        ):
            break
    roll_back({"action": "rollback", "request_id": "back", "to": first, "reason": "Complaints."}, simple)
    judge(store, more(store, 20), "r20")
    assert list(Registry(store).decisions())[-1].figures["attempt"] == 1


def test_each_row_is_scored_by_the_fold_model_that_had_not_seen_it(store):
    version = more(store, 2)
    entities = [int(entity, 16) for entity in decode_any(store.get(f"models/{version}/holdout.json").data)["entities"]]
    third = int((fold_of(np.array(entities, dtype=np.uint64)) == 3).sum())

    def silence(raw):
        for term in raw["models"][3]["terms"]:
            (
                term.update(weight=0.0)
                if term["kind"] == "numeric"
                else term.update(weights=dict.fromkeys(term["weights"], 0.0))
            )

    change(store, version, "folds.json", silence, restate=True)
    judge(store, version, "r2")
    stated = decode_any(store.get(f"models/{version}/metrics.json").data)["holdout"]
    judged = list(Registry(store).decisions())[-1].figures["candidate"]
    assert 0 < third < len(entities)
    assert judged["roc_auc"]["value"] < stated["roc_auc"]["value"] - 0.005
    untouched = more(store, 3)
    judge(store, untouched, "r3")
    again = list(Registry(store).decisions())[-1].figures["candidate"]["roc_auc"]["value"]
    assert again == pytest.approx(
        decode_any(store.get(f"models/{untouched}/metrics.json").data)["holdout"]["roc_auc"]["value"], abs=1e-9
    )


@pytest.mark.parametrize("gate", ["guarded", "simple"])
def test_the_curves_on_the_page_are_of_the_scores_that_the_gate_saw(store, gate):
    version = more(store, 2)

    def silence(raw):
        for term in raw["models"][3]["terms"]:
            if term["kind"] == "numeric":
                term.update(weight=0.0)

    change(store, version, "folds.json", silence, restate=True)
    promote({"action": "promote", "candidate": version, "request_id": "r2"}, PromoteDeps(store, lambda: NOW, gate))
    decision = list(Registry(store).decisions())[-1]
    drawn = curves(store, decision)
    assert drawn.pop("slices") == []  # the contract has none
    assert drawn.keys() == {"candidate", "champion"}
    for role, parts in drawn.items():
        x, y = ([0.0, *(row[name] for row in parts["thresholds"])] for name in ("false_positive_rate", "recall"))
        assert np.trapezoid(y, x) == pytest.approx(decision.figures[role]["roc_auc"]["value"], abs=0.004), role


def test_fold_models_that_are_not_what_was_trained_are_refused(store):
    version = more(store, 2)
    change(store, version, "folds.json", lambda raw: raw.update(against=None))
    result = judge(store, version, "r2")
    assert result["result"] == "refused"
    assert "folds.json is not what was trained" in result["reasons"][0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw.update(models=raw["models"][:4]),
        lambda raw: raw.update(unseen=1),
        lambda raw: raw.update(version="v"),
    ],
)
def test_malformed_fold_models_are_refused(store, edit):
    version = more(store, 2)
    change(store, version, "folds.json", edit, restate=True)
    assert judge(store, version, "r2")["result"] == "refused"


def test_a_candidate_that_was_made_against_another_champion_is_judged_by_both_models_folds(store):
    """Its rows may be among those that today's champion has learnt."""
    version = more(store, 2)
    change(store, version, "folds.json", lambda raw: raw.update(against="20200101-another"), restate=True)
    judge(store, version, "r2")
    decision = list(Registry(store).decisions())[-1]
    assert "champion_folds" in decision.inputs
    assert decision.figures["attempt"] == 1


def test_a_champion_without_folds_that_may_have_learnt_the_rows_is_not_judged(store):
    version = more(store, 2)
    change(store, version, "folds.json", lambda raw: raw.update(against="20200101-another"), restate=True)
    champion = Registry(store).pointer().version
    store.delete(f"models/{champion}/folds.json")
    result = judge(store, version, "r2")
    assert result["result"] == "refused"
    assert "may have learnt from the rows" in result["reasons"][0]


def test_a_retrain_under_another_contract_without_new_rows_is_judged_by_both_models_folds(store):
    store.put("contract.json", json.dumps({**CONTRACT, "version": "2"}).encode())
    version = train({"request_id": "by hand"}, working(store))["version"]
    judge(store, version, "r2")
    decision = list(Registry(store).decisions())[-1]
    assert decision.inputs.keys() >= {"folds", "champion_folds"}
    assert "The candidate gives every row the champion's score" in decision.reasons[0]


@pytest.mark.parametrize(("gate_version", "alpha"), [(2, 0.03), (3, 0.05), (4, 0.04)])
def test_every_candidate_is_judged_and_replayed_by_the_gate_that_it_was_made_for(store, gate_version, alpha):
    version = more(store, 2)
    change(store, version, "folds.json", lambda raw: raw.update(gate_version=gate_version), restate=True)
    judge(store, version, "r2")
    decision = list(Registry(store).decisions())[-1]
    assert (decision.figures["gate_version"], decision.figures["alpha"]) == (gate_version, alpha)
    assert ("champion_folds" in decision.inputs) is (gate_version == 4)
    assert (decision.figures["paired"]["roc_auc"].get("learning_error", 0.0) > 0.0) is (gate_version == 4)
    judge(store, more(store, 4), "r4")
    assert [replayed.same for replayed in replay(store)] == [True, True, True]


def test_a_champion_of_before_fold_models_is_challenged_all_the_same(store):
    store.delete(f"models/{Registry(store).pointer().version}/folds.json")
    judge(store, more(store, 2), "r2")
    decision = list(Registry(store).decisions())[-1]
    assert "champion_folds" not in decision.inputs
    assert decision.figures["paired"]["roc_auc"]["learning_error"] > 0.0


@pytest.mark.parametrize("at_point", [True, False])
def test_the_champion_is_judged_at_the_point_that_serves_and_records_of_before_replay(store, at_point):
    candidate = more(store, 2)
    before = flagged_by_the_champion(store, candidate, "untouched")
    logits = np.random.default_rng(0).normal(-4.0, 1.0, 3000)
    nobody = Labelled(np.empty(0), np.empty(0, dtype=bool), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    inputs = PointInputs(
        Objective("recall", 0.8), 0.8, PointRules(), uncertain(Calibration(1.0, 0.0)), 0.0, Correction(),
        Population(logits, np.arange(3000)), nobody,
    )  # fmt: skip
    document = {"champion": champion_of(Registry(store).pointer()), "window": "w", **to_dict(trimmed(inputs))}
    moved = {"action": "move", "request_id": "m", "evidence": write_evidence(store, document)}
    assert move(moved, PromoteDeps(store, lambda: NOW))["result"] == "moved"
    after = flagged_by_the_champion(store, candidate, "moved", at_point=at_point)
    assert (after > before + 50) is at_point
    record = list(Registry(store).decisions())[-1]
    assert ("champion_point" in record.inputs) is at_point
    assert [replayed.same for replayed in replay(store)] == [True] * 4


def flagged_by_the_champion(store, candidate, request, *, at_point=True):
    event = {"action": "promote", "candidate": candidate, "request_id": request}
    assert promote(event, PromoteDeps(store, lambda: NOW, at_point=at_point))["result"] == "refused"
    return list(Registry(store).decisions())[-1].figures["champion"]["flagged"]


def under(**terms):
    """A first model and a challenger of it under a contract with other ``terms``: how each was decided."""
    bucket = MemoryObjectStore()
    bucket.put("contract.json", json.dumps(CONTRACT | terms).encode())
    bucket.put("data/2026-11-01/a.csv", as_csv(rows()))
    first = train(EVENT, working(bucket))
    judge(bucket, first["version"], "first")
    return bucket, more(bucket, 2)


def test_a_share_that_may_be_flagged_is_met_from_the_first_model_on_and_no_recall_floor_forbids_it():
    store, candidate = under(objective={"capacity": 0.1}, floors={"roc_auc": 0.5, "recall": 0.9, "precision": 0.0})
    first = Registry(store).decision(1)
    assert (first.action, first.figures["candidate"]["recall"]["value"] < 0.6) == ("promote", True)
    judge(store, candidate, "second")
    (replayed,) = replay(store, [2])
    assert replayed.same
    assert Registry(store).decision(2).figures["objective"] == {"kind": "capacity", "value": 0.1}


def test_with_costs_models_are_compared_by_cost_and_by_the_gate_before_at_the_recall_floor():
    store, candidate = under(costs={"miss": 5, "offer": 1})
    change(store, candidate, "folds.json", lambda raw: raw.update(gate_version=3), restate=True)
    judge(store, candidate, "by the gate before")
    judge(store, more(store, 3), "by this one")
    figures = [Registry(store).decision(n).figures for n in (2, 3)]
    assert [decided["objective"]["kind"] for decided in figures] == ["recall", "cost"]
    assert all(replayed.same for replayed in replay(store, [2, 3]))
