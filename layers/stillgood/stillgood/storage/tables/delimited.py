"""Rows of text between delimiters: CSV and TSV, quoted as in RFC 4180.

A row is read if it can be read in one way only. Any other row is listed with its line, and costs no other row.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.domain.errors import MalformedRequest, TableUnreadable
from stillgood.storage.tables.lines import CHUNK_ROWS, Lines
from stillgood.storage.tables.table import Table, TableNote

type Record = tuple[int, list[str] | tuple[str, str]]  # its line, and its cells; or why it is none, and its first line

# What the csv module may take for more than a character of a cell.
_ODD = (b'"', b"\r", b"\0")
_NAMELESS = "\0"  # begins the inner names of columns that have none, or another's
_PREAMBLE = 20  # lines that may stand before the header
_SHOWN = 200


def read_delimited(
    data: Iterable[bytes],
    *,
    delimiter: str = ",",
    wanted: Collection[str] = (),
    chunk_rows: int = CHUNK_ROWS,
    high_cardinality: Collection[str] = frozenset(),
) -> Table:
    """``data``, pieces of UTF-8, as a table with a header. Blank lines are not rows.

    Before the header, lines that begin with ``#``, a title in a single cell and Excel's ``sep=;`` are passed over.
    Names are trimmed; nameless columns are left out. A column that stands twice is read once, and rows in which the two
    differ are unreadable. A quote that is never closed, or that swallows lines which are rows themselves, costs its own
    line only: the others are read again. ``wanted``: columns that matter, all if empty. ``high_cardinality``: columns
    in which hardly a value stands twice. Raises TableUnreadable when there is no header that can be used.
    """
    lines = Lines(_first_line_apart(data))
    notes: list[TableNote] = []
    header, delimiter = _header(lines, delimiter, wanted, notes)
    names = _names(header, wanted, notes)
    chunks = _chunks(lines, names, delimiter, chunk_rows, high_cardinality)
    return Table(tuple(name for name in names if not name.startswith(_NAMELESS)), chunks, True, notes)


def _chunks(
    lines: Lines, names: list[str], delimiter: str, chunk_rows: int, high_cardinality: Collection[str]
) -> Iterator[Chunk]:
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    number = 0
    while True:
        line = lines.passed + 1
        if (columns := _block(lines, names, delimiter, high_cardinality)) is not None:
            rows = len(columns[names[0]])
            lines.passed += rows
            numbers = list(range(number + 1, number + 1 + rows))
            number += rows
            yield _named(Chunk(numbers, columns=columns, lines=range(line, line + rows)))
            continue
        limit = min(chunk_rows, lines.left or chunk_rows)  # not into the next block, which may be plain
        records = _plain(lines, reader, len(names), limit) or _careful(lines, reader, len(names), delimiter, limit)
        if not records:
            return
        unreadable: list[Unreadable] = []
        split: list[list[str]] = []
        numbers, places = [], []
        for line, record in records:
            number += 1
            if isinstance(record, list):
                split.append(record)
                numbers.append(number)
                places.append(line)
            else:
                unreadable.append(Unreadable(number, "csv", *record, line))
        cells = dict(zip(names, zip(*split, strict=True), strict=True)) if split else {}
        yield _named(Chunk(numbers, unreadable, columns=cells, lines=places))


def _named(chunk: Chunk) -> Chunk:
    """The chunk without its nameless columns, and without rows whose values differ in a column that stands twice."""
    columns = chunk.columns or {}
    inner = [name for name in columns if name.startswith(_NAMELESS)]
    if not inner:
        return chunk
    bad: dict[int, Unreadable] = {}
    for twin in inner:
        _, _, name = twin[1:].partition(_NAMELESS)
        if not name:
            continue
        for index, (first, second) in enumerate(zip(columns[name], columns[twin], strict=True)):
            if str(first).strip() != str(second).strip():
                message = f"The column {name} stands twice, with {str(first)[:40]!r} and {str(second)[:40]!r}."
                bad[index] = Unreadable(chunk.numbers[index], "twice", message, "", chunk.lines[index])
    chunk.columns = {name: column for name, column in columns.items() if not name.startswith(_NAMELESS)}
    return chunk.without(bad) if bad else chunk


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


def _header(lines: Lines, delimiter: str, wanted: Collection[str], notes: list[TableNote]) -> tuple[list[str], str]:
    """The cells of the header, and the delimiter, which the line ``sep=;`` may name."""
    for _ in range(_PREAMBLE):
        cells = _cells(lines, delimiter)
        if cells is None:
            raise TableUnreadable("it is empty; it needs a header and rows.", rule="empty")
        at, first = lines.passed - len(lines.taken) + 1, lines.first()
        lines.taken.clear()
        if len(first) == 5 and first.lower().startswith("sep=") and not notes:  # as Excel writes it
            delimiter = first[4]
            notes.append(TableNote("separator", f"Line {at} names the delimiter: {delimiter!r}."))
            continue
        if wanted and {cell.strip() for cell in cells} & set(wanted):
            return cells, delimiter
        # A comment, or a title over the table, has fewer cells than what follows it.
        if first.startswith("#") or len(cells) == 1:
            width = _next_width(lines, delimiter)
            if width > len(cells) or (first.startswith("#") and width not in (0, len(cells))):
                notes.append(TableNote("comment", f"Line {at} is no header, and is passed over: {first[:_SHOWN]!r}."))
                continue
        return cells, delimiter
    raise TableUnreadable(f"none of its first {_PREAMBLE} lines is a header that names the columns.", rule="header")


def _next_width(lines: Lines, delimiter: str) -> int:
    """How many cells the next line that is not blank has; 0 after the last."""
    width = next((len(_split(line, delimiter)) for line in lines if line.strip()), 0)
    lines.hand_out_again(0)
    return width


def _cells(lines: Lines, delimiter: str) -> list[str] | None:
    """The cells of the next line that is not blank; None after the last. Comments need not be CSV."""
    while True:
        lines.taken.clear()
        line = next(lines, None)
        if line is None:
            return None
        if not line.strip():
            continue
        try:
            lines.check()
            if line.startswith("#"):
                try:
                    return next(csv.reader([line], strict=True, delimiter=delimiter))
                except csv.Error:
                    return [line]
            lines.hand_out_again(0)
            return next(csv.reader(lines, strict=True, delimiter=delimiter))
        except (csv.Error, MalformedRequest) as error:
            raise TableUnreadable(
                f"its header, which must name the columns, cannot be read (line {lines.passed}): {_why(error)}",
                rule="header",
            ) from None


def _names(header: list[str], wanted: Collection[str], notes: list[TableNote]) -> list[str]:
    """One name a column, all different: inner names for those that have none, or that are another's twin."""
    trimmed = [cell.strip() for cell in header]
    if not any(trimmed):
        raise TableUnreadable("it is empty; it needs a header and rows.", rule="empty")
    names: list[str] = []
    for place, name in enumerate(trimmed):
        if not name:
            names.append(f"{_NAMELESS}{place}")
            notes.append(TableNote("nameless", f"Column {place + 1} has no name, and is left out."))
        elif name in names:
            # Rows are held against the first only where the column matters.
            names.append(f"{_NAMELESS}{place}{_NAMELESS}{name if not wanted or name in wanted else ''}")
        else:
            names.append(name)
        if header[place] != name:
            (
                notes.append(TableNote("trimmed", f"The name {header[place]!r} is read as {name!r}.", name))
                if name
                else None
            )
    for name, times in Counter(filter(None, trimmed)).items():
        if times > 1:
            notes.append(
                TableNote(
                    "twice",
                    f"The column {name} stands {times} times; it is read once, and rows that differ are refused.",
                    name,
                )
            )
    return names


