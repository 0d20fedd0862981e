"""Plain CSV by Arrow, which the batch package carries for Parquet anyway."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from pyarrow import csv

from lifecycle.steps.batch_input import Coded

_PLAIN = csv.ParseOptions(quote_char=False, escape_char=False, ignore_empty_lines=False)
_TEXT = pa.dictionary(pa.int32(), pa.string())


def columns(data: bytes, header: Sequence[str]) -> dict[str, Coded] | None:
    """The cells of ``data``, whole lines of UTF-8 without quotes, by column and as they stand; None if a line has more or fewer cells."""
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(column_names=header, use_threads=False, block_size=len(data) + 1),
            _PLAIN,
            csv.ConvertOptions(column_types=dict.fromkeys(header, _TEXT), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    return {name: _coded(column.combine_chunks()) for name, column in zip(header, table.columns, strict=True)}


def _coded(column: Any) -> Coded:
    # Its buffer, since Array.to_numpy() would look for pandas first, and import it.
    codes = np.frombuffer(column.indices.buffers()[1], np.int32, len(column))
    return Coded(column.dictionary.to_pylist(), codes)
