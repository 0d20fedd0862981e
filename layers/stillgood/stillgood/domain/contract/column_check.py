"""The contract's check, a column at a time. What is plainly fine is accepted here; a row with anything else goes to
``RowChecker.check``.

So there is one set of rules: this only remembers what the contract said of a value before, and compares plain numbers
with their bounds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan
from types import NoneType

import numpy as np
import orjson
from numpy.typing import NDArray

from stillgood.domain.contract.chunk import MISSING, Chunk
from stillgood.domain.contract.contract import Contract, Extra, Feature
from stillgood.domain.contract.frame import NULL, UNSEEN, Column, Frame
from stillgood.domain.contract.identity import LONGEST_ID, read_id
from stillgood.domain.contract.row_check import FIRST_ROUNDED, CheckedRow, RowChecker
from stillgood.domain.contract.source_text import Convert, SourceText
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer

MAX_REMEMBERED = 20_000  # values of one feature and type, so that memory stays flat
_NEEDS_ROW_CHECK = float("inf")  # no checked value is infinite
_NUMERALS = re.compile("[0-9.+-]*")

type Floats = NDArray[np.float64]
type Memo = dict[object, float]


@dataclass(frozen=True, slots=True)
class CheckedChunk:
    """``accepted[i]`` is the position in the chunk of row ``i`` of ``frame``; ``by_row`` has the check of each row that
    was looked at singly.
    """

    frame: Frame
    accepted: list[int]
    by_row: dict[int, CheckedRow]


class ColumnCheck:
    """Checks chunk after chunk of one input. ``text``: values are CSV text. ``extra`` and ``now`` as for
    ``RowChecker.check``.
    """

    def __init__(self, contract: Contract, *, text: bool, extra: Extra, now: datetime | None = None) -> None:
        self._contract, self._text, self._extra, self._now = contract, text, extra, now
        self._source = SourceText(contract) if text else None
        self._checker, self._columns = RowChecker(contract), contract.columns
        self._alone = {
            feature.name: RowChecker(
                replace(contract, features=(feature,), slices=(), id_column=None, time_column=None)
            )
            for feature in contract.features
        }
        self._label = RowChecker(replace(contract, features=(), slices=()))
        self._memos: dict[str, dict[type, Memo]] = {feature.name: {} for feature in contract.features}
        self._codes = {
            feature.name: {level: float(code) for code, level in enumerate(feature.levels)}
            for feature in contract.features
        }

    def __call__(self, chunk: Chunk) -> CheckedChunk:
        """Which rows keep the contract, as columns; and what is to be said of the others, and of those that were
        mended.
        """
        features, n = self._contract.features, len(chunk.numbers)
        read = {feature.name: self._column(feature, chunk.column(feature.name)) for feature in features}
        suspect = np.zeros(n, np.bool_)
        for column in read.values():
            suspect |= np.isinf(column)
        if self._extra == "refuse":
            suspect |= self._misspelt(chunk)
        if (odd := self._odd_ids(chunk)) is not None:
            suspect |= odd
        by_row = {index: self.row(chunk, index) for index in np.flatnonzero(suspect).tolist()}
        frame = Frame(self._contract, n, {feature.name: _typed(feature, read[feature.name]) for feature in features})
        if not by_row:
            return CheckedChunk(frame, list(range(n)), by_row)
        mended = [index for index, row in by_row.items() if not row.violations]
        singly = Frame.from_values(self._contract, (by_row[index].values for index in mended))
        for name, values in frame.columns.items():
            values[mended] = singly.columns[name]
        accepted = np.delete(np.arange(n), [index for index, row in by_row.items() if row.violations])
        return CheckedChunk(frame.take(accepted), accepted.tolist(), by_row)

    def row(self, chunk: Chunk, index: int) -> CheckedRow:
        """The contract's own word on one row."""
        raw = chunk.row(index)
        raw = self._source.row(raw) if self._source else raw
        return self._checker.check(raw, text=self._text, extra=self._extra, now=self._now)

    def entity_ids(self, chunk: Chunk, rows: Sequence[int]) -> list[str | None]:
        """The ids of some rows, as the contract reads them."""
        name = self._contract.id_column
        if name is None:
            return [None] * len(rows)
        column = chunk.column(name)
        if isinstance(column, DictionaryColumn | StringBuffer):
            column = column.texts()
        ids = column if len(rows) == len(column) else [column[index] for index in rows]
        if (convert := self._convert(name)) is not None:
            ids = [convert(value) if isinstance(value, str) else value for value in ids]
        if set(map(type, ids)) == {str}:
            texts: list[str] = list(ids)  # type: ignore[arg-type]  # str alone
            joined = "".join(texts)
            plain = joined.isascii() and joined.isprintable() and joined.split() == [joined]
            if plain and "" not in texts and max(map(len, texts)) < 100:
                return texts  # type: ignore[return-value]  # most ids are short and plain; the contract keeps them so
        return [self._label.check({name: value}).entity_id for value in ids]

    def _odd_ids(self, chunk: Chunk) -> NDArray[np.bool_] | None:
        """bool[n]: whose id the contract has to look at; None for nobody's, as of most chunks."""
        name = self._contract.id_column
        column = None if name is None else chunk.column(name)
        if column is None or (isinstance(column, StringBuffer) and _plain(column)):
            return None
        ids = column.values if isinstance(column, DictionaryColumn) else column
        if isinstance(column, StringBuffer):
            ids = column.texts()
        odd = np.fromiter((value is not MISSING and read_id(value) is None for value in ids), np.bool_, len(ids))
        if isinstance(column, DictionaryColumn):
            odd = odd[column.codes]
        return odd if odd.any() else None

    def _misspelt(self, chunk: Chunk) -> NDArray[np.bool_]:
        """bool[n]: whether a row has a name that the contract does not know."""
        known, n = self._columns, len(chunk.numbers)
        if chunk.columns is not None:
            return np.full(n, not known.issuperset(chunk.columns))
        return np.fromiter((not known.issuperset(row) for row in chunk.rows), np.bool_, n)

    def _column(self, feature: Feature, raw: Sequence[object]) -> Floats:
        """float64[n]: the checked value, or a level's code; NaN for null, infinity for what the contract has to look
        at.
        """
        if isinstance(raw, DictionaryColumn):
            return self._column(feature, raw.values)[raw.codes]
        if isinstance(raw, StringBuffer):
            numbers = self._numbers(feature, raw, {str})
            return self._column(feature, raw.texts()) if numbers is None else numbers
        types = set(map(type, raw[:1] if self._text else raw))  # of CSV every cell is text, or none is there
        if (numbers := self._numbers(feature, raw, types)) is not None:
            return numbers
        memos = self._memos[feature.name]
        try:
            if len(types) == 1:
                memo = memos.setdefault(next(iter(types)), {})
                return np.fromiter(map(memo.__getitem__, raw), np.float64, len(raw))
            return np.fromiter([memos[type(value)][value] for value in raw], np.float64, len(raw))
        except (KeyError, TypeError):  # a value that was not met before; a list or an object, which has no hash
            if types == {str}:  # once for each
                learnt = {value: self._remember(feature, value) for value in set(raw)}
                return np.fromiter(map(learnt.__getitem__, raw), np.float64, len(raw))
            return np.fromiter([self._remember(feature, value) for value in raw], np.float64, len(raw))

    def _remember(self, feature: Feature, value: object) -> float:
        """Ask the contract about one value, and remember what it said."""
        # By type, because 1, 1.0 and True are one key to a dictionary and not to the contract.
        memo = self._memos[feature.name].setdefault(type(value), {})
        try:
            if (known := memo.get(value)) is not None:
                return known
        except TypeError:
            return _NEEDS_ROW_CHECK
        if (convert := self._convert(feature.name)) is not None and isinstance(value, str):
            row: dict[str, object] = {feature.name: convert(value)}
        else:
            row = {} if value is MISSING else {feature.name: value}
        checked = self._alone[feature.name].check(row, text=self._text, extra="ignore")
        result = _NEEDS_ROW_CHECK
        if not checked.violations and not checked.repairs:
            result = self._coded(feature, checked.values[feature.name])
        if len(memo) >= MAX_REMEMBERED:
            memo.clear()
        memo[value] = result
        return result

    def _coded(self, feature: Feature, value: float | str | None) -> float:
        if feature.categorical:
            return float(NULL) if value is None else self._codes[feature.name].get(str(value), float(UNSEEN))
        return nan if value is None else float(value)

    def _numbers(self, feature: Feature, raw: Sequence[object], types: set[type]) -> Floats | None:
        """The column if all of it is numbers or nothing, at the speed of NumPy; None if it has to be looked up."""
        try:
            values = self._floats(feature, raw, types) if feature.kind in ("numeric", "integer") else None
        except (ValueError, OverflowError):
            return None
        if values is None:
            return None
        low = -np.inf if feature.minimum is None else feature.minimum
        high = np.inf if feature.maximum is None else feature.maximum
        fine = (values >= low) & (values <= high)
        if feature.kind == "integer":
            fine &= (values == np.floor(values)) & (np.abs(values) < FIRST_ROUNDED)
        missing = np.isnan(values)
        if feature.nullable and feature.if_missing is None:
            # NaN of text is a blank; a typed column may hold NaN as well, which is not nothing.
            fine |= missing & (self._text or raw.count(None) == np.count_nonzero(missing))
        return np.where(fine, values, _NEEDS_ROW_CHECK)

    def _convert(self, name: str) -> Convert | None:
        return self._source.column(name) if self._source else None

    def _floats(self, feature: Feature, raw: Sequence[object], types: set[type]) -> Floats | None:
        """Raises ValueError, OverflowError."""
        convert = self._convert(feature.name)
        if isinstance(raw, StringBuffer):
            return _unpacked(raw) if convert is None else None
        if self._text and types == {str}:
            if convert is not None:
                raw = [convert(text) for text in raw]  # type: ignore[arg-type]  # str alone
            return _parsed(raw)  # type: ignore[arg-type]  # str alone
        if not self._text and types <= {int, float, NoneType}:
            return np.array(raw, np.float64)
        return None


