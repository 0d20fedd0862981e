"""Runs in a real MLflow store on disk, and nothing but a note when there is none."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from stillgood.training.tracking import Tracking, track

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

RUN = {
    "name": "20261101-abc",
    "parameters": {"C": 1.0, "contract": "x" * 600},
    "metrics": {"roc_auc": 0.845},
    "artifacts": {"model.json": b"{}\n", "card.md": b"# card\n"},
    "tags": {"version": "20261101-abc"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_holds_parameters_metrics_and_artifacts_and_nothing_is_written_to_the_current_directory(store, elsewhere):
    from mlflow import MlflowClient

    logged = track(Tracking(f"sqlite:///{store}"), **RUN)

    assert logged["error"] is None
    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    run = client.get_run(logged["run_id"])
    assert (run.info.run_name, run.info.status) == ("20261101-abc", "FINISHED")
    assert run.data.metrics == {"roc_auc": 0.845}
    assert run.data.params == {"C": "1.0", "contract": "x" * 500}
    assert run.data.tags["version"] == "20261101-abc"
    assert sorted(artifact.path for artifact in client.list_artifacts(logged["run_id"])) == ["card.md", "model.json"]
    assert client.get_experiment(run.info.experiment_id).name == "stillgood"
    assert list(elsewhere.iterdir()) == []


def test_a_second_run_joins_the_same_experiment(store):
    from mlflow import MlflowClient

    runs = [track(Tracking(f"sqlite:///{store}", "another"), **RUN) for _ in range(2)]
    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    experiments = {client.get_run(logged["run_id"]).info.experiment_id for logged in runs}
    assert len(experiments) == 1


@pytest.mark.parametrize("uri", [None, ""])
def test_without_a_uri_nothing_is_tracked(uri):
    assert track(Tracking(uri), **RUN) == {"uri": None, "run_id": None, "error": None}


def test_train_does_not_import_mlflow_before_it_is_asked_to_track():
    code = "import sys; import stillgood.steps.train.train; print('mlflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


@pytest.mark.parametrize(
    ("uri", "error"),
    [("http://me:secret@127.0.0.1:9", "MlflowException"), ("nonsense://me:secret@x", "Unsupported")],
)
def test_a_tracking_server_that_fails_is_a_note_without_its_password(uri, error, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logged = track(Tracking(uri), **RUN)
    assert logged["run_id"] is None
    assert error in logged["error"]
    assert "secret" not in json.dumps(logged)


def test_a_tracking_server_that_never_answers_is_a_note(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        logged = track(Tracking(f"http://127.0.0.1:{deaf.getsockname()[1]}"), **RUN)
    assert logged["run_id"] is None
    assert "ReadTimeout" in logged["error"]


def test_a_run_whose_files_cannot_be_kept_is_finished_and_says_so(store, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setattr(MlflowClient, "log_artifacts", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    logged = track(Tracking(f"sqlite:///{store}"), **RUN)
    assert logged["error"] == "no files: PermissionError: no"
    assert MlflowClient(tracking_uri=f"sqlite:///{store}").get_run(logged["run_id"]).info.status == "FINISHED"


def test_a_run_that_fails_half_way_is_marked_as_failed_and_named(store):
    from mlflow import MlflowClient

    logged = track(Tracking(f"sqlite:///{store}"), **{**RUN, "metrics": {"bad name: \0?": 1.0}})
    assert logged["error"]
    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    assert client.get_run(logged["run_id"]).info.status == "FAILED"


def test_what_mlflow_is_told_by_the_environment_ends_with_the_run(store, monkeypatch):
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    track(Tracking(f"sqlite:///{store}"), **RUN)
    left = {name: text for name, text in os.environ.items() if name.startswith("MLFLOW")}
    assert left == {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


def test_artifacts_lie_beside_the_database(store):
    track(Tracking(f"sqlite:///{store}"), **RUN)
    assert (Path(store).parent / "mlflow-artifacts").is_dir()
