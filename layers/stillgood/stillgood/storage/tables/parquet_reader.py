"""The process in which a Parquet file is read (``apart.py``): a line of JSON with its columns, then Arrow's stream."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.apart import serve

_BUFFER = 256 * 1024  # bytes of a column that are read at once; without, a whole row group is


def read(wish: Mapping[str, Any]) -> None:
    """Write the columns that are ``wanted`` of the file on standard input. Raises TableUnreadable."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    out = sys.stdout.buffer
    with open(0, "rb", closefd=False) as file, _refused():
        parquet, every, names = _opened(file, wish)
        out.write(json.dumps({"every": every, "names": names}).encode() + b"\n")
        out.flush()
        writer = None
        batches = parquet.iter_batches(batch_size=wish["rows"], columns=names, use_threads=False) if names else ()
        for batch in batches:
            plain = batch.replace_schema_metadata(None)
            plain.validate()
            _check_texts(plain, wish["text_bytes"])
            if plain.nbytes > wish["batch_bytes"]:
                raise TableUnreadable(
                    f"{plain.num_rows:,} of its rows take {plain.nbytes // 1024**2:,} MiB; at most"
                    f" {wish['batch_bytes'] // 1024**2} MiB are read at once.",
                    rule="budget",
                )
            writer = writer or pa.ipc.new_stream(out, plain.schema)
            writer.write_batch(plain)
        if writer is not None:
            writer.close()


def _opened(file: Any, wish: Mapping[str, Any]) -> tuple[Any, list[str], list[str]]:
    """The file, the names of all its columns, and of those that are read."""
    wanted, limits = set(wish["wanted"]), wish["footer"]
    size = file.seek(0, 2)
    file.seek(0)
    # A footer of Thrift may claim strings and lists longer than itself.
    bounds = {"thrift_string_size_limit": max(size, 1), "thrift_container_size_limit": max(size, 1)}
    parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER, **bounds)
    every = parquet.schema_arrow.names
    if len(every) > limits["columns"]:
        raise TableUnreadable(f"it has {len(every):,} columns; at most {limits['columns']:,} are read.", rule="budget")
    names = [name for name in every if not wanted or name in wanted]
    if len(set(names)) != len(names):
        raise TableUnreadable("its schema names a column twice; each needs a name of its own.", rule="header")
    _check_budget(parquet.metadata, set(names), size, limits)
    texts = [field.name for field in parquet.schema_arrow if field.name in names and _is_text(field.type)]
    if texts:  # a text that a dictionary repeats is kept once
        file.seek(0)
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER, read_dictionary=texts, **bounds)
    return parquet, every, names


def _check_budget(footer: Any, names: Collection[str], size: int, limits: Mapping[str, int]) -> None:
    rows = sum(footer.row_group(place).num_rows for place in range(footer.num_row_groups))
    for claimed in (footer.num_rows, rows):
        if not 0 <= claimed <= max(limits["free_rows"], limits["rows_per_byte"] * size):
            raise TableUnreadable(
                f"it says that {size:,} bytes hold {claimed:,} rows; rows with hardly anything in them are not read.",
                rule="budget",
            )
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        sizes = [
            column.total_uncompressed_size
            for column in (group.column(at) for at in range(group.num_columns))
            if column.path_in_schema in names or column.path_in_schema.partition(".")[0] in names
        ]
        if group.num_rows < 0 or min(sizes, default=0) < 0:
            raise TableUnreadable(f"its row group {place} claims a negative size.", rule="format")
        if sum(sizes) > limits["group_bytes"]:
            raise TableUnreadable(
                f"row group {place} unpacks to {sum(sizes) // 1024**2:,} MiB; write it in row groups of at most"
                f" {limits['group_bytes'] // 1024**2} MiB.",
                rule="budget",
            )


def _check_texts(batch: Any, limit: int) -> None:
    """No text is longer than a line of CSV may be."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        texts = column.dictionary if pa.types.is_dictionary(column.type) else column
        if not _is_text(texts.type) or texts.nbytes <= limit:
            continue
        from pyarrow import compute

        if (longest := compute.max(compute.binary_length(texts)).as_py() or 0) > limit:
            raise TableUnreadable(
                f"column {str(name)[:80]!r} holds a text of {longest:,} bytes; at most {limit:,} are read.",
                rule="budget",
            )


@contextmanager
def _refused() -> Iterator[None]:
    """Turn any error of Arrow into TableUnreadable, in a sentence."""
    try:
        yield
    except (TableUnreadable, MemoryError, BrokenPipeError):  # ArrowMemoryError is a MemoryError
        raise
    except Exception as error:
        raise TableUnreadable(f"it is not a readable Parquet file: {str(error)[:200]}", rule="format") from error


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


if __name__ == "__main__":
    sys.exit(serve(read, sys.argv[1]))