def _block(
    lines: Lines, header: Sequence[str], delimiter: str, high_cardinality: Collection[str]
) -> dict[str, DictionaryColumn | StringBuffer] | None:
    """The next block of lines by column, if nothing in it could be read in two ways; otherwise none, and its lines one
    by one.

    Without quotes, blank lines and stray ends of lines a CSV is its text between commas, and Arrow reads it ten times
    as fast as the csv module.
    """
    block = lines.block()
    plain = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    # A byte order mark would be dropped at the start of any block; the csv module, whose word counts, has a limit of
    # its own for a cell.
    if (
        plain
        and len(header) > 1
        and not any(odd in plain for odd in _ODD)
        and not plain.startswith(b"\xef\xbb\xbf")
        and _is_utf8(plain)
        and _lines_are_within(plain, csv.field_size_limit())
    ):
        try:
            from stillgood.storage.tables.arrow_text import columns  # an import that small inputs need not wait for
        except ImportError:  # train's package has no room for Arrow; the csv module reads the same
            columns = None  # type: ignore[assignment]
        if columns is not None and (read := columns(plain, header, high_cardinality, delimiter)) is not None:
            return read
    if block:
        lines.hand_out_lines_of(block)
    return None


def _lines_are_within(data: bytes, max_bytes: int) -> bool:
    """Whether no line is blank, and none is longer than ``max_bytes`` bytes."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(data)) - 1  # the last is what follows the last end
    return bool(lengths[:-1].min(initial=1) > 0 and lengths.max() <= max_bytes)


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _plain(lines: Lines, reader: Iterator[list[str]], width: int, limit: int) -> list[Record]:
    """The next records, at the speed of the csv module, if nothing at all is wrong with them; otherwise none, and the
    lines again.
    """
    line = lines.passed + 1
    try:
        records = list(islice(reader, limit))
        # A record a line: no blank lines, and no quote around an end of line.
        a_line_each = len(lines.taken) == len(records) and set(map(len, records)) <= {width} and lines.are_clean()
        if a_line_each and (width > 1 or all(cells[0].strip() for cells in records)):
            lines.taken.clear()
            return list(enumerate(records, line))
    except csv.Error:
        pass
    lines.hand_out_again(0)
    return []


def _careful(lines: Lines, reader: Iterator[list[str]], width: int, delimiter: str, limit: int) -> list[Record]:
    """The next records one by one: cells, or for a record that cannot be read why, and its first line."""
    records: list[Record] = []
    while len(records) < limit:
        lines.taken.clear()
        line = lines.passed + 1
        try:
            cells = next(reader, None)
            lines.check()
            if cells is None:
                break
            # Tabs may be the delimiter, and a line of them a row.
            if len(lines.taken) == 1 and not lines.taken[0].strip(" \r\n" if width > 1 else None):
                continue
            if len(cells) != width:
                raise MalformedRequest(f"The row has {len(cells)} cells, the header {width}.")
            if (swallowed := _swallowed(lines.taken, width, delimiter)) is not None:
                raise MalformedRequest(
                    f"A quote holds lines {line} to {line + len(lines.taken) - 1} together, although line"
                    f" {line + swallowed} is a row by itself."
                )
        except (csv.Error, MalformedRequest) as error:
            records.append((line, (_why(error), lines.first())))
            lines.hand_out_again(1)
            continue
        records.append((line, cells))
    lines.taken.clear()
    return records


def _swallowed(taken: Sequence[str], width: int, delimiter: str) -> int | None:
    """Which line inside a record of several lines would be a row of the table: it has as many cells, and none begins
    with a blank, as text would.

    The end of a first cell of several lines always has as many cells, and proves nothing.
    """
    if width == 1 or len(taken) == 1:
        return None
    first, *inner, last = taken
    if len(_split(first, delimiter)) > 1:
        inner.append(last)
    for place, line in enumerate(inner, 1):
        cells = _split(line, delimiter)
        if len(cells) == width and not any(cell[:1].isspace() for cell in cells[1:]):
            return place
    return None


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _why(error: csv.Error | MalformedRequest) -> str:
    return error.detail if isinstance(error, MalformedRequest) else f"The row is not CSV: {error}."
