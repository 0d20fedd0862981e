"""A sample of ``make bench-strangers``: damaged files and bombs are read or refused by name, in bounded memory."""

from collections.abc import Callable
from typing import Any

import pytest
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables import apart
from stillgood.storage.tables.opening import open_for

from benchmarks.strangers import files

BOMBS = {
    ("parquet", "one text of 50 MB"),
    ("xlsx", "a cell in the last row"),
    ("gzip", "a hundred thousand members"),
    ("jsonl", "nested 10,000,000 deep"),
}


@pytest.mark.parametrize("kind", ["csv", "gzip", "jsonl", "parquet", "xlsx"])
def test_a_damaged_file_is_read_or_refused_and_ends_no_process(kind: str, count: Callable[..., None]) -> None:
    told = files.run(kind, 12 if kind in ("parquet", "xlsx") else 100, seed=7, bombs=False)
    assert {name for name in told["outcomes"] if name.startswith("escaped")} == set()
    count(f"damaged files: {kind}", told["files"])


@pytest.mark.parametrize(("kind", "name"), sorted(BOMBS))
def test_a_bomb_stays_small(kind: str, name: str) -> None:
    told = files._alone(kind, dict(files.hostile(kind))[name])
    assert told["outcome"] in ("read", "refused")
    assert told["grown_mb"] < 100
    assert told["reader_mb"] < files.MEMORY_MB - 80  # what a step holds besides


def test_a_reader_that_dies_is_a_refusal_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(*_: Any) -> Any:
        import subprocess
        import sys

        code = 'import os; print(\'{"names": ["age"], "every": ["age"]}\', flush=True); os.abort()'
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    monkeypatch.setattr(apart, "start", dying)
    data = files._parquet(files.pa.table(files._ROW))
    table = open_for(files.CONTRACT, "a.parquet", [data], needed=["age"])
    with pytest.raises(TableUnreadable, match=r"ended the process that read it \(status -6\)"):
        list(table.chunks)


def test_the_reader_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    seen: dict[str, str] = {}

    def popen(words: list[str], **named: Any) -> Any:
        seen.update(named["env"])
        raise InterruptedError

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(InterruptedError):
        open_for(files.CONTRACT, "a.parquet", [files._parquet(files.pa.table(files._ROW))])
    assert "PYTHONPATH" in seen
    assert not [name for name in seen if "AWS" in name]
