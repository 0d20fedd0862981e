import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stillgood.domain.contract import column_check as batch_check
from stillgood.domain.contract.chunk import Chunk
from stillgood.domain.contract.column_check import ColumnCheck
from stillgood.domain.contract.contract import CALENDAR_LEVELS, Contract, Feature, Target
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.contract.text_columns import StringBuffer

FEATURES = (
    Feature("free", "numeric", nullable=True),
    Feature("bounded", "numeric", minimum=-1.5, maximum=1000),
    Feature("mended", "numeric", if_missing=2.0),
    Feature("whole", "integer", minimum=0, nullable=True),
    Feature("flag", "boolean"),
    Feature("level", "categorical", levels=("No", "Yes", "No phone")),
    Feature("open", "categorical", levels=("a", "b"), unseen="accept", nullable=True),
)
CONTRACT = Contract("any", "1", "id", None, Target("left", "yes", "no"), FEATURES)
FINE = {"free": "1.5", "bounded": "0", "mended": "1", "whole": "3", "flag": "1", "level": "Yes", "open": "a"}

NUMERALS = [
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9007199254740993.0",
    "9007199254740993e0",
    "1e22",
    "1e23",
    "0",
    "1",
    "-1",
    "+1",
    "1.5",
    "1.",
    ".5",
    ".",
    "-",
    "1e3",
    "1E-2",
    "1_000",
    "0x1",
    "nan",
    "inf",
    "-inf",
    "1,5",
    "١٢",
    "1e400",
    "1001",
    "-1.5",
    "-0",
    "--1",
    "1-1",
    "1.2.3",
]
WORDS = [
    "",
    " ",
    "true",
    "FALSE",
    "yes",
    "No",
    "Yes",
    "No phone",
    " Yes ",
    "a",
    "b",
    "c",
    "ü",
    "x" * 256,
    "x" * 257,
    "1" * 400,
]
TEXTS = st.one_of(
    st.sampled_from([*NUMERALS, *WORDS]), st.text(max_size=6), st.floats().map(str), st.integers().map(str)
)
ODD_VALUES: list[Any] = [
    1,
    1.0,
    True,
    0,
    0.0,
    -0.0,
    False,
    2.0,
    10**400,
    2**53 + 1,
    "Yes",
    "No",
    "a",
    "b",
    "c",
    [],
    {},
    [1],
    math.nan,
]
VALUES = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
)


