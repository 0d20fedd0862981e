"""Matured labels meet their predictions: training rows once each, and the champion judged by what came true."""

import csv
import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.labels import Label
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.model.evaluation import Estimate, Metrics
from stillgood.domain.model.model import Model, sigmoid
from stillgood.domain.promotion.decision import Pointer, Proposal, Release
from stillgood.steps.monitor.outcomes import join, outcomes, write_training_rows
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, artifact_key, capture_key
from stillgood.storage.labels import append
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso
from stillgood.testing.faulty import Crashed, FaultyObjectStore

DAY = datetime(2026, 10, 1, tzinfo=UTC)
SPAN = Window(DAY, DAY + timedelta(days=1))
MATURED = DAY + timedelta(days=32)  # the contract's 30 days, and the day itself
VERSION = "20260901-000000000001"
_SHARE = Estimate(0.5, 0.45, 0.55)
PROMISED = Metrics(
    Estimate(0.8, 0.78, 0.82), _SHARE, _SHARE, _SHARE, Estimate(0.17, 0.16, 0.18), 0.01, 3_000, 800, 900
).to_dict()


def capture(store: MemoryObjectStore, row: dict[str, Any], number: int, **more: Any) -> dict[str, Any]:
    at = DAY + timedelta(minutes=number)
    score = more.pop("score", 0.5)
    record = {
        "kind": "prediction",
        "prediction_id": f"p{number}",
        "time": iso(at),
        "entity_id": f"C{number}",
        "features": row,
        "score": score,
        "probability": score,
        "decision": score >= 0.5,
        "model": VERSION,
    } | more
    store.put(capture_key(at, f"u{number}"), orjson.dumps(record) + b"\n")
    return record


@pytest.fixture
def row(telco: Contract) -> dict[str, Any]:
    return dict(RowChecker(telco).check(telco.example()).values)


def label(key: str, answer: str = "Yes", days: float = 10, **named: str) -> Label:
    return Label(iso(DAY + timedelta(days=days)), named.get("prediction_id", key), named.get("entity_id", ""), answer)


def written(store: MemoryObjectStore) -> list[dict[str, str]]:
    files = [store.get(info.key).data.decode() for info in store.list("data/")]
    return [line for text in files for line in csv.DictReader(io.StringIO(text, newline=""))]


def test_a_label_finds_its_prediction_by_id_or_by_entity(telco: Contract, row: dict[str, Any]) -> None:
    store = MemoryObjectStore()
    for number in range(4):
        capture(store, row, number)
    append(store, [label("p0"), Label(iso(DAY + timedelta(days=3)), "", "C1", "No"), label("nobody")])
    joined = join(store, telco, SPAN)
    assert [(one.prediction_id, positive) for one, positive in joined.rows] == [("p0", True), ("p1", False)]
    assert joined.coverage == 0.5
    assert joined.counts["without_prediction"] == 1


def test_an_entitys_label_from_before_the_prediction_or_long_after_is_not_its_outcome(
    telco: Contract, row: dict[str, Any]
) -> None:
    store = MemoryObjectStore()
    capture(store, row, 0)
    capture(store, row, 1)
    append(
        store,
        [Label(iso(DAY - timedelta(days=1)), "", "C0", "Yes"), Label(iso(DAY + timedelta(days=60)), "", "C1", "Yes")],
    )
    assert join(store, telco, Window(DAY, DAY + timedelta(hours=1))).rows == ()


def test_training_rows_are_written_once_and_pass_the_contract(telco: Contract, row: dict[str, Any]) -> None:
    store = MemoryObjectStore()
    for number in range(3):
        capture(store, row, number)
    append(store, [label("p0"), label("p1", "No")])
    assert write_training_rows(store, telco, MATURED) == {"rows": 2, "files": 1, "personal": 0}
    assert write_training_rows(store, telco, MATURED) == {"rows": 0, "files": 0, "personal": 0}
    append(store, [label("p2", "No", days=33)])  # late
    assert write_training_rows(store, telco, MATURED)["rows"] == 1
    rows = written(store)
    assert sorted(one["prediction_id"] for one in rows) == ["p0", "p1", "p2"]
    for one in rows:
        checked = RowChecker(telco).check(one, text=True, extra="ignore")
        assert checked.violations == ()
        assert checked.values == row


