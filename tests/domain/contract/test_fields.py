"""The reference of the contract's fields says what the strict reader does: examples are read, wrong values refused at
their place.
"""

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from stillgood.domain.contract.fields import FIELDS, SCHEMA_URL, SECTIONS, Field, fields_of, json_schema
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid

from tests.domain.contract.test_contract import RAW, TOY
from tests.domain.contract.test_contract import SECTIONS as SECTION_VALUES

ROOT = Path(__file__).parents[3]
SCHEMA = Draft202012Validator(json_schema())
# What a field needs beside it, and the feature it is tried on.
BESIDE: dict[str, dict[str, Any]] = {
    "objective.cost": {"costs": {"miss": 5, "offer": 1}},
    "labels.absent": {"labels": {"horizon_days": 10}},
    "actions.control_share": {"actions": {}},
    "actions": {"actions": {"control_share": 0.1}},
    "costs.miss": {"costs": {"offer": 1}},
    "costs.offer": {"costs": {"miss": 1}},
    "costs": {"costs": {"miss": 5, "offer": 1}},
}
TRIED_ON = {"levels": 3, "aliases": 3, "unseen": 3, "as": 5}
BY_THE_READER_ALONE = {"slices", "target.negative", "features[].aliases", "features[].if_missing", "features[].example"}


def with_value(field: Field, value: Any) -> tuple[dict[str, Any], str]:
    """A contract with ``field`` set, and the place at which the reader names it."""
    raw = copy.deepcopy(RAW)
    for name, part in (BESIDE.get(field.place) or BESIDE.get(field.section) or {}).items():
        raw[name] = copy.deepcopy(part)
    if field.section == "features[]":
        raw["features"].append({"name": "joined", "kind": "date", "as": "month"})
        index = TRIED_ON.get(field.name, 0)
        if field.name == "kind":
            raw["features"][0] = {"name": "age"}
        raw["features"][index][field.name] = value
        if field.name == "minimum":
            raw["features"][index].pop("maximum")
        return raw, f"features[{index}].{field.name}"
    if field.section:
        raw.setdefault(field.section, {})[field.name] = value
    else:
        raw[field.name] = value
    return raw, field.place


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.place)
def test_the_example_is_read_and_kept(field: Field) -> None:
    raw, _ = with_value(field, field.example)
    contract = read_contract(raw)
    assert read_contract(contract.to_dict()) == contract
    assert list(SCHEMA.iter_errors(raw)) == []


@pytest.mark.parametrize("field", [field for field in FIELDS if field.wrong is not None], ids=lambda field: field.place)
def test_the_wrong_value_is_refused_at_its_place(field: Field) -> None:
    raw, place = with_value(field, field.wrong)
    with pytest.raises(ContractInvalid) as caught:
        read_contract(raw)
    named = caught.value.extra["path"]
    assert named == place or (field.place, named) == ("slices", "slices[0]")
    assert SCHEMA.is_valid(raw) is (field.place in BY_THE_READER_ALONE)


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if "minimum" in field.schema], ids=lambda field: field.place
)
def test_the_bounds_are_the_readers(field: Field) -> None:
    low, high = field.schema["minimum"], field.schema.get("maximum", field.schema["minimum"] + 1)
    for value in (low, high):
        read_contract(with_value(field, value)[0])
    beyond = [low - 0.001] + ([high * 1.001] if "maximum" in field.schema else [])
    for value in beyond:
        with pytest.raises(ContractInvalid):
            read_contract(with_value(field, value)[0])


@pytest.mark.parametrize("section", SECTIONS)
def test_no_field_of_the_reader_is_missing(section: str) -> None:
    names = [field for field in fields_of(section) if field.required] or list(fields_of(section))[:1]
    raw, _ = with_value(names[0], names[0].example)
    part = raw["features"][0] if section == "features[]" else raw[section] if section else raw
    part["unheard_of"] = 1
    with pytest.raises(ContractInvalid) as caught:
        read_contract(raw)
    known = set(caught.value.detail.removesuffix(".").partition("known are ")[2].split(", "))
    expected = {field.name for field in fields_of(section)}
    if not section:
        expected |= {name.removesuffix("[]") for name in SECTIONS if name}
        known |= {"format", "format_version"}
    assert known == expected


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.required], ids=lambda field: field.place)
def test_the_default_said_is_the_default_meant(field: Field) -> None:
    if field.section in ("objective", "actions", "source", "costs"):
        pytest.skip("the section says something by being there")
    if field.name in ("levels", "as"):
        pytest.skip("required of the kinds that have it")
    raw, _ = with_value(field, field.default)
    without, _ = with_value(field, None)
    assert read_contract(raw) == read_contract(without)
    assert read_contract(raw).sha256 == read_contract(without).sha256


def test_shipped_and_written_contracts_keep_the_schema() -> None:
    shipped = [json.loads(path.read_text()) for path in sorted((ROOT / "contracts").glob("*.json"))]
    for raw in (*(contract for contract in shipped if "format" in contract), RAW, RAW | SECTION_VALUES, TOY.to_dict()):
        assert list(SCHEMA.iter_errors(raw)) == []


def test_the_generated_files_are_current() -> None:
    spec = importlib.util.spec_from_file_location("contract_reference", ROOT / "docs/contract_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run make docs"


def test_the_schema_url_changes_no_hash() -> None:
    assert read_contract({"$schema": SCHEMA_URL} | RAW).sha256 == TOY.sha256
