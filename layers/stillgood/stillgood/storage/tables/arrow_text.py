"""Text between commas by Arrow, which the batch package carries for Parquet anyway."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from pyarrow import csv

from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer

_CODED, _PACKED = pa.dictionary(pa.int32(), pa.string()), pa.string()


def columns(
    data: bytes, names: Sequence[str], high_cardinality: Collection[str], delimiter: str = ","
) -> dict[str, DictionaryColumn | StringBuffer] | None:
    """The cells of ``data``, whole lines of UTF-8 without quotes, by column and as they stand; None if a line has more
    or fewer cells.

    ``high_cardinality`` names columns in which hardly a text stands twice, so that it would be in vain to look for the
    different ones.
    """
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            csv.ParseOptions(delimiter=delimiter, quote_char=False, escape_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types={name: _PACKED if name in high_cardinality else _CODED for name in names},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return {name: _column(column.combine_chunks()) for name, column in zip(names, table.columns, strict=True)}


def _column(column: Any) -> DictionaryColumn | StringBuffer:
    # The buffers, since Array.to_numpy() would look for pandas first, and import it.
    if column.type == _PACKED:
        _, starts, data = column.buffers()
        return StringBuffer(np.frombuffer(data or b"", np.uint8), np.frombuffer(starts, np.int32, len(column) + 1))
    return DictionaryColumn(
        column.dictionary.to_pylist(), np.frombuffer(column.indices.buffers()[1], np.int32, len(column))
    )
