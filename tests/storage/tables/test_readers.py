import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.contract.chunk import MISSING, Chunk, Unreadable
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.domain.errors import InvalidEvent
from stillgood.storage.tables import delimited as csv_input
from stillgood.storage.tables import json_columns
from stillgood.storage.tables import json_lines as json_input
from stillgood.storage.tables import lines as batch_input
from stillgood.storage.tables.delimited import read_delimited
from stillgood.storage.tables.json_lines import json_chunks
from stillgood.storage.tables.lines import MAX_LINE


def csv_chunks(
    data: Iterable[bytes], chunk_rows: int = 1_000, high_cardinality: Iterable[str] = (), wanted: Iterable[str] = ()
) -> Iterator[Chunk]:
    """The chunks of a CSV of bytes, as every step reads it."""
    table = read_delimited(
        data, chunk_rows=chunk_rows, high_cardinality=frozenset(high_cardinality), wanted=frozenset(wanted)
    )
    return table.chunks


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def read(chunks: Iterable[Chunk]) -> tuple[list[tuple[int, dict[str, Any]]], list[Unreadable]]:
    rows: list[tuple[int, dict[str, Any]]] = []
    unreadable: list[Unreadable] = []
    for chunk in chunks:
        rows += [(number, dict(chunk.row(index))) for index, number in enumerate(chunk.numbers)]
        unreadable += chunk.unreadable
    return rows, unreadable


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)
# Not with commas after an end of line: such a line might be a row itself, and then the quotes around it are refused.
CSV_CELLS = CELLS.filter(lambda cell: not ("\n" in cell and "," in cell))


