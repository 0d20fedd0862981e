"""Rows out of an object of JSON Lines, read as strictly as a request to the API."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.contract.json_rows import parse_json
from stillgood.domain.errors import MalformedRequest
from stillgood.storage.tables import json_columns
from stillgood.storage.tables.lines import CHUNK_ROWS, Lines


def json_chunks(
    data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS, high_cardinality: Collection[str] = frozenset()
) -> Iterator[Chunk]:
    """Chunks of JSON Lines, one object a line. Blank lines are not rows. ``high_cardinality``: columns in which hardly
    a value stands twice.
    """
    lines, number = Lines(data), 0
    while True:
        columns = _block(lines, high_cardinality)
        if columns is None:
            limit = min(chunk_rows, lines.left or chunk_rows)  # not into the next block, which may be plain
            line = lines.passed + 1
            columns = _plain(lines, limit)
            chunk = _careful(lines, limit, number) if columns is None else _chunk(columns, number, line)
        else:
            chunk = _chunk(columns, number, lines.passed + 1)
            lines.passed += len(chunk.numbers)
        rows = len(chunk.numbers) + len(chunk.unreadable)
        if rows == 0:
            return
        number += rows
        yield chunk


def _chunk(columns: Mapping[str, Sequence[object]], number: int, line: int) -> Chunk:
    rows = len(next(iter(columns.values())))
    return Chunk(list(range(number + 1, number + 1 + rows)), columns=columns, lines=range(line, line + rows))


def _block(lines: Lines, high_cardinality: Collection[str]) -> Mapping[str, Sequence[object]] | None:
    """The next block of lines by column, if nothing in it could be read in two ways; otherwise none, and its lines one
    by one.
    """
    if not (block := lines.block()):
        return None
    if (columns := json_columns.columns(block, high_cardinality)) is None:
        lines.hand_out_lines_of(block)
    return columns


def _plain(lines: Lines, limit: int) -> dict[str, Sequence[object]] | None:
    """The next rows by column, if they are flat objects of one layout and nothing is wrong with any; otherwise none,
    and the lines again.
    """
    text = lines.take(limit)
    try:
        rows = list(map(orjson.loads, lines.taken)) if lines.are_clean() else []
        if set(map(type, rows)) == {dict} and len(layouts := set(map(tuple, rows))) == 1 and (names := layouts.pop()):
            columns = dict(zip(names, zip(*map(dict.values, rows), strict=True), strict=True))
            if _nothing_was_dropped(columns, text):
                lines.taken.clear()
                return columns
    except (ValueError, TypeError):
        pass
    lines.hand_out_again(0)
    return None


def _nothing_was_dropped(columns: Mapping[str, Sequence[object]], text: str) -> bool:
    """True if orjson lost nothing: it silently keeps the last of two equal keys, and turns integers over 64 bits into
    floats.

    Each key and each text has two quotes. A second key would bring two more, so that the count can only be exact
    without one.
    """
    quoted = 0
    for column in columns.values():
        kinds = set(map(type, column))
        quoted += len(column)
        if str in kinds:
            quoted += len(column) if len(kinds) == 1 else sum(type(value) is str for value in column)
        if json_columns.may_have_lost_digits(column, kinds):
            return False
    return text.count('"') == 2 * quoted


def _careful(lines: Lines, limit: int, number: int) -> Chunk:
    """The next rows one by one."""
    rows: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    places: list[int] = []
    unreadable: list[Unreadable] = []
    while len(rows) + len(unreadable) < limit and (line := next(lines, None)) is not None:
        if not line.isspace():
            number += 1
            try:
                lines.check()
                row = parse_json(line, "The line")
                if not isinstance(row, dict):
                    raise MalformedRequest("The line is not a JSON object.")
                rows.append(row)
                numbers.append(number)
                places.append(lines.passed)
            except MalformedRequest as error:
                unreadable.append(Unreadable(number, "json", error.detail, lines.first(), lines.passed))
        lines.taken.clear()
    return Chunk(numbers, unreadable, rows, lines=places)
