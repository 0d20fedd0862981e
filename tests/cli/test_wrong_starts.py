"""Ten wrong starts, each with the message that says what to do. Two more are in tests/local/test_up.py, which has a
cloud: a port
in use, and a cloud that was killed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from stillgood.__main__ import wrong_python
from stillgood.cli.main import main

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="another")
        yield


def test_no_place_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2
    said = capsys.readouterr().err
    assert (
        "add --store ./dir (a plain folder) or --bucket NAME (AWS), or start the embedded cloud with `make up`" in said
    )
    assert main(["status", "--store", "shop"]) == 2
    assert "There is no folder shop. `stillgood try` and `stillgood contract apply` make one" in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_no_bucket(aws: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--bucket", "nowhere"]) == 2
    assert (
        "There is no bucket nowhere; check the name (STILLGOOD_BUCKET, or --bucket), the account and the region"
        in capsys.readouterr().err
    )


def test_no_champion(today: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(today), "--store", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "No model has been promoted yet" in said
    assert "Run `stillgood train` first; `stillgood decisions` says what became of it." in said


def test_wrong_target(customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    assert main(["try", str(customers), "--target", "churned", "--positive", "Yes", "--store", str(store)]) == 2
    assert "There is no column 'churned'; the table has customer_id, churn, " in capsys.readouterr().err
    assert main(["try", str(customers), "--target", "churn", "--positive", "Maybe", "--store", str(store)]) == 2
    assert "churn must have two values, one of them 'Maybe'; it has 'No', 'Yes'" in capsys.readouterr().err
    assert not store.exists()  # a start that failed leaves nothing in the way of the next


def test_a_typo_in_the_contract(store: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = json.loads((store / "contract.json").read_text())
    contract["floors"]["recal"] = 0.8
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(contract))
    assert main(["contract", "check", str(path)]) == 1
    assert "floors.recal is not known here; known are " in capsys.readouterr().out
    status, _, said = run("contract", "apply", str(path))
    assert (status, "floors.recal is not known here" in said) == (2, True)
    path.write_text(json.dumps(contract)[:-2])
    assert main(["contract", "check", str(path)]) == 2
    assert "line 1 column" in capsys.readouterr().err


def test_a_bad_event(run: Run) -> None:
    status, _, said = run("monitor", "--until", "yesterday")
    assert (status, "'yesterday' is not a time such as 2026-11-24T00:00:00Z" in said) == (2, True)
    status, _, said = run("monitor", "--until", "2999-01-01T00:00:00Z")
    assert (status, "is still to come" in said) == (2, True)
    status, _, said = run("promote", "../../secrets")
    assert (status, "is not a model version" in said) == (2, True)
    status, _, said = run("promote", "20991231-ffffffffffff")
    assert (status, "There is no version 20991231-ffffffffffff. 1 exist, the newest: " in said) == (2, True)


def test_no_label_column(run: Run, store: Path, tmp_path: Path, today: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("entity_id,outcome,event_time\nC00001,Yes,2026-11-01T00:00:00Z\n")
    status, _, said = run("labels", "add", str(outcomes))
    assert status == 2
    assert "outcomes.csv has no column label; it has entity_id, outcome, event_time." in said
    before = sorted((store / "data").rglob("*"))
    status, _, said = run("train", str(today))  # today's customers, whose outcome nobody knows yet
    assert status == 2
    assert "it lacks the column churn; it has " in said
    assert sorted((store / "data").rglob("*")) == before


def test_a_full_disk(run: Run, today: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    status, _, said = run("predict", str(today), "--out", "/dev/full")
    assert (status, "the disk is full; free some space, then try again" in said) == (3, True)


def test_another_python() -> None:
    assert wrong_python((3, 13, 2), "python") == ""
    assert wrong_python((3, 11, 7), "/usr/bin/python3").startswith(
        "stillgood needs Python 3.13, and /usr/bin/python3 is 3.11.7. Run .venv/bin/stillgood after `make setup`"
    )


@pytest.mark.parametrize("name", ["python3.9", "python3.10", "python3.11", "python3.12", "python3.14"])
def test_another_python_in_fact(name: str) -> None:
    path = shutil.which(name)
    if path is None or subprocess.run([path, "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{name} is not here")
    done = subprocess.run(
        [path, "-m", "stillgood", "status"], cwd=ROOT / "layers/stillgood", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("stillgood needs Python 3.13, and ")


def test_an_error_is_json_too_where_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store", str(tmp_path / "none"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "wrong-call"


def test_a_stop_by_hand_is_no_traceback(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stillgood.cli.verbs import status

    def stopped(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "run", stopped)
    assert main(["status", "--store", str(store)]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_the_verb_may_be_misspelt() -> None:
    done = subprocess.run([sys.executable, "-m", "stillgood", "statsu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'statsu'" in done.stderr
