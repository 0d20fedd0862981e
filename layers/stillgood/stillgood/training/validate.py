"""Labelled rows judged by the contract, chunk by chunk: features as everywhere, and the outcome, the time and the id
that only training needs.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.chunk import MISSING, Chunk
from stillgood.domain.contract.column_check import ColumnCheck
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Column
from stillgood.domain.contract.outcome import read_outcome
from stillgood.domain.contract.row_check import Violation, shorten
from stillgood.domain.contract.source_text import Convert, SourceText
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.domain.contract.times import read_time
from stillgood.storage.training_data import ACTION_GROUP, LABEL_ARRIVED_AT, PREDICTED_AT, PREDICTION_ID, day_of
from stillgood.training.refused import Refused

_UNDATED = np.datetime64("1970-01-01", "us")
BLANK_TIME = "blank, read as the date of its object"
_MAX_REMEMBERED = 50_000  # different times or outcomes, so that memory stays flat


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows that obey the contract, as columns (see Frame). ``numbers`` int64[n] are their places in the object, from 1.

    ``predictions``: the ids of the predictions that rows were joined from, "" for others; ``heard``: when their labels
    arrived, as text.
    """

    columns: Mapping[str, Column]
    target: npt.NDArray[np.int8]
    ids: list[str]
    times: npt.NDArray[np.datetime64]
    numbers: npt.NDArray[np.int64]
    predictions: list[str]
    heard: list[str]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.target)


