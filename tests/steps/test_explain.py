"""A prediction explained later by its id is the answer of then, bit for bit; its reasons lead to its probability."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import InvalidRows
from stillgood.domain.model.model import Calibration, Model
from stillgood.domain.operating_point.point import OperatingPoint
from stillgood.domain.promotion.decision import Proposal
from stillgood.steps.explain import explain
from stillgood.steps.predict import PredictDeps, predict
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.points import write_point
from stillgood.storage.registry import Registry

NOW = datetime(2026, 11, 23, 18, 5, 7, 250, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def serve(store: MemoryObjectStore, make_champion: Callable[..., None], draw_model: Callable[..., Model]):
    """Make a champion of a contract, and answer a row by it."""
    numbers = count(1)

    def serving(contract: Contract) -> Callable[[dict[str, Any]], dict[str, Any]]:
        make_champion(store, draw_model(contract, "20261123-first"))
        source = ChampionSource(store, lambda: NOW, ttl_seconds=0)
        deps = PredictDeps(source, Capture(store), lambda: NOW, lambda: f"id-{next(numbers)}", 300, 1_000_000)
        return lambda row: json.loads(predict(json.dumps(row).encode(), deps).data)

    return serving


def move(store: MemoryObjectStore, calibration: Calibration) -> None:
    """Put another operating point of the champion in force."""
    registry = Registry(store)
    pointer = registry.pointer()
    assert pointer is not None
    point = OperatingPoint(
        pointer.version, pointer.model_sha256, "recall", 0.8, calibration, 0.3, "2026-11-23T00:00:00Z"
    )
    ref = write_point(store, point, 1)
    release = replace(pointer.release, point=ref, threshold=point.threshold)
    registry.decide(
        "m", lambda _: Proposal("2026-11-23T01:00:00Z", "move", "m", pointer.version, ("so",), release=release)
    )


def test_base_reasons_and_calibration_add_up_to_the_shown_probability(serve, telco: Contract) -> None:
    answer = serve(telco)
    for seed in range(50):
        body = answer({**telco.example(), "tenure": seed, "monthly_charges": 20.0 + seed})
        order = [feature.name for feature in telco.features]
        logit = body["baseline"]
        for reason in sorted(body["reasons"], key=lambda reason: order.index(reason["feature"])):
            logit += reason["contribution"]
        assert logit == body["logit"]
        assert 1 / (1 + math.exp(-(logit + body["calibration"]))) == pytest.approx(body["probability"], rel=1e-14)


def test_values_come_back_as_they_were_sent(serve, telco: Contract) -> None:
    row = {**telco.example(), "tenure": 3, "senior_citizen": True}
    body = serve(telco)(row)
    assert {reason["feature"]: json.dumps(reason["value"]) for reason in body["reasons"]} == {
        feature.name: json.dumps(row[feature.name]) for feature in telco.features
    }


def test_an_answer_is_explained_again_under_the_operating_point_of_then(
    serve, store: MemoryObjectStore, telco: Contract
) -> None:
    answer = serve(telco)
    row = {**telco.example(), "tenure": 3}
    own = answer(row)
    move(store, Calibration(0.5, 0.7))
    moved = answer(row)
    move(store, Calibration(0.4, 0.1))
    assert own["probability"] != moved["probability"]
    for prediction in (own, moved):
        again = explain(store, prediction["prediction_id"])
        assert again is not None
        assert again.same
        assert json.loads(json.dumps(again.body)) == prediction
    assert explain(store, "nobody") is None


def test_a_capture_that_was_changed_is_not_passed_off_as_the_answer(
    serve, store: MemoryObjectStore, telco: Contract
) -> None:
    prediction = serve(telco)({**telco.example(), "tenure": 3})
    (key,) = [info.key for info in store.list("capture/")]
    store.put(key, store.get(key).data.replace(b'"tenure":3.0', b'"tenure":4.0'))
    again = explain(store, prediction["prediction_id"])
    assert again is not None
    assert not again.same


def test_personal_data_is_not_captured_and_so_not_explained(serve, store: MemoryObjectStore, telco: Contract) -> None:
    features = tuple(replace(feature, pii=feature.name == "tenure") for feature in telco.features)
    prediction = serve(replace(telco, features=features))(telco.example())
    with pytest.raises(InvalidRows, match="tenure is personal data"):
        explain(store, prediction["prediction_id"])