@given(
    st.lists(st.tuples(CSV_CELLS, CSV_CELLS, CSV_CELLS), max_size=12),
    st.integers(1, 40),
    st.integers(1, 5),
    st.booleans(),
)
def test_csv_is_read_back_as_written_whatever_pieces_it_comes_in(
    rows: list[tuple[str, str, str]], size: int, chunk_rows: int, mark: bool
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    data = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    back, unreadable = read(csv_chunks(pieces(data, size), chunk_rows))
    assert unreadable == []
    assert back == [(number, dict(zip("abc", row, strict=True))) for number, row in enumerate(rows, 1)]


@given(
    st.lists(st.dictionaries(CELLS, st.none() | st.integers() | CELLS, max_size=3), max_size=12),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_json_lines_are_read_back_as_written(rows: list[dict[str, Any]], size: int, chunk_rows: int) -> None:
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    back, unreadable = read(json_chunks(pieces(data, size), chunk_rows))
    assert unreadable == []
    assert back == list(enumerate(rows, 1))


@given(st.binary(max_size=300), st.integers(1, 9))
def test_every_line_of_any_bytes_is_a_row_or_is_listed(data: bytes, size: int) -> None:
    rows, unreadable = read(json_chunks(pieces(data, size), 3))
    numbers = sorted([number for number, _ in rows] + [row.number for row in unreadable])
    assert numbers == list(range(1, len(numbers) + 1))
    json.dumps([row.raw for row in unreadable]).encode()


@given(
    st.lists(
        st.sampled_from(
            ["1,2\n", '"1",2\n', '"1,2\n', '1,2"\n', "1\n", "1,2,3\n", "\n", '"a\nb",c\n', "\xff,1\n", "\r,\r\n"]
        )
    )
)
def test_no_row_of_a_broken_csv_is_lost_or_counted_twice(lines: list[str]) -> None:
    rows, unreadable = read(csv_chunks([b"a,b\n", "".join(lines).encode("latin-1")], 3))
    numbers = sorted([number for number, _ in rows] + [row.number for row in unreadable])
    assert numbers == list(range(1, len(numbers) + 1))
    kept = "".join(f"{row['a']},{row['b']}" for _, row in rows) + "".join(row.raw for row in unreadable)
    assert sum(map(kept.count, "123")) == sum(map("".join(lines).count, "123"))


def test_a_csv_row_of_another_width_is_listed_with_its_place_and_text() -> None:
    rows, unreadable = read(csv_chunks([b"a,b\n1,2\n3\n4,5,6\n7,8\n"]))
    assert rows == [(1, {"a": "1", "b": "2"}), (4, {"a": "7", "b": "8"})]
    assert [(row.number, row.rule, row.raw) for row in unreadable] == [(2, "csv", "3"), (3, "csv", "4,5,6")]
    assert unreadable[0].message == "The row has 1 cells, the header 2."


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    good = "".join(f"{n},x\n" for n in range(30_000))
    rows, unreadable = read(csv_chunks(pieces(('a,b\n1,"x\n' + good).encode(), 100_000)))
    assert [(row.number, row.raw) for row in unreadable] == [(1, '1,"x')]
    assert len(rows) == 30_000


def test_bytes_that_are_not_utf8_cost_their_own_line_only() -> None:
    rows, unreadable = read(csv_chunks([b"a,b\n\xfc,1\nu,2\n"]))
    assert rows == [(2, {"a": "u", "b": "2"})]
    assert [(row.number, row.message, row.raw) for row in unreadable] == [(1, "The line is not UTF-8.", "\\udcfc,1")]


def test_a_line_without_end_is_listed_and_does_not_fill_the_memory() -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"a": 1}\n'
        for _ in range(64):
            yield b"x" * MAX_LINE
        yield b'\n{"a": 2}\n'

    rows, unreadable = read(json_chunks(endless()))
    assert rows == [(1, {"a": 1}), (3, {"a": 2})]
    assert [(row.number, len(row.raw)) for row in unreadable] == [(2, MAX_LINE)]


def test_blank_lines_are_not_rows() -> None:
    assert read(csv_chunks([b"a,b\n\n1,2\n\r\n"])) == ([(1, {"a": "1", "b": "2"})], [])
    assert read(json_chunks([b'\n{"a": 1}\n  \n'])) == ([(1, {"a": 1})], [])


@pytest.mark.parametrize("data", [b"a,b\n", b"a,b"])
def test_an_empty_csv_has_no_rows(data: bytes) -> None:
    assert read(csv_chunks([data])) == ([], [])


@pytest.mark.parametrize(
    ("data", "says"), [(b"", "it is empty"), (b"\n \n", "it is empty"), (b"\xff,b\n", "not UTF-8")]
)
def test_a_header_that_cannot_be_used_refuses_the_file(data: bytes, says: str) -> None:
    with pytest.raises(InvalidEvent, match=says):
        read(csv_chunks([data]))


def test_what_a_json_line_lacks_is_missing_not_null() -> None:
    (chunk,) = json_chunks([b'{"a": null}\n{}\n'])
    assert chunk.column("a") == [None, MISSING]


LINES = st.sampled_from(
    [
        '{"a": 1, "b": "x"}',
        '{"b": "x", "a": 1}',
        '{"a": 1, "b": "x", "a": 2}',
        '{"a" : 1, "b": "x\\":"}',
        '{"a": 1.0, "b": ""}',
        "[1]",
        '{"a": 1e400, "b": ""}',
        '{"a": -1e30, "b": ""}',
        '{"a": 12345678901234567890123, "b": ""}',
        '{"a": NaN, "b": ""}',
        "{}",
        "1",
        '{"a": [], "b": ""}',
        '{"a": ["b"], "b": ""}',
        '{"a": {"b": 1, "b": 2}, "b": ""}',
        '{"a": null, "b": "\\ud800"}',
        " ",
        "x",
        '{"a": true, "b": "\\u00fc"}',
        '{"a": "ü", "b": "\u2028"}',
        '{"": 1}',
        '{"a": 1, "\\u0061": 1}',
        '{"a": 0.1, "b": 1E2}',
    ]
)


@settings(max_examples=300)
@given(st.lists(LINES, min_size=1, max_size=3), st.integers(1, 3))
def test_the_quick_way_through_json_lines_reads_what_the_careful_way_reads(texts: list[str], chunk_rows: int) -> None:
    data = "\n".join(texts).encode()
    quick = read(json_chunks([data], chunk_rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_input, "_plain", lambda lines, limit: None)
        careful = read(json_chunks([data], chunk_rows))
    assert repr(quick) == repr(careful)


def by_the_block(read_all: Callable[[], Any]) -> Any:
    """``read_all()``, with every block large enough for Arrow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_input, "LARGE_BLOCK", 0)
        return read_all()


def line_by_line(read_all: Callable[[], Any]) -> Any:
    """``read_all()`` by nothing quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_input, "_block", lambda lines, high_cardinality: None)
        patch.setattr(json_input, "_plain", lambda lines, limit: None)
        patch.setattr(csv_input, "_block", lambda lines, header, delimiter, high_cardinality: None)
        return read_all()


# Members of which some make a line, others only two of them together, or a name or a text that is not what it seems.
MEMBERS = st.sampled_from(
    [
        *("1", "-0", "0.5", "1E2", "1e400", "12345678901234567890123", "18446744073709551615", "01", "+1", "NaN"),
        *('"x"', '"\\u00fc"', '"ü"', '"\\ud800"', '"}"', '"{"', '"a\\"b"', '"\ufeff"', '"\u2028"', '"\t"'),
        *('"x', 'x"', "1}", "1}\n{", "{", "}", "", " ", "null", "true", "[]", "[1]", "[", "]"),
        *('{"b":1}', '{"b":1', "1,2", '1,"c":2', '1"b":2', '"x,y"', '"x\ny"', "1\r", "1 ", "\t1"),
    ]
)
NAMES = ('"a":', '"b":', '"c": ', '"a" :', '"\\u0061":', ' "b":', '"a:b":', '"":', "a:", '"a"', '"a":"b":')


@st.composite
def nearly_uniform(draw: st.DrawFn) -> list[str]:
    """Lines of one layout, but for what is put in here and there."""
    names = draw(
        st.lists(st.sampled_from(NAMES[:3]), min_size=1, max_size=3) | st.lists(st.sampled_from(NAMES), max_size=3)
    )
    usual = st.sampled_from(["1", "2.5", '"x"', "null", "true"])
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        odd = draw(st.integers(0, 3)) == 0
        members = [name + draw(MEMBERS if odd else usual) for name in (draw(st.permutations(names)) if odd else names)]
        lines.append(
            "{" + ",".join(members) + "}" + draw(st.sampled_from(["", "", "", "\r", " ", ","]) if odd else st.just(""))
        )
    return lines


@settings(max_examples=1500, deadline=None)
@given(nearly_uniform(), st.sets(st.sampled_from("abc")), st.booleans(), st.integers(1, 60))
def test_blocks_of_json_lines_are_read_as_line_by_line(
    texts: list[str], high_cardinality: set[str], ended: bool, size: int
) -> None:
    data = "\n".join(texts).encode() + b"\n" * ended

    def read_all() -> Any:
        return read(json_chunks(pieces(data, size), 2, high_cardinality))

    assert repr(by_the_block(read_all)) == repr(line_by_line(read_all))


def test_uniform_json_lines_are_read_by_the_block() -> None:
    lines = [b'{"a": "x", "b": 1, "c": null}', b'{"a": "y", "b": 2.5, "c": true}\r', b'{"a": "x", "b": 7, "c": ""}']
    for high_cardinality in (set[str](), {"a"}, {"b", "c"}, {"a", "b", "c"}):
        columns = json_columns.columns(b"\n".join(lines) + b"\n", high_cardinality)
        assert columns is not None
        assert {name: type(column) is list for name, column in columns.items()} == {
            name: name in high_cardinality for name in "abc"
        }
        assert {name: list(column) for name, column in columns.items()} == {
            "a": ["x", "y", "x"],
            "b": [1, 2.5, 7],
            "c": [None, True, ""],
        }


@pytest.mark.parametrize("high_cardinality", [set(), {"a"}, {"b"}])
@pytest.mark.parametrize(
    "second",
    [
        b'{"a":1,"b":2',
        b'"a":1,"b":2}',
        b'{"a":1,"b":[2]}',
        b'{"a":1,"b":18446744073709551616}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a":"x","b":"\xff"}',
        b'{"a":1,"b":2}\r\r',
        b'{"a":{"a":1},"b":2}',
        b'{"a":1,"b":2,"c":3}',
        b'{"a":1}',
        b"",
    ],
)
def test_a_block_with_a_line_that_is_not_plain_is_left_to_the_careful_way(
    second: bytes, high_cardinality: set[str]
) -> None:
    assert json_columns.columns(b'{"a":1,"b":2}\n%b\n{"a":3,"b":4}\n' % second, high_cardinality) is None


@pytest.mark.parametrize("high_cardinality", [set(), {"a"}, {"b"}])
@pytest.mark.parametrize(
    "lines",
    [
        [b'{"a":1,"a":2}', b'{"a":1,"a":2}'],
        [b'{"a":1,"b":2,"c":3}', b'{"a":1,"b":2"b":2,"c":3}', b'{"a":1,,"c":3}'],  # as many values as lines
        [b'{"a":1,"b":2,"c":3}', b'{"a":1,"b":2,2,"c":3}'],
        [b'{"a":1,"b":"x,"c":3}', b'{"a":1,"b":y","c":3}'],
        [b"{}", b"{}"],
        [b"", b""],
    ],
)
def test_lines_that_only_together_look_plain_are_left_to_the_careful_way(
    lines: list[bytes], high_cardinality: set[str]
) -> None:
    assert json_columns.columns(b"\n".join(lines), high_cardinality) is None


def test_a_block_whose_lines_may_be_too_long_is_left_to_the_careful_way() -> None:
    assert json_columns.columns(b'{"a":"%b"}\n' % (b"x" * MAX_LINE), set()) is None


def test_small_inputs_do_not_wait_for_arrow() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(1000))
    assert not any(
        type(column) is DictionaryColumn
        for chunk in csv_chunks([b"a,b\n" + rows])
        for column in (chunk.columns or {}).values()
    )
    large = [type((chunk.columns or {})["b"]) is DictionaryColumn for chunk in csv_chunks([b"a,b\n" + rows * 99])]
    assert large == [True] * len(large)


