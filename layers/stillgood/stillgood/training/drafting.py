"""Contracts and files: a first contract from a file as it is, and a file held against everything that training asks of
it.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.chunk import MISSING, Chunk
from stillgood.domain.contract.contract import Contract, Source
from stillgood.domain.contract.dialect import delimiter_of, encoding_of
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.draft_note import DraftNote
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.domain.errors import ContractInvalid, TableUnreadable
from stillgood.storage.tables.bytes_in import as_utf8, unpacked
from stillgood.storage.tables.opening import DELIMITED, open_for, open_table
from stillgood.storage.tables.xlsx import as_csv, is_workbook
from stillgood.training.distinct import distinct, hashed
from stillgood.training.ingest import ABSENT, DUPLICATE, hash_of, needed_columns
from stillgood.training.refused import Refused
from stillgood.training.validate import LabelledCheck, Part

MAX_DRAFTED_ROWS = 200_000  # more rows hardly change a draft, and would not fit into memory
MAX_REFUSED_LINES = 20  # lines a finding names
_PIECE = 512 * 1024
_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class DraftedFile:
    """``contract`` as JSON data; ``notes``: what was seen and decided; ``rows`` of the file that were looked at."""

    contract: dict[str, Any]
    notes: list[DraftNote]
    rows: int


def draft_file(
    path: Path,
    target: str,
    positive: str | None = None,
    *,
    id_column: str | None = None,
    time_column: str | None = None,
    name: str | None = None,
    keep: Collection[str] = (),
) -> DraftedFile:
    """A contract for the rows of ``path``, as JSON data, and what was seen and decided on the way.

    Raises ContractInvalid where no contract can be drafted, TableUnreadable where the file cannot be read.
    """
    notes: list[DraftNote] = []
    encoding, delimiter = _dialect(path, notes)
    table = open_table(_name(path), _bytes(path), source=Source(delimiter=delimiter, encoding=encoding))
    columns: dict[str, list[str]] = {column: [] for column in table.names or ()}
    rows, unreadable = 0, []
    for chunk in table.chunks:
        unreadable += chunk.unreadable
        size = len(chunk.numbers)
        if table.names is None:
            for column in dict.fromkeys(key for row in chunk.rows or [chunk.columns or {}] for key in row):
                columns.setdefault(column, [""] * rows)
        for column, texts in columns.items():
            texts += _texts(chunk.column(column), size)
        rows += size
        if rows >= MAX_DRAFTED_ROWS:
            notes.append(DraftNote("", f"the file has {rows:,} rows and more", f"the first {rows:,} were looked at"))
            table.close()
            break
    # A name that stands twice is noted by the table; the others' notes are the draft's own.
    notes += [DraftNote(note.column, note.message.rstrip("."), "the rest is read") for note in table.notes]
    bad = [
        f"{f'line {row.line}' if row.line is not None else f'row {row.number}'} cannot be read:"
        f" {row.message.rstrip('.')}"
        for row in unreadable[:MAX_REFUSED_LINES]
    ]
    notes += [DraftNote("", seen, "it is left out, and training refuses it") for seen in bad]
    if not rows and bad:
        raise ContractInvalid(f"None of {len(unreadable)} rows can be read: {bad[0]}.")
    contract, more = draft(
        columns,
        target=target,
        positive=positive,
        id_column=id_column,
        time_column=time_column,
        name=name or path.name.partition(".")[0] or "draft",
        keep=keep,
        delimiter=None if delimiter == _standard(path) else delimiter,
        encoding=encoding,
    )
    return DraftedFile(contract, [*notes, *more], rows)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that rows break: how many, an example ``value`` (None where it is personal), the lines of the first, and
    what mends it.
    """

    column: str
    rule: str
    rows: int
    value: object
    lines: tuple[int, ...]
    message: str
    mend: str

    def __str__(self) -> str:
        lines = ", ".join(map(str, self.lines[:5])) + (", ..." if self.rows > 5 else "")
        return f"{self.rows} rows (line {lines}): {self.message} {self.mend}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "rule": self.rule,
            "rows": self.rows,
            "value": self.value,
            "lines": list(self.lines),
            "message": self.message,
            "mend": self.mend,
        }


