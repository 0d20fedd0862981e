"""The embedded cloud as a process: what survives it, what it sees, how it ends."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from local import cloud


@pytest.fixture
def home(tmp_path: Path):
    yield tmp_path
    cloud.stop(tmp_path)


def test_objects_and_the_address_survive_kill_9(home: Path) -> None:
    first = cloud.start(home)
    s3 = first.client("s3")
    s3.create_bucket(Bucket="stillgood-state")
    s3.put_object(Bucket="stillgood-state", Key="registry/production_metrics.json", Body=b'{"version": "a"}')
    # What a write leaves behind that was killed halfway; it must not come back as an object.
    (home / "s3/000000000000/stillgood-state/registry/half.json.tmp").write_bytes(b"{")
    os.kill(first.pid, signal.SIGKILL)

    second = cloud.start(home)

    assert second.pid != first.pid
    assert second.endpoint == first.endpoint
    s3 = second.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="stillgood-state")["Contents"]]
    assert keys == ["registry/production_metrics.json"]
    body = s3.get_object(Bucket="stillgood-state", Key=keys[0])["Body"].read()
    assert body == b'{"version": "a"}'


def test_starting_twice_gives_the_same_process(home: Path) -> None:
    assert cloud.start(home) == cloud.start(home) == cloud.running(home)


def test_it_listens_on_loopback_only(home: Path) -> None:
    port = cloud.start(home).port
    listening = {
        fields[1].split(":")[0]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in (line.split() for line in Path(table).read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port
    }
    assert listening == {"0100007F"}


def test_a_taken_port_is_left_alone(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        (home / "cloud.json").write_text(f'{{"pid": 1, "port": {other.getsockname()[1]}}}')
        assert cloud.start(home).port != other.getsockname()[1]


def test_stopping_ends_the_process_and_takes_no_stranger_with_it(home: Path) -> None:
    started = cloud.start(home)
    began = time.monotonic()
    assert cloud.stop(home)
    assert time.monotonic() - began < cloud.STOP_SECONDS
    assert cloud.running(home) is None
    assert not cloud.stop(home)
    # A pid that was given to somebody else since is not ours, whatever the state file says.
    (home / "cloud.json").write_text(f'{{"pid": {os.getpid()}, "port": {started.port}}}')
    assert cloud.running(home) is None
    assert not cloud.stop(home)


def test_functions_see_nothing_of_the_shell(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "MLFLOW_TRACKING_URI",
        "PYTHONPATH",
        "HTTPS_PROXY",
    ):
        monkeypatch.setenv(name, "of-the-shell")
    seen = cloud.environment(home, 4566)
    assert "of-the-shell" not in seen.values()
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"


def test_clients_work_whatever_profile_the_shell_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:1")
    assert cloud.start(home).client("s3").list_buckets()["Buckets"] == []
