import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import InvalidRows, MalformedRequest, NoChampion, RequestTooLarge
from stillgood.domain.model.model import Model
from stillgood.steps.predict import MAX_VIOLATIONS, PredictDeps, contract, describe, predict, status
from stillgood.storage.champion import ChampionSource
from stillgood.storage.keys import STANDING_KEY
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.standing import write_standing
from stillgood.testing.fakes import FakeCapture

NOW = datetime(2026, 11, 23, 18, 5, 7, 250, tzinfo=UTC)
type Enthrone = Callable[[ObjectStore, Model], None]
type Draw = Callable[..., Model]


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def captured() -> FakeCapture:
    return FakeCapture()


@pytest.fixture
def serving(store: MemoryObjectStore, captured: FakeCapture) -> PredictDeps:
    numbers = count(1)
    source = ChampionSource(store, lambda: NOW, ttl_seconds=0)
    return PredictDeps(source, captured, lambda: NOW, lambda: f"id-{next(numbers)}", max_rows=300, max_bytes=1_000_000)


@pytest.fixture
def model(store: MemoryObjectStore, telco: Contract, draw_model: Draw, make_champion: Enthrone) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def test_one_object_is_answered_by_one_decision_with_its_reasons(
    serving: PredictDeps, model: Model, telco: Contract
) -> None:
    row = {**telco.example(), "customer_id": "7590-VHVEG", "tenure": 3}
    answered = predict(body(row), serving)
    expected = model.score(RowChecker(telco).check(row).values)
    prediction = dict(answered.body)
    assert prediction.pop("reasons") == [
        {"feature": name, "value": RowChecker(telco).check(row).values[name], "contribution": added}
        for added, name in sorted(
            zip(expected.contributions, [f.name for f in telco.features], strict=True), key=lambda pair: -abs(pair[0])
        )
    ]
    assert prediction == {
        "prediction_id": "id-1",
        "entity_id": "7590-VHVEG",
        "probability": expected.probability,
        "decision": expected.decision,
        "threshold": model.threshold,
        "score": expected.score,
        "confidence": expected.confidence,
        "logit": expected.logit,
        "baseline": -0.3,
        "calibration": model.calibration.adds(expected.logit),
        "repairs": [],
        "model_version": "20261123-first",
        "operating_point": None,
    }
    assert (answered.rows, answered.model_version) == (1, "20261123-first")


def test_the_reasons_add_up_to_the_logit_to_the_last_bit(serving: PredictDeps, model: Model, telco: Contract) -> None:
    prediction: Any = predict(body(telco.example()), serving).body
    contribution = {reason["feature"]: reason["contribution"] for reason in prediction["reasons"]}
    logit = prediction["baseline"]
    for feature in telco.features:
        logit += contribution[feature.name]
    assert logit == prediction["logit"]


def test_a_list_is_answered_in_its_order_by_one_model(serving: PredictDeps, model: Model, telco: Contract) -> None:
    rows = [{**telco.example(), "customer_id": f"c{n}", "tenure": n} for n in range(50)]
    answer: Any = predict(body(rows), serving).body
    assert list(answer) == ["predictions"]
    assert [prediction["entity_id"] for prediction in answer["predictions"]] == [f"c{n}" for n in range(50)]
    alone: Any = predict(body(rows[7]), serving).body
    assert {**answer["predictions"][7], "prediction_id": None} == {**alone, "prediction_id": None}


def test_an_empty_list_has_an_empty_answer_and_no_record(
    serving: PredictDeps, model: Model, captured: FakeCapture
) -> None:
    assert predict(b"[]", serving).body == {"predictions": []}
    assert captured.written == []


def test_every_prediction_is_recorded_as_it_was_answered(
    serving: PredictDeps, model: Model, telco: Contract, captured: FakeCapture
) -> None:
    rows = [{**telco.example(), "customer_id": f"c{n}"} for n in range(3)]
    answer: Any = predict(body(rows), serving).body
    (records,) = captured.written
    assert [record["prediction_id"] for record in records] == [
        prediction["prediction_id"] for prediction in answer["predictions"]
    ]
    assert records[1] == {
        "kind": "prediction",
        "prediction_id": "id-2",
        "time": "2026-11-23T18:05:07.000250Z",
        "entity_id": "c1",
        "features": RowChecker(telco).check(rows[1]).values,
        "score": answer["predictions"][1]["score"],
        "probability": answer["predictions"][1]["probability"],
        "decision": answer["predictions"][1]["decision"],
        "model": "20261123-first",
    }


def test_a_feature_marked_pii_is_answered_about_but_never_recorded(
    store: MemoryObjectStore,
    serving: PredictDeps,
    captured: FakeCapture,
    telco: Contract,
    draw_model: Draw,
    make_champion: Enthrone,
) -> None:
    features = tuple(replace(feature, pii=True) if feature.name == "tenure" else feature for feature in telco.features)
    private = replace(telco, features=features)
    make_champion(store, draw_model(private, "v1"))
    predict(body(telco.example()), serving)
    assert "tenure" not in captured.written[0][0]["features"]
    assert len(captured.written[0][0]["features"]) == len(telco.features) - 1
    with pytest.raises(InvalidRows) as refused:
        predict(body({**telco.example(), "tenure": 987654}), serving)
    assert "987654" not in str(refused.value.to_dict())
    assert "987654" not in str(captured.written)


