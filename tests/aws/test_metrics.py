"""The lines against the rules of the embedded metric format, as CloudWatch reads them."""

import asyncio
import json
import re
import time
from typing import Any

import pytest
from stillgood.aws import metrics


def emit(capsys: pytest.CaptureFixture[str], service: str, **counts: int) -> dict[str, Any]:
    with metrics.emitted(service):
        for name, by in counts.items():
            metrics.count(name, by)
    (line,) = capsys.readouterr().out.splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


@pytest.mark.parametrize("service", metrics.METRICS)
def test_every_line_keeps_the_rules_of_the_format(capsys: pytest.CaptureFixture[str], service: str) -> None:
    before = int(time.time() * 1000)
    line = emit(capsys, service)
    envelope = line.pop("_aws")
    assert set(envelope) == {"Timestamp", "CloudWatchMetrics"}
    assert before <= envelope["Timestamp"] <= int(time.time() * 1000)
    (block,) = envelope["CloudWatchMetrics"]
    assert set(block) == {"Namespace", "Dimensions", "Metrics"}
    assert re.fullmatch(r"[^:][A-Za-z0-9._/#:-]{0,255}", block["Namespace"])
    assert (block["Namespace"], block["Dimensions"]) == ("Stillgood", [["service", "function_name"]])
    # A dimension is a root member, too, with a text that is not empty.
    assert (line.pop("service"), line.pop("function_name")) == (service, "local")
    # Every metric is a root member with a number, and every root member is declared: nothing is lost, nothing is stray.
    names = [metric["Name"] for metric in block["Metrics"]]
    assert len(set(names)) == len(names) <= 100
    assert all(set(metric) == {"Name", "Unit"} and metric["Unit"] == "Count" for metric in block["Metrics"])
    assert line == dict.fromkeys(names, 0)


def test_what_is_counted_stands_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = emit(capsys, "predict", Predictions=3, RejectedRows=2, ChampionStale=1)
    counts = {name: line[name] for name in metrics.METRICS["predict"]}
    assert counts == {
        "Predictions": 3, "RejectedRows": 2, "CaptureFailures": 0, "CaptureLost": 0, "ChampionStale": 1, "Failed": 0,
    }  # fmt: skip


def test_what_a_task_counts_is_on_its_invocations_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Mangum answers in a task, which has a copy of the context."""

    async def answer() -> None:
        metrics.count("Predictions", 7)

    with metrics.emitted("predict"):
        asyncio.run(answer())
    assert json.loads(capsys.readouterr().out)["Predictions"] == 7


def test_an_invocation_that_raises_is_counted_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        metrics.count("TrainFailures")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), metrics.emitted("train"):
        fail()
    assert json.loads(capsys.readouterr().out)["TrainFailures"] == 1


def test_every_invocation_counts_from_nought_and_nothing_is_counted_outside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit(capsys, "predict", Predictions=3)
    metrics.count("Predictions", 100)
    assert emit(capsys, "predict", Predictions=1)["Predictions"] == 1


def test_a_metric_that_the_service_does_not_declare_is_a_mistake() -> None:
    with pytest.raises(KeyError), metrics.emitted("train"):
        metrics.count("Predictions")


def test_two_stacks_of_one_account_count_apart() -> None:
    """Else the monitor of a test stack would hide that the one of production does not run."""
    here, there = (
        json.loads(metrics.line_of("monitor", name) % (0, 1, 0, 0, 0, 0)) for name in ("a-Monitor", "b-Monitor")
    )
    (block,) = here["_aws"]["CloudWatchMetrics"]
    dimensions = block["Dimensions"][0]
    assert [here[name] for name in dimensions] != [there[name] for name in dimensions]
