"""From labelled CSV objects under ``data/`` to columns: every row ends accepted, repaired by a stated rule, or refused with a reason.

pandas reads; the contract judges. A column's distinct texts are judged once each, by the very code that checks a single row.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifecycle.domain.contract import Contract
from lifecycle.domain.errors import OneClassOnly, TooFewRows
from lifecycle.domain.frame import NULL, UNSEEN, Column, Frame
from lifecycle.domain.row_check import Violation, read_text, shorten

_DT = re.compile(r"(?:^|/)(?:dt=)?(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True, slots=True)
class Refused:
    """One row (or a whole object, ``row`` None) that is not learnt from. ``row`` counts data rows from 1; ``raw`` is what stood there."""

    source: str
    row: int | None
    field: str
    rule: str
    message: str
    raw: Mapping[str, str | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "row": self.row,
            "field": self.field,
            "rule": self.rule,
            "message": self.message,
            "raw": None if self.raw is None else dict(self.raw),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Ingested:
    """Rows in canonical order: by time, then by the hash of the id, whatever the order of the objects.

    ``target`` int8[n], 1 where the outcome is the positive one; ``times`` datetime64[us][n] in UTC; ``hashes`` uint64[n] of the ids.
    """

    frame: Frame
    target: npt.NDArray[np.int8]
    ids: npt.NDArray[np.object_]
    times: npt.NDArray[np.datetime64]
    hashes: npt.NDArray[np.uint64]
    repaired: Mapping[str, int]
    refused: tuple[Refused, ...]
    objects: int
    sha256: str

    def counts(self) -> dict[str, Any]:
        """JSON-able: what became of the rows."""
        return {
            "objects": self.objects,
            "accepted": self.frame.n,
            "repaired": dict(sorted(self.repaired.items())),
            "refused": dict(sorted(Counter(f"{one.field}: {one.rule}" for one in self.refused).items())),
            "refused_rows": len({(one.source, one.row) for one in self.refused}),
        }


@dataclass(slots=True)
class _Part:
    """The rows of one object that obey the contract."""

    columns: dict[str, npt.NDArray[Any]]
    target: npt.NDArray[np.int8]
    ids: npt.NDArray[np.object_]
    times: npt.NDArray[np.datetime64]
    source: npt.NDArray[np.object_]
    row: npt.NDArray[np.int64]
    raw: pd.DataFrame


def ingest(contract: Contract, objects: Iterable[tuple[str, bytes]]) -> Ingested:
    """Read labelled CSV objects (key, bytes): UTF-8, a header, one row a line.

    Raises TooFewRows or OneClassOnly when what is left cannot be learnt from; the message counts what was refused and why.
    """
    refused: list[Refused] = []
    repaired: Counter[str] = Counter()
    parts, count = [], 0
    for key, data in objects:
        count += 1
        table = _read(key, data, contract, refused)
        if table is not None and len(table):
            parts.append(_judge(contract, key, table, refused, repaired))
    whole = _together(contract, parts)
    kept = _distinct(contract, whole, refused, repaired)
    n = int(kept.sum())
    positives = int(whole.target[kept].sum())
    _enough(contract, n, positives, count, refused)
    hashes = np.fromiter((_hash(one) for one in whole.ids[kept]), np.uint64, n)
    order = np.lexsort((hashes, whole.times[kept]))
    index = np.flatnonzero(kept)[order]
    frame = Frame(contract, n, {name: column[index] for name, column in whole.columns.items()})
    target, times, ids = whole.target[index], whole.times[index], whole.ids[index]
    digest = _digest(frame, target, times, hashes[order])
    return Ingested(frame, target, ids, times, hashes[order], repaired, tuple(refused), count, digest)


def _read(key: str, data: bytes, contract: Contract, refused: list[Refused]) -> pd.DataFrame | None:
    """The object as text columns named by its header; what cannot be read at all is refused as a whole, by name."""

    def refuse(rule: str, message: str) -> None:
        refused.append(Refused(key, None, "(object)", rule, f"{key} {message}"))

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse("encoding", f"is not UTF-8 (byte {error.start}); save it as UTF-8 and upload it again.")
        return None
    if "\0" in text:
        refuse("encoding", "holds NUL characters; it is not a CSV in UTF-8.")
        return None
    try:
        header = [name.strip() for name in next(csv.reader(io.StringIO(text, newline="")), [])]
    except csv.Error as error:
        refuse("header", f"has no readable header ({error}).")
        return None
    if not any(header):
        refuse("empty", "is empty; it needs a header and rows.")
        return None
    if repeated := sorted(name for name, times in Counter(header).items() if times > 1):
        refuse("header", f"names the column {repeated[0]!r} twice.")
        return None
    needed = [one.name for one in contract.features if not one.nullable and one.if_missing is None]
    if missing := [name for name in [*needed, contract.target.name] if name not in header]:
        refuse("columns", f"lacks the column {', '.join(missing)}; add it, or change the contract.")
        return None
    try:
        table = pd.read_csv(
            io.StringIO(text, newline=""), dtype=str, keep_default_na=False, na_filter=False, header=None, skiprows=0,
            names=header, index_col=False, skip_blank_lines=True, on_bad_lines="error",
        ).iloc[1:]  # fmt: skip
    except (pd.errors.ParserError, ValueError):
        table = None
    if table is None or table.isna().to_numpy().any():
        return _read_ragged(key, text, header, refused)
    return pd.DataFrame(table.set_axis(np.arange(1, len(table) + 1), axis=0))


def _read_ragged(key: str, text: str, header: list[str], refused: list[Refused]) -> pd.DataFrame:
    """Row by row, for objects in which some rows have more or fewer fields than the header: only those are refused."""
    rows, numbers, number = [], [], 0
    try:
        for fields in list(csv.reader(io.StringIO(text, newline="")))[1:]:
            if not fields:
                continue
            number += 1
            if len(fields) == len(header):
                rows.append(fields)
                numbers.append(number)
                continue
            message = f"{key} row {number} has {len(fields)} fields, the header {len(header)}."
            refused.append(Refused(key, number, "(row)", "ragged", message, {"fields": ",".join(fields)[:2000]}))
    except csv.Error as error:
        refused.append(
            Refused(key, None, "(object)", "csv", f"{key} cannot be read as CSV after row {number} ({error}).")
        )
    return pd.DataFrame(rows, columns=header, index=numbers, dtype=str)


def _judge(contract: Contract, key: str, table: pd.DataFrame, refused: list[Refused], repaired: Counter[str]) -> _Part:
    n = len(table)
    good = np.ones(n, dtype=bool)
    mended: dict[str, npt.NDArray[np.bool_]] = {}

    def raw(at: int) -> dict[str, str | None]:
        row = table.iloc[at]
        known = {feature.name: feature for feature in contract.features}
        return {str(name): str(row[name]) for name in table.columns if not (name in known and known[name].pii)}

    def refuse(at: npt.NDArray[np.int64], violation: Violation) -> None:
        for position in at.tolist():
            number = int(table.index[position])
            refused.append(Refused(key, number, violation.field, violation.rule, violation.message, raw(position)))
        good[at] = False

    def texts(name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        codes, uniques = pd.factorize(table[name].to_numpy(dtype=object))
        return np.asarray(codes, dtype=np.int64), [str(one) for one in uniques]

    columns: dict[str, npt.NDArray[Any]] = {}
    for feature in contract.features:
        given = feature.name in table.columns
        codes, uniques = texts(feature.name) if given else (np.zeros(n, dtype=np.int64), [""])
        level = {name: code for code, name in enumerate(feature.levels)}
        values: list[float] = []
        for code, one in enumerate(uniques):
            value, violation, was_mended = read_text(feature, one)
            if violation is not None:
                refuse(np.flatnonzero(codes == code), violation)
            if was_mended:
                mended[f"{feature.name}: if_missing"] = codes == code
            if feature.kind == "categorical":
                values.append(NULL if value is None else level.get(str(value), UNSEEN))
            else:
                values.append(np.nan if value is None else float(value))
        kind = np.int32 if feature.kind == "categorical" else np.float64
        columns[feature.name] = np.asarray(values, dtype=kind)[codes]

    codes, uniques = texts(contract.target.name)
    known = {contract.target.positive: 1, contract.target.negative: 0}
    outcome = np.full(len(uniques), -1, dtype=np.int8)
    for code, one in enumerate(uniques):
        outcome[code] = known.get(one.strip(), -1)
        if outcome[code] < 0:
            blank = not one.strip()
            rule = "required" if blank else "level"
            shown = "" if blank else f", not {shorten(one)!r}"
            name = contract.target.name
            message = f"{name} must be {contract.target.positive} or {contract.target.negative}{shown}."
            refuse(np.flatnonzero(codes == code), Violation(name, rule, shorten(one), message))
    times = _times(contract, key, table, texts, refuse)
    for rule, rows in mended.items():
        if count := int((rows & good).sum()):
            repaired[rule] += count
    kept = np.flatnonzero(good)
    table = table.iloc[kept]
    return _Part(
        columns={name: column[kept] for name, column in columns.items()},
        target=outcome[codes][kept],
        ids=_ids(contract, table),
        times=times[kept],
        source=np.full(len(kept), key, dtype=object),
        row=np.asarray(table.index, dtype=np.int64),
        raw=table,
    )


def _times(contract: Contract, key: str, table: pd.DataFrame, texts: Any, refuse: Any) -> npt.NDArray[np.datetime64]:
    """The time column; where it is blank or the contract has none, the date in the object's key, else 1970."""
    partition = _DT.search(key)
    default = np.datetime64(partition[1] if partition else "1970-01-01", "us")
    name = contract.time_column
    if name is None or name not in table.columns:
        return np.full(len(table), default)
    codes, uniques = texts(name)
    values = np.full(len(uniques), default)
    for code, one in enumerate(uniques):
        if not one.strip():
            continue
        try:
            values[code] = np.datetime64(_utc(one.strip()), "us")
        except (ValueError, OverflowError):
            message = f"{name} must be an ISO 8601 time such as 2026-11-23T17:00:00Z, not {shorten(one)!r}."
            refuse(np.flatnonzero(codes == code), Violation(name, "time", shorten(one), message))
    return np.asarray(values[codes])


