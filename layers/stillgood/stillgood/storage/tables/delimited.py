"""Rows out of a CSV object."""

import codecs
import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.domain.errors import InvalidEvent, MalformedRequest
from stillgood.storage.tables.lines import CHUNK_ROWS, Lines

# What the csv module may take for more than a character of a cell.
_ODD = (b'"', b"\r", b"\0")


def csv_chunks(
    data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS, high_cardinality: Collection[str] = frozenset()
) -> Iterator[Chunk]:
    """Chunks of a CSV with a header: comma-separated, quoted as in RFC 4180, UTF-8 with or without a byte order mark.

    Blank lines are not rows. A quote that is never closed costs its own line only: the lines it swallowed are read again.
    ``high_cardinality``: columns in which hardly a value stands twice. Raises InvalidEvent when the header cannot be used.
    """
    lines, number = Lines(_first_line_apart(data)), 0
    reader = csv.reader(lines, strict=True)
    header = _header(lines, reader)
    while True:
        if (columns := _block(lines, header, high_cardinality)) is not None:
            rows = len(columns[header[0]])
            yield Chunk(list(range(number + 1, number + 1 + rows)), columns=columns)
            number += rows
            continue
        most = min(chunk_rows, lines.left or chunk_rows)  # not into the next block, which may be plain
        records = _plain(lines, reader, len(header), most) or _careful(lines, reader, len(header), most)
        if not records:
            return
        unreadable: list[Unreadable] = []
        split: list[list[str]] = []
        numbers: list[int] = []
        for record in records:
            number += 1
            if isinstance(record, list):
                split.append(record)
                numbers.append(number)
            else:
                unreadable.append(Unreadable(number, "csv", *record))
        cells = dict(zip(header, zip(*split, strict=True), strict=True)) if split else {}
        yield Chunk(numbers, unreadable, columns=cells)


def _first_line_apart(data: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, so cut that the lines after the first are a block of their own."""
    pieces = iter(data)
    for piece in pieces:
        end = piece.find(b"\n") + 1
        yield piece[:end]
        yield piece[end:]
        if end:
            break
    yield from pieces


def _header(lines: Lines, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, [])
        lines.check()
    except (csv.Error, MalformedRequest) as error:
        raise InvalidEvent(f"The first line, which must name the columns, cannot be read: {_why(error)}") from None
    if len(set(header)) != len(header):
        raise InvalidEvent("The first line of the CSV names a column twice; each needs a name of its own.")
    lines.taken.clear()
    return header


def _block(
    lines: Lines, header: Sequence[str], high_cardinality: Collection[str]
) -> dict[str, DictionaryColumn | StringBuffer] | None:
    """The next block of lines by column, if nothing in it could be read in two ways; otherwise none, and its lines one by one.

    Without quotes, blank lines and stray ends of lines a CSV is its text between commas, and Arrow reads it ten times as fast as the csv module.
    """
    block = lines.block()
    plain = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    # A byte order mark would be dropped at the start of any block; the csv module, whose word counts, has a limit of its own for a cell.
    if (
        plain
        and not any(odd in plain for odd in _ODD)
        and not plain.startswith(codecs.BOM_UTF8)
        and _is_utf8(plain)
        and _lines_are_within(plain, csv.field_size_limit())
    ):
        from stillgood.storage.tables.arrow_text import columns  # an import that small inputs need not wait for

        if (read := columns(plain, header, high_cardinality)) is not None:
            return read
    if block:
        lines.hand_out_lines_of(block)
    return None


def _lines_are_within(data: bytes, most: int) -> bool:
    """Whether no line is blank, and none is longer than ``most`` bytes."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(data)) - 1  # the last is what follows the last end
    return bool(lengths[:-1].min(initial=1) > 0 and lengths.max() <= most)


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _plain(lines: Lines, reader: Iterator[list[str]], width: int, most: int) -> list[list[str]]:
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


def _careful(lines: Lines, reader: Iterator[list[str]], width: int, most: int) -> list[list[str] | tuple[str, str]]:
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
