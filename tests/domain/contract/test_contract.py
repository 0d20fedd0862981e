"""A contract says what a row is; its own mistakes are named by place, a row's by field, all at once."""

import copy
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
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
TOY = read_contract(RAW)
CHECKER = RowChecker(TOY)


def rules(raw: dict[str, Any], **how: Any) -> dict[str, str]:
    return {violation.field: violation.rule for violation in CHECKER.check(raw, **how).violations}


def test_a_contract_survives_its_json_with_the_same_hash() -> None:
    again = read_contract(json.loads(json.dumps(TOY.to_dict())))
    assert again == TOY
    assert again.sha256 == TOY.sha256


def test_its_example_keeps_it(telco: Contract) -> None:
    for contract in (TOY, telco):
        assert RowChecker(contract).check(contract.example()).violations == ()


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
        read_contract(raw)
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
    [(True, "type"), (-1, "range"), (121, "range"), (math.nan, "finite"), (math.inf, "finite"), (10**400, "finite"), ([], "type"), ({}, "type"), (None, "required"), ("12", "type")],  # noqa: E501
)  # fmt: skip
def test_a_number_is_read_strictly_from_json(value: Any, rule: str) -> None:
    assert rules(ROW | {"age": value}) == {"age": rule}


def test_text_is_parsed_trimmed_and_repaired_by_the_stated_rule() -> None:
    checked = CHECKER.check(
        {"who": " c7 ", "age": " 40 ", "spend": " ", "member": "Yes", "plan": "pro ", "city": "Oslo", "x": "1"},
        text=True,
        extra="ignore",
    )
    assert checked.values == {"age": 40.0, "spend": 0.0, "member": 1.0, "plan": "pro", "city": "Oslo"}
    assert [(repair.field, repair.rule, repair.after) for repair in checked.repairs] == [("spend", "if_missing", 0.0)]
    assert checked.violations == ()
    assert checked.entity_id == "c7"


def test_personal_values_are_never_shown() -> None:
    raw = copy.deepcopy(RAW)
    raw["features"][4]["unseen"] = "refuse"
    (violation,) = RowChecker(read_contract(raw)).check(ROW | {"city": "Secret Street 1"}).violations
    assert violation.value is None
    assert "Secret" not in violation.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*ROW, "who", "at", "left", "x"]) | st.text(max_size=4), JSON), st.booleans())
def test_a_check_never_raises_and_its_findings_are_json(raw: dict[str, Any], text: bool) -> None:
    checked = CHECKER.check(raw, text=text)
    listed = [[violation.field, violation.rule, violation.value, violation.message] for violation in checked.violations]
    json.dumps(listed, allow_nan=False).encode()
    if not checked.violations:
        assert list(checked.values) == [feature.name for feature in TOY.features]


@given(
    st.integers(-5, 130),
    st.floats(-5, 1e6, allow_nan=False),
    st.booleans(),
    st.sampled_from(["basic", "pro", "gold"]),
)
def test_json_and_text_agree_on_equal_rows(age: int, spend: float, member: bool, plan: str) -> None:
    row = {"age": age, "spend": spend, "member": member, "plan": plan, "city": "Rome"}
    text = {"age": str(age), "spend": repr(spend), "member": str(member).lower(), "plan": plan, "city": "Rome"}
    typed, read = CHECKER.check(row), CHECKER.check(text, text=True)
    assert typed.values == read.values
    assert [(v.field, v.rule) for v in typed.violations] == [(v.field, v.rule) for v in read.violations]


SECTIONS: dict[str, Any] = {
    "source": {"delimiter": ";", "decimalChar": ",", "missingValues": ["", "NA"], "timeZone": "Europe/Rome"},
    "labels": {"horizon_days": 10, "absent": "negative", "vouched_sources": ["crm"]},
    "objective": {"precision": 0.4},
    "operating_point": {"mode": "fixed", "max_flagged": 0.4},
    "actions": {"control_share": 0.05, "rotate_days": 30, "exempt": "vip"},
    "training": {"family": "auto", "half_life_days": 90},
    "promotion": {"below_floors": "refuse"},
    "extra": "ignore",
    "capture": "required",
    "callers": "hashed",
}


def test_a_contract_without_the_later_sections_keeps_its_hash(telco: Contract) -> None:
    assert telco.sha256 == "2fa8c9251e626b5973a290b965555ef2628d04ff758ec2908f2d1fce5e1502ad"
    assert TOY.sha256 == "3ca72e941ea51c13a7151818e3b67c05255fc84208581882b7083f6830425669"
    assert not telco.to_dict().keys() & (SECTIONS.keys() - {"training"})