class LabelledCheck:
    """Judges the chunks of one object. ``joined``: monitor wrote it, so rows have the id and the time of their
    predictions. ``text``: values are CSV text; no row may be dated after ``latest`` (aware).

    ``repaired`` counts accepted rows by the rule that mended them, ``refused`` lists the others.
    """

    def __init__(
        self, contract: Contract, source: str, *, text: bool, latest: datetime | None, joined: bool = False
    ) -> None:
        self.refused: list[Refused] = []
        self.repaired: Counter[str] = Counter()
        self._contract, self._source, self._joined = contract, source, joined
        # Without a time of its own in the contract, a joined row has that of its prediction, an upload the date of its
        # folder.
        self._time = contract.time_column or (PREDICTED_AT if joined else None)
        self._default = partition_time(source)
        now = None if self._default == _UNDATED else self._default.astype(datetime).replace(tzinfo=UTC)
        self._check = ColumnCheck(contract, text=text, extra="ignore", now=now)
        self._texts = SourceText(contract) if text else None
        self._limit = None if latest is None else np.datetime64(_utc(latest), "us")
        self._personal = {feature.name for feature in contract.features if feature.pii}
        self._outcomes: dict[object, tuple[int, Violation | None]] = {}
        self._moments: dict[object, tuple[np.datetime64, Violation | None]] = {}

    def __call__(self, chunk: Chunk) -> Part:
        """The rows of ``chunk`` that can be learnt from."""
        checked = self._check(chunk)
        broken = {index: list(row.violations) for index, row in checked.by_row.items() if row.violations}
        n, contract = len(chunk.numbers), self._contract
        target = self._judge(chunk.column(contract.target.name), self._outcome, self._outcomes, np.int8, broken)
        if self._time is None:
            times = np.full(n, self._default)
            if n and (late := self._moment(None)[1]) is not None:
                for index in range(n):
                    broken.setdefault(index, []).append(late)
        else:
            column = chunk.column(self._time)
            times = self._judge(column, self._moment, self._moments, "datetime64[us]", broken)
        self._refuse(chunk, broken)
        self._count_blank_times(chunk, times, broken)
        for index, row in checked.by_row.items():
            if index not in broken:
                self.repaired.update(f"{repair.field}: {repair.rule}" for repair in row.repairs)
        at = checked.accepted
        columns = checked.frame.columns
        if len(broken) + len(at) > n:  # features that are fine, with an outcome or a time that is not
            kept = [place for place, index in enumerate(at) if index not in broken]
            columns, at = checked.frame.take(kept).columns, [at[place] for place in kept]
        joined_columns = (PREDICTION_ID, LABEL_ARRIVED_AT, ACTION_GROUP)
        predictions, heard, groups = (self._texts_at(chunk, name, at) for name in joined_columns)
        ids = self._ids(chunk, at, predictions)
        numbers = np.asarray(chunk.numbers, np.int64)[at]
        return Part(columns, target[at], ids, times[at], numbers, predictions, heard, groups)

    def raw(self, chunk: Chunk, index: int) -> dict[str, object]:
        """What stood in the contract's columns, without personal data."""
        row, contract = chunk.row(index), self._contract
        return {name: value for name, value in row.items() if name in contract.columns and name not in self._personal}

    def _refuse(self, chunk: Chunk, broken: Mapping[int, list[Violation]]) -> None:
        lines = chunk.lines
        refused = [
            Refused(
                self._source,
                chunk.numbers[index],
                tuple(violations),
                self.raw(chunk, index),
                lines[index] if lines else None,
            )
            for index, violations in broken.items()
        ]
        for row in chunk.unreadable:
            place = f"line {row.line}" if row.line is not None else f"row {row.number}"
            violation = Violation("(row)", row.rule, None, f"{self._source} {place}: {row.message}")
            refused.append(Refused(self._source, row.number, (violation,), None, row.line))
        self.refused += sorted(refused, key=lambda refusal: refusal.row or 0)

    def _judge(
        self,
        column: Sequence[object],
        judge: Callable[[object], tuple[Any, Violation | None]],
        memo: dict[object, tuple[Any, Violation | None]],
        kind: Any,
        broken: dict[int, list[Violation]],
    ) -> npt.NDArray[Any]:
        """The judged values of a column; violations go to ``broken`` by position."""
        if isinstance(column, DictionaryColumn):
            judged = [judge(value) for value in column.values]
            values = np.array([value for value, _ in judged], kind)[column.codes]
            if any(violation for _, violation in judged):
                for index, code in enumerate(column.codes.tolist()):
                    if (violation := judged[code][1]) is not None:
                        broken.setdefault(index, []).append(violation)
            return values
        values = np.empty(len(column), kind)
        for index, value in enumerate(column):
            key = value if type(value) is str else (type(value), repr(value))
            if (verdict := memo.get(key)) is None:
                if len(memo) >= _MAX_REMEMBERED:
                    memo.clear()
                verdict = memo[key] = judge(value)
            values[index] = verdict[0]
            if verdict[1] is not None:
                broken.setdefault(index, []).append(verdict[1])
        return values

    def _read(self, name: str, value: object) -> object:
        """``value`` as ``source`` says; None for nothing."""
        if isinstance(value, str):
            convert: Convert | None = self._texts.column(name) if self._texts else None
            return (convert(value) if convert else value).strip() or None
        return None if value is MISSING else value

    def _outcome(self, value: object) -> tuple[int, Violation | None]:
        target = self._contract.target
        raw = self._read(target.name, value)
        outcome = read_outcome(target, raw)
        if outcome is not None:
            return int(outcome), None
        shown = shorten(raw)
        message = f"{target.name} must be {target.positive} or {target.negative}"
        message += f", not {shown!r}." if raw is not None else "; it is blank."
        return 0, Violation(target.name, "level" if raw is not None else "required", shown, message)

    def _moment(self, value: object) -> tuple[np.datetime64, Violation | None]:
        """The time column's; where it is blank or the contract has none, the date in the object's key, else 1970."""
        name = self._time
        raw = self._read(name, value) if name else None
        moment = self._default
        if raw is not None:
            try:
                if not isinstance(raw, str):
                    raise ValueError("a time is a text")
                moment = np.datetime64(_utc(read_time(raw)), "us")
            except (ValueError, OverflowError):
                message = f"{name} must be an ISO 8601 time such as 2026-11-23T17:00:00Z, not {shorten(raw)!r}."
                return moment, Violation(str(name), "time", shorten(raw), message)
        # One year mistyped would else be "the newest row" for good, and leave every other row too old to learn from.
        if self._limit is not None and moment > self._limit:
            field = name if name and raw is not None else "(date)"
            return moment, Violation(field, "future", str(moment), f"{field} {moment} lies in the future.")
        return moment, None

    def _count_blank_times(
        self, chunk: Chunk, times: npt.NDArray[np.datetime64], broken: Mapping[int, list[Violation]]
    ) -> None:
        """Count the accepted rows without the time that the contract asks for: they have that of ``_moment``."""
        if (name := self._contract.time_column) is None:
            return
        column = chunk.column(name)
        blank = sum(
            index not in broken and self._read(name, column[index]) is None
            for index in np.flatnonzero(times == self._default).tolist()
        )
        if blank:
            self.repaired[f"{name}: {BLANK_TIME}"] += blank

    def _texts_at(self, chunk: Chunk, name: str, at: Sequence[int]) -> list[str]:
        """The texts of a column that only joined rows have, "" elsewhere."""
        if not self._joined:
            return [""] * len(at)
        column = chunk.column(name)
        return [str(value).strip() if (value := column[index]) is not MISSING else "" for index in at]

    def _ids(self, chunk: Chunk, at: Sequence[int], predictions: Sequence[str]) -> list[str]:
        """Entity ids as RowChecker reads them; a row without one is named by its prediction, else by its content."""
        ids = self._check.entity_ids(chunk, at)
        if all(ids):
            return ids  # type: ignore[return-value]  # none is None
        ids = [
            entity or (f"prediction:{made}" if made else None) for entity, made in zip(ids, predictions, strict=True)
        ]
        if all(ids):
            return ids  # type: ignore[return-value]  # none is None
        contract = self._contract
        names = [
            feature.name for feature in contract.features if chunk.columns is None or feature.name in chunk.columns
        ]
        rows = list(zip(*(_texts(chunk.column(name)) for name in [*names, contract.target.name]), strict=True))
        return [
            entity or "row:" + hashlib.sha256(repr(rows[i]).encode()).hexdigest()[:32]
            for entity, i in zip(ids, at, strict=True)
        ]


def partition_time(key: str) -> np.datetime64:
    """Midnight of the day in an object's key, whatever the layout of its folders; 1970 where there is none.

    >>> days = ("2026-11-01", "dt=2026-11-01", "20261101", "2026/11/01")
    >>> [str(partition_time(f"data/{day}/a.csv"))[:10] for day in days]
    ['2026-11-01', '2026-11-01', '2026-11-01', '2026-11-01']
    >>> str(partition_time("data/year=2026/month=11/day=1/a.csv"))[:10], str(partition_time("data/a.csv"))[:4]
    ('2026-11-01', '1970')
    """
    day = day_of(key)
    return _UNDATED if day is None else np.datetime64(day, "us")


def _texts(column: Sequence[object]) -> Sequence[object]:
    """The values of a column as a list, "" where there is none."""
    if isinstance(column, DictionaryColumn | StringBuffer):
        return column.texts()
    return ["" if value is MISSING else value for value in column]


def _utc(moment: datetime) -> datetime:
    """Naive, in UTC; a time without an offset is taken to be UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
