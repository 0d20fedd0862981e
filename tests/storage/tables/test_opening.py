"""The one reader: what cannot be read in one way is refused by name and line, and costs nothing else."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Source
from stillgood.domain.errors import InvalidEvent, TableUnreadable
from stillgood.storage.tables import parquet
from stillgood.storage.tables.opening import open_table


def read(
    name: str, data: bytes | Iterable[bytes], **named: Any
) -> tuple[list[dict[str, Any]], list[tuple[int | None, str]]]:
    """The rows, and the line and message of each that is none."""
    table = open_table(name, [data] if isinstance(data, bytes) else data, **named)
    rows, broken = [], []
    for chunk in table.chunks:
        rows += [dict(chunk.row(index)) for index in range(len(chunk.numbers))]
        broken += [(line.line, line.message) for line in chunk.unreadable]
    return rows, broken


def refusal(name: str, data: bytes | Iterable[bytes], **named: Any) -> TableUnreadable:
    with pytest.raises(TableUnreadable) as caught:
        read(name, data, **named)
    return caught.value


@pytest.mark.parametrize(
    ("name", "data", "rule", "says"),
    [
        ("a.csv", b"", "empty", "it needs a header and rows"),
        ("a.csv", b"\n \n", "empty", "it needs a header and rows"),
        ("a.csv", b",,\n1,2,3\n", "empty", "it needs a header"),
        ("a.csv", "x,y\n1,2\n".encode("utf-16-le"), "encoding", "holds NUL characters"),
        ("a.csv", b"\xff\xfex", "encoding", "not utf-16"),
        ("a.csv", b'"x,y\n1,2\n', "header", "cannot be read"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n" * 999, mtime=0)[:-20], "gzip", "its end is missing"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n" * 999, mtime=0)[:30] + b"?" * 30, "gzip", "not whole as gzip"),
        ("a.parquet", b"PAR1 not really PAR1", "format", "not a readable Parquet file"),
        ("a.xls", b"", "format", "convert it"),
        ("a.txt", b"x,y\n1,2\n", "format", "convert it"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(name: str, data: bytes, rule: str, says: str) -> None:
    error = refusal(name, data)
    assert error.rule == rule
    assert says in error.detail
    assert isinstance(error, InvalidEvent)


def test_lines_are_those_that_an_editor_shows() -> None:
    data = b'# note\n\nx,y\n1,2\n\n3\n"4\n5",6\n7,8,9\n\xff,1\n\0,1\n10,11\n'
    rows, broken = read("a.csv", data)
    assert rows == [{"x": "1", "y": "2"}, {"x": "4\n5", "y": "6"}, {"x": "10", "y": "11"}]
    assert [line for line, _ in broken] == [6, 9, 10, 11]
    table = open_table("a.csv", [data])
    assert [line for chunk in table.chunks for line in chunk.lines] == [4, 7, 12]


def rows_with_quotes(first: int, last: int | None, count: int = 400) -> bytes:
    """Rows of three cells, of which row ``first`` has a stray quote before its note, and row ``last`` one behind."""
    lines = []
    for n in range(count):
        note = ('"' if n == first else "") + f"note {n}" + ('"' if n == last else "")
        lines.append(f"{n},{note},No")
    return ("id,note,left\n" + "\n".join(lines) + "\n").encode()


@given(st.integers(0, 399), st.integers(1, 300))
def test_two_stray_quotes_swallow_no_rows(first: int, distance: int) -> None:
    last = first + distance
    rows, broken = read("a.csv", rows_with_quotes(first, last if last < 400 else None))
    assert len(rows) + len(broken) == 400
    assert [line for line, _ in broken] == [first + 2]
    assert ("a row by itself" in broken[0][1]) if last < 400 else ("end of data" in broken[0][1])


def test_a_text_of_several_lines_is_one_cell() -> None:
    note = "Dear customer,\nthank you, and bye.\n\nYours"
    rows, broken = read("a.csv", f'id,note,left\n1,"{note}",No\n2,x,Yes\n'.encode())
    assert (rows[0]["note"], len(rows), broken) == (note, 2, [])


@pytest.mark.parametrize("second", ["5", "6", ""])
def test_a_column_that_stands_twice_is_held_against_itself(second: str) -> None:
    rows, broken = read("a.csv", f"x,y,x\n1,2,1\n5,3,{second}\n".encode())
    assert rows[0] == {"x": "1", "y": "2"}
    assert len(rows) == (2 if second == "5" else 1)
    assert [line for line, _ in broken] == ([] if second == "5" else [3])


def test_a_column_that_does_not_matter_may_stand_twice() -> None:
    rows, broken = read("a.csv", b"x,note,note\n1,a,b\n", wanted={"x"})
    assert (rows, broken) == ([{"x": "1", "note": "a"}], [])


def test_a_header_that_begins_with_a_hash_is_a_header() -> None:
    assert read("a.csv", b"#id,x\n1,2\n") == ([{"#id": "1", "x": "2"}], [])
    assert read("a.csv", b"# a, b, and c\nid,x\n1,2\n")[0] == [{"id": "1", "x": "2"}]


@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.integers(1, 7),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_encodings_and_delimiters_are_those_that_are_stated(encoding: str, size: int, delimiter: str) -> None:
    data = f"id{delimiter}name\n1{delimiter}Jürgen\n2{delimiter}Zoë\n".encode(encoding)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    rows, broken = read("a.csv", pieces, source=Source(encoding=encoding, delimiter=delimiter))
    assert ([row["name"] for row in rows], broken) == (["Jürgen", "Zoë"], [])


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.parquet"]))
def test_any_bytes_are_read_or_refused_and_never_crash(data: bytes, name: str) -> None:
    try:
        _, broken = read(name, data)
    except TableUnreadable:
        return
    assert all(message for _, message in broken)


def test_a_gzip_that_unpacks_without_end_is_refused_before_it_fills_anything() -> None:
    def bomb() -> Iterator[bytes]:
        machine = zlib.compressobj(9, wbits=31)
        yield machine.compress(b"x,y\n")
        for _ in range(400):
            yield machine.compress(b"0,0\n" * 262_144)

    table = open_table("a.csv.gz", bomb())
    with pytest.raises(TableUnreadable, match="which no table of rows does"):
        for _ in table.chunks:
            pass


def written(table: Any, **named: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **named)
    return out.getvalue()


def test_parquet_reads_the_columns_that_matter_only() -> None:
    data = written(pa.table({"x": [1, 2], "blob": ["z" * 10, "z"]}))
    assert read("a.parquet", data, wanted={"x"})[0] == [{"x": 1}, {"x": 2}]


def test_a_text_that_parquet_repeats_is_kept_once() -> None:
    long = "z" * 100_000
    data = written(pa.table({"x": [long] * 20_000}))
    assert len(data) < 300_000
    table = open_table("a.parquet", [data])
    assert sum(value is not None for chunk in table.chunks for value in chunk.column("x")) == 20_000


def test_parquet_of_rows_without_anything_is_refused_by_its_footer() -> None:
    data = written(pa.table({"x": pa.nulls(5_000_000, pa.int64())}), compression="zstd")
    assert refusal("a.parquet", data).rule == "budget"


def test_a_row_group_that_would_not_fit_is_refused_by_its_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(pa.table({"x": list(range(50_000)), "y": list(range(50_000))}))
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", 500_000)
    assert "write it in row groups" in refusal("a.parquet", data).detail
    assert len(read("a.parquet", data, wanted={"x"})[0]) == 50_000


def test_json_that_is_nested_without_end_costs_its_line_only() -> None:
    rows, broken = read("a.jsonl", b'{"x": 1}\n' + b'{"x": ' * 50_000 + b"\n" + b'{"x": 2}\n')
    assert rows == [{"x": 1}, {"x": 2}]
    assert [line for line, _ in broken] == [2]
