"""Rows that nobody sent: made of quantiles and frequent levels, and their reasons lead to their probability."""

import math
from dataclasses import replace

import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.drift.examples import CHANGED, examples
from stillgood.domain.drift.reference import Reference, build_reference
from stillgood.domain.model.model import Model, sigmoid
from stillgood.storage.codec import decode_any, encode


@pytest.fixture
def of_telco(telco, draw_model) -> tuple[Model, Reference]:
    rows = [telco.example() | {"tenure": float(i % 72)} for i in range(300)]
    model = draw_model(telco, "v1")
    return model, build_reference(model, Frame.from_values(telco, rows), np.linspace(0, 1, 300))


def test_an_example_adds_up_to_its_probability(of_telco):
    model, reference = of_telco
    for example in examples(model, reference):
        total = math.fsum([example.base, *example.contributions.values(), example.calibration])
        assert sigmoid(total) == pytest.approx(example.probability, abs=1e-12)
        assert example.decision == (example.probability >= model.threshold)
        assert list(example.contributions) == list(model.names)


def test_the_typical_row_is_medians_and_the_others_differ_in_what_moves_it_most(of_telco):
    typical, likelier, less_likely = examples(*of_telco)
    assert typical.values["tenure"] == 34  # of 300 rows with 0 to 71 in turn, 150 have at most 34
    assert less_likely.probability < typical.probability < likelier.probability
    for other in (likelier, less_likely):
        changed = [name for name, value in other.values.items() if value != typical.values[name]]
        assert 1 <= len(changed) <= CHANGED


def test_values_are_as_they_would_be_sent(of_telco):
    model, reference = of_telco
    for example in examples(model, Reference.from_dict(decode_any(encode(reference.to_dict())))):
        for feature in model.contract.features:
            value = example.values[feature.name]
            if feature.kind == "boolean":
                assert isinstance(value, bool)
            if feature.kind == "categorical":
                assert value in feature.levels


def test_of_personal_fields_nothing_is_known(of_telco):
    model, _ = of_telco
    features = tuple(replace(feature, pii=feature.name == "tenure") for feature in model.contract.features)
    contract = replace(model.contract, features=features)
    private = replace(model, contract=contract)
    frame = Frame.from_values(contract, [contract.example()] * 100)
    for example in examples(private, build_reference(private, frame, np.linspace(0, 1, 100))):
        assert example.values["tenure"] is None
