"""Rows out of a CSV object."""

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from lifecycle.domain.errors import InvalidEvent, MalformedRequest
from lifecycle.steps.batch_input import CHUNK_ROWS, Chunk, Lines, Unreadable

_SPECIAL = re.compile('["\\r\\0]')  # what the csv module may take for more than a character of a cell


def csv_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a CSV with a header: comma-separated, quoted as in RFC 4180, UTF-8 with or without a byte order mark.

    Blank lines are not rows. A quote that is never closed costs its own line only: the lines it swallowed are read again.
    Raises InvalidEvent when the header cannot be used.
    """
    lines, number = Lines(data), 0
    reader = csv.reader(lines, strict=True)
    header = _header(lines, reader)
    while True:
        if (cells := _unquoted(lines, len(header), chunk_rows)) is not None:
            rows = len(cells[0])
            yield Chunk(list(range(number + 1, number + 1 + rows)), columns=dict(zip(header, cells, strict=True)))
            number += rows
            continue
        records = _plain(lines, reader, len(header), chunk_rows) or _careful(lines, reader, len(header), chunk_rows)
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
        columns = dict(zip(header, zip(*split, strict=True), strict=True)) if split else {}
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


def _unquoted(lines: Lines, width: int, most: int) -> list[list[str]] | None:
    """The next cells by column, at the speed of ``str.split``, if no line quotes, is blank or has more or fewer cells; otherwise none,
    and the lines again."""
    text = lines.take(most)
    if text.count("\r") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")
    blank = text.startswith("\n") or "\n\n" in text
    # The csv module, whose word counts, has a limit of its own for a cell.
    if text and not blank and not _SPECIAL.search(text) and lines.are_clean(csv.field_size_limit()):
        text = text.removesuffix("\n")
        rows = text.count("\n") + 1
        # An end of line becomes a cell of its own: the rows have their cells if all of these stand where they must.
        cells = text.replace("\n", ",\n,").split(",")
        if len(cells) == rows * (width + 1) - 1 and cells[width :: width + 1].count("\n") == rows - 1:
            lines.taken.clear()
            return [cells[place :: width + 1] for place in range(width)]
    lines.hand_out_again(0)
    return None


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