def test_every_broken_field_of_every_row_is_named_at_once_and_nothing_is_predicted(
    serving: PredictDeps, model: Model, telco: Contract, captured: FakeCapture
) -> None:
    good = telco.example()
    without = {name: value for name, value in good.items() if name != "contract"}
    rows = [good, {**without, "tenure": -1, "colour": "red"}, good, {**good, "monthly_charges": "70"}]
    with pytest.raises(
        InvalidRows, match="2 of 4 rows break the contract in 4 places; nothing was predicted"
    ) as refused:
        predict(body(rows), serving)
    assert [(v["row"], v["field"], v["rule"], v["value"]) for v in refused.value.violations] == [
        (1, "tenure", "range", -1),
        (1, "contract", "required", None),
        (1, "colour", "unknown", None),
        (3, "monthly_charges", "type", "70"),
    ]
    assert refused.value.violations[0]["message"] == "tenure must be within 0 and 120, not -1."


def test_refused_rows_are_recorded_by_rule_without_their_values(
    serving: PredictDeps, model: Model, telco: Contract, captured: FakeCapture
) -> None:
    with pytest.raises(InvalidRows):
        predict(body([telco.example(), {**telco.example(), "tenure": -1}]), serving)
    assert captured.written == [
        [
            {
                "kind": "rejection",
                "time": "2026-11-23T18:05:07.000250Z",
                "violations": [{"field": "tenure", "rule": "range"}],
                "model": "20261123-first",
                "request_rows": 1,
            }
        ]
    ]


def test_a_long_list_of_violations_is_cut_and_still_counted(
    serving: PredictDeps, model: Model, telco: Contract, captured: FakeCapture
) -> None:
    with pytest.raises(InvalidRows, match="in 4500 places") as refused:
        predict(body([{}] * 250), serving)
    assert len(refused.value.violations) == MAX_VIOLATIONS
    with pytest.raises(InvalidRows, match="in 1000 places"):
        predict(body({**telco.example(), **{f"x{n}": 0 for n in range(1000)}}), serving)
    assert len(captured.written[-1][0]["violations"]) == MAX_VIOLATIONS


@pytest.mark.parametrize("value", [1e308, -1e308, 1.7976931348623157e308])
def test_a_number_that_overflows_the_model_is_refused_not_answered_with_infinity(
    value: float,
    store: MemoryObjectStore,
    serving: PredictDeps,
    telco: Contract,
    draw_model: Draw,
    make_champion: Enthrone,
) -> None:
    free = replace(telco, features=tuple(replace(feature, minimum=None, maximum=None) for feature in telco.features))
    model = draw_model(free, "v1")
    terms = tuple(
        replace(term, center=0.0, scale=1e-6) if term.name == "total_charges" else term for term in model.terms
    )
    make_champion(store, replace(model, terms=terms))
    with pytest.raises(InvalidRows) as refused:
        predict(body({**telco.example(), "total_charges": value}), serving)
    assert [(v["field"], v["rule"], v["value"]) for v in refused.value.violations] == [
        ("total_charges", "overflow", value)
    ]


def test_values_json_can_say_and_a_model_cannot_use_are_refused(
    serving: PredictDeps, model: Model, telco: Contract
) -> None:
    for value in (10**400, math.pi * 10**300, "NaN", True, [], {"a": 1}, "x" * 10_000):
        with pytest.raises(InvalidRows) as refused:
            predict(body({**telco.example(), "total_charges": value}), serving)
        assert len(json.dumps(refused.value.to_dict())) < 1000


def test_a_repaired_value_is_told(
    serving: PredictDeps, store: MemoryObjectStore, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    mended = tuple(
        replace(feature, if_missing=12.0) if feature.name == "tenure" else feature for feature in telco.features
    )
    make_champion(store, draw_model(replace(telco, features=mended), "v1"))
    prediction: Any = predict(body({**telco.example(), "tenure": None}), serving).body
    assert prediction["repairs"] == [{"field": "tenure", "rule": "if_missing", "before": None, "after": 12.0}]


def test_limits_and_shape_are_checked_before_a_champion_is_needed(serving: PredictDeps) -> None:
    with pytest.raises(RequestTooLarge):
        predict(body([{}] * 301), serving)
    with pytest.raises(RequestTooLarge):
        predict(b" " * 1_000_001, serving)
    with pytest.raises(MalformedRequest):
        predict(b"tenure=3", serving)


def test_without_a_champion_it_says_how_to_get_one(serving: PredictDeps, captured: FakeCapture) -> None:
    with pytest.raises(NoChampion, match="train a model and promote it"):
        predict(b"{}", serving)
    with pytest.raises(NoChampion):
        describe(serving)
    assert contract(serving) is None
    state = status(serving)
    assert state["serving"] is False
    assert "train a model" in state["champion"]["last_error"]


def test_the_status_tells_what_lasts(serving: PredictDeps, store: MemoryObjectStore) -> None:
    assert status(serving)["monitoring"] is None
    lasting = [{"name": "labels", "since": "2026-11-01T00:00:00Z", "message": "deaf since 2026-11-01"}]
    write_standing(store, "20261123T000000Z_20261124T000000Z", lasting)
    assert status(serving)["monitoring"] == {"window": "20261123T000000Z_20261124T000000Z", "standing": lasting}
    store.put(STANDING_KEY, b"{")
    assert status(serving)["monitoring"] is None


def test_a_promotion_is_picked_up_without_a_restart(
    serving: PredictDeps,
    store: MemoryObjectStore,
    model: Model,
    telco: Contract,
    draw_model: Draw,
    make_champion: Enthrone,
) -> None:
    assert predict(body(telco.example()), serving).model_version == "20261123-first"
    make_champion(store, draw_model(telco, "20261124-second", 1))
    assert predict(body(telco.example()), serving).model_version == "20261124-second"
    described = describe(serving)
    assert (described["version"], described["generation"], described["contract"]) == (
        "20261124-second",
        2,
        telco.to_dict(),
    )
    assert json.loads(json.dumps(status(serving)))["champion"]["version"] == "20261124-second"
