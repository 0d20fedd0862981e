"""Rows out of a CSV object."""

import csv
from collections.abc import Iterable, Iterator
from itertools import islice

from lifecycle.domain.errors import InvalidEvent, MalformedRequest
from lifecycle.steps.batch_input import CHUNK_ROWS, Chunk, Lines, Unreadable


def csv_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a CSV with a header: comma-separated, quoted as in RFC 4180, UTF-8 with or without a byte order mark.

    Blank lines are not rows. A quote that is never closed costs its own line only: the lines it swallowed are read again.
    Raises InvalidEvent when the header cannot be used.
    """
    lines, number = Lines(data), 0
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