def _unpacked(raw: StringBuffer) -> Floats | None:
    """As ``_parsed``, without a text of its own for each number; None also for "+1", ".5" and such, which JSON has
    not.
    """
    if raw.data.tobytes().translate(None, b"0123456789.+-"):
        return None
    text = f",{raw.joined()},".replace(",,", ",null,").replace(",,", ",null,")  # twice, for blanks next to each other
    return np.array(orjson.loads(f"[{text[1:-1]}]"), np.float64)


def _parsed(raw: Sequence[str]) -> Floats | None:
    """Plain decimals as numbers, blanks as NaN; None when there is anything else."""
    # Of these characters Python's float makes what the contract makes: no "nan", "1_000", blanks or other scripts'
    # digits.
    if not _NUMERALS.fullmatch("".join(raw)):
        return None
    try:  # JSON's numbers are the same ones, and orjson reads them three times as fast
        return np.array(orjson.loads(f"[{','.join([text or 'null' for text in raw])}]"), np.float64)
    except orjson.JSONDecodeError:  # "+1", ".5" and such
        return np.array([float(text or "nan") for text in raw])


def _typed(feature: Feature, read: Floats) -> Column:
    if not feature.categorical:
        return read
    return np.where(np.isinf(read), NULL, read).astype(np.int32)


def _plain(column: StringBuffer) -> bool:
    """Whether every text is short and printable ASCII."""
    data = column.data
    return not len(data) or (
        int(data.min()) >= 0x20 and int(data.max()) < 0x7F and int(np.diff(column.starts).max(initial=0)) <= LONGEST_ID
    )