def test_nothing_is_learnt_before_it_has_matured(telco: Contract, row: dict[str, Any]) -> None:
    store = MemoryObjectStore()
    capture(store, row, 0)
    append(store, [label("p0")])
    assert write_training_rows(store, telco, DAY + timedelta(days=30)) == {"rows": 0, "files": 0, "personal": 0}
    assert write_training_rows(store, telco, DAY + timedelta(days=30, minutes=1, microseconds=17))["rows"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_writing_rows_is_mended_by_the_retry(telco: Contract, row: dict[str, Any], when: Any) -> None:
    store = MemoryObjectStore()
    capture(store, row, 0)
    append(store, [label("p0")])
    with pytest.raises(Crashed):
        write_training_rows(FaultyObjectStore(store, at=1, when=when), telco, MATURED)
    write_training_rows(store, telco, MATURED)
    assert [one["prediction_id"] for one in written(store)] == ["p0"]


@pytest.fixture
def judged(
    telco: Contract, draw_model: Callable[..., Model], make_champion: Callable[..., None]
) -> Callable[[MemoryObjectStore, Callable[[float], bool]], Pointer]:
    """Captures 400 predictions of a champion with AUC expected at .80, and labels each as the given rule of its score says."""

    def do(store: MemoryObjectStore, rule: Callable[[float], bool]) -> Pointer:
        make_champion(store, draw_model(telco, VERSION))
        values = dict(RowChecker(telco).check(telco.example()).values)
        draw = random.Random(1)
        labels = []
        for number in range(400):
            score = sigmoid(draw.gauss(0, 1.5))
            capture(store, values, number, score=score)
            labels.append(label(f"p{number}", "Yes" if rule(score) else "No"))
        append(store, labels)
        pointer = Registry(store).pointer()
        assert pointer is not None
        return Pointer.from_dict(pointer.to_dict() | {"metrics": PROMISED})

    return do


def test_a_champion_whose_probabilities_come_true_is_found_well(telco: Contract, judged: Any) -> None:
    store, draw = MemoryObjectStore(), random.Random(2)
    pointer = judged(store, lambda score: draw.random() < score)
    found = outcomes(store, telco, pointer, Window(MATURED - timedelta(days=2), MATURED - timedelta(days=1)))
    assert found.labels["coverage"] == 1.0
    assert found.labels["biased"] is False
    assert found.realised is not None
    assert abs(found.realised.drop) < 0.05
    assert found.realised.calibration_p > 0.01


def test_concept_drift_is_found_by_labels(telco: Contract, judged: Any) -> None:
    store, draw = MemoryObjectStore(), random.Random(2)
    pointer = judged(store, lambda score: draw.random() < 1 - score)
    found = outcomes(store, telco, pointer, Window(MATURED - timedelta(days=2), MATURED - timedelta(days=1)))
    assert found.realised is not None
    assert found.realised.drop > 0.3
    assert found.realised.drop_p < 1e-6


def test_yesterdays_labels_do_not_judge_todays_window(telco: Contract, judged: Any) -> None:
    store = MemoryObjectStore()
    pointer = judged(store, lambda score: score > 0.5)
    found = outcomes(store, telco, pointer, Window(MATURED - timedelta(days=1), MATURED))
    assert found.realised is None
    assert found.labels["predictions"] == 0


def test_labels_of_acted_on_customers_only_are_flagged(telco: Contract, judged: Any) -> None:
    store, draw = MemoryObjectStore(), random.Random(2)
    pointer = judged(store, lambda score: draw.random() < score)
    kept = MemoryObjectStore()
    for info in store.list("capture/"):
        kept.put(info.key, store.get(info.key).data)
    seen = [orjson.loads(kept.get(info.key).data) for info in kept.list("capture/")]
    append(kept, [label(one["prediction_id"]) for one in seen if one["decision"]])
    del pointer
    assert join(kept, telco, SPAN).biased is True


def renamed(model: Model, version: str, turn: float) -> Model:
    """``model`` under another name, its ranking turned around when ``turn`` is -1."""
    raw = model.to_dict()
    for term in raw["terms"]:
        if term["kind"] == "numeric":
            term["weight"] *= turn
        else:
            term["weights"] = {level: weight * turn for level, weight in term["weights"].items()}
    return Model.from_dict(raw | {"version": version, "baseline": raw["baseline"] * turn})


@pytest.mark.parametrize(("came_by", "looked_at"), [("promote", True), ("rollback", False)])
def test_the_version_before_is_looked_at_once_and_not_after_a_rollback(
    telco: Contract,
    draw_model: Callable[..., Model],
    make_champion: Callable[..., None],
    came_by: Any,
    looked_at: bool,
) -> None:
    store, draw = MemoryObjectStore(), random.Random(3)
    better = draw_model(telco, "20260101-better")
    worse = renamed(better, VERSION, -1.0)
    make_champion(store, better)
    data = encode(worse.to_dict())
    publish(store, worse.version, {MODEL: data})
    key = artifact_key(worse.version, MODEL)
    release = Release(worse.version, key, sha256(data), "no reference", PROMISED, worse.threshold)
    Registry(store).decide(
        "second", lambda _: Proposal(iso(DAY), came_by, "second", worse.version, ("by hand",), release=release)
    )
    labels = []
    for number in range(400):
        values = dict(RowChecker(telco).check(telco.example()).values) | {"tenure": float(draw.randrange(72))}
        capture(store, values, number, score=worse.score(values).score)
        labels.append(label(f"p{number}", "Yes" if draw.random() < better.score(values).score else "No"))
    append(store, labels)
    pointer = Registry(store).pointer()
    assert pointer is not None

    found = outcomes(store, telco, pointer, Window(MATURED - timedelta(days=2), MATURED - timedelta(days=1)))

    if looked_at:
        assert found.previous_gain is not None
        assert found.previous_gain.value > 0
    else:
        assert found.previous_gain is None