def rows_of(values: st.SearchStrategy[Any], fine: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows that keep the contract but for a few fields each."""
    changes = st.dictionaries(st.sampled_from(sorted(fine)), values, max_size=3)
    return st.lists(changes.map(lambda change: {**fine, **change}), max_size=8)


def assert_same_as_row_by_row(check: ColumnCheck, chunk: Chunk) -> None:
    checked = check(chunk)
    alone = [check.row(chunk, index) for index in range(len(chunk.numbers))]
    assert checked.accepted == [index for index, row in enumerate(alone) if not row.violations]
    expected = Frame.from_values(CONTRACT, [row.values for row in alone if not row.violations])
    assert checked.frame.n == expected.n
    for name, column in expected.columns.items():
        assert checked.frame.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(checked.frame.columns[name], column)
    for index, row in enumerate(alone):
        if row.violations or row.repairs:
            assert checked.by_row[index] == row


@settings(max_examples=400)
@given(st.lists(rows_of(TEXTS, FINE), min_size=1, max_size=3))
@example([[{**FINE, "free": " 1"}], [{**FINE, "free": ""}]])
def test_columns_of_text_are_read_as_the_contract_reads_rows(chunks: list[list[dict[str, str]]]) -> None:
    check = ColumnCheck(CONTRACT, text=True, extra="ignore")
    for rows in chunks:
        columns = {name: [row[name] for row in rows] for name in FINE}
        assert_same_as_row_by_row(check, Chunk(list(range(1, len(rows) + 1)), columns=columns))


def packed(texts: list[str]) -> StringBuffer:
    cells = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, cells)], dtype=np.int32)
    return StringBuffer(np.frombuffer(b"".join(cells), np.uint8), starts)


@settings(max_examples=400)
@given(
    st.lists(rows_of(TEXTS.filter(lambda text: "," not in text and text.isprintable()), FINE), min_size=1, max_size=3)
)
@example([[{**FINE, "free": ""}, {**FINE, "free": ""}, {**FINE, "free": "-2.5"}, {**FINE, "free": ""}]])
@example([[{**FINE, "free": "+1"}, {**FINE, "free": ""}, {**FINE, "free": ".5"}]])
@example([[{**FINE, "free": "null"}, {**FINE, "free": "true"}]])
@example([[{**FINE, "free": "1e3"}, {**FINE, "bounded": "", "mended": ""}]])
def test_packed_numbers_are_read_as_the_contract_reads_rows(chunks: list[list[dict[str, str]]]) -> None:
    check = ColumnCheck(CONTRACT, text=True, extra="ignore")
    for rows in filter(None, chunks):
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in FINE}
        columns |= {name: packed(columns[name]) for name in ("free", "bounded", "mended")}
        columns["id"] = packed([f"c{number}" for number in range(len(rows))])
        chunk = Chunk(list(range(1, len(rows) + 1)), columns=columns)
        assert_same_as_row_by_row(check, chunk)
        assert check.entity_ids(chunk, range(len(rows))) == list(columns["id"])


def test_blanks_among_packed_numbers_need_no_text_of_their_own() -> None:
    read = batch_check._unpacked(packed(["", "", "", "1.5", "", "-2", ""]))
    np.testing.assert_array_equal(read, [math.nan] * 3 + [1.5, math.nan, -2.0, math.nan])  # type: ignore[arg-type]
    assert batch_check._unpacked(packed(["1", "nan"])) is None


TYPED = {"free": 1.5, "bounded": 0, "mended": 1, "whole": 3, "flag": True, "level": "Yes", "open": "a"}


@settings(max_examples=400)
@given(st.lists(rows_of(VALUES, TYPED), min_size=1, max_size=3), st.data())
def test_columns_of_json_are_read_as_the_contract_reads_rows(
    chunks: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    check = ColumnCheck(CONTRACT, text=False, extra="refuse")
    for rows in chunks:
        for row in rows:
            for name in data.draw(st.lists(st.sampled_from(sorted(TYPED)), max_size=1)):
                row.pop(name, None)
            if data.draw(st.integers(0, 9)) == 0:
                row["colour"] = "red"
        assert_same_as_row_by_row(check, Chunk(list(range(1, len(rows) + 1)), rows=list(rows)))


@pytest.mark.parametrize("value", [math.nan, 10**400])
def test_typed_columns_may_hold_what_json_cannot(value: object) -> None:
    columns: dict[str, list[object]] = {name: [fine, fine] for name, fine in TYPED.items()} | {"free": [value, None]}
    check = ColumnCheck(CONTRACT, text=False, extra="ignore")
    assert_same_as_row_by_row(check, Chunk([1, 2], columns=columns))
    assert check(Chunk([1, 2], columns=columns)).accepted == [1]


def test_a_column_the_input_lacks_is_missing_in_every_row() -> None:
    columns = {name: [fine, fine] for name, fine in FINE.items() if name not in ("free", "level")}
    check = ColumnCheck(CONTRACT, text=True, extra="ignore")
    assert check(Chunk([1, 2], columns=columns)).accepted == []
    columns["level"] = ["Yes", "No"]
    checked = check(Chunk([1, 2], columns=columns))
    assert checked.accepted == [0, 1]
    assert np.isnan(checked.frame.columns["free"]).all()


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_check, "MAX_REMEMBERED", 10)
    check = ColumnCheck(CONTRACT, text=True, extra="ignore")
    columns = {name: [fine] * 100 for name, fine in FINE.items()} | {"open": [f"level {n}" for n in range(100)]}
    assert_same_as_row_by_row(check, Chunk(list(range(100)), columns=columns))
    assert max(len(memo) for by_type in check._memos.values() for memo in by_type.values()) <= 10


@given(st.lists(TEXTS | VALUES | st.sampled_from([" c1 ", "x" * 99, "x" * 300, 7, 7.0, 2**63]), max_size=5))
def test_ids_are_read_as_the_contract_reads_them(values: list[Any]) -> None:
    chunk = Chunk(list(range(len(values))), columns={"id": values})
    for text in (True, False):
        ids = ColumnCheck(CONTRACT, text=text, extra="ignore").entity_ids(chunk, range(len(values)))
        assert ids == [RowChecker(CONTRACT).check({"id": value}, text=text).entity_id for value in values]
    nobody = dataclasses.replace(CONTRACT, id_column=None)
    assert ColumnCheck(nobody, text=True, extra="ignore").entity_ids(chunk, range(len(values))) == [None] * len(values)


@pytest.mark.parametrize("name", ["colour", "left", "id"])
def test_a_column_the_contract_does_not_know_breaks_every_row_of_json(name: str) -> None:
    columns: dict[str, list[object]] = {column: [value, value] for column, value in TYPED.items()} | {name: [1, 2]}
    assert_same_as_row_by_row(ColumnCheck(CONTRACT, text=False, extra="refuse"), Chunk([1, 2], columns=columns))


def test_dates_and_aliases_are_read_in_columns_as_in_single_rows() -> None:
    features = (
        Feature("joined", "date", derive="days_before", minimum=0),
        Feature("paid", "date", derive="month", levels=CALENDAR_LEVELS["month"], nullable=True),
        Feature("plan", "categorical", levels=("basic", "plus"), aliases={"B": "basic"}),
    )
    contract = Contract("dated", "1", "id", "at", Target("left", "yes", "no"), features)
    dates = ["2026-10-01", "2026-11-02", "2027-01-01", "7", "x"]
    rows = [
        {"at": "2026-11-02T12:00:00Z", "joined": joined, "paid": paid, "plan": plan}
        for joined in dates
        for paid in ("", *dates)
        for plan in ("basic", "B", "b")
    ]
    checked = ColumnCheck(contract, text=True, extra="refuse")(Chunk(numbers=list(range(1, len(rows) + 1)), rows=rows))
    singly = [RowChecker(contract).check(row, text=True) for row in rows]
    assert checked.accepted == [index for index, row in enumerate(singly) if not row.violations]
    assert len(checked.accepted) > 20
    expected = Frame.from_values(contract, [singly[index].values for index in checked.accepted])
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(checked.frame.columns[name], column)


@given(st.integers(-(2**62), 2**62).flatmap(lambda size: st.integers(-abs(size), abs(size))))
@example(2**53 - 1)
@example(2**53)
@example(2**53 + 1)
@example(-(2**53) - 1)
def test_an_integer_is_taken_as_it_is_or_refused_never_rounded(number: int) -> None:
    contract = Contract("any", "1", None, None, Target("left", "yes", "no"), (Feature("whole", "integer"),))
    held = int(float(number)) == number
    for raw, text in ((number, False), (str(number), True), (f"{number}.0", True)):
        checked = RowChecker(contract).check({"whole": raw}, text=text)
        assert [violation.rule for violation in checked.violations] == ([] if held else ["exact"])
        chunk = Chunk([1, 2], columns={"whole": [raw, "7" if text else 7]})
        done = ColumnCheck(contract, text=text, extra="ignore")(chunk)
        assert done.accepted == ([0, 1] if held else [1])
        assert done.frame.columns["whole"].tolist() == [*([float(number)] if held else []), 7.0]


def test_a_number_that_is_no_integer_keeps_the_digits_that_it_has_room_for() -> None:
    contract = Contract("any", "1", None, None, Target("left", "yes", "no"), (Feature("wei", "numeric"),))
    assert RowChecker(contract).check({"wei": "9007199254740993"}, text=True).values == {"wei": 9007199254740992.0}
