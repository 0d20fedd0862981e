"""quarantine: what was refused, found again, mended by a person, and taken in once.

TrainDeps rows lie under ``quarantine/train/``, labels under ``quarantine/labels/``. A person mends them in a
spreadsheet, which runs cells that begin with ``=``, ``+``, ``-`` or ``@``: such texts get an apostrophe before them,
which is taken off again on the way back.
"""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from stillgood.domain.contract.contract import Contract, Source
from stillgood.domain.contract.dialect import delimiter_of, encoding_of
from stillgood.domain.contract.labels import FIELDS, read_labels
from stillgood.domain.contract.outcome import read_outcome
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.contract.source_text import SourceText
from stillgood.domain.errors import DocumentUnusable, InvalidRows, MalformedRequest, ObjectExists, TableUnreadable
from stillgood.storage.keys import DATA_PREFIX, INCOMING_PREFIX, QUARANTINE_PREFIX
from stillgood.storage.objects import ObjectStore
from stillgood.storage.tables.bytes_in import as_utf8
from stillgood.storage.tables.opening import open_table

REASON = "(refused because)"  # a column of the exported file, left out of what is taken in
_RUNS = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LISTED = 100


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One object of refused rows. ``rules`` counts rows by the first thing that was wrong with each; ``example``: what
    was wrong with the first row, in words.
    """

    key: str
    rows: int
    rules: Mapping[str, int]
    example: str


def listing(store: ObjectStore) -> Iterator[Quarantined]:
    """Everything in quarantine. Raises DocumentUnusable for an object that was overwritten by hand."""
    for info in store.list(QUARANTINE_PREFIX):
        rows = _read(store, info.key)
        example = _why(rows[0]) if rows else ""
        yield Quarantined(info.key, len(rows), Counter(_why(row, short=True) for row in rows), example)


def export(store: ObjectStore, key: str) -> str:
    """The rows of one object as CSV, to be mended: as they stood, with the reason beside each. Personal data was not
    kept, and is blank.

    Rows whose fields did not fit their header, and whole files, have nothing to mend here: their reason names the file.
    Raises ObjectNotFound, DocumentUnusable.
    """
    rows = _read(store, key)
    names = list(dict.fromkeys(name for row in rows for name in row.get("raw") or {}))
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*map(escape_formula, names), REASON])
    for row in rows:
        if raw := row.get("raw"):
            table.writerow([*(escape_formula(_text(raw.get(name))) for name in names), escape_formula(_why(row))])
    return text.getvalue()


def reingest(store: ObjectStore, data: bytes, contract: Contract, today: date) -> str | None:
    """Take a mended file in: labels under ``labels/incoming/``, training rows under ``data/<today>/``; returns the key,
    None if it was there.

    The key is the content, so the same file twice is taken in once. All rows are right, or nothing is taken in.
    Raises InvalidRows, which names every row that is still wrong, and MalformedRequest for what is no CSV in UTF-8.
    """
    names, rows = _mended(data, contract)
    if set(names) <= set(FIELDS):
        _, refused = read_labels(rows, contract.target)
        wrong = [{"row": label.row + 1, "field": label.field, "message": label.message} for label in refused]
        folder = INCOMING_PREFIX
    else:
        wrong = _wrong(rows, contract)
        folder = f"{DATA_PREFIX}{today:%Y-%m-%d}/"
    if wrong or not rows:
        count = len({mistake["row"] for mistake in wrong})
        raise InvalidRows(f"{count} of {len(rows)} rows are still wrong; nothing was taken in.", wrong[:_LISTED])
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names)
    table.writeheader()
    table.writerows(sorted(rows, key=lambda row: [str(row[name]) for name in names]))
    content = text.getvalue().encode()
    key = f"{folder}mended-{hashlib.sha256(content).hexdigest()[:32]}.csv"
    taken = [info.key for info in store.list(DATA_PREFIX) if info.key.endswith(key.rpartition("/")[2])]
    try:
        return None if taken else store.create(key, content) and key
    except ObjectExists:
        return None


def escape_formula(cell: str) -> str:
    """``cell`` as a spreadsheet may show it without running it. Numbers stay numbers.

    >>> escape_formula("=1+1"), escape_formula("-1.5"), escape_formula("C-1"), unescape_formula(escape_formula("'=1"))
    ("'=1+1", '-1.5', 'C-1', "'=1")
    """
    return "'" + cell if _RUNS.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unescape_formula(cell: str) -> str:
    """What ``escape_formula`` was given."""
    return cell[1:] if cell.startswith("'") and _RUNS.match(cell) else cell


def _mended(data: bytes, contract: Contract) -> tuple[list[str], list[dict[str, str | None]]]:
    """The file's names and rows, as the contract's ``source`` reads them. A spreadsheet may have changed delimiter and
    encoding.
    """
    encoding = encoding_of([data])
    try:
        head = b"".join(islice(as_utf8([data], encoding), 1))[:65536].decode(errors="replace")
        source = Source(delimiter=delimiter_of(head), encoding=encoding)
        table = open_table("mended.csv", [data], source=source)
        chunks = list(table.chunks)
    except TableUnreadable as error:
        raise MalformedRequest(f"The file is not CSV with a header: {error.detail}") from None
    broken = [row for chunk in chunks for row in chunk.unreadable]
    twice = [note for note in table.notes if note.kind == "twice"]
    if broken or twice:
        why = f"line {broken[0].line}: {broken[0].message}" if broken else twice[0].message
        raise MalformedRequest(f"Some rows do not fit the header, or the header names a column twice ({why[:300]}).")
    convert = SourceText(contract)
    rows = []
    for chunk in chunks:
        for index in range(len(chunk.numbers)):
            plain = {unescape_formula(name): unescape_formula(str(cell)) for name, cell in chunk.row(index).items()}
            rows.append({name: str(cell) or None for name, cell in convert.row(plain).items() if name != REASON})
    names = [name for name in map(unescape_formula, table.names or ()) if name != REASON]
    return names, rows


def _wrong(rows: list[dict[str, str | None]], contract: Contract) -> list[dict[str, Any]]:
    checker = RowChecker(contract)
    wrong: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        violations = checker.check(row, text=True, extra="ignore").violations
        wrong += [{"row": number, "field": violation.field, "message": violation.message} for violation in violations]
        if read_outcome(contract.target, row.get(contract.target.name)) is None:
            message = f"{contract.target.name} must be {contract.target.positive} or {contract.target.negative}."
            wrong.append({"row": number, "field": contract.target.name, "message": message})
    return wrong


def _read(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in store.get(key).data.splitlines() if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line is no object")
    except (ValueError, RecursionError) as error:
        raise DocumentUnusable(f"{key} is no list of refused rows any more ({str(error)[:120]}).") from error
    return rows


def _why(row: Mapping[str, Any], *, short: bool = False) -> str:
    """``short``: what all rows with this fault share."""
    first = next(iter(row.get("violations") or []), None) or {"field": row.get("field"), "rule": "label", **row}
    return f"{first.get('field')}: {first.get('rule')}" if short else str(first.get("message"))


def _text(value: object) -> str:
    return "" if value is None else str(value)
