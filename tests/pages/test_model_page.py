"""A model's page: weights, shapes, pairs and examples, each figure computed again from the stored objects."""

import csv
import io
from datetime import UTC, datetime

import numpy as np
import pytest
from stillgood.domain.contract.contract import Contract, Feature, Target
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model
from stillgood.domain.model.pairs import UNIT, NumericAxis, PairTerm, StepTerm
from stillgood.domain.model.shape_intervals import T, shape_intervals
from stillgood.domain.model.shapes import shapes
from stillgood.domain.promotion.folds import FoldModels
from stillgood.pages import weights
from stillgood.pages.model import model_page
from stillgood.pages.writer import write_model
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.codec import decode_any, encode
from stillgood.storage.keys import FOLDS, METRICS, MODEL, artifact_key, model_page_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeInvoker
from stillgood.training.tracking import Tracking

from tests.pages.test_pages import LIMIT, Tags

CONTRACT = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "readings",
    "version": "1",
    "id": "customer",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "x", "kind": "numeric", "nullable": True},
        {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"]},
        {"name": "sure", "kind": "boolean"},
        {"name": "age", "kind": "integer", "pii": True, "minimum": 18, "maximum": 97},
    ],
    "training": {"min_rows": 100, "family": "logistic"},
}


@pytest.fixture(scope="module")
def trained() -> tuple[MemoryObjectStore, str]:
    rng = np.random.default_rng(1)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["customer", "x", "plan", "sure", "age", "left"])
    for at in range(500):
        x = rng.normal()
        left = rng.random() < 1 / (1 + np.exp(-2 * x))
        shown = "" if at % 20 == 0 else f"{x:.4f}"
        age = 18 + at % 80
        writer.writerow([f"c{at}", shown, ["basic", "plus"][at % 2], ["true", "false"][at % 3 > 0], age, "yes" if left else "no"])  # fmt: skip # noqa: E501
    store = MemoryObjectStore()
    store.put("contract.json", encode(CONTRACT))
    store.put("data/2026-11-23/rows.csv", text.getvalue().encode())
    deps = TrainDeps(store, FakeInvoker(), lambda: datetime(2026, 11, 23, 12, tzinfo=UTC), Tracking(None))
    version = train({"request_id": "first"}, deps)["version"]
    write_model(store, version)
    return store, version


def words(data: bytes) -> list[str]:
    return [text.strip() for text in Tags(data).text if text.strip()]


def read(store, version, name):
    return decode_any(store.get(artifact_key(version, name)).data)


def logits(value):
    return f"{value:+.3f}"


def test_every_weight_and_interval_is_that_of_the_stored_models(trained):
    store, version = trained
    model = Model.from_dict(read(store, version, MODEL))
    folds = FoldModels.from_dict(model.contract, read(store, version, FOLDS)).models
    shown = words(store.get(model_page_key(version)).data)

    def bounds(at, value):
        others = np.array([fold.terms[at].contribution(value) for fold in folds])
        error = np.sqrt(4 / 5 * ((others - others.mean()) ** 2).sum())
        share = model.terms[at].contribution(value)
        return [logits(share), logits(share - T * error), logits(share + T * error)]

    def row(name):
        return [shown[at + 1 : at + 4] for at, text in enumerate(shown) if text == name]

    for level in ("basic", "plus"):
        assert bounds(1, level) in row(level)
    for name, value in (("false", 0.0), ("true", 1.0)):
        assert bounds(2, value) in row(name)
    assert bounds(0, None) in row("missing")
    line = model.terms[0]
    _, low, high = bounds(0, line.center + line.scale)
    assert f"{logits(line.weight)} [{low}, {high}] per {line.scale:,.4g}" in shown
    assert bounds(0, line.center + 2 * line.scale) in row(f"{line.center + 2 * line.scale:,.6g}")


def test_reasons_of_examples_are_those_that_the_model_gives(trained):
    store, version = trained
    model = Model.from_dict(read(store, version, MODEL))
    data = store.get(model_page_key(version)).data
    shown = words(data)
    tail = shown[shown.index("A typical row") :]
    plan, sure = tail[tail.index("plan") + 1], tail[tail.index("sure") + 1]
    x = tail[tail.index("x") + 1]
    stored = decode_any(store.get(artifact_key(version, "reference.json")).data)
    middle = min(stored["numeric"]["x"]["values"], key=lambda value: abs(value - float(x)))
    score = model.score({"x": middle, "plan": plan, "sure": float(sure == "true"), "age": None})
    assert f"probability {100 * score.probability:.1f}%, {'flagged' if score.decision else 'not flagged'}" in tail
    for name, adds in zip(model.names, score.contributions, strict=True):
        assert logits(adds) in tail[tail.index(name) + 1 : tail.index(name) + 3]


