"""Drafting and checking contracts, auditing a bucket, mending its refused rows; each with its exit status."""

import json
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from stillgood.cli.main import main
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import ContractInvalid

from local import datasets

COLUMNS = {
    "telco": {"id_column": "customer_id"},
    "mlc_churn": {"id_column": "customer_id"},
    "flights": {"id_column": "flight_id", "time_column": "scheduled_at"},
}


@pytest.mark.parametrize("name", datasets.LOADERS)
def test_a_draft_accepts_every_row_it_was_drafted_from(name: str) -> None:
    table = datasets.LOADERS[name]().iloc[:8000]
    rows = table.to_dict("records")
    shipped = datasets.contract(name)
    columns = {str(column): table[column].astype(str).tolist() for column in table.columns}
    made, _ = draft(columns, target=shipped.target.name, positive=shipped.target.positive, **COLUMNS[name])
    contract = read_contract(made)
    checker = RowChecker(contract)
    assert [row for row in rows if checker.check(row, text=True, extra="ignore").violations] == []
    varied = {feature.name for feature in shipped.features if len(set(columns[feature.name])) > 1}
    assert {feature.name for feature in contract.features} == varied


def test_a_draft_says_what_stands_in_its_way() -> None:
    rows = {"x": [f"t{number // 2}" for number in range(500)], "y": ["no", "yes"] * 250}
    with pytest.raises(ContractInvalid, match="x: it has 250 different texts"):
        draft(rows, target="y", positive="yes")
    with pytest.raises(ContractInvalid, match="no column 'z'"):
        draft(rows, target="z", positive="yes")
    with pytest.raises(ContractInvalid, match="two values"):
        draft(rows, target="y", positive="maybe")
    with pytest.raises(ContractInvalid, match="no rows"):
        draft({"y": []}, target="y", positive="yes")


def test_draft_then_check_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, contract = tmp_path / "rows.csv", tmp_path / "contract.json"
    datasets.telco().iloc[:300].to_csv(rows, index=False)
    assert main(["contract", "draft", str(rows), "--target", "churn", "--positive", "Yes", "--id", "customer_id"]) == 0
    contract.write_text(capsys.readouterr().out)
    assert main(["contract", "check", str(contract), str(rows)]) == 0
    assert "300 of 300 rows keep the contract" in capsys.readouterr().out
    rows.write_text(rows.read_text().replace("Fiber optic", "Carrier pigeon"))
    assert main(["contract", "check", str(contract), str(rows)]) == 1
    assert "internet_service must be one of" in capsys.readouterr().out


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "check", str(tmp_path / "missing.json")]) == 2
    assert "Cannot read or write" in capsys.readouterr().err
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"format": "stillgood.contract", "format_version": 1}))
    assert main(["contract", "check", str(bad)]) == 1
    assert "is required" in capsys.readouterr().out


def test_audit_of_a_bucket(aws_environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="state")
        assert main(["audit", "--bucket", "state"]) == 0
        client.put_object(Bucket="state", Key="registry/decisions/00000001.json", Body=b"{}")
        assert main(["audit", "--bucket", "state"]) == 1
    assert "problems" in capsys.readouterr().out


def test_refused_rows_of_a_bucket_are_listed_exported_and_taken_in_once(
    aws_environment: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    raw = {"prediction_id": "p1", "label": "maybe", "event_time": "2026-11-01T00:00:00Z"}
    refused = {"row": 0, "field": "label", "message": "label must be 'Yes' or 'No'.", "raw": raw}
    mended = tmp_path / "mended.csv"
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="state")
        client.put_object(Bucket="state", Key="contract.json", Body=datasets.contract_text("telco").encode())
        client.put_object(Bucket="state", Key="quarantine/labels/a.jsonl", Body=json.dumps(refused).encode())
        assert main(["quarantine", "list", "--bucket", "state"]) == 0
        said = capsys.readouterr().out
        assert said.splitlines() == [
            "quarantine/labels/a.jsonl: 1 rows; 1 by label: label",
            "  such as: label must be 'Yes' or 'No'.",
        ]
        assert main(["quarantine", "export", "--bucket", "state", "quarantine/labels/a.jsonl"]) == 0
        mended.write_text(capsys.readouterr().out)
        assert main(["quarantine", "reingest", "--bucket", "state", str(mended)]) == 1
        assert "row 1: label must be 'Yes' or 'No'" in capsys.readouterr().out
        mended.write_text(mended.read_text().replace("maybe", "Yes"))
        assert main(["quarantine", "reingest", "--bucket", "state", str(mended)]) == 0
        assert capsys.readouterr().out.startswith("taken in as labels/incoming/mended-")
        assert main(["quarantine", "reingest", "--bucket", "state", str(mended)]) == 0
        assert "taken in before" in capsys.readouterr().out
