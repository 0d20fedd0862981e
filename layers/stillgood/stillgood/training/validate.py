"""Columns of text judged by the contract. A column's distinct texts are judged once each, by the very code that checks a single row."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.contract.frame import NULL, UNSEEN
from stillgood.domain.contract.row_check import FieldChecker, Violation, shorten
from stillgood.training.tables import Refused

type Bools = npt.NDArray[np.bool_]
type Ints = npt.NDArray[np.int64]

_DATE = re.compile(r"(?:^|/)(?:dt=)?(\d{4}-\d{2}-\d{2})/")
_UNDATED = np.datetime64("1970-01-01", "us")
_ID_LENGTH = 256  # as RowChecker cuts them, so that both name an entity alike


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of one object that obey the contract: as columns (see Frame), and as the text that stood there."""

    source: str
    columns: Mapping[str, npt.NDArray[Any]]
    target: npt.NDArray[np.int8]
    ids: npt.NDArray[np.object_]
    times: npt.NDArray[np.datetime64]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """A column of text as ``codes`` int64[n], indices into its distinct ``texts``."""

    codes: Ints
    texts: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame, name: str) -> "_Coded":
        """An absent column reads as blank, as a field that a row lacks does."""
        if name not in table.columns:
            return cls(np.zeros(len(table), dtype=np.int64), [""])
        codes, uniques = pd.factorize(table[name].to_numpy(dtype=object))
        return cls(np.asarray(codes, dtype=np.int64), [str(one) for one in uniques])

    def by_time(self, times: npt.NDArray[np.datetime64]) -> "tuple[_Coded, list[datetime]]":
        """Coded by text and time together, and the time (aware) of each code."""
        time_codes, moments = pd.factorize(times)
        pairs, at = np.unique(self.codes * len(moments) + time_codes, return_inverse=True)
        texts = [self.texts[pair // len(moments)] for pair in pairs.tolist()]
        aware = [moment.replace(tzinfo=UTC) for moment in moments.astype("datetime64[us]").tolist()]
        return _Coded(at.astype(np.int64), texts), [aware[pair % len(moments)] for pair in pairs.tolist()]

    def rows(self, wanted: Sequence[int]) -> Bools:
        """bool[n]: the rows whose code is ``wanted``."""
        flags = np.zeros(len(self.texts), dtype=bool)
        flags[list(wanted)] = True
        return np.asarray(flags[self.codes])


class _Problems:
    """What is wrong with which row of a table, in the order in which it was found."""

    def __init__(self) -> None:
        self.found: dict[int, list[Violation]] = {}

    def add(self, column: _Coded, broken: Mapping[int, Violation]) -> None:
        """``broken``: a violation by code."""
        if broken:
            for at in np.flatnonzero(column.rows(list(broken))).tolist():
                self.found.setdefault(at, []).append(broken[int(column.codes[at])])

    def extend(self, others: "_Problems") -> None:
        for at, violations in others.found.items():
            self.found.setdefault(at, []).extend(violations)


def validate_columns(
    contract: Contract, source: str, table: pd.DataFrame, latest: datetime | None
) -> tuple[Part, list[Refused], Counter[str]]:
    """The rows that obey, those that do not, and how many of the former were repaired by which rule.

    ``table`` as from ``read_table``; no row may be dated after ``latest`` (aware). The same as ``RowChecker.check(text=True)`` of each row.
    """
    problems, misdated, mended = _Problems(), _Problems(), dict[str, Bools]()
    times = _times(contract, source, table, latest, misdated)
    columns = {one.name: _feature(one, table, times, problems, mended) for one in contract.features}
    target = _target(contract, _Coded.of(table, contract.target.name), problems)
    problems.extend(misdated)
    at = sorted(problems.found)
    refused = [
        Refused(source, int(table.index[row]), tuple(problems.found[row]), raw)
        for row, raw in zip(at, raw_rows(contract, table, at), strict=True)
    ]
    good = np.ones(len(table), dtype=bool)
    good[at] = False
    repaired = Counter({rule: count for rule, rows in mended.items() if (count := int((rows & good).sum()))})
    if at:
        columns, table = {name: column[good] for name, column in columns.items()}, table[good]
    return Part(source, columns, target[good], _ids(contract, table), times[good], table), refused, repaired


def raw_rows(contract: Contract, table: pd.DataFrame, at: Sequence[int]) -> list[dict[str, str]]:
    """The texts of the rows at positions ``at``, without personal data."""
    personal = {one.name for one in contract.features if one.pii}
    names = [name for name in table.columns if name not in personal]
    listed = [table[name].to_numpy(dtype=object)[list(at)].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*listed, strict=True)]


def _feature(
    feature: Feature,
    table: pd.DataFrame,
    times: npt.NDArray[np.datetime64],
    problems: _Problems,
    mended: dict[str, Bools],
) -> npt.NDArray[Any]:
    """A column of a Frame; what stands for broken values there does not matter."""
    column, moments = _Coded.of(table, feature.name), None
    if feature.derive == "days_before":  # the same date is another number of days at another time
        column, moments = column.by_time(times)
    checker = FieldChecker(feature)
    categorical = feature.categorical
    level: dict[object, int] = {name: code for code, name in enumerate(feature.levels)}
    values: list[float] = []
    broken: dict[int, Violation] = {}
    repaired: dict[str, list[int]] = {}
    for code, text in enumerate(column.texts):
        value, violation, rule = checker.read_text(text, moments[code] if moments else None)
        if violation is not None:
            broken[code] = violation
        if rule is not None:
            repaired.setdefault(rule, []).append(code)
        if categorical:
            values.append(NULL if value is None else level.get(value, UNSEEN))
        else:
            values.append(np.nan if value is None else float(value))
    problems.add(column, broken)
    for rule, codes in repaired.items():
        mended[f"{feature.name}: {rule}"] = column.rows(codes)
    return np.asarray(values, dtype=np.int32 if categorical else np.float64)[column.codes]


def _target(contract: Contract, column: _Coded, problems: _Problems) -> npt.NDArray[np.int8]:
    name, positive, negative = contract.target.name, contract.target.positive, contract.target.negative
    outcomes = [{positive: 1, negative: 0}.get(text.strip(), -1) for text in column.texts]
    broken = {}
    for code, text in enumerate(column.texts):
        if outcomes[code] < 0:
            given = shorten(text.strip()) if text.strip() else None
            message = f"{name} must be {positive} or {negative}" + (f", not {given!r}." if given else "; it is blank.")
            broken[code] = Violation(name, "level" if given else "required", given, message)
    problems.add(column, broken)
    return np.asarray(outcomes, dtype=np.int8)[column.codes]


def _times(
    contract: Contract, source: str, table: pd.DataFrame, latest: datetime | None, problems: _Problems
) -> npt.NDArray[np.datetime64]:
    """datetime64[us][n] in UTC: the time column; where it is blank or the contract has none, the date in the object's key, else 1970."""
    name = contract.time_column
    column = _Coded.of(table, name or "")
    default = _partition(source)
    values = np.full(len(column.texts), default)
    limit = None if latest is None else np.datetime64(_utc(latest), "us")
    broken = {}
    for code, text in enumerate(column.texts):
        if text.strip():
            try:
                values[code] = np.datetime64(_utc(datetime.fromisoformat(text.strip())), "us")
            except (ValueError, OverflowError):
                message = f"{name} must be an ISO 8601 time such as 2026-11-23T17:00:00Z, not {shorten(text)!r}."
                broken[code] = Violation(str(name), "time", shorten(text), message)
                continue
        # One year mistyped would else be "the newest row" for good, and leave every other row too old to learn from.
        if limit is not None and values[code] > limit:
            field = name if name and text.strip() else "(date)"
            broken[code] = Violation(field, "future", str(values[code]), f"{field} {values[code]} lies in the future.")
    problems.add(column, broken)
    return np.asarray(values[column.codes])


def _partition(source: str) -> np.datetime64:
    found = _DATE.search(source)
    try:
        return np.datetime64(found[1], "us") if found else _UNDATED
    except ValueError:  # such as the 31st of February
        return _UNDATED


def _utc(moment: datetime) -> datetime:
    """Naive, in UTC; a time without an offset is taken to be UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _ids(contract: Contract, table: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Entity ids as ``RowChecker`` reads them; a row without one is named by its content."""
    ids = np.full(len(table), "", dtype=object)
    if contract.id_column is not None and contract.id_column in table.columns:
        given = _Coded.of(table, contract.id_column)
        ids = np.array([text[:_ID_LENGTH].strip() for text in given.texts], dtype=object)[given.codes]
    blank = np.flatnonzero(ids == "")
    if len(blank):
        names = [one.name for one in contract.features if one.name in table.columns]
        rows = table.iloc[blank][[*names, contract.target.name]].itertuples(index=False, name=None)
        ids[blank] = ["row:" + hashlib.sha256(repr(row).encode()).hexdigest()[:32] for row in rows]
    return ids
