"""The kinds of faults in inputs.md, one by one: each file as it was met, read by check, train and batch, which agree on
every row; nothing is lost in silence.
"""

import gzip
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidEvent, TableUnreadable
from stillgood.domain.model.model import Model
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.training.drafting import check_file
from stillgood.training.ingest import ingest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
N = 300
HEADER = "customer,tenure,plan,charges,partner,note,left"
RAW = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "inputs",
    "version": "1",
    "id": "customer",
    "target": {"name": "left", "positive": "1", "negative": "0"},
    "features": [
        {"name": "tenure", "kind": "integer", "minimum": 0},
        {"name": "plan", "kind": "categorical", "levels": ["monthly", "yearly"]},
        {"name": "charges", "kind": "numeric", "nullable": True},
        {"name": "partner", "kind": "boolean"},
    ],
    "training": {"min_rows": 20},
}


def cells() -> list[list[str]]:
    draw = random.Random(3)
    return [
        [
            f"{n:06d}",
            str(draw.randint(1, 72)),
            draw.choice(["monthly", "yearly"]),
            f"{draw.uniform(19, 119):.2f}",
            draw.choice(["true", "false"]),
            "fine",
            draw.choice("01"),
        ]
        for n in range(N)
    ]


def text(rows: list[list[str]] | None = None, header: str = HEADER, end: str = "\n") -> str:
    return end.join([header, *(",".join(row) for row in (cells() if rows is None else rows))]) + end


def put(row: int, column: str, value: str) -> str:
    rows = cells()
    rows[row][HEADER.split(",").index(column)] = value
    return text(rows)


def every(column: str, change: Callable[[str], str]) -> str:
    place, rows = HEADER.split(",").index(column), cells()
    for row in rows:
        row[place] = change(row[place])
    return text(rows)


def longer(row: int, more: str) -> str:
    lines = text().splitlines()
    lines[row + 1] += more
    return "\n".join(lines) + "\n"


def quotes(*rows: int) -> str:
    """One stray quote at the start of a column that the contract does not name."""
    lines = cells()
    for row in rows:
        lines[row][5] = '"fine'
    return text(lines)


