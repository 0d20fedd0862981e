"""`make shell`: the variables of the embedded cloud, and nothing of the shell's own AWS."""

import json
from pathlib import Path

import pytest

from local import shell
from local.cloud import Cloud, CloudError


def test_the_shell_finds_the_cloud_and_nothing_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = {
        "bucket": "b",
        "functions": {"train": "t-1"},
        "machine": "m",
        "api": "http://127.0.0.1:9/x",
        "window_hours": "0.5",
    }
    (tmp_path / "stack.json").write_text(json.dumps(note))
    monkeypatch.setattr(shell, "running", lambda home: Cloud(home, 1, 9))
    monkeypatch.setattr(shell, "outputs", lambda cloud: {"DeadLettersUrl": "q"})
    made = shell.variables(tmp_path, {"PATH": "/bin", "AWS_PROFILE": "mine", "STILLGOOD_STORE": "else", "HOME": "/h"})
    assert (made["AWS_ENDPOINT_URL"], made["AWS_ACCESS_KEY_ID"]) == ("http://127.0.0.1:9", "test")
    assert (made["STILLGOOD_BUCKET"], made["BUCKET"], made["TrainFunction"], made["HOME"]) == ("b", "b", "t-1", "/h")
    assert (made["STILLGOOD_API_URL"], made["PATH"].split(":")[-1]) == (note["api"], "/bin")
    assert (made["DeadLettersUrl"], made["STILLGOOD_WINDOW_HOURS"]) == ("q", "0.5")
    assert not {"AWS_PROFILE", "STILLGOOD_STORE"} & made.keys()


def test_without_a_cloud_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match="`make up` starts it"):
        shell.variables(tmp_path, {})
