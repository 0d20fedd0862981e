"""A contract says what a row is; its own mistakes are named by place, a row's by field, all at once."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import ContractInvalid

RAW: dict[str, Any] = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "toy",
    "version": "1",
    "id": "who",
    "time": "at",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "age", "kind": "integer", "minimum": 0, "maximum": 120},
        {"name": "spend", "kind": "numeric", "minimum": 0, "if_missing": 0},
        {"name": "member", "kind": "boolean", "nullable": True},
        {"name": "plan", "kind": "categorical", "levels": ["basic", "pro"]},
        {"name": "city", "kind": "categorical", "levels": ["Rome"], "unseen": "accept", "nullable": True, "pii": True},
    ],
    "floors": {"roc_auc": 0.7, "recall": 0.8, "precision": 0.2},
    "slices": ["plan"],
}
ROW = {"age": 40, "spend": 9.5, "member": True, "plan": "pro", "city": "Rome"}
TOY = Contract.from_dict(RAW)


def rules(raw: dict[str, Any], **how: Any) -> dict[str, str]:
    return {one.field: one.rule for one in TOY.check(raw, **how).violations}


def test_a_contract_survives_its_json_with_the_same_hash() -> None:
    again = Contract.from_dict(json.loads(json.dumps(TOY.to_dict())))
    assert again == TOY
    assert again.sha256 == TOY.sha256


def test_its_example_keeps_it(telco: Contract) -> None:
    for contract in (TOY, telco):
        assert contract.check(contract.example()).violations == ()


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("format",), "other", "format"),
        (("format_version",), 2, "format_version"),
        (("name",), "", "name"),
        (("features",), [], "features"),
        (("features", 0, "kind"), "number", "features[0].kind"),
        (("features", 0, "minimum"), math.nan, "features[0].minimum"),
        (("features", 0, "minimum"), 200, "features[0].minimum"),
        (("features", 0, "mininum"), 1, "features[0].mininum"),
        (("features", 1, "if_missing"), -1, "features[1].if_missing"),
        (("features", 3, "levels"), ["a", "a"], "features[3].levels"),
        (("features", 3, "minimum"), 1, "features[3].minimum"),
        (("features", 1, "name"), "age", "features"),
        (("target", "negative"), "yes", "target.negative"),
        (("floors", "recall"), 1.5, "floors.recall"),
        (("slices",), ["age"], "slices[0]"),
        (("training",), {"min_rows": True}, "training.min_rows"),
        (("colour",), "red", "colour"),
    ],
)
def test_a_broken_contract_is_named_by_place(path: tuple[Any, ...], value: Any, place: str) -> None:
    raw = copy.deepcopy(RAW)
    part: Any = raw
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(ContractInvalid) as caught:
        Contract.from_dict(raw)
    assert caught.value.extra["path"] == place


def test_all_fields_are_named_at_once() -> None:
    broken = {"age": 1.5, "spend": "9", "member": "yes", "plan": "gold", "city": 7, "agee": 1}
    assert rules(broken) == {
        "age": "whole",
        "spend": "type",
        "member": "type",
        "plan": "level",
        "city": "type",
        "agee": "unknown",
    }


@pytest.mark.parametrize(
    ("value", "rule"),
    [(True, "type"), (-1, "range"), (121, "range"), (math.nan, "finite"), (math.inf, "finite"), (10**400, "finite"), ([], "type"), ({}, "type"), (None, "required"), ("12", "type")],
)  # fmt: skip
def test_a_number_is_read_strictly_from_json(value: Any, rule: str) -> None:
    assert rules(ROW | {"age": value}) == {"age": rule}


def test_text_is_parsed_trimmed_and_repaired_by_the_stated_rule() -> None:
    checked = TOY.check(
        {"who": " c7 ", "age": " 40 ", "spend": " ", "member": "Yes", "plan": "pro ", "city": "Oslo", "x": "1"},
        text=True,
        extra="ignore",
    )
    assert checked.values == {"age": 40.0, "spend": 0.0, "member": 1.0, "plan": "pro", "city": "Oslo"}
    assert [(one.field, one.rule, one.after) for one in checked.repairs] == [("spend", "if_missing", 0.0)]
    assert checked.violations == ()
    assert checked.entity_id == "c7"


def test_personal_values_are_never_shown() -> None:
    raw = copy.deepcopy(RAW)
    raw["features"][4]["unseen"] = "refuse"
    (violation,) = Contract.from_dict(raw).check(ROW | {"city": "Secret Street 1"}).violations
    assert violation.value is None
    assert "Secret" not in violation.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*ROW, "who", "at", "left", "x"]) | st.text(max_size=4), JSON), st.booleans())
def test_a_check_never_raises_and_its_findings_are_json(raw: dict[str, Any], text: bool) -> None:
    checked = TOY.check(raw, text=text)
    told = [[one.field, one.rule, one.value, one.message] for one in checked.violations]
    json.dumps(told, allow_nan=False).encode()
    if not checked.violations:
        assert list(checked.values) == [one.name for one in TOY.features]


@given(
    st.integers(-5, 130),
    st.floats(-5, 1e6, allow_nan=False),
    st.booleans(),
    st.sampled_from(["basic", "pro", "gold"]),
)
def test_json_and_text_agree_on_equal_rows(age: int, spend: float, member: bool, plan: str) -> None:
    row = {"age": age, "spend": spend, "member": member, "plan": plan, "city": "Rome"}
    text = {"age": str(age), "spend": repr(spend), "member": str(member).lower(), "plan": plan, "city": "Rome"}
    one, other = TOY.check(row), TOY.check(text, text=True)
    assert one.values == other.values
    assert [(v.field, v.rule) for v in one.violations] == [(v.field, v.rule) for v in other.violations]