@dataclass(slots=True)
class CheckReport:
    """What training would do with a file: ``rows`` = ``accepted`` + ``refused``. ``problem``: why it is refused
    whole.
    """

    rows: int = 0
    accepted: int = 0
    positives: int = 0
    problem: str | None = None
    findings: list[Finding] = field(default_factory=list)
    repaired: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return self.rows - self.accepted

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "refused": self.refused,
            "positives": self.positives,
            "problem": self.problem,
            "findings": [finding.to_dict() for finding in self.findings],
            "repaired": self.repaired,
            "notes": self.notes,
        }


def check_file(path: Path, contract: Contract, *, latest: datetime | None = None) -> CheckReport:
    """Hold a file of labelled rows against everything that training does with it, in blocks.

    ``latest`` (aware): no row may be dated later; now, if None.
    """
    report = CheckReport()
    findings: dict[tuple[str, str], _Found] = {}
    together = _Together(contract)
    try:
        table = open_for(contract, _name(path), _bytes(path), needed=needed_columns(contract))
        check = LabelledCheck(contract, path.name, text=table.text, latest=latest or datetime.now(UTC))
        for chunk in table.chunks:
            part = check(chunk)
            report.rows += len(chunk.numbers) + len(chunk.unreadable)
            report.accepted += len(part)
            report.positives += int(part.target.sum())
            for refused in check.refused:
                _count(findings, refused)
            check.refused.clear()
            together.add(chunk, part)
    except TableUnreadable as error:
        report.problem = f"{path.name}: {error.detail}"
        report.accepted = report.positives = 0
        return report
    for feature in contract.features if table.names is not None else ():
        if feature.name not in (table.names or ()):
            alike = next((name for name in table.names or () if name.casefold() == feature.name.casefold()), None)
            but = f", but there is {alike}" if alike else ""
            report.notes.append(
                f"The column {feature.name} is absent{but}: training reads blanks and counts them, batch refuses the"
                " file."
            )
            check.repaired[f"{feature.name}: {ABSENT}"] = report.accepted
    report.notes += [note.message for note in table.notes]
    together.judge(report, check.repaired)
    report.repaired = dict(sorted(check.repaired.items()))
    report.findings += [entry.finding(contract, *key) for key, entry in findings.items()]
    report.findings.sort(key=lambda entry: -entry.rows)
    return report