def test_sections_that_only_say_their_defaults_change_no_hash() -> None:
    said = {
        "labels": {"absent": "unknown", "min_coverage": 0},
        "operating_point": {"mode": "follow"},
        "promotion": {"below_floors": "ask"},
        "training": {"family": "logistic", "half_life_days": None},
        "extra": "refuse",
        "capture": "best_effort",
        "callers": "named",
    }
    assert read_contract(RAW | said).sha256 == TOY.sha256


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_survives_its_json_and_changes_the_hash(name: str) -> None:
    contract = read_contract(RAW | {name: SECTIONS[name]})
    written = contract.to_dict()
    assert read_contract(json.loads(json.dumps(written))) == contract
    assert contract.sha256 != TOY.sha256
    if name != "training":
        expected = SECTIONS[name]
        assert written[name] == (expected | {"by": "entity"} if name == "actions" else expected)


def test_that_nobody_acts_can_be_said_and_is_not_the_same_as_silence() -> None:
    said = read_contract(RAW | {"actions": "none"})
    assert (said.actions, said.control) == ("none", None)
    assert said.to_dict()["actions"] == "none"
    assert said.sha256 != TOY.sha256


def test_sections_that_are_absent_mean_what_was_so_before() -> None:
    assert (TOY.objective.kind, TOY.objective.value) == ("recall", TOY.floors.recall)
    assert TOY.label_maturity_days == TOY.monitoring.label_maturity_days
    assert read_contract(RAW | {"labels": {"maturity_days": 3}}).label_maturity_days == 3
    assert (TOY.actions, TOY.control, TOY.source, TOY.extra, TOY.training.family) == (
        None,
        None,
        None,
        "refuse",
        "logistic",
    )


@pytest.mark.parametrize(
    ("section", "value", "place"),
    [
        ("source", {"delimiter": ";;"}, "source.delimiter"),
        ("source", {"decimalChar": ",", "groupChar": ","}, "source.groupChar"),
        ("source", {"trueValues": ["J"], "falseValues": ["J"]}, "source.falseValues"),
        ("labels", {"absent": "negative"}, "labels.horizon_days"),
        ("labels", {"min_coverage": 2}, "labels.min_coverage"),
        ("labels", {"horizon": 3}, "labels.horizon"),
        ("objective", {"recall": 0.8, "cost": True}, "objective"),
        ("objective", {"recal": 0.8}, "objective.recal"),
        ("objective", {"capacity": 7}, "objective.capacity"),
        ("objective", {"cost": True}, "objective.cost"),
        ("operating_point", {"min_flagged": 0.5, "max_flagged": 0.1}, "operating_point.min_flagged"),
        ("actions", {"control_share": 0.9}, "actions.control_share"),
        ("actions", {"control_share": 0.1, "by": "row"}, "actions.by"),
        ("actions", "some", "actions"),
        ("training", {"family": "forest"}, "training.family"),
        ("training", {"half_life_days": 0}, "training.half_life_days"),
        ("promotion", {"below_floors": "no"}, "promotion.below_floors"),
        ("extra", "drop", "extra"),
        ("capture", 1, "capture"),
    ],
)
def test_a_broken_section_is_named_by_place(section: str, value: Any, place: str) -> None:
    with pytest.raises(ContractInvalid) as caught:
        read_contract(RAW | {section: value})
    assert caught.value.extra["path"] == place
    assert place.rpartition(".")[2] in caught.value.detail


def feature(**said: Any) -> dict[str, Any]:
    return RAW | {"features": [*RAW["features"], {"name": "more", **said}]}


