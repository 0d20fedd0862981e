"""MLflow: one run per training, with parameters, metrics and artifacts. A tracking failure never fails a training."""

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# An unreachable server must cost seconds, not the Lambda's time limit. MLflow's telemetry is off.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_LONGEST_PARAMETER = 500


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where runs go: an MLflow tracking URI (https, an ARN, or sqlite on a laptop); None: nowhere."""

    uri: str | None
    experiment: str = "stillgood"


def track(
    tracking: Tracking,
    *,
    name: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Mapping[str, bytes],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Log one run named ``name``. Returns ``{"uri", "run_id", "error"}``; ``error`` says why nothing, or not all, was
    logged.
    """
    if not tracking.uri:
        return {"uri": None, "run_id": None, "error": None}
    logged: dict[str, Any] = {"uri": _without_secrets(tracking.uri), "run_id": None, "error": None}
    client: Any = None
    try:
        with _patience(tracking.uri):
            import mlflow

            client = mlflow.MlflowClient(tracking_uri=tracking.uri)
            logged["run_id"] = client.create_run(
                _experiment(client, tracking), run_name=name, tags=dict(tags)
            ).info.run_id
            stamp = int(time.time() * 1000)
            client.log_batch(
                logged["run_id"],
                metrics=[mlflow.entities.Metric(key, value, stamp, 0) for key, value in metrics.items()],
                params=[
                    mlflow.entities.Param(key, str(value)[:_LONGEST_PARAMETER]) for key, value in parameters.items()
                ],
            )
            try:
                _log_files(client, logged["run_id"], artifacts)
            # A server may keep its files where train may not write; they are in S3 anyway.
            except Exception as error:
                logged["error"] = f"no files: {_why(error, tracking.uri)}"
            client.set_terminated(logged["run_id"], "FINISHED")
    except Exception as error:  # whatever a tracking server or its client does: the model matters more
        logged["error"] = _why(error, tracking.uri)
        if logged["run_id"] is not None:
            with _patience(tracking.uri), suppress(Exception):
                client.set_terminated(logged["run_id"], "FAILED")
    return logged


def _log_files(client: Any, run_id: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        client.log_artifacts(run_id, folder)


def _why(error: Exception, uri: str) -> str:
    message = str(error).replace(uri, _without_secrets(uri))
    return f"{type(error).__name__}: {_without_secrets(message)[:300]}"


def _experiment(client: Any, tracking: Tracking) -> str:
    """The id of the experiment, which is made if need be."""
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is None:
        # Without a place of their own MLflow puts the artifacts of a local store into the current directory.
        database = re.fullmatch(r"sqlite:///(.+)", tracking.uri or "")
        place = (Path(database[1]).resolve().parent / "mlflow-artifacts").as_uri() if database else None
        try:
            return str(client.create_experiment(tracking.experiment, artifact_location=place))
        except Exception:  # another training may have been faster
            experiment = client.get_experiment_by_name(tracking.experiment)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


@contextmanager
def _patience(uri: str) -> Iterator[None]:
    """MLflow is configured by the environment alone; what is set there already stands, but for the server: SageMaker's
    plug-in
    signs for the one that the environment names."""
    before = dict(os.environ)
    os.environ.update({**_ENVIRONMENT, **before, "MLFLOW_TRACKING_URI": uri})
    # That plug-in looks for an ARN in every address, and MLflow warns that it found none in https, at each request.
    headers = logging.getLogger("mlflow.tracking.request_header.registry")
    level = headers.level
    headers.setLevel(logging.ERROR)
    try:
        yield
    finally:
        headers.setLevel(level)
        for name in {*_ENVIRONMENT, "MLFLOW_TRACKING_URI"}:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def _without_secrets(text: str) -> str:
    """Neither user nor password of a URL may end up in metrics.json.

    >>> _without_secrets("https://me:secret@mlflow.example.com/x")
    'https://mlflow.example.com/x'
    """
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)
