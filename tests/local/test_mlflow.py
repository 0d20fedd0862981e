"""``make mlflow``: MLflow's server over the store that the embedded cloud's training runs are recorded in."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from stillgood.training.tracking import Tracking, track

from local import tracking
from local.cloud import CloudError


def fetched(url: str, body: Any = None) -> bytes:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def test_a_browser_is_given_the_page_and_the_runs(mlflow_url: str) -> None:
    assert b'id="root"' in fetched(f"{mlflow_url}/")

    tracked = track(
        Tracking(mlflow_url, "by-http"), name="20261123-a", parameters={"C": 1.0}, metrics={"roc_auc": 0.84},
        artifacts={"card.md": b"# card\n"}, tags={"version": "20261123-a"},
    )  # fmt: skip

    assert tracked["error"] is None
    experiment = json.loads(
        fetched(f"{mlflow_url}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=by-http")
    )
    searched = {"experiment_ids": [experiment["experiment"]["experiment_id"]]}
    (run,) = json.loads(fetched(f"{mlflow_url}/ajax-api/2.0/mlflow/runs/search", searched))["runs"]
    assert run["info"]["run_name"] == "20261123-a"
    assert [(metric["key"], metric["value"]) for metric in run["data"]["metrics"]] == [("roc_auc", 0.84)]


def test_without_a_run_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match="make demo"):
        tracking.serve(tmp_path / "mlflow.db")


def test_the_command_of_the_makefile_is_this_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import local.__main__

    served = []
    monkeypatch.setattr(tracking, "serve", lambda: served.append("here"))
    monkeypatch.setattr(sys, "argv", ["local", "mlflow"])
    local.__main__.main()
    assert served == ["here"]
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert "\t@$(RUN) -m local mlflow\n" in makefile
