"""Rows out of a Parquet object. Parquet is read from its end, so the object is kept in a temporary file meanwhile."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from stillgood.domain.contract.chunk import Chunk, Unreadable
from stillgood.domain.errors import InvalidEvent
from stillgood.storage.tables.lines import CHUNK_ROWS


def parquet_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a Parquet object. Decimals are read as floats, dates and times as ISO 8601 text to the microsecond. Raises InvalidEvent."""
    with tempfile.TemporaryFile() as file:
        for piece in data:
            file.write(piece)
        file.seek(0)
        done = 0
        try:
            parquet = pq.ParquetFile(file, pre_buffer=False)
            names = parquet.schema_arrow.names
            if len(set(names)) != len(names):
                raise InvalidEvent("The Parquet schema names a column twice; each needs a name of its own.")
            for batch in parquet.iter_batches(batch_size=chunk_rows):
                yield _chunk(done, names, batch)
                done += batch.num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InvalidEvent(f"The object is not a readable Parquet file: {str(error)[:200]}") from error


def _chunk(done: int, names: Sequence[str], batch: Any) -> Chunk:
    """The rows of ``batch``, of which ``done`` went before. A row with a value that Python cannot hold costs itself only."""
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


def _value(name: str, cell: Any, place: int, broken: dict[int, str]) -> object:
    try:
        value: object = cell.as_py()
        return value
    except (ValueError, OverflowError) as error:
        broken[place] = f"{str(name)[:80]} holds a value that cannot be read: {str(error)[:120]}."
        return None
