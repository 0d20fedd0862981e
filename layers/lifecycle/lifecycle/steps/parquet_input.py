"""Rows out of a Parquet object. Parquet is read from its end, so the object is kept in a temporary file meanwhile."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from lifecycle.domain.errors import InvalidEvent
from lifecycle.steps.batch_input import CHUNK_ROWS, Chunk


def parquet_chunks(data: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a Parquet object. Decimals are read as floats, dates and times as ISO 8601 text. Raises InvalidEvent."""
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
                columns = {name: _values(column) for name, column in zip(names, batch.columns, strict=True)}
                yield Chunk(list(range(done + 1, done + 1 + batch.num_rows)), columns=columns)
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InvalidEvent(f"The object is not a readable Parquet file: {str(error)[:200]}") from error


def _values(column: Any) -> list[object]:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: list[object] = column.to_pylist()
    if pa.types.is_temporal(column.type):
        values = [value.isoformat() if isinstance(value, date | datetime) else value for value in values]
    return values
