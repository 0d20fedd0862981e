"""What becomes of an object before the contract looks at its rows."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.reader import read_contract
from stillgood.training.tables import read_table

KEY = "data/2026-11-01/shop.csv"
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "x", "kind": "numeric"},
            {"name": "note", "kind": "categorical", "levels": ["a"], "unseen": "accept", "nullable": True},
        ],
    }
)


def read(data: bytes, key: str = KEY):
    """Rows as (number, x, note, left), and refusals as (row, rule)."""
    table, refused = read_table(key, data, CONTRACT)
    rows = [(int(number), row.x, row.get("note"), row.left) for number, row in table.iterrows()]
    return rows, [(one.row, one.violations[0].rule) for one in refused]


@pytest.mark.parametrize(
    "data",
    [
        b"x,note,left\n1,a,yes\n2,b,no\n",
        b"x,note,left\r\n1,a,yes\r\n2,b,no\r\n",
        b"x,note,left\r1,a,yes\r2,b,no",
        b"\xef\xbb\xbfx,note,left\n1,a,yes\n2,b,no",
        b'"x","note","left"\n"1","a","yes"\n"2","b","no"\n',
        b"\n\nx,note,left\n\n1,a,yes\n  \n2,b,no\n\n",
        b" x , note ,left\n1,a,yes\n2,b,no\n",
        b"x,note,left,,\n1,a,yes,,\n2,b,no,,\n",
        b"secret,x,note,left\ns,1,a,yes\ns,2,b,no\n",
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "byte order mark",
        "quoted",
        "blank lines",
        "padded header",
        "nameless",
        "more columns",
    ],
)
def test_the_same_rows_are_read_however_the_file_was_saved(data):
    assert read(data) == ([(1, "1", "a", "yes"), (2, "2", "b", "no")], [])


def test_columns_that_the_contract_does_not_name_are_left_out():
    table, _ = read_table(KEY, b"secret,left,x\ns,yes,1\n", CONTRACT)
    assert list(table.columns) == ["left", "x"]


@pytest.mark.parametrize(
    ("data", "rule", "says"),
    [
        (b"", "empty", "it needs a header and rows"),
        (b"\n \n", "empty", "it needs a header and rows"),
        (b"x,left\n1,J\xfcrgen\n", "encoding", r"is not UTF-8 \(byte 10\); save it as UTF-8"),
        ("x,left\n1,yes\n".encode("utf-16"), "encoding", "is not UTF-8"),
        ("x,left\n1,yes\n".encode("utf-16-le"), "encoding", "NUL"),
        (b"x,left,x\n1,yes,2\n", "header", "names the column 'x' twice"),
        (b"note\na\n", "columns", "lacks the column x, left; its header is 'note'. Add it, or change the contract"),
        (b"x;note;left\n1;a;yes\n", "columns", "lacks the column x, left; its header is 'x;note;left'"),
        (b'x,note,left\n1,"a,yes\n2,b,no\n', "csv", r"a quote in the row from line 2 is never closed"),
        (b'x,note,left\n1,a,yes,\n2,"b,no\n', "csv", r"a quote in the row from line 3 is never closed"),
        (b'"x,note,left\n1,a,yes\n', "header", "a quote in the row from line 1 is never closed"),
    ],
)
def test_an_object_that_cannot_be_read_is_refused_by_name_with_what_to_do(data, rule, says):
    table, refused = read_table(KEY, data, CONTRACT)
    assert len(table) == 0
    assert [(one.row, one.violations[0].rule) for one in refused] == [(None, rule)]
    message = refused[0].violations[0].message
    assert message.startswith(KEY)
    assert re.search(says, message)


def test_what_is_not_csv_is_refused_by_name():
    assert read(b"", key="data/2026-11-01/shop.parquet") == ([], [(None, "format")])


def test_a_header_alone_is_no_rows_and_no_refusal():
    assert read(b"x,note,left\n") == ([], [])


def test_rows_that_do_not_fit_the_header_are_refused_and_the_others_read():
    data = b"x,note,left\n1,a,yes\n2,b\n3,c,no,more\n\n4,d,no\n"
    rows, refused = read(data)
    assert rows == [(1, "1", "a", "yes"), (4, "4", "d", "no")]
    assert refused == [(2, "ragged"), (3, "ragged")]


def test_a_short_row_is_refused_though_the_fields_it_lacks_might_be_null():
    rows, refused = read(b"x,left,note\n1,yes,a\n2,no\n3,no,\n")
    assert rows == [(1, "1", "a", "yes"), (3, "3", "", "no")]
    assert refused == [(2, "ragged")]


def test_a_ragged_row_is_not_copied_since_nobody_knows_what_stands_where():
    _, refused = read_table(KEY, b"x,note,left\n1,a,yes,secret\n", CONTRACT)
    assert refused[0].to_dict() == {
        "source": KEY,
        "row": 1,
        "violations": [
            {
                "field": "(row)",
                "rule": "ragged",
                "value": None,
                "message": f"{KEY} row 1 has 4 fields, the header 3.",
            }
        ],
        "raw": None,
    }


# Anything a CSV in UTF-8 can hold: no half surrogate pairs, no NUL.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
tricky = st.sampled_from(["", " ", ",", '"', "\n", "\r", "\r\n", "NaN", "NA", "null", "001", "1e5", "\ufeff", "#", "'"])
grids = st.lists(st.lists(texts | tricky, min_size=3, max_size=3), max_size=12)


@given(grids, st.sets(st.integers(0, 11)), st.sampled_from(["\n", "\r\n"]))
def test_what_a_csv_writer_wrote_is_read_back_to_the_letter_and_exactly_the_ragged_rows_are_refused(grid, cut, end):
    text = io.StringIO(newline="")
    # Every field quoted: Python's writer leaves some that end a line bare.
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["x", "note", "left"])
    writer.writerows(row[:2] if number in cut else row for number, row in enumerate(grid))
    whole = [(number + 1, *row) for number, row in enumerate(grid) if number not in cut]
    rows, refused = read(text.getvalue().encode())
    assert rows == whole
    assert refused == [(number + 1, "ragged") for number in range(len(grid)) if number in cut]
