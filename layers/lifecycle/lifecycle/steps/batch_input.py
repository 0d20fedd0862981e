"""Rows out of CSV and JSON Lines objects: a bounded number in memory at once, and every one counted, readable or not.

Parquet is in ``parquet_input.py``, since only it needs pyarrow.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from lifecycle.domain.errors import InvalidEvent, MalformedRequest
from lifecycle.domain.rows import parse_json

CHUNK_ROWS = 1_000  # what stays in a CPU cache: read three times as fast as 10,000
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
                chunk.unreadable.append(Unreadable(number, "json", error.detail, lines.first()))
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
    lines, number = _Lines(data), 0
    reader = csv.reader(lines, strict=True)
    header = _header(lines, reader)
    while records := _plain(lines, reader, len(header), chunk_rows) or _careful(lines, reader, len(header), chunk_rows):
        unreadable: list[Unreadable] = []
        rows: list[list[str]] = []
        numbers: list[int] = []
        for record in records:
            number += 1
            if isinstance(record, list):
                rows.append(record)
                numbers.append(number)
            else:
                unreadable.append(Unreadable(number, "csv", *record))
        columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
        yield Chunk(numbers, unreadable, columns=columns)


def _header(lines: "_Lines", reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, [])
        lines.check()
    except (csv.Error, MalformedRequest) as error:
        raise InvalidEvent(f"The first line, which must name the columns, cannot be read: {_why(error)}") from None
    if len(set(header)) != len(header):
        raise InvalidEvent("The first line of the CSV names a column twice; each needs a name of its own.")
    lines.taken.clear()
    return header


def _plain(lines: "_Lines", reader: Iterator[list[str]], width: int, most: int) -> list[list[str]]:
    """The next records, at the speed of the csv module, if nothing at all is wrong with them; otherwise none, and the lines again."""
    try:
        records = [cells for cells in islice(reader, most) if cells]
        if set(map(len, records)) <= {width} and lines.are_clean():
            lines.taken.clear()
            return records
    except csv.Error:
        pass
    lines.hand_out_again(0)
    return []


def _careful(lines: "_Lines", reader: Iterator[list[str]], width: int, most: int) -> list[list[str] | tuple[str, str]]:
    """The next records one by one: cells, or for a record that cannot be read why, and its first line."""
    records: list[list[str] | tuple[str, str]] = []
    while len(records) < most:
        lines.taken.clear()
        try:
            cells = next(reader, None)
            lines.check()
            if cells and len(cells) != width:
                raise MalformedRequest(f"The row has {len(cells)} cells, the header {width}.")
        except (csv.Error, MalformedRequest) as error:
            records.append((_why(error), lines.first()))
            lines.hand_out_again(1)
            continue
        if cells is None:
            break
        if cells:
            records.append(cells)
    lines.taken.clear()
    return records


def _why(error: csv.Error | MalformedRequest) -> str:
    return error.detail if isinstance(error, MalformedRequest) else f"The row is not CSV: {error}."


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

    def are_clean(self) -> bool:
        """Whether ``check`` would pass for each of the lines taken, at a fraction of its time."""
        try:
            "".join(self.taken).encode()
        except UnicodeEncodeError:
            return False
        return max(map(len, self.taken), default=0) <= MAX_LINE

    def first(self) -> str:
        """The first line taken, as text that any file can hold."""
        return self.taken[0][:MAX_LINE].rstrip("\r\n").encode(errors="backslashreplace").decode()

    def hand_out_again(self, start: int) -> None:
        """Take back the lines taken, but for the first ``start``."""
        self._again += reversed(self.taken[start:])
        self.taken.clear()


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
