"""Labelled CSV objects as columns of text. Nothing is guessed: what does not read as the header promises is refused by name."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.row_check import Violation, shorten

SUFFIX = ".csv"
# No text that is read holds it, so it can mark where a text ends.
_END = "\0"


@dataclass(frozen=True, slots=True)
class Refused:
    """A row, or a whole object (``row`` None), that is not learnt from. ``row`` counts data rows from 1.

    ``raw`` is what stood in the contract's columns, but for personal data and for rows that do not fit their header.
    """

    source: str
    row: int | None
    violations: tuple[Violation, ...]
    raw: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        violations = [
            {"field": one.field, "rule": one.rule, "value": one.value, "message": one.message}
            for one in self.violations
        ]
        raw = None if self.raw is None else dict(self.raw)
        return {"source": self.source, "row": self.row, "violations": violations, "raw": raw}


def read_table(key: str, data: bytes, contract: Contract) -> tuple[pd.DataFrame, list[Refused]]:
    """The object ``key`` as text columns named by its header, indexed by data row number from 1, and what could not be read.

    UTF-8 with or without a byte order mark, any line end; blank lines are no rows; columns that the contract does not name are left out.
    """
    nothing = pd.DataFrame(index=np.empty(0, dtype=np.int64))
    if not key.endswith(SUFFIX):
        return nothing, [
            _object(key, "format", f"is not a {SUFFIX} object; convert it to CSV, or move it out of data/.")
        ]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return nothing, [_object(key, "encoding", f"is not UTF-8 (byte {error.start}); save it as UTF-8.")]
    if _END in text:
        return nothing, [_object(key, "encoding", "holds NUL characters; save it as CSV in UTF-8.")]
    try:
        header = [name.strip() for name in next(_records(text), [])]
    except csv.Error as error:
        return nothing, [_object(key, "header", f"has no readable header ({error}).")]
    if problem := _header_problem(header, contract):
        return nothing, [_object(key, *problem)]
    # Nameless columns, as spreadsheets leave them, need names that differ, also from every name that could be given.
    names = [name or f"{_END}{place}" for place, name in enumerate(header)]
    table, refused = _read(key, text, names)
    return table[[name for name in names if name in contract.columns]], refused


def _header_problem(header: list[str], contract: Contract) -> tuple[str, str] | None:
    if not any(header):
        return "empty", "is empty; it needs a header and rows."
    if repeated := sorted(name for name, times in Counter(header).items() if name and times > 1):
        return "header", f"names the column {shorten(repeated[0])!r} twice; remove one."
    needed = [one.name for one in contract.features if not one.nullable and one.if_missing is None]
    if missing := [name for name in [*needed, contract.target.name] if name not in header]:
        found = shorten(", ".join(header))
        return (
            "columns",
            f"lacks the column {', '.join(missing)}; its header is {found!r}. Add it, or change the contract.",
        )
    return None


def _read(key: str, text: str, names: list[str]) -> tuple[pd.DataFrame, list[Refused]]:
    try:
        table = pd.read_csv(
            io.StringIO(text, newline=""), dtype=object, na_filter=False, header=None, names=names, index_col=False
        ).iloc[1:]
    except pd.errors.ParserError:
        return _read_carefully(key, text, names)
    # pandas fills up short rows in silence; they end in a blank, so only then is a closer look needed.
    if (table[names[-1]] == "").any():
        return _read_carefully(key, text, names)
    return pd.DataFrame(table.set_axis(np.arange(1, len(table) + 1), axis=0)), []


def _read_carefully(key: str, text: str, names: list[str]) -> tuple[pd.DataFrame, list[Refused]]:
    """Row by row: those that have more or fewer fields than the header are refused, the others read as ever."""
    rows, numbers, refused = [], [], []
    try:
        for number, fields in enumerate(_records(text)):
            if number == 0:
                continue
            if len(fields) == len(names):
                rows.append(fields)
                numbers.append(number)
                continue
            message = f"{key} row {number} has {len(fields)} fields, the header {len(names)}."
            refused.append(Refused(key, number, (Violation("(row)", "ragged", None, message),)))
    except csv.Error as error:
        rows, numbers, refused = [], [], [_object(key, "csv", f"cannot be read as CSV ({error}).")]
    return pd.DataFrame(rows, columns=names, index=np.array(numbers, dtype=np.int64), dtype=object), refused


def _records(text: str) -> Iterator[list[str]]:
    """The header and the rows, without blank lines. Raises csv.Error, also for a quote that is never closed."""
    lines = csv.reader(chain(io.StringIO(text, newline=""), [_END]))
    first = 1
    for fields in lines:
        if fields == [_END]:
            return
        if fields and fields[-1].endswith(_END):
            raise csv.Error(f"a quote in the row from line {first} is never closed")
        if len(fields) > 1 or "".join(fields).strip():
            yield fields
        first = lines.line_num + 1


def _object(key: str, rule: str, message: str) -> Refused:
    return Refused(key, None, (Violation("(object)", rule, None, f"{key} {message}"),))
