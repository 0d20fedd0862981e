"""docs/rehearse.md does what it says: its code and commands are run, in order, in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest
from stillgood.cli.main import main

PAGE = Path(__file__).parents[2] / "docs/rehearse.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    scope: dict[str, object] = {}
    for language, text in blocks:
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), scope)
        else:
            for line in text.strip().splitlines():
                assert main(shlex.split(line)[1:]) == 0

    said = capsys.readouterr().out
    assert "never" in said
    assert "Were the alarms worth it?" in said
    assert [path.name for path in Path("weather.rehearsal").glob("*/*.json")] != []


def test_every_option_of_the_page_is_one_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rehearse", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))

    assert set(re.findall(r"`(--[a-z-]+)", PAGE.read_text(encoding="utf-8"))) <= known