def test_nothing_of_a_personal_field_is_shown(trained):
    store, version = trained
    text = store.get(model_page_key(version)).data.decode()
    assert "Personal fields are not drawn" in text
    assert ">age</h3>" not in text
    assert "97" not in words(text.encode())


def test_an_older_version_is_shown_without_intervals(trained):
    store, version = trained
    metrics = {name: part for name, part in read(store, version, METRICS).items() if name != "shape_intervals"}
    data = model_page(read(store, version, MODEL), metrics)
    assert "This version stored no intervals." in data.decode()
    assert b'class="band"' not in data
    assert b'class="dots"' in data
    damaged = model_page(read(store, version, MODEL), metrics | {"shape_intervals": "?"})
    assert "This version stored no intervals." in damaged.decode()


def test_each_plot_has_its_table(trained):
    store, version = trained
    text = store.get(model_page_key(version)).data.decode()
    for figure in text.split("<figure")[1:]:
        inside = figure.partition("</figure>")[0]
        assert "<table" in inside or "Recall and precision by the share flagged" in inside


def boosted(features=25, cuts=250, pairs=20, seed=0) -> Model:
    """Of as many steps, levels and cells as a boosted model can have."""
    rng = np.random.default_rng(seed)
    names = [f"a_feature_with_a_long_name_{at}" for at in range(features)]
    levels = tuple(f"a long name of level {at}" for at in range(200))
    kinds = tuple(
        Feature(name, "categorical", levels=levels) if at % 5 == 0 else Feature(name, "numeric", nullable=True)
        for at, name in enumerate(names)
    )
    contract = Contract("wide", "1", None, None, Target("y", "1", "0"), kinds)
    at = tuple(float(cut) for cut in range(1, cuts + 1))
    terms = tuple(
        CategoricalTerm(feature.name, dict(zip(levels, rng.normal(size=200).tolist(), strict=True)), 0.1)
        if feature.categorical
        else StepTerm(feature.name, at, tuple(rng.normal(size=cuts + 1).tolist()), 0.1, 0.0, 1.0, 0.0, 0.0, cuts + 1.0)
        for feature in kinds
    )
    numbers = [feature.name for feature in kinds if not feature.categorical]
    tables = rng.integers(-(2**46), 2**46, (pairs, 42, 42)).tolist()
    axes = [(NumericAxis(numbers[at % 20], at_) , NumericAxis(numbers[(at + 1) % 20], at_)) for at in range(pairs) for at_ in [tuple(float(c) for c in range(40))]]  # fmt: skip # noqa: E501
    both = tuple(
        PairTerm(first, second, tuple(tuple(row) for row in cells))
        for (first, second), cells in zip(axes, tables, strict=True)
    )
    return Model("v", contract, terms, 0.0, 0.0, Calibration(1.0, 0.0), {}, "boosted", both)


def test_a_page_of_25_features_of_many_steps_levels_and_pairs_stays_small():
    model = boosted()
    intervals = shape_intervals(model, [boosted(seed=fold) for fold in range(1, 6)])
    rows = [{"threshold": at / 50, "flagged": 0.5, "recall": 0.5, "precision": 0.5} for at in range(51)]
    metrics = {"shape_intervals": intervals, "thresholds": rows, "threshold": 0.5}
    assert len(model_page(model.to_dict(), metrics)) < LIMIT


def test_a_pairs_table_has_the_stored_numbers():
    model = boosted(features=5, cuts=5, pairs=1)
    shown = words(model_page(model.to_dict(), {}))
    (pair,) = shapes(model)["pairs"]
    places = weights.places(42)
    assert len(places) == weights.MAX_PLACES
    assert (places[0], places[-1]) == (0, 41)
    for i in places:
        name = pair["rows"][i].removeprefix(f"{pair['features'][0]} ")
        expected = [logits(model.pairs[0].table[i][j] * UNIT) for j in places]
        assert any(shown[at + 1 : at + 1 + len(places)] == expected for at, text in enumerate(shown) if text == name)
