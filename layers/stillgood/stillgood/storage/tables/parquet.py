"""Rows out of a Parquet object. Parquet is read from its end, so the object is kept in a temporary file meanwhile."""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.lines import CHUNK_ROWS
from stillgood.storage.tables.table import Table

# A footer says how much is to come before anything is read.
MAX_GROUP_BYTES = 192 * 1024 * 1024  # of the columns that are read, unpacked, in one row group
MAX_ROWS_PER_BYTE, FREE_ROWS = 4, 1_000_000  # rows without anything in them pack without end
MAX_COLUMNS = 10_000


def read_parquet(data: Iterable[bytes], *, wanted: Collection[str] = (), chunk_rows: int = CHUNK_ROWS) -> Table:
    """A Parquet object as a table; only the ``wanted`` columns are read, all if empty.

    Decimals are read as floats, bytes as UTF-8 text (as Impala writes it), dates and times as ISO 8601 text to the
    microsecond. Raises TableUnreadable, also for what would need more memory than there is: the footer is asked before
    anything is read.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the chunks close it
    size = 0
    for piece in data:
        size += len(piece)
        file.write(piece)
    file.seek(0)
    try:
        parquet, every, names = _opened(file, size, wanted)
    except BaseException:
        file.close()
        raise
    return Table(tuple(names or every), _chunks(file, parquet, names, chunk_rows), False, close=file.close)


def _opened(file: Any, size: int, wanted: Collection[str]) -> tuple[Any, list[str], list[str]]:
    """The file, the names of all its columns, and of those that are read."""
    with _refused():
        parquet = pq.ParquetFile(file, pre_buffer=False)
        every = parquet.schema_arrow.names
        if len(every) > MAX_COLUMNS:
            raise TableUnreadable(f"it has {len(every):,} columns; at most {MAX_COLUMNS:,} are read.", rule="budget")
        names = [name for name in every if not wanted or name in wanted]
        if len(set(names)) != len(names):
            raise TableUnreadable("its schema names a column twice; each needs a name of its own.", rule="header")
        _check_budget(parquet.metadata, set(names), size)
        texts = [field.name for field in parquet.schema_arrow if field.name in names and _is_text(field.type)]
        if texts:  # a text that a dictionary repeats is kept once
            file.seek(0)
            parquet = pq.ParquetFile(file, pre_buffer=False, read_dictionary=texts)
    return parquet, every, names


def _check_budget(footer: Any, names: set[str], size: int) -> None:
    if footer.num_rows > max(FREE_ROWS, MAX_ROWS_PER_BYTE * size):
        raise TableUnreadable(
            f"it says that {size:,} bytes hold {footer.num_rows:,} rows; rows with hardly anything in them are not"
            " read.",
            rule="budget",
        )
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        needed = sum(
            column.total_uncompressed_size
            for column in (group.column(at) for at in range(group.num_columns))
            if column.path_in_schema in names or column.path_in_schema.partition(".")[0] in names
        )
        if needed > MAX_GROUP_BYTES:
            raise TableUnreadable(
                f"row group {place} unpacks to {needed // 1024**2:,} MiB; write it in row groups of at most"
                f" {MAX_GROUP_BYTES // 1024**2} MiB.",
                rule="budget",
            )


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        raise TableUnreadable(f"it is not a readable Parquet file: {str(error)[:200]}", rule="format") from error


def _chunks(file: Any, parquet: Any, names: Sequence[str], chunk_rows: int) -> Iterator[Chunk]:
    done = 0
    with file, _refused():
        if names:
            for batch in parquet.iter_batches(batch_size=chunk_rows, columns=list(names)):
                yield _chunk(done, names, batch)
                done += batch.num_rows


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


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
        except (ValueError, OverflowError) as error:
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
