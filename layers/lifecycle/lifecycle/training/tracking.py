"""MLflow: one run per training, with parameters, metrics and artifacts. A tracking failure never fails a training."""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# An unreachable server must cost seconds, not the Lambda's time limit.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where runs go: an MLflow tracking URI (https, an ARN, or sqlite on a laptop); None: nowhere."""

    uri: str | None
    experiment: str = "lifecycle"


def track(
    tracking: Tracking,
    *,
    name: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Mapping[str, bytes],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Log one run named ``name``. Returns ``{"uri", "run_id", "error"}``; ``error`` says why nothing, or not all, was logged."""
    if tracking.uri is None:
        return {"uri": None, "run_id": None, "error": None}
    told: dict[str, Any] = {"uri": tracking.uri, "run_id": None, "error": None}
    try:
        for variable, value in _PATIENCE.items():
            os.environ.setdefault(variable, value)
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=tracking.uri)
        experiment = client.get_experiment_by_name(tracking.experiment)
        place = experiment.experiment_id if experiment else client.create_experiment(tracking.experiment)
        run_id = client.create_run(place, run_name=name, tags=dict(tags)).info.run_id
        told["run_id"] = run_id
        stamp = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[mlflow.entities.Metric(key, value, stamp, 0) for key, value in metrics.items()],
            params=[mlflow.entities.Param(key, str(value)[:500]) for key, value in parameters.items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            for file, data in artifacts.items():
                (Path(folder) / file).write_bytes(data)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id, "FINISHED")
    except Exception as error:  # whatever a tracking server or its client does: the model matters more
        told["error"] = f"{type(error).__name__}: {str(error)[:300]}"
    return told