@given(st.lists(st.text("ab1é", max_size=3), min_size=1, max_size=5))
def test_packed_texts_are_read_as_they_are(texts: list[str]) -> None:
    chunks = by_the_block(
        lambda: list(csv_chunks([b"a,b\n", "".join(f"{text},x\n" for text in texts).encode()], 3, {"a"}))
    )
    column = chunks[0].columns["a"]
    assert type(column) is StringBuffer
    assert list(column) == column.texts() == texts


def csv_lines(width: int) -> st.SearchStrategy[list[str]]:
    """Lines of ``width`` cells, most of them plain, and lines of anything."""
    cell = st.text("ab1.- é\ufeff\u2028\x0b", max_size=4)
    plain = st.lists(cell, min_size=width, max_size=width).map(",".join)
    return st.lists(plain | plain | st.text("a, \"'\r\n\0\x0b\x1cé\u2028", max_size=9), max_size=6)


@settings(max_examples=500, deadline=None)
@given(
    st.integers(1, 3).flatmap(lambda width: st.tuples(st.just(width), csv_lines(width))),
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 40),
    st.sets(st.sampled_from("abc")),
)
def test_the_quick_way_through_csv_reads_what_the_csv_module_reads(
    table: tuple[int, list[str]], chunk_rows: int, ended: bool, size: int, high_cardinality: set[str]
) -> None:
    width, lines = table
    header = ",".join("abc"[:width]).encode() + b"\n"
    body = "\n".join(lines).encode() + b"\n" * ended
    pieces = [header, *(body[start : start + size] for start in range(0, len(body), size))]

    def read_all() -> Any:
        return read(csv_chunks(pieces, chunk_rows, high_cardinality, "a"))

    assert by_the_block(read_all) == line_by_line(read_all)


def test_plain_blocks_of_csv_take_the_quick_way_and_come_back_to_it() -> None:
    pieces = [b"a,b\n", b"1,2\n3,4\n", b'"5",6\n7,8\n9,10\n', b"1,2\r\n3,\n", b"1\n", b"1,2"]
    chunks = by_the_block(lambda: list(csv_chunks(pieces, 2)))
    assert [type(chunk.columns["a"]) is DictionaryColumn for chunk in chunks if chunk.columns] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert [list(chunk.columns["a"]) for chunk in chunks if chunk.columns] == [
        ["1", "3"],
        ["5", "7"],
        ["9"],
        ["1", "3"],
        ["1"],
    ]
    assert [line.number for chunk in chunks for line in chunk.unreadable] == [8]


def test_a_cell_longer_than_the_csv_module_takes_is_left_to_it() -> None:
    data = b"a,b\n1,2\n" + b"x" * (csv.field_size_limit() + 1) + b",2\n3,4\n"
    rows, unreadable = by_the_block(lambda: read(csv_chunks([data])))
    assert [number for number, _ in rows] == [1, 3]
    assert [line.number for line in unreadable] == [2]
