"""Both families live the same life: trained, gated, served, batched, monitored, recalibrated, rolled back, replayed,
audited.
"""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits
from stillgood.domain.policy.policies import POLICIES
from stillgood.domain.promotion.holdout import Holdout
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.predict import PredictDeps, predict
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.rollback import roll_back
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.audit import verify
from stillgood.storage.champion import ChampionSource
from stillgood.storage.keys import capture_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso, read_report
from stillgood.testing.fakes import FakeCapture, FakeInvoker
from stillgood.training.tracking import Tracking

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def rules(family):
    return {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": family,
        "id": "customer",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "x", "kind": "numeric"},
            {"name": "z", "kind": "numeric", "nullable": True},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "unseen": "accept"},
        ],
        "floors": {"roc_auc": 0.6, "recall": 0.8, "precision": 0.1},
        "training": {"min_rows": 100, "holdout_rows": 1000, "family": family},
    }


def rows(count, seed, shift=0.0):
    """Customers who leave when x and z have the same sign; ``shift`` moves everybody's log odds."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count)).round(3)
    left = rng.random(count) < 1 / (1 + np.exp(0.5 - shift - 0.8 * x - 2 * x * z))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["customer", "x", "z", "plan", "left"])
    for at in range(count):
        row = [f"{seed}-{at}", x[at], "" if at % 20 == 0 else z[at], "plus" if at % 3 else "basic"]
        writer.writerow([*row, "yes" if left[at] else "no"])
    return text.getvalue().encode()


class World:
    def __init__(self):
        self.store, self.at = MemoryObjectStore(), NOW
        self.store.put("data/2026-11-01/a.csv", rows(4000, 1))

    def clock(self):
        self.at += timedelta(seconds=1)
        return self.at

    def train(self, family, request_id, action="train"):
        """Train and let the gate judge; returns train's answer and the gate's result."""
        self.store.put("contract.json", json.dumps(rules(family)).encode())
        invoked = FakeInvoker()
        deps = TrainDeps(self.store, invoked, self.clock, Tracking(None))
        trained = train({"request_id": request_id, "reason": "test", "action": action}, deps)
        return trained, promote(invoked.events[0][1], PromoteDeps(self.store, self.clock))

    def read(self, version, name):
        return json.loads(self.store.get(f"models/{version}/{name}").data)

    def model(self, version):
        return Model.from_dict(self.read(version, "model.json"))


@pytest.fixture(scope="module")
def world():
    """A logistic champion, replaced by a boosted one, recalibrated, and rolled back to the first."""
    world = World()
    world.first, world.first_result = world.train("logistic", "first")
    world.second, world.second_result = world.train("auto", "second")
    world.store.put("data/2026-11-20/b.csv", rows(4000, 2, shift=1.5))
    world.third, world.third_result = world.train("auto", "third", "recalibrate")
    return world


def test_evidence_chooses_pairs_and_the_gate_promotes_them_over_the_logistic_champion(world):
    assert world.first["family"] == {"name": "logistic", "why": None}
    assert world.second["family"]["name"] == "boosted"
    assert "lose less out of fold, by more than one standard error: ROC-AUC +0." in world.second["family"]["why"]
    assert (world.first_result["result"], world.second_result["result"]) == ("promoted", "promoted")
    assert world.store.get(f"models/{world.second['version']}/model.json").data.startswith(b'{"baseline"')
    assert world.read(world.second["version"], "model.json")["format"] == "stillgood.pairs"


def test_metrics_and_card_have_the_comparison_with_intervals_and_the_stability_of_both(world):
    metrics = world.read(world.second["version"], "metrics.json")
    card = world.store.get(f"models/{world.second['version']}/card.md").data.decode()
    assert metrics["family"] == metrics["comparison"]["chosen"] == "boosted"
    assert metrics["comparison"]["difference"]["low"] > 0
    assert metrics["comparison"]["logistic_roc_auc"]["high"] < metrics["comparison"]["boosted_roc_auc"]["low"]
    assert set(metrics["stability"]) == {"logistic", "boosted"}
    assert f"Family boosted: {metrics['comparison']['why']}." in card
    assert "- x x z: " in card
    assert "Beyond the range of the training rows every effect is constant." in card
    assert "reasons move by" in card


def served(world, version):
    """predict over the store whose champion is ``version``."""
    assert Registry(world.store).pointer().version == version
    ids = iter(range(10**6))
    champions = ChampionSource(world.store, world.clock, 0.0)
    return PredictDeps(champions, FakeCapture(), world.clock, lambda: f"p{next(ids)}", 1000, 10**6)


def test_api_batch_and_gate_answer_alike_and_reasons_add_up_to_the_last_bit(world):
    version = world.third["version"]
    assert world.third_result["result"] == "promoted"
    deps = served(world, version)
    sent = [
        {"x": 0.5, "z": 1.5, "plan": "basic"},
        {"x": -9.0, "z": None, "plan": "gold"},
        {"x": 2, "z": -2, "plan": "plus"},
    ]
    answers = predict(json.dumps(sent).encode(), deps).body["predictions"]
    split = predict(json.dumps(sent).encode(), deps, split_pairs=True).body["predictions"]
    for answer, other in zip(answers, split, strict=True):
        names = [reason["feature"] for reason in answer["reasons"]]
        assert "x x z" in names
        assert sorted(reason["feature"] for reason in other["reasons"]) == ["plan", "x", "z"]
        assert all(set(reason) == {"feature", "value", "contribution"} for reason in answer["reasons"])
        for prediction in (answer, other):
            assert (
                sum((reason["contribution"] for reason in prediction["reasons"]), prediction["baseline"])
                == answer["logit"]
            )
    assert next(reason["value"] for reason in answers[1]["reasons"] if reason["feature"] == "x x z") == "-9 x missing"

    world.store.put("batch/input/some.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in sent))
    scoring = BatchDeps(world.store, deps.champions, world.clock)
    for reasons, expected in ((False, None), (True, answers), ("features", split)):
        summary = batch({"input": "batch/input/some.jsonl", "reasons": reasons}, scoring)
        lines = [json.loads(line) for line in world.store.get(summary["output"]["predictions"]).data.splitlines()]
        assert [line["logit"] for line in lines] == [answer["logit"] for answer in answers]
        if expected:
            assert [line["reasons"] for line in lines] == [answer["reasons"] for answer in expected]

    model = world.model(version)
    raw = world.read(version, "holdout.json")
    frame = Holdout.from_dict(model.contract, raw).frame
    assert np.isfinite(logits(model, frame)).all()


def test_a_recalibration_keeps_steps_and_pairs_and_moves_probabilities(world):
    before, after = world.model(world.second["version"]), world.model(world.third["version"])
    assert (after.terms, after.pairs, after.family) == (before.terms, before.pairs, "boosted")
    assert after.calibration.intercept > before.calibration.intercept + 0.3


def test_a_boosted_champion_is_monitored_and_what_moved_its_score_adds_up_pairs_included(world):
    pointer, model = Registry(world.store).pointer(), world.model(world.second["version"])
    assert (pointer.version, model.family) in {
        (world.second["version"], "boosted"),
        (world.third["version"], "boosted"),
    }
    model = replace(model, version=pointer.version)
    rng, day = np.random.default_rng(5), NOW + timedelta(days=1)
    records = []
    for at in range(800):
        row = {"x": round(rng.normal(), 3), "z": round(rng.normal(0.5), 3), "plan": "plus"}
        score = model.score(row)
        records.append(
            {"kind": "prediction", "prediction_id": f"p{at}", "time": iso(day), "entity_id": f"c{at}", "features": row,
             "score": score.score, "probability": score.probability, "decision": score.decision, "model": model.version}
        )  # fmt: skip
    world.store.put(capture_key(day, "one"), "".join(json.dumps(record) + "\n" for record in records).encode())
    end = NOW.replace(hour=0) + timedelta(days=2)
    deps = MonitorDeps(
        world.store, FakeInvoker(), lambda: end + timedelta(hours=1), lambda _: None, POLICIES["guarded"]
    )
    monitor({"scheduled_time": iso(end)}, deps)
    report = read_report(world.store, Window.ending(end, 24))
    assert report["rows"] == 800
    parts, total = report["contributions"]["parts"], report["contributions"]["total"]
    assert "x x z" in {part["name"] for part in parts}
    assert sum(part["change"]["value"] for part in parts) == pytest.approx(total["change"]["value"], abs=1e-12)
    assert report["operating_point"]["sentence"].startswith("recall: wanted 0.80, estimated")


def test_it_rolls_back_and_every_decision_replays_to_the_same_bytes_and_the_audit_holds(world):
    deps = PromoteDeps(world.store, world.clock)
    event = {"to": world.first["version"], "request_id": "back", "reason": "complaints"}
    assert roll_back(event, deps)["new_version"] == world.first["version"]
    event = {"to": world.third["version"], "request_id": "forth", "reason": "they were wrong"}
    refused = roll_back(event, deps)
    assert (refused["result"], refused["new_version"]) == ("refused", world.first["version"])
    assert "only a rollback with force goes back to it" in refused["reasons"][0]
    event |= {"request_id": "forced", "force": True}
    assert roll_back(event, deps)["new_version"] == world.third["version"]
    assert [(replayed.n, replayed.detail) for replayed in replay(world.store)] == [
        (n, "the same bytes") for n in range(1, 7)
    ]
    assert verify(world.store) == ()