class _Together:
    """What training finds only among all rows: those that return unchanged, and those that contradict each other.

    Of a row 37 bytes are kept, whatever its width.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, chunk: Chunk, part: Part) -> None:
        n = len(part)
        columns = [*(part.columns[feature.name] for feature in self._contract.features), part.target]
        at = np.searchsorted(np.asarray(chunk.numbers, np.int64), part.numbers)
        self._parts.append(
            (
                hashed(columns, n, seed=1),
                hashed(columns, n, seed=2),
                np.fromiter(map(hash_of, part.ids), np.uint64, n),
                np.fromiter((name.startswith("row:") for name in part.ids), np.bool_, n),
                part.times,
                (np.asarray(chunk.lines, np.int64)[at] if chunk.lines else part.numbers).astype(np.int32),
                part.target,
            )
        )

    def judge(self, report: CheckReport, repaired: Counter[str]) -> None:
        """Count both: duplicates as repaired, contradictions as refused rows."""
        if not self._parts:
            return
        low, high, entities, unnamed, times, lines, target = map(np.concatenate, zip(*self._parts, strict=True))
        dated = self._contract.time_column is not None
        nowhere = np.zeros(len(low), np.int64)
        _, dropped, contradicting = distinct([low, high], entities, unnamed, times, nowhere, dated=dated)
        if dropped:
            repaired[DUPLICATE] += dropped
        if len(contradicting):
            report.accepted -= len(contradicting)
            report.positives -= int(target[contradicting].sum())
            name = self._contract.id_column or "(row)"
            first = np.sort(lines[contradicting])[:MAX_REFUSED_LINES].tolist()
            message = f"Another row has the same {name} and time, but other values."
            mend = "Keep the right one of each; where a spreadsheet shortened ids, export them as text."
            report.findings.append(Finding(name, "conflict", len(contradicting), None, tuple(first), message, mend))


@dataclass(slots=True)
class _Found:
    rows: int = 0
    value: object = None
    message: str = ""
    lines: list[int] = field(default_factory=list)
    values: Counter[str] = field(default_factory=Counter)

    def finding(self, contract: Contract, column: str, rule: str) -> Finding:
        return Finding(
            column,
            rule,
            self.rows,
            self.value,
            tuple(self.lines),
            self.message,
            _mend(contract, column, rule, self.values),
        )


def _count(findings: dict[tuple[str, str], _Found], refused: Refused) -> None:
    for violation in refused.violations:
        entry = findings.setdefault(
            (violation.field, violation.rule), _Found(value=violation.value, message=violation.message)
        )
        entry.rows += 1
        if len(entry.lines) < MAX_REFUSED_LINES and (place := refused.line or refused.row) is not None:
            entry.lines.append(place)
        if len(entry.values) < 1_000 and violation.value is not None:
            entry.values[str(violation.value)] += 1


def _mend(contract: Contract, column: str, rule: str, values: Counter[str]) -> str:
    """What makes such rows obey: in the file, or in the contract."""
    common = ", ".join(repr(value) for value, _ in values.most_common(3))
    features = {feature.name: feature for feature in contract.features}
    if column == contract.target.name:
        return "Rows without an outcome cannot be learnt from; mend the outcome, or take the rows out."
    if rule == "required":
        return f"Fill it in, or let {column} be blank: nullable true, or if_missing."
    if rule == "level":
        return f"Add {common} to the levels of {column}, name it in aliases, or accept others: unseen accept."
    if rule == "range":
        return f"If {common} is right, widen minimum or maximum of {column}."
    if rule in ("type", "finite", "whole") and column in features and features[column].kind in ("numeric", "integer"):
        return (
            f"If {common} means nothing, add it to source.missingValues; signs of numbers are source.decimalChar,"
            " groupChar, bareNumber and negativeNumber."
        )
    if rule == "type" and column in features and features[column].kind == "boolean":
        return f"If {common} is a truth value, add it to source.trueValues or falseValues."
    if rule in ("time", "type"):
        return "Write ISO 8601, or name the format in source.dateFormat."
    if rule == "exact":
        return f"If {column} names or codes something, make it categorical; if it may be rounded, numeric."
    if rule == "future":
        return "A row dated later than today would be the newest for good."
    return "Mend the row."


def _dialect(path: Path, notes: list[DraftNote]) -> tuple[str | None, str | None]:
    """The encoding, None for UTF-8, and the delimiter, None for a format without one."""
    if (standard := _standard(path)) is None:
        return None, None
    encoding = encoding_of(unpacked(_bytes(path)))
    if encoding is not None:
        notes.append(
            DraftNote("", f"the file is not UTF-8 but {encoding}", f'it is read so (source.encoding "{encoding}")')
        )
    head = b""
    for piece in as_utf8(_bytes(path), encoding):
        head += piece
        if len(head) >= _HEAD:
            break
    delimiter = delimiter_of(head[:_HEAD].decode(errors="replace").removeprefix("\ufeff"), standard)
    if delimiter != standard:
        notes.append(DraftNote("", f"the cells are delimited by {delimiter!r}", "it is read so (source.delimiter)"))
    return encoding, delimiter


def _standard(path: Path) -> str | None:
    lower = _name(path).lower().removesuffix(".gz")
    return next((mark for suffix, mark in DELIMITED.items() if lower.endswith(suffix)), None)


def _name(path: Path) -> str:
    """The name by which the file's format is known: a workbook is read as the CSV of its first sheet."""
    return f"{path.stem}.csv" if is_workbook(path) else path.name


def _bytes(path: Path) -> Iterator[bytes]:
    if is_workbook(path):
        yield from as_csv(path)
        return
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _texts(column: Any, size: int) -> list[str]:
    """A column's values as the texts that CSV would have for them."""
    if isinstance(column, DictionaryColumn | StringBuffer):
        return column.texts()
    return [value if isinstance(value, str) else _text(value) for value in column] if size else []


def _text(value: object) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if value != value else repr(value)
    return str(value)
