"""A captured line says what was answered, and what was repaired only where something was."""

from stillgood.domain.contract.capture_record import CapturedPrediction, CapturedRejection


def test_a_prediction_without_repairs_has_no_field_for_them():
    made = CapturedPrediction("p", "2026-11-24T00:00:00Z", None, {"age": 3.0}, 0.5, 0.25, True, "v1")
    assert made.to_dict() == {
        "kind": "prediction",
        "prediction_id": "p",
        "time": "2026-11-24T00:00:00Z",
        "entity_id": None,
        "features": {"age": 3.0},
        "score": 0.5,
        "probability": 0.25,
        "decision": True,
        "model": "v1",
    }


def test_repairs_are_named():
    made = CapturedPrediction("p", "t", "C1", {}, 0.5, 0.25, True, "v1", ("age",))
    assert made.to_dict()["repairs"] == ("age",)


def test_a_rejection_holds_rules_and_no_values():
    broken = ({"field": "age", "rule": "range"},)
    assert CapturedRejection("t", broken, "v1").to_dict() == {
        "kind": "rejection",
        "time": "t",
        "violations": [{"field": "age", "rule": "range"}],
        "model": "v1",
    }
