"""Starts and stops the embedded cloud (MiniStack) on loopback, as one process known by its pid.

Everything it writes lies under one home directory: ``s3/`` (objects, written through, so they survive ``kill -9``),
``tmp/`` (unpacked functions), ``cloud.log``, ``cloud.json`` (pid and port). Stacks and functions live in the process
only; whoever starts it deploys again (``local/deploy.py``).
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"  # everything that is generated and kept, but for the environment
EMULATOR = ROOT / "local" / "emulator.py"
REGION = "us-east-1"
# What a function may see of the machine it happens to run on. Anything else (AWS_PROFILE, MLFLOW_TRACKING_URI, proxies)
# would make a run depend on whose shell it was started from.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# Those this very process started, to be reaped by it; another process knows them by their pid alone.
_children: dict[int, subprocess.Popen[bytes]] = {}


class CloudError(Exception):
    """The embedded cloud cannot do what was asked; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running emulator: its home directory, its process and its port on 127.0.0.1."""

    home: Path
    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, *, read_seconds: float = 120.0) -> Any:
        """A botocore client of the emulator, whatever credentials, profile or endpoint the shell has."""
        session = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 -- MiniStack takes any
            config=Config(retries={"max_attempts": 1}, read_timeout=read_seconds, proxies={}),
        )


def environment(home: Path, port: int) -> dict[str, str]:
    """The whole environment of the emulator and of the functions under it."""
    return {key: os.environ[key] for key in PASSED_ON if key in os.environ} | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "TMPDIR": str(home / "tmp"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "4",
        "SFN_WAIT_SCALE": "0.05",  # a state machine waits a twentieth of the time before it tries again
        "DOCKER_HOST": "unix:///nonexistent",  # never look for, or clean up, anybody's containers
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }


def running(home: Path) -> Cloud | None:
    """The emulator of this home if its process is alive and is ours."""
    home = home.resolve()
    try:
        state = json.loads((home / "cloud.json").read_text())
        cloud = Cloud(home, int(state["pid"]), int(state["port"]))
    except (OSError, ValueError, KeyError):
        return None
    return cloud if _is_ours(cloud) else None


def start(home: Path) -> Cloud:
    """Start the emulator of ``home``, or return the one that runs. It comes up without stacks.

    Raises:
        CloudError: it did not answer in time; the message has the end of its log.
    """
    home = home.resolve()
    (home / "s3").mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if (cloud := running(home)) and _answers(cloud):
            return cloud
        shutil.rmtree(home / "tmp", ignore_errors=True)
        (home / "tmp").mkdir()
        # A write that kill -9 cut short leaves its temporary file, which MiniStack would serve as an object.
        for leftover in (home / "s3").rglob("*.tmp"):
            leftover.unlink()
        for attempt in range(3):
            port = free_port(last_port(home) if attempt == 0 else 0)
            cloud = _spawn(home, port)
            if _answers(cloud):
                return cloud
        raise CloudError(f"the embedded cloud did not start; the end of {home / 'cloud.log'}:\n{_tail(home)}")


def stop(home: Path) -> bool:
    """Stop the emulator of ``home`` by its pid; False when none ran. Objects stay."""
    home = home.resolve()
    cloud = running(home)
    if cloud is None:
        return False
    os.kill(cloud.pid, signal.SIGTERM)
    if not _gone(cloud, STOP_SECONDS):
        os.kill(cloud.pid, signal.SIGKILL)
        _gone(cloud, STOP_SECONDS)
    # Functions are children in the emulator's own process group; an idle one ends with its pipe, a busy one is ended
    # here.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(cloud.pid, signal.SIGTERM)
    shutil.rmtree(home / "tmp", ignore_errors=True)
    return True


def _spawn(home: Path, port: int) -> Cloud:
    with (home / "cloud.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", str(EMULATOR), str(home)],
            cwd=home.parent,  # MLflow keeps artifacts under ./mlruns: beside its store, for all homes
            env=environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[process.pid] = process
    (home / "cloud.json").write_text(json.dumps({"pid": process.pid, "port": port}))
    return Cloud(home, process.pid, port)


def _answers(cloud: Cloud) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            opener.open(f"{cloud.endpoint}/_ministack/health", timeout=5) as answer,
        ):
            return bool(answer.status == 200)
        if not _is_ours(cloud):
            return False
        time.sleep(0.1)
    return False


def _is_ours(cloud: Cloud) -> bool:
    """Whether the pid is alive and is this home's emulator: pids are reused, so its command line is compared."""
    child = _children.get(cloud.pid)
    if child is not None:
        if child.poll() is None:
            return True
        del _children[cloud.pid]  # poll() has reaped it
        return False
    try:
        command = Path(f"/proc/{cloud.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        if Path("/proc/self").exists():
            return False
        command = subprocess.run(["ps", "-p", str(cloud.pid), "-o", "command="], capture_output=True, text=True).stdout
    return f"{EMULATOR} {cloud.home}" in command


def _gone(cloud: Cloud, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _is_ours(cloud):
            return True
        time.sleep(0.05)
    return False


def free_port(wanted: int) -> int:
    """``wanted`` if it is free, or becomes so within a second (a killed process holds it for a moment); else any."""
    for _ in range(10):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
        time.sleep(0.1)
    return free_port(0)


def last_port(home: Path) -> int:
    """The port on which the emulator of ``home`` ran last; 0 before the first time."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((home / "cloud.json").read_text())["port"])
    return 0


def _tail(home: Path, lines: int = 15) -> str:
    with contextlib.suppress(OSError):
        return "\n".join((home / "cloud.log").read_text(errors="replace").splitlines()[-lines:])
    return "(no log)"


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
