"""JSON Lines of one layout by column: as text between commas, of which each different one in a column is looked at
once.

``{`` and ``}`` make a cell an object of one member; the first cell brings the one of them, the last the other. If all
cells are such objects, of their column's name and a value without parts, then the line is the object of these members
and nothing else: no name stands twice, no text goes from one cell into the next. A comma in a text shows as a cell too
many.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import orjson

from stillgood.domain.contract.text_columns import DictionaryColumn, StringBuffer
from stillgood.storage.tables.lines import MAX_LINE

type Values = DictionaryColumn | list[Any]


def columns(block: bytes, high_cardinality: Collection[str]) -> dict[str, Values] | None:
    """The values of whole lines by column, as they are read one by one; None if the cells do not tell.
    ``high_cardinality`` as for Arrow.
    """
    lines = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    if b"\r" in lines or len(lines) > MAX_LINE:
        return None
    try:
        keys = _keys(lines.partition(b"\n")[0])
        from stillgood.storage.tables import arrow_text  # an import that small inputs need not wait for

        if (cells := arrow_text.columns(lines, list(keys), high_cardinality)) is None:
            return None
        first, last = next(iter(keys)), next(reversed(keys))
        return {
            name: _unpacked(column, keys[name], "}" if name == last else "")
            if isinstance(column, StringBuffer)
            else _decoded(column, name, "" if name == first else "{", "" if name == last else "}")
            for name, column in cells.items()
        }
    except ValueError:
        return None


def _keys(first: bytes) -> dict[str, bytes]:
    """By name, what stands before the value in each cell of the first line. Raises ValueError.

    A name that stands twice is here once: the lines have a cell too many then.
    """
    keys: dict[str, bytes] = {}
    for cell in first.split(b","):
        key, colon, _ = cell.partition(b":")
        keys[_name(key if keys else key.removeprefix(b"{"))] = key + colon
    return keys


def _name(key: bytes) -> str:
    name = orjson.loads(key)
    if not isinstance(name, str):
        raise ValueError("not a name")  # as what else is not JSON
    return name


def _decoded(column: DictionaryColumn, name: str, before: str, after: str) -> DictionaryColumn:
    """Raises ValueError."""
    # No cell has a comma: an array of as many objects as cells has one of each.
    objects = orjson.loads(f"[{before}{f'{after},{before}'.join(column.values)}{after}]")
    if len(objects) != len(column.values) or any(list(cell) != [name] for cell in objects):
        raise ValueError("a cell is not one member of this name")
    return DictionaryColumn(_scalars([cell[name] for cell in objects]), column.codes)


def _unpacked(column: StringBuffer, key: bytes, after: str) -> list[Any]:
    """The values of cells that all begin with ``key`` and end with ``after``. Raises ValueError."""
    text = column.data.tobytes().replace(key, b",")
    # A cell has no comma: the i-th comma is the i-th cell's key, if that cell begins there, i keys having shrunk before
    # it.
    commas = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(","))
    if not np.array_equal(commas + np.arange(len(commas)) * (len(key) - 1), column.starts[:-1]):
        raise ValueError("a cell begins otherwise")
    if after:
        ended = text + b","
        text = ended.replace(f"{after},".encode(), b",")[:-1]
        if len(ended) - 1 - len(text) != len(commas) * len(after):
            raise ValueError("a cell ends otherwise")
    values = orjson.loads(b"[" + text[1:] + b"]")
    if len(values) != len(column):  # no cell has a comma: an array of as many values as cells has one of each
        raise ValueError("a cell is not one value")
    return _scalars(values)


def _scalars(values: list[Any]) -> list[Any]:
    """``values``, if none has parts, and no number lost digits. Raises ValueError."""
    kinds = set(map(type, values))
    if not kinds <= {str, int, float, bool, type(None)}:
        raise ValueError("a value has parts")
    if may_have_lost_digits(values, kinds):
        raise ValueError("a number may have lost digits")
    return values


def may_have_lost_digits(values: Sequence[Any], kinds: set[type]) -> bool:
    """Whether one of ``values``, which are of these ``kinds``, is so large a float that it may have been an integer:
    orjson makes floats of those of more than 64 bits.
    """
    if float not in kinds:
        return False
    numbers = values if kinds <= {int, float} else [value for value in values if type(value) is float]
    return bool(max(map(abs, numbers)) >= 2**63)
