"""Rows out of a Parquet object. Parquet is read from its end, so the object is kept in a temporary file meanwhile, and
in a process of its own, which a damaged footer may end.
"""

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import IO, Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.apart import Apart
from stillgood.storage.tables.lines import CHUNK_ROWS, MAX_LINE
from stillgood.storage.tables.table import Table

# A footer says how much is to come before anything is read.
MAX_GROUP_BYTES = 192 * 1024 * 1024  # of the columns that are read, unpacked, in one row group
MAX_ROWS_PER_BYTE, FREE_ROWS = 4, 1_000_000  # rows without anything in them pack without end
MAX_COLUMNS = 10_000
_MAGIC = b"PAR1"
MAX_BATCH_BYTES = 64 * 1024 * 1024  # of the rows that are handed over at once


def read_parquet(data: Iterable[bytes], *, wanted: Collection[str] = (), chunk_rows: int = CHUNK_ROWS) -> Table:
    """A Parquet object as a table; only the ``wanted`` columns are read, all if empty.

    Decimals are read as floats, bytes as UTF-8 text (as Impala writes it), dates and times as ISO 8601 text to the
    microsecond. Raises TableUnreadable, also for what would need more memory than there is: the footer is asked before
    anything is read, and it is read by a process of its own (docs/decisions/0062).
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the chunks close it
    size = 0
    for piece in data:
        size += len(piece)
        file.write(piece)
    try:
        _check_ends(file, size)
    except TableUnreadable:
        file.close()
        raise
    wish = {
        "wanted": sorted(wanted),
        "rows": chunk_rows,
        "batch_bytes": MAX_BATCH_BYTES,
        "text_bytes": MAX_LINE,
        "footer": {
            "group_bytes": MAX_GROUP_BYTES,
            "rows_per_byte": MAX_ROWS_PER_BYTE,
            "free_rows": FREE_ROWS,
            "columns": MAX_COLUMNS,
        },
    }
    try:
        reader = Apart("stillgood.storage.tables.parquet_reader", file, wish)
    finally:
        file.close()  # the reader has it
    try:
        line = reader.out.readline()
        if not line.endswith(b"\n"):
            reader.finish()
            raise TableUnreadable("it is not a readable Parquet file.", rule="format")
        head = json.loads(line)
    except BaseException:
        reader.close()
        raise
    names, every = head["names"], head["every"]
    return Table(tuple(names or every), _chunks(reader, names), False, close=reader.close)


def _check_ends(file: IO[bytes], size: int) -> None:
    """Raise TableUnreadable unless the file begins and ends as Parquet does and holds its footer: no process is needed
    to see that.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    file.seek(0)
    if size < 12 or head != _MAGIC or tail[4:] != _MAGIC:
        raise TableUnreadable(
            "it is not a readable Parquet file: it does not begin and end as one does. Upload it again.", rule="format"
        )
    if not 0 < (length := int.from_bytes(tail[:4], "little")) <= size - 12:
        raise TableUnreadable(
            f"it is not a readable Parquet file: its footer claims {length:,} bytes of {size:,}. Upload it again.",
            rule="format",
        )


def _chunks(reader: Apart, names: Sequence[str]) -> Iterator[Chunk]:
    done = 0
    with reader:
        try:
            for batch in _batches(reader):
                yield _chunk(done, names, batch)
                done += batch.num_rows
        except (pa.ArrowException, OSError, EOFError) as error:
            reader.finish()  # which knows better why
            raise TableUnreadable(f"it is not a readable Parquet file: {str(error)[:200]}", rule="format") from error
        reader.finish()


def _batches(reader: Apart) -> Iterator[Any]:
    head = reader.out.peek(1)  # type: ignore[attr-defined]  # a pipe is buffered
    if head:
        yield from pa.ipc.open_stream(reader.out)


def _chunk(done: int, names: Sequence[str], batch: Any) -> Chunk:
    """The rows of ``batch``, of which ``done`` went before. A row with a value that Python cannot hold costs itself
    only.
    """
    broken: dict[int, str] = {}
    columns = {name: _values(name, column, broken) for name, column in zip(names, batch.columns, strict=True)}
    if not broken:
        return Chunk(list(range(done + 1, done + 1 + batch.num_rows)), columns=columns)
    kept = [place for place in range(batch.num_rows) if place not in broken]
    unreadable = [Unreadable(done + 1 + place, "parquet", why, "") for place, why in sorted(broken.items())]
    return Chunk(
        [done + 1 + place for place in kept],
        unreadable,
        columns={name: [values[place] for place in kept] for name, values in columns.items()},
    )


def _values(name: str, column: Any, broken: dict[int, str]) -> list[object]:
    """The column's values; ``broken`` takes the places of those that cannot be read, and why."""
    if pa.types.is_dictionary(column.type):
        return _texts(name, column, broken)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    elif pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):  # a date beyond the calendar, text that is not UTF-8
        values = [_value(name, cell, place, broken) for place, cell in enumerate(column)]
    if pa.types.is_temporal(column.type):
        values = [value.isoformat() if isinstance(value, date | datetime) else value for value in values]
    return values


def _texts(name: str, column: Any, broken: dict[int, str]) -> list[object]:
    """Texts, each different one decoded once, however often it stands."""
    codes = column.indices.to_pylist()
    known: dict[int | None, object] = {None: None}
    wrong: dict[int | None, Exception] = {}
    for code in {*codes} - {None}:
        try:
            value = column.dictionary[code].as_py()
            known[code] = value.decode() if isinstance(value, bytes) else value
        except (ValueError, OverflowError, IndexError) as error:
            known[code], wrong[code] = None, error
    for place, code in enumerate(codes if wrong else ()):
        if code in wrong:
            broken[place] = f"{str(name)[:80]} holds a value that cannot be read: {str(wrong[code])[:120]}."
    return [known[code] for code in codes]


def _value(name: str, cell: Any, place: int, broken: dict[int, str]) -> object:
    try:
        value: object = cell.as_py()
        return value
    except (ValueError, OverflowError) as error:
        broken[place] = f"{str(name)[:80]} holds a value that cannot be read: {str(error)[:120]}."
        return None