def test_a_level_may_have_aliases_a_number_a_direction_and_a_date_a_derivation() -> None:
    for said in (
        {"kind": "categorical", "levels": ["Yes", "No"], "aliases": {"Y": "Yes", "TRUE": "Yes"}},
        {"kind": "numeric", "monotone": "decreasing"},
        {"kind": "date", "as": "days_before", "maximum": 4000},
        {"kind": "date", "as": "weekday", "nullable": True},
    ):
        contract = read_contract(feature(**said))
        assert contract.to_dict()["features"][-1].items() >= said.items()
        assert read_contract(contract.to_dict()) == contract
    assert contract.features[-1].levels == ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"kind": "categorical", "levels": ["Yes"], "aliases": {"Y": "Maybe"}}, "aliases"),
        ({"kind": "categorical", "levels": ["Yes"], "aliases": {"Yes": "Yes"}}, "aliases"),
        ({"kind": "numeric", "aliases": {"a": "b"}}, "aliases"),
        ({"kind": "boolean", "monotone": "increasing"}, "monotone"),
        ({"kind": "numeric", "monotone": "up"}, "monotone"),
        ({"kind": "date"}, "as"),
        ({"kind": "date", "as": "year"}, "as"),
        ({"kind": "date", "as": "month", "levels": ["1"]}, "levels"),
        ({"kind": "numeric", "as": "month"}, "as"),
    ],
)
def test_a_broken_feature_of_the_later_kinds_is_named_by_place(said: dict[str, Any], place: str) -> None:
    with pytest.raises(ContractInvalid) as caught:
        read_contract(feature(**said))
    assert caught.value.extra["path"] == f"features[5].{place}"


def test_days_before_need_a_time() -> None:
    with pytest.raises(ContractInvalid) as caught:
        read_contract(feature(kind="date", **{"as": "days_before"}) | {"time": None})
    assert caught.value.extra["path"] == "features[5].as"


DATED = RowChecker(
    read_contract(
        RAW
        | {
            "features": [
                {"name": "joined", "kind": "date", "as": "days_before", "minimum": 0, "maximum": 4000},
                {"name": "called", "kind": "date", "as": "weekday", "nullable": True},
                {"name": "paid", "kind": "date", "as": "month", "if_missing": "12"},
                {
                    "name": "plan",
                    "kind": "categorical",
                    "levels": ["Yes", "No"],
                    "aliases": {"Y": "Yes", "TRUE": "Yes"},
                },
            ]
        }
    )
)


@pytest.mark.parametrize("text", [False, True])
def test_a_date_is_read_as_its_contract_says(text: bool) -> None:
    row = {
        "at": "2026-11-28T12:00:00Z",
        "joined": "2026-11-18",
        "called": "2026-11-27",
        "paid": "2026-02-01T09:00:00+02:00",
        "plan": "No",
    }
    checked = DATED.check(row, text=text)
    assert checked.violations == ()
    assert checked.values == {"joined": 10.5, "called": "Fri", "paid": "2", "plan": "No"}


def test_what_was_derived_of_a_date_before_is_taken_as_it_is() -> None:
    values = {"joined": 10.5, "called": "Fri", "paid": "2", "plan": "No"}
    assert DATED.check(values).values == values
    assert DATED.check({name: str(value) for name, value in values.items()}, text=True).values == values


def test_a_row_without_a_time_is_of_now_and_without_either_its_days_cannot_be_counted() -> None:
    row = {"joined": "2026-11-18", "plan": "No"}
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert DATED.check(row, now=now).values == {"joined": 10.5, "called": None, "paid": "12", "plan": "No"}
    assert [(violation.field, violation.rule) for violation in DATED.check(row).violations] == [("joined", "time")]
    assert [violation.rule for violation in DATED.check(row | {"at": "yesterday"}, now=now).violations] == ["time"]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("2026-11-31", "type"),
        ("31.12.2025", "type"),
        ("2027-01-01", "range"),
        (True, "type"),
        ([], "type"),
        (-3, "range"),
    ],
)
def test_what_is_no_date_is_refused(value: Any, rule: str) -> None:
    row = {"at": "2026-11-28T12:00:00Z", "joined": value, "plan": "No"}
    assert [(violation.field, violation.rule) for violation in DATED.check(row).violations] == [("joined", rule)]


@pytest.mark.parametrize("text", [False, True])
def test_an_alias_becomes_its_level_and_is_counted_as_a_repair(text: bool) -> None:
    checked = DATED.check({"joined": 1 if not text else "1", "plan": "Y"}, text=text)
    assert checked.values["plan"] == "Yes"
    assert ("plan", "alias", "Y", "Yes") in [
        (repair.field, repair.rule, repair.before, repair.after) for repair in checked.repairs
    ]
    assert [violation.rule for violation in DATED.check({"joined": 1, "plan": "y"}).violations] == ["level"]


def test_the_contract_says_what_an_unknown_field_is() -> None:
    lenient = RowChecker(read_contract(RAW | {"extra": "ignore"}))
    assert lenient.check(ROW | {"x": 1}).violations == ()
    assert [violation.rule for violation in lenient.check(ROW | {"x": 1}, extra="refuse").violations] == ["unknown"]
