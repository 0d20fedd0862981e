"""Asked to recalibrate, train keeps the champion's weights and fits calibration and threshold to the newest rows."""

import csv
import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from stillgood.domain.errors import InvalidEvent, NoChampion, NotEnoughData
from stillgood.domain.model.model import Model
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeInvoker
from stillgood.training.tracking import Tracking

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONTRACT = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "readings",
    "version": "1",
    "id": "customer",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [{"name": "x", "kind": "numeric"}, {"name": "z", "kind": "numeric"}],
    "floors": {"roc_auc": 0.6, "recall": 0.8, "precision": 0.1},
    "training": {"min_rows": 100, "holdout_rows": 1000},
}
ASKED = {"request_id": "monitor:w2", "reason": "probabilities are off", "window": "w2", "action": "recalibrate"}


def rows(shift, count, seed, turn=1.0):
    """Customers who leave more often the higher x is; ``shift`` moves everybody's log odds, ``turn`` -1 turns x
    around.
    """
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count))
    left = rng.random(count) < 1 / (1 + np.exp(1.5 - shift - 2 * turn * x))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["customer", "x", "z", "left"])
    for at in range(count):
        writer.writerow([f"{seed}-{at}", f"{x[at]:.6f}", f"{z[at]:.6f}", "yes" if left[at] else "no"])
    return text.getvalue().encode()


class World:
    """A bucket in which a first model serves."""

    def __init__(self):
        self.store = MemoryObjectStore()
        self.store.put("contract.json", json.dumps(CONTRACT).encode())
        self.store.put("data/2026-11-01/a.csv", rows(0.0, 3000, 1))
        self.first = self.train({"request_id": "first"})["version"]
        assert self.promote("first")["result"] == "promoted"

    def train(self, event):
        self.invoked = FakeInvoker()
        return train(event, TrainDeps(self.store, self.invoked, lambda: NOW, Tracking(None)))

    def promote(self, request_id):
        assert self.invoked.events[0][1]["request_id"] == request_id
        return promote(self.invoked.events[0][1], PromoteDeps(self.store, lambda: NOW))

    def read(self, version, name):
        return json.loads(self.store.get(f"models/{version}/{name}").data)

    def model(self, version):
        return Model.from_dict(self.read(version, "model.json"))


@pytest.fixture
def world():
    return World()


def test_more_positives_than_before_are_met_by_a_new_calibration_of_the_same_weights(world):
    world.store.put("data/2026-11-20/b.csv", rows(1.0, 6000, 2))

    made = world.train(ASKED)
    decision = world.promote("monitor:w2")

    before, after = world.model(world.first), world.model(made["version"])
    assert (made["result"], decision["result"]) == ("trained", "promoted")
    assert (after.terms, after.baseline) == (before.terms, before.baseline)
    assert after.calibration.intercept > before.calibration.intercept + 0.5
    assert after.training["recalibrates"] == world.first
    metrics = world.read(made["version"], "metrics.json")
    assert metrics["recalibrates"] == world.first
    assert metrics["rows"]["train"] == 1000
    card = world.store.get(f"models/{made['version']}/card.md").data.decode()
    assert f"The weights are those of {world.first}; calibration and threshold were fitted anew on the 1000" in card


def test_monitoring_goes_on_comparing_with_what_the_weights_were_learned_from(world):
    world.store.put("data/2026-11-20/b.csv", rows(1.0, 6000, 2))
    version = world.train(ASKED)["version"]

    before, after = world.read(world.first, "reference.json"), world.read(version, "reference.json")
    assert after == before | {"version": version}


def test_where_nothing_changed_the_gate_refuses(world):
    world.store.put("data/2026-11-20/b.csv", rows(0.0, 6000, 3))
    world.train(ASKED)

    assert world.promote("monitor:w2")["result"] == "refused"


def test_the_same_request_and_the_same_rows_make_one_version(world):
    world.store.put("data/2026-11-20/b.csv", rows(1.0, 3000, 2))
    first, again = world.train(ASKED), world.train(ASKED)
    other = world.train(ASKED | {"request_id": "monitor:w3"})
    retrained = world.train({"request_id": "retrain"})

    assert first["version"] == again["version"] == other["version"] != retrained["version"]
    assert again["duplicate"] is True
    assert other["result"] == "skipped"


def test_a_second_recalibration_still_names_whose_weights_they_are(world):
    world.store.put("data/2026-11-20/b.csv", rows(1.0, 6000, 2))
    world.train(ASKED)
    world.promote("monitor:w2")
    world.store.put("data/2026-11-21/c.csv", rows(-1.0, 6000, 4))
    second = world.train(ASKED | {"request_id": "monitor:w3"})["version"]

    assert world.model(second).training["recalibrates"] == world.first


def test_a_ranking_that_turned_around_cannot_be_calibrated(world):
    world.store.put("data/2026-11-20/b.csv", rows(0.0, 6000, 5, turn=-1.0))

    with pytest.raises(NotEnoughData, match="features say nothing"):
        world.train(ASKED)
    assert world.invoked.events == []


def test_without_a_champion_there_is_nothing_to_recalibrate():
    store = MemoryObjectStore()
    store.put("contract.json", json.dumps(CONTRACT).encode())
    store.put("data/2026-11-01/a.csv", rows(0.0, 600, 1))

    with pytest.raises(NoChampion, match="train one"):
        train(ASKED, TrainDeps(store, FakeInvoker(), lambda: NOW, Tracking(None)))


def test_under_another_contract_the_weights_cannot_be_kept(world):
    world.store.put("contract.json", json.dumps(CONTRACT | {"version": "2"}).encode())

    with pytest.raises(InvalidEvent, match="train anew"):
        world.train(ASKED)


def test_an_action_that_does_not_exist_is_refused(world):
    with pytest.raises(InvalidEvent, match=r"'action' is \"train\""):
        world.train(ASKED | {"action": "retune"})