# What is in the file; how many of the 300 rows are refused by every reader that reads what is wrong.
WHOLE: dict[str, tuple[str | bytes, int]] = {
    "as it should be": (text(), 0),
    "a byte order mark": ("\ufeff" + text(), 0),
    "Windows' line ends": (text(end="\r\n"), 0),
    "blanks around the names of the header": (text(header=HEADER.replace(",", " , ")), 0),
    "blanks around values": (every("plan", lambda plan: f" {plan} "), 0),
    "blank lines": (text().replace("\n", "\n\n"), 0),
    "a row wider than the header": (longer(10, ",more"), 1),
    "a row shorter than the header": (text([*cells()[:10], cells()[10][:3], *cells()[11:]]), 1),
    "a stray quote in row 11": (quotes(10), 1),
    "two stray quotes 200 rows apart in a column that the contract does not name": (quotes(20, 220), 2),
    "a footer that counts the rows": (text() + "(300 rows)\n", 1),
    "a line of totals": (text() + "Total,,,21000.50,,,\n", 1),
    "one odd text among numbers": (put(7, "tenure", "72+"), 1),
    "NA for nothing in a number that may be missing": (put(7, "charges", "NA"), 1),
    "nothing in a number that may be missing": (put(7, "charges", ""), 0),
    "nothing in a number that may not": (put(7, "tenure", ""), 1),
    "a currency in front": (put(7, "charges", "$19.50"), 1),
    "a number with a mark of thousands": (put(7, "charges", '"1,019.50"'), 1),
    "not a number": (put(7, "charges", "nan"), 1),
    "infinity": (put(7, "charges", "inf"), 1),
    "a number too large for any": (put(7, "charges", "1e999"), 1),
    "an integer with a fraction": (put(7, "tenure", "3.5"), 1),
    "an integer written as 12.0": (put(7, "tenure", "12.0"), 0),
    "a count below nothing": (put(7, "tenure", "-1"), 1),
    "t and f, which a draft names in the contract's source": (every("partner", lambda truth: truth[0]), N),
    "1 and 0 for truth": (every("partner", lambda truth: str(int(truth == "true"))), 0),
    "a truth that is neither": (put(7, "partner", "maybe"), 1),
    "a level in capitals": (put(7, "plan", "MONTHLY"), 1),
    "a level that nobody knows": (put(7, "plan", "weekly"), 1),
    "a letter that is two code points": (put(7, "plan", "ye\u0301arly"), 1),
    "bytes that are not UTF-8": (text().encode().replace(b"000007,", b"\xff00007,"), 1),
    "a zero byte": (put(7, "plan", "month\x00ly"), 1),
    "the header once more, in the middle": (text([*cells()[:150], HEADER.split(","), *cells()[150:]]), 1),
    "a feature twice, equal in some rows": (
        text(header=HEADER.replace("note", "tenure")).replace("fine", "7"),
        sum(row[1] != "7" for row in cells()),
    ),
    "a gzip": (gzip.compress(text().encode()), 0),
}
# Only training reads the outcome, and only batch does without it.
OUTCOMES = {
    "1.0 for 1": (every("left", lambda left: f"{left}.0"), 0),
    "blank": (put(7, "left", ""), 1),
    "another word": (put(7, "left", "perhaps"), 1),
}
# A file that nobody can read: what the refusal must name.
REFUSED = {
    "the id renamed upstream": (text(header=HEADER.replace("customer", "client")), "customer"),
    "nothing at all": ("", "header"),
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(RAW)


class Readers:
    """The same bytes through each step that reads files."""

    def __init__(self, contract: Contract, model: Model, folder: Path, enthrone: Callable[[ObjectStore, Model], None]):
        self.contract, self.folder, self.store = contract, folder, MemoryObjectStore()
        enthrone(self.store, model)

    def check(self, data: bytes, suffix: str) -> Any:
        path = self.folder / f"a.{suffix}"
        path.write_bytes(data)
        return check_file(path, self.contract, latest=NOW)

    def train(self, data: bytes, suffix: str) -> Any:
        return ingest(self.contract, [(f"data/2026-11-01/a.{suffix}", data)])

    def batch(self, data: bytes, suffix: str) -> dict[str, Any]:
        self.store.put(f"batch/a.{suffix}", data)
        source = ChampionSource(self.store, lambda: NOW, ttl_seconds=0)
        return batch({"input": f"batch/a.{suffix}"}, BatchDeps(self.store, source, lambda: NOW))


@pytest.fixture
def readers(contract: Contract, draw_model: Any, make_champion: Any, tmp_path: Path) -> Readers:
    return Readers(contract, draw_model(contract, "20261123-first"), tmp_path, make_champion)


def file_of(content: str | bytes) -> tuple[bytes, str]:
    data = content.encode() if isinstance(content, str) else content
    return data, "csv.gz" if data[:2] == b"\x1f\x8b" else "csv"


@pytest.mark.parametrize("kind", WHOLE)
def test_check_train_and_batch_say_the_same_of_every_row(kind: str, readers: Readers) -> None:
    content, refused = WHOLE[kind]
    data, suffix = file_of(content)
    report = readers.check(data, suffix)
    assert report.problem is None
    assert report.refused == refused
    learnt = readers.train(data, suffix)
    assert (learnt.frame.n, len(learnt.refused)) == (report.accepted, refused)
    scored = readers.batch(data, suffix)
    assert (scored["predicted"], scored["rejected"]) == (report.accepted, refused)
    assert report.rows in (N, N + 1)  # one more where a line that is no customer was added
    assert len(learnt.hashes) == len(set(learnt.hashes.tolist()))  # no row stands for another


@pytest.mark.parametrize("kind", OUTCOMES)
def test_an_outcome_is_read_where_it_has_one_meaning(kind: str, readers: Readers) -> None:
    content, refused = OUTCOMES[kind]
    data, suffix = file_of(content)
    assert readers.check(data, suffix).refused == refused
    assert len(readers.train(data, suffix).refused) == refused
    assert readers.batch(data, suffix)["predicted"] == N


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_by_name_by_all(kind: str, readers: Readers) -> None:
    content, named = REFUSED[kind]
    data, suffix = file_of(content)
    report = readers.check(data, suffix)
    assert report.problem is not None
    assert named in report.problem
    assert readers.train(data, suffix).frame.n == 0
    with pytest.raises((TableUnreadable, InvalidEvent), match=named):
        readers.batch(data, suffix)


def test_a_nullable_column_that_was_renamed_is_never_blank_in_silence(readers: Readers) -> None:
    data, suffix = file_of(text(header=HEADER.replace("charges", "fees")))
    assert "charges is absent" in " ".join(readers.check(data, suffix).notes)
    assert readers.train(data, suffix).repaired["charges: column absent"] == N
    with pytest.raises(InvalidEvent, match="it lacks the column charges"):
        readers.batch(data, suffix)


def test_rows_that_contradict_each_other_are_refused_by_check_as_by_train(readers: Readers) -> None:
    """A spreadsheet writes long ids as 1.00E+09: all rows become one customer's."""
    data, suffix = file_of(every("customer", lambda _: "1.00E+09"))
    report, learnt = readers.check(data, suffix), readers.train(data, suffix)
    assert (report.accepted, report.refused, report.positives) == (learnt.frame.n, len(learnt.refused), 0)
    (finding,) = report.findings
    assert (finding.column, finding.rule, finding.rows) == ("customer", "conflict", N)
    assert finding.lines[:2] == (2, 3)


def test_rows_that_return_unchanged_are_counted_by_check_as_by_train(readers: Readers) -> None:
    data, suffix = file_of(text([*cells(), *cells()[:7]]))
    repaired = readers.check(data, suffix).repaired
    assert repaired == readers.train(data, suffix).repaired == {"(row): duplicate dropped": 7}


def test_milliseconds_since_1970_are_no_time() -> None:
    """Python reads 1711043200000 as a day of 1711; of the numbers of this century, three in a hundred read so."""
    rows = [[*row, "1711043200000"] for row in cells()]
    learnt = ingest(read_contract({**RAW, "time": "at"}), [("data/a.csv", text(rows, f"{HEADER},at").encode())])
    assert learnt.frame.n == 0
    assert {one.violations[0].rule for one in learnt.refused} == {"time"}
