"""The table that Athena reads captures by: its columns and places are those of the captures."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stillgood.domain.contract.capture_record import KIND, CapturedPrediction, CapturedRejection
from stillgood.storage.keys import CAPTURE_PREFIX, capture_key

from local.package import packaged

ROOT = Path(__file__).resolve().parent.parent
AT = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return packaged(ROOT, lambda key, body: None)


@pytest.fixture(scope="module")
def table(template: dict[str, Any]) -> dict[str, Any]:
    return dict(template["Resources"]["QueryPredictions"]["Properties"]["TableInput"])


def test_no_table_is_made_unless_it_is_asked_for(template: dict[str, Any]) -> None:
    made = {name for name, resource in template["Resources"].items() if resource["Type"].startswith("AWS::Glue::")}
    assert {template["Resources"][name]["Condition"] for name in made} == {"HasQueryTable"}
    assert template["Parameters"]["QueryTable"]["Default"] == "off"


def test_every_field_of_a_captured_line_is_a_column(table: dict[str, Any]) -> None:
    columns = {column["Name"] for column in table["StorageDescriptor"]["Columns"]}
    written = {field.name for kind in (CapturedPrediction, CapturedRejection) for field in fields(kind)}
    assert columns == {KIND, *written}


def test_the_projected_place_of_an_hour_is_where_its_captures_lie(table: dict[str, Any]) -> None:
    where = table["Parameters"]["storage.location.template"]["Fn::Sub"]
    folder = where.removeprefix("s3://${Bucket}/").replace("${!dt}", "2026-11-24").replace("${!hour}", "09")
    assert capture_key(AT, "a1").startswith(folder)
    assert table["StorageDescriptor"]["Location"]["Fn::Sub"] == f"s3://${{Bucket}}/{CAPTURE_PREFIX}"
