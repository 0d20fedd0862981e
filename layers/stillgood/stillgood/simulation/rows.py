"""Rows as a caller of predict would send them, and as a CSV upload has them, from columns."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.contract.frame import Column, Frame
from stillgood.simulation.world import Ints, Request, Times


def json_values(feature: Feature, column: Column) -> list[Any]:
    """The column as JSON has it: None for null, whole numbers without a point, levels by name."""
    if feature.kind == "categorical":
        levels = [*feature.levels, None, None]  # -1 is null
        return [levels[code] for code in column.tolist()]
    values = column.tolist()
    if feature.kind == "boolean":
        return [None if value != value else bool(value) for value in values]
    if feature.kind == "integer":
        return [None if value != value else int(value) for value in values]
    return [None if value != value else value for value in values]


def json_rows(frame: Frame) -> list[bytes]:
    """One JSON object a row, without id and time."""
    names = [feature.name for feature in frame.contract.features]
    columns = [json_values(feature, frame.columns[feature.name]) for feature in frame.contract.features]
    return [orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def with_id(contract: Contract, row: bytes, identity: str) -> bytes:
    """The row with the contract's id column in front, if the contract has one."""
    if contract.id_column is None:
        return row
    return b"{" + orjson.dumps(contract.id_column) + b":" + orjson.dumps(identity) + b"," + row[1:]


def csv_of(frame: Frame, y: NDArray[np.integer[Any]], ids: Sequence[str], times: Times | None = None) -> bytes:
    """Labelled rows as an upload: ``y`` int[n] is 1 where the outcome is the positive one."""
    contract = frame.contract
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    header = [name for name in (contract.id_column, contract.time_column) if name]
    writer.writerow([*header, *(feature.name for feature in contract.features), contract.target.name])
    columns: list[Sequence[Any]] = []
    if contract.id_column:
        columns.append(ids)
    if contract.time_column:
        assert times is not None, "the contract has a time column"
        columns.append([f"{moment}Z" for moment in times])
    columns += [
        [_text(value) for value in json_values(feature, frame.columns[feature.name])] for feature in contract.features
    ]
    columns.append([contract.target.positive if outcome else contract.target.negative for outcome in y])
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def request(when: datetime, rows: Sequence[bytes], places: Ints) -> Request:
    """One call of predict with ``rows``, JSON objects that are the rows ``places`` of the window."""
    return Request(when, b"[" + b",".join(rows) + b"]", places)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)
