import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from stillgood.api.app import create_app
from stillgood.api.labels import labels_router
from stillgood.api.openapi import document, row_schema
from stillgood.aws.capture import Capture
from stillgood.domain.contract.contract import Contract, Feature, Target
from stillgood.domain.contract.row_check import RowChecker
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore

FEATURES = (
    Feature("free", "numeric", nullable=True),
    Feature("bounded", "numeric", minimum=-1.5, maximum=1000),
    Feature("mended", "numeric", if_missing=2.0),
    Feature("whole", "integer", minimum=0, nullable=True, description="Months"),
    Feature("flag", "boolean"),
    Feature("level", "categorical", levels=("No", "Yes", "No phone")),
    Feature("open", "categorical", levels=("a", "b"), unseen="accept", nullable=True),
)
CONTRACT = Contract("any", "1", "id", "at", Target("left", "yes", "no"), FEATURES)
FINE = {"free": 1.5, "bounded": 0, "mended": 1, "whole": 3, "flag": True, "level": "Yes", "open": "a"}
PLAIN: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    1.0,
    2.5,
    -1.5,
    1000,
    1001,
    "",
    "Yes",
    "No",
    "a",
    "c",
    "1",
    [],
    {},
    "x" * 256,
]
VALUES = st.one_of(
    st.sampled_from(PLAIN), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False)
)
NAMES = sorted([*FINE, "id", "at", "left", "colour"])


def described(contract: Contract | None) -> dict[str, Any]:
    def clock() -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    store = MemoryObjectStore()
    serving = PredictDeps(ChampionSource(store, clock, 0), Capture(store), clock, lambda: "id", 10, 10_000)
    return document(create_app(serving, [labels_router(serving, store)]), contract, max_rows=10)


@pytest.mark.parametrize("contract", [None, CONTRACT])
def test_the_document_is_valid_openapi(contract: Contract | None) -> None:
    validate(described(contract))


def test_every_route_names_its_answer_and_its_problems() -> None:
    made = described(CONTRACT)
    assert set(made["paths"]) == {"/predict", "/labels", "/model", "/status"}
    for path in made["paths"].values():
        for route in path.values():
            answers = route["responses"]
            assert "$ref" in json.dumps(answers["200"]["content"]["application/json"]["schema"])
            assert all(
                set(answer["content"]) == {"application/problem+json"}
                for status, answer in answers.items()
                if status != "200"
            )
    body = made["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["oneOf"][1] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Row"},
        "maxItems": 10,
    }
    assert made["components"]["schemas"]["Problem"]["properties"]["violations"]


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3), st.sets(st.sampled_from(NAMES), max_size=2))
def test_the_schema_takes_exactly_the_rows_that_the_contract_takes(changes: dict[str, Any], without: set[str]) -> None:
    row = {name: value for name, value in {**FINE, **changes}.items() if name not in without}
    broken = RowChecker(CONTRACT).check(row).violations
    assert Draft202012Validator(row_schema(CONTRACT)).is_valid(row) == (not broken), broken


def test_a_text_that_is_too_long_is_refused_by_both() -> None:
    for length, fits in ((256, True), (257, False)):
        row = {**FINE, "open": "ü" * length}
        assert Draft202012Validator(row_schema(CONTRACT)).is_valid(row) is fits
        assert (not RowChecker(CONTRACT).check(row).violations) is fits


def test_what_true_means_is_said() -> None:
    schemas = described(replace(CONTRACT, target=Target("churn", "Yes", "No")))["components"]["schemas"]
    assert schemas["Prediction"]["properties"]["decision"]["description"] == "true: churn = Yes"
    assert schemas["Row"]["properties"]["whole"]["description"] == "Months"
