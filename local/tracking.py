"""The MLflow store of the embedded cloud, a real one on this disk, and its UI."""

import os
import sys
from pathlib import Path

from local.cloud import LOCAL, CloudError, free_port

STORE = LOCAL / "mlflow.db"


def uri(store: Path = STORE) -> str:
    """The store as MLflow and the template's MlflowTrackingUri name it."""
    return f"sqlite:///{store}"


def serve(store: Path = STORE, port: int = 5000) -> None:
    """Become MLflow's server on 127.0.0.1, at ``port`` if that is free, until it is interrupted.

    Raises:
        CloudError: nothing was ever tracked.
    """
    if not store.exists():
        raise CloudError("there are no training runs yet; `make demo` or `make up` makes some")
    port = free_port(port)
    print(f"MLflow: http://127.0.0.1:{port}   (Ctrl-C ends it; it takes some ten seconds to come up)", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri(store)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # Job execution would start helper processes of 2 GB for features that are not used here.
    os.execve(sys.executable, command, os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})  # noqa: S606
