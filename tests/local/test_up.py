"""``make up`` with one's own rows in place of Telco, or with none: on a cloud of the test's own, with the command line
beside it.
"""

import json
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from stillgood.cli.main import main
from stillgood.storage.keys import POINTER_KEY, request_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry

from local import cloud, datasets, up

OWN = {"target": "churn", "positive": "yes", "id_column": "customer_id"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("up")
    datasets.mlc_churn().iloc[:1500].to_csv(root / "calls.csv", index=False)
    yield root
    cloud.stop(root / ".local/cloud")


def disable(home: Path) -> None:
    """Disable monitor's schedule, as an operator does in the console."""
    running = cloud.running(home)
    assert running is not None
    client = running.client("scheduler")
    (name,) = [
        listed["Name"] for listed in client.list_schedules()["Schedules"] if up.MONITOR_SCHEDULE in listed["Name"]
    ]
    schedule = client.get_schedule(Name=name)
    kept = {key: schedule[key] for key in ("ScheduleExpression", "Target", "FlexibleTimeWindow")}
    client.update_schedule(Name=name, State="DISABLED", **kept)


def test_an_empty_cloud_then_ones_own_rows_then_a_kill(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    home = place / ".local/cloud"

    up.up(empty=True, home=home)
    assert "Nothing serves yet" in capsys.readouterr().out
    assert main(["status"]) == 2
    assert "There is no contract" in capsys.readouterr().out

    up.up(data=place / "calls.csv", home=home, **OWN)
    said = capsys.readouterr().out
    assert "Drafted a contract for 1500 rows of calls.csv" in said
    assert "The gate: promote" in said
    customer = json.loads((home / "customer.json").read_text())
    assert customer["customer_id"] == "M00001"
    assert main(["predict", "calls.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scored"] == 1500
    assert main(["status"]) == 0
    assert "embedded cloud on 127.0.0.1" in capsys.readouterr().out

    assert "monitor judges the last 30 minutes rate(30 minutes)" in said  # a window is the schedule's interval
    disable(home)
    up.up(home=home)  # the rows that are there stay: no Telco in their place; and what an operator disabled stays so
    said = capsys.readouterr().out
    assert "Champion: " in said
    assert "its schedule is disabled" in said
    assert list(home.parent.glob("cloud-*")) == []

    running = cloud.running(home)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    assert main(["status"]) == 3
    assert "`make up` starts it again with everything it held" in capsys.readouterr().err

    with socket.create_server(("127.0.0.1", running.port)):
        up.up(home=home)
        said = capsys.readouterr().out
        assert f"Port {running.port}, where it ran before, is in use by another process; it was left alone." in said
        assert "Champion: " in said  # everything it held is there
        assert up.schedule_state(home) == "DISABLED"
        assert main(["status"]) == 0
        capsys.readouterr()

    up.up(empty=True, home=home)
    assert "What the embedded cloud held (calls) is kept in" in capsys.readouterr().out
    assert len(list(home.parent.glob("cloud-calls-*"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"data": Path("nowhere.csv")}, "there is no file nowhere.csv"),
        ({"data": Path(__file__)}, "name the outcome column"),
    ],
)
def test_a_call_that_names_too_little_starts_nothing(words, message: str, tmp_path: Path) -> None:
    with pytest.raises(cloud.CloudError, match=message):
        up.up(home=tmp_path / "cloud", **words)
    assert not (tmp_path / "cloud").exists()


@dataclass
class Bucket:
    """As much of a stack as is looked at for a decision."""

    store: MemoryObjectStore
    cloud: cloud.Cloud


def test_a_decision_that_is_in_the_log_alone_is_waited_for_until_it_is_in_force(
    telco, draw_model, make_champion, tmp_path: Path
) -> None:
    model = draw_model(telco, "20261123-first")
    stack = Bucket(MemoryObjectStore(), cloud.Cloud(tmp_path, 0, 0))
    make_champion(stack.store, model)
    request = f"request {model.version}"
    for key in (POINTER_KEY, request_key(request)):  # as between the record's write and the pointer's
        stack.store.delete(key)
    with pytest.raises(cloud.CloudError, match="a decision for request"):
        up.decision_for(stack, request, seconds=0)
    Registry(stack.store).recover()
    assert up.decision_for(stack, request, seconds=0).action == "promote"
    assert Registry(stack.store).pointer() is not None