def _utc(text: str) -> datetime:
    """Naive, in UTC; a time without an offset is taken to be UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _ids(contract: Contract, table: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Entity ids; a row without one is named by its content."""
    ids = np.full(len(table), "", dtype=object)
    if contract.id_column is not None and contract.id_column in table.columns:
        ids = table[contract.id_column].str.strip().to_numpy(dtype=object)
    blank = np.flatnonzero(ids == "")
    if len(blank):
        names = [one.name for one in contract.features if one.name in table.columns]
        rows = table.iloc[blank][[*names, contract.target.name]].itertuples(index=False, name=None)
        ids[blank] = ["row:" + hashlib.sha256(repr(row).encode()).hexdigest()[:32] for row in rows]
    return ids


def _together(contract: Contract, parts: list[_Part]) -> _Part:
    if not parts:
        empty: dict[str, npt.NDArray[Any]] = {
            one.name: np.empty(0, np.int32 if one.kind == "categorical" else np.float64) for one in contract.features
        }
        none = np.empty(0, dtype=object)
        times = np.empty(0, dtype="datetime64[us]")
        return _Part(empty, np.empty(0, np.int8), none, times, none, np.empty(0, np.int64), pd.DataFrame())
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return _Part(
        columns,
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.row for part in parts]),
        pd.concat([part.raw for part in parts], ignore_index=True),
    )


