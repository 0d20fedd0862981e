"""The rows that the gate keeps, with every column of the data: a model of another contract reads its own among them.

A champion may need a column that the candidate's contract dropped or reads otherwise, so what was uploaded is kept for
the few rows that judge, not only what the candidate learns from.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.chunk import Chunk
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.row_check import LONGEST
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.opening import open_table
from stillgood.training.ingest import Ingested, pieces

# Written by monitor beside the rows that it joins; no feature of anybody's.
_OWN = frozenset(("prediction_id", "action_group"))


def with_other_columns(ingested: Ingested, at: npt.NDArray[np.int64]) -> Frame:
    """The rows at positions ``at`` int64[m] with the columns that the contract does not name, at most 256 characters
    each.

    Reads again the objects in which they lie, once each.
    """
    frame, contract = ingested.frame.take(at), ingested.frame.contract
    other: dict[str, list[str]] = {}
    wanted = sorted((int(place), int(row), i) for i, (place, row) in enumerate(ingested.origin[at].tolist()))
    for place, those in groupby(wanted, key=itemgetter(0)):
        rows: dict[int, list[int]] = {}  # one of a control group stands in several places
        for _, row, i in those:
            rows.setdefault(row, []).append(i)
        key, data = ingested.sources[place]
        try:
            table = open_table(key, pieces(data), source=contract.source)
            names = None if table.names is None else [name for name in table.names if name not in contract.columns]
            if names == []:
                table.close()
                continue
            for chunk in table.chunks:
                _take(chunk, rows, names, contract.columns, other, frame.n)
        except TableUnreadable:  # it was read a moment ago; if it is gone now, its rows have no other columns
            continue
    return replace(frame, other={name: other[name] for name in sorted(other)})


def _take(
    chunk: Chunk,
    rows: dict[int, list[int]],
    names: Sequence[str] | None,
    known: frozenset[str],
    other: dict[str, list[str]],
    n: int,
) -> None:
    for index, number in enumerate(chunk.numbers):
        if (places := rows.get(number)) is None:
            continue
        raw = chunk.row(index)
        for name in raw if names is None else names:
            if name in known or name in _OWN:
                continue
            if text := _text(raw.get(name)):
                column = other.setdefault(name, [""] * n)
                for place in places:
                    column[place] = text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)[:LONGEST]
