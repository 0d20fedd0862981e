"""Where a command works when nothing is named: the embedded cloud that runs here, with its own windows."""

import argparse
import json
import socket
from pathlib import Path

import pytest
from stillgood.cli.place import find_place


@pytest.mark.parametrize(("own", "hours"), [(None, 0.5), ("2", 2.0)])
def test_windows_judged_by_hand_are_as_long_as_those_of_the_embedded_clouds_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, hours: float
) -> None:
    home = tmp_path / ".local/cloud"
    home.mkdir(parents=True)
    for name in ("STILLGOOD_STORE", "STILLGOOD_BUCKET", "STILLGOOD_WINDOW_HOURS"):
        monkeypatch.delenv(name, raising=False)
    if own is not None:
        monkeypatch.setenv("STILLGOOD_WINDOW_HOURS", own)
    monkeypatch.chdir(tmp_path)
    (home / "stack.json").write_text(json.dumps({"bucket": "b", "window_hours": "0.5", "api": None}))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (home / "cloud.json").write_text(json.dumps({"port": listening.getsockname()[1], "pid": 1}))
        place = find_place(argparse.Namespace(store=None, bucket=None))
    assert place.steps.settings.window_hours == hours
