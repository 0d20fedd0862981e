"""An MLflow server for a measurement: its own process, database and folder."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.speed.measure import MeasurementFailed, environment

PATIENCE_SECONDS = 90


@contextmanager
def tracking_server() -> Iterator[str]:
    """The URL of an empty tracking server on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination",
            f"{folder}/artifacts",
        ]
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
            *options,
        ]
        # Job execution starts more processes than this needs. The server finds its helpers beside its interpreter.
        variables = environment(
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true", HOME=folder
        )
        variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
        server = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _wait(url: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            with urlopen(url):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise MeasurementFailed(f"MLflow did not answer at {url} within {PATIENCE_SECONDS} s")