def _distinct(
    contract: Contract, whole: _Part, refused: list[Refused], repaired: Counter[str]
) -> npt.NDArray[np.bool_]:
    """bool[n]: one row per id and time. The same row again is dropped; rows that contradict each other are all refused.

    Without a time column an upload's date is no event time, so a row that returns unchanged is the same row, not news.
    """
    n = len(whole.target)
    kept = np.ones(n, dtype=bool)
    if n == 0:
        return kept
    content = pd.DataFrame(whole.columns).assign(**{"(target)": whole.target, "(id)": whole.ids})
    if contract.time_column is not None:
        content["(time)"] = whole.times
    # The oldest copy stays, whatever the order of the objects.
    order = np.lexsort((whole.row, whole.source.astype(str), whole.times))
    again = np.zeros(n, dtype=bool)
    again[order] = content.iloc[order].duplicated().to_numpy()
    if dropped := int(again.sum()):
        repaired["(row): duplicate dropped"] += dropped
        kept &= ~again
    place = pd.DataFrame({"id": whole.ids, "time": whole.times})[kept]
    contradicting = np.flatnonzero(kept)[place.duplicated(keep=False).to_numpy()]
    for at in contradicting.tolist():
        source, row = str(whole.source[at]), int(whole.row[at])
        message = f"Another row has the same {contract.id_column or 'content'} and time but other values."
        raw = {str(name): str(value) for name, value in whole.raw.iloc[at].items() if value == value}
        pii = {one.name for one in contract.features if one.pii}
        raw = {name: value for name, value in raw.items() if name not in pii}
        refused.append(Refused(source, row, contract.id_column or "(row)", "conflict", message, raw))
    kept[contradicting] = False
    return kept


def _enough(contract: Contract, n: int, positives: int, objects: int, refused: list[Refused]) -> None:
    why = Counter(f"{one.field}: {one.rule}" for one in refused).most_common(3)
    also = f" Refused: {', '.join(f'{count} by {reason}' for reason, count in why)}." if why else ""
    if n < contract.training.min_rows:
        raise TooFewRows(
            f"{n} usable labelled rows in {objects} objects under data/, the contract asks for {contract.training.min_rows}. Upload more CSV objects to data/<date>/.{also}",
            rows=n,
        )
    if positives in (0, n):
        found = contract.target.positive if positives else contract.target.negative
        raise OneClassOnly(
            f"All {n} labelled rows have {contract.target.name} = {found}; a model needs rows of both outcomes.{also}",
            rows=n,
        )


def _hash(entity: str) -> int:
    return int.from_bytes(hashlib.sha256(str(entity).encode("utf-8", "backslashreplace")).digest()[:8])


def _digest(frame: Frame, target: npt.NDArray[np.int8], times: npt.NDArray[Any], hashes: npt.NDArray[Any]) -> str:
    """sha256 of the accepted rows in canonical order."""
    digest = hashlib.sha256()
    for name, column in _sorted(frame.columns):
        digest.update(f"{name}\n".encode())
        digest.update(np.ascontiguousarray(column).tobytes())
    for part in (target, times.astype("datetime64[us]").astype(np.int64), hashes):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _sorted(columns: Mapping[str, Column]) -> list[tuple[str, Column]]:
    return sorted(columns.items())
