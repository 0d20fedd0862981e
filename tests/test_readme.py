"""The README is tested: its commands, files and tables are those of the project."""

import re
from pathlib import Path

import pytest
from stillgood.aws.settings import Settings

from local.sam import EVENTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_every_make_command_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", README, re.MULTILINE))
    assert {first or second for first, second in named} <= targets


def test_ci_runs_the_readmes_test_command() -> None:
    assert "make test" in README
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_linked_file_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def test_the_table_of_settings_is_what_the_code_reads() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    expected = []
    for variable in Settings.variables().values():
        default = "none" if variable.default is None else f"`{variable.default}`" if variable.default else "unset"
        expected.append((variable.name, default, variable.meaning))
    assert rows == expected


def test_every_event_is_described() -> None:
    page = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    for file in (ROOT / "events").glob("*.json"):
        assert f"events/{file.name}" in page, file.name


def test_the_readme_fits_on_two_screens_and_needs_no_glossary() -> None:
    assert len(README.splitlines()) <= 120
    assert "glossary" not in README


def test_make_sam_local_sends_every_event_there_is() -> None:
    assert {name for _, name in EVENTS} == {path.stem for path in (ROOT / "events").glob("*.json")}
    sent = (ROOT / "tests" / "sam_local" / "test_sam_local.py").read_text(encoding="utf-8")
    for _, name in EVENTS:  # and its test, too
        assert f'"{name}"' in sent, name


def test_no_file_names_a_place_of_one_machine() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"/(home|root|work|var/tmp)/", document.read_text(encoding="utf-8")), document
