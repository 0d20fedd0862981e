"""Rows out of CSV and JSON Lines objects: a bounded number in memory at once, and every one counted, readable or not.

Parquet is in ``parquet_input.py``, since only it needs pyarrow.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from lifecycle.domain.errors import InvalidEvent, MalformedRequest
from lifecycle.domain.rows import parse_json

CHUNK_ROWS = 10_000
MAX_LINE = 1024 * 1024  # characters of one line; what is longer is not a row, and must not fill the memory
MISSING = object()  # stands where a row has no such field


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be split into fields. ``number`` counts the rows of the input from 1; ``raw`` is what was there."""

    number: int
    rule: str
    message: str
    raw: str


@dataclass(slots=True)
class Chunk:
    """Consecutive rows: those that were read, by row or by column, and those that could not be.

    ``numbers[i]`` (from 1) is the place in the input of row ``i`` of the chunk.
    """

    numbers: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    columns: Mapping[str, Sequence[object]] | None = None

    def column(self, name: str) -> Sequence[object]:
        """The values of one field, MISSING where a row has none."""
        if self.columns is None:
            return [row.get(name, MISSING) for row in self.rows]
        return self.columns.get(name) or [MISSING] * len(self.numbers)

    def row(self, index: int) -> Mapping[str, Any]:
        """Row ``index`` of the chunk as it was read, by name."""
        if self.columns is None:
            return self.rows[index]
        return {name: column[index] for name, column in self.columns.items()}


def json_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of JSON Lines, one object a line, read as strictly as a request to the API. Blank lines are not rows."""
    lines, number, chunk = _Lines(data), 0, Chunk()
    for line in lines:
        if not line.isspace():
            number += 1
            try:
                lines.check()
                row = parse_json(line, "The line")
                if not isinstance(row, dict):
                    raise MalformedRequest("The line is not a JSON object.")
                chunk.rows.append(row)
                chunk.numbers.append(number)
            except MalformedRequest as error:
                chunk.unreadable.append(lines.refused(number, "json", error.detail))
        lines.taken.clear()
        if len(chunk.numbers) + len(chunk.unreadable) >= chunk_rows:
            yield chunk
            chunk = Chunk()
    yield chunk


def csv_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a CSV with a header: comma-separated, quoted as in RFC 4180, UTF-8 with or without a byte order mark.

    Blank lines are not rows. A quote that is never closed costs its own line only: the lines it swallowed are read again.
    Raises InvalidEvent when the header cannot be used.
    """
    lines, number, unreadable = _Lines(data), 0, list[Unreadable]()
    reader = csv.reader(lines)
    header = _header(lines, next(reader, []))
    rows: list[list[str]] = []
    numbers: list[int] = []
    while True:
        try:
            cells = next(reader)
            lines.check()
            if cells and len(cells) != len(header):
                raise MalformedRequest(f"The row has {len(cells)} cells, the header {len(header)}.")
        except StopIteration:
            break
        except (csv.Error, MalformedRequest) as error:
            number += 1
            unreadable.append(
                lines.refused(
                    number,
                    "csv",
                    error.detail if isinstance(error, MalformedRequest) else f"The row is not CSV: {error}.",
                )
            )
        else:
            if cells:
                number += 1
                rows.append(cells)
                numbers.append(number)
            lines.taken.clear()
        if len(rows) + len(unreadable) >= chunk_rows:
            yield Chunk(numbers, unreadable, columns=_by_column(header, rows))
            rows, numbers, unreadable = [], [], []
    yield Chunk(numbers, unreadable, columns=_by_column(header, rows))


def _by_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}


def _header(lines: "_Lines", cells: Sequence[str]) -> Sequence[str]:
    try:
        lines.check()
    except MalformedRequest as error:
        raise InvalidEvent(f"The first line, which must name the columns, cannot be read: {error.detail}") from None
    if len(set(cells)) != len(cells):
        raise InvalidEvent("The first line of the CSV names a column twice; each needs a name of its own.")
    lines.taken.clear()
    return cells


class _Lines:
    """The lines of ``data``, with their ends. ``taken`` are those handed out since it was last cleared: the current record's."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self._source = _split(data)
        self._again: list[str] = []
        self.taken: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._source)
        self.taken.append(line)
        return line

    def check(self) -> None:
        """Raises MalformedRequest when the current record is too long, or is not UTF-8."""
        for line in self.taken:
            if len(line) > MAX_LINE:
                raise MalformedRequest(f"The line is longer than {MAX_LINE} characters.")
            if not line.isascii():
                try:
                    line.encode()
                except UnicodeEncodeError:
                    raise MalformedRequest("The line is not UTF-8.") from None

    def refused(self, number: int, rule: str, message: str) -> Unreadable:
        """The first line of the current record as a row that was not read; its other lines are handed out again."""
        first, *rest = self.taken
        self._again += reversed(rest)
        self.taken.clear()
        return Unreadable(
            number, rule, message, first[:MAX_LINE].rstrip("\r\n").encode(errors="backslashreplace").decode()
        )


def _split(data: Iterable[bytes]) -> Iterator[str]:
    """The lines in ``data``, whatever pieces it comes in. Bytes that are not UTF-8 become lone surrogates, for ``_Lines.check``."""
    rest, at_start = b"", True
    for piece in chain(data, [b""]):
        block = rest + piece
        end = block.rfind(b"\n") + 1 if piece else len(block)
        # Of a line without end, no more is kept than shows that it is too long (a character has at most 4 bytes).
        rest = block[end:][: 4 * MAX_LINE + 4]
        text = _decode(block[:end])
        if at_start and text:
            text, at_start = text.removeprefix("\ufeff"), False
        # Not splitlines(): that would also end a line at characters that may stand inside a cell.
        yield from io.StringIO(text, newline="\n")


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape")
