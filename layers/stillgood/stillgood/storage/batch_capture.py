"""What batch scored, as monitor reads it: the features by column beside the output, and a reference among the captures.

``capture/dt=.../hour=.../<time>-<job>.batch.json`` names the output; nothing of it is copied. ``columns.bin`` holds the
rows that were predicted, in blocks: a line of JSON, the rows' numbers (int64), then each column's bytes. Features that
the contract marks as personal are left out, as in every capture.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.errors import DocumentUnusable
from stillgood.storage.codec import decode, encode
from stillgood.storage.keys import BATCH_CAPTURE, capture_key

FORMAT = "stillgood.batch-capture"
COLUMNS = "columns.bin"
_SMALL = 127  # levels whose codes fit a byte


@dataclass(frozen=True, slots=True)
class Reference:
    """One scored object: ``output`` is the folder of its output, ``time`` (ISO 8601) when all of it was predicted."""

    job: str
    output: str
    time: str
    model: str
    point: str | None = None

    def key(self, moment: datetime) -> str:
        """Where it lies among the captures of ``moment``, which is ``time``."""
        return capture_key(moment, self.job).removesuffix(".jsonl") + BATCH_CAPTURE

    def encoded(self) -> bytes:
        fields = {"job": self.job, "output": self.output, "time": self.time, "model": self.model}
        return encode({"format": FORMAT, "format_version": 1, **fields, "point": self.point})

    @classmethod
    def read(cls, data: bytes, what: str) -> "Reference":
        """Raises DocumentUnusable for what is none."""
        raw = decode(data, format=FORMAT, what=what)
        try:
            point = raw["point"]
            named = (str(raw["job"]), str(raw["output"]), str(raw["time"]), str(raw["model"]))
            return cls(*named, None if point is None else str(point))
        except KeyError as error:
            raise DocumentUnusable(f"{what} is malformed ({error}).") from error


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of one chunk: ``numbers`` int64[n] their places in the input, and a column for each feature."""

    numbers: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def encoded(self) -> bytes:
        kinds = [[name, column.dtype.str] for name, column in self.columns.items()]
        head = json.dumps({"rows": len(self.numbers), "columns": kinds}, separators=(",", ":")).encode()
        return b"".join((head, b"\n", self.numbers.tobytes(), *(column.tobytes() for column in self.columns.values())))

    def take(self, index: NDArray[Any]) -> "Block":
        return Block(self.numbers[index], {name: column[index] for name, column in self.columns.items()})


def block_of(contract: Contract, frame: Frame, numbers: NDArray[np.int64]) -> Block:
    """The rows of ``frame`` that were predicted: codes of levels as small as they fit, numbers as they are."""
    columns: dict[str, NDArray[Any]] = {}
    for feature in contract.features:
        if feature.pii:
            continue
        column = frame.columns[feature.name]
        small = feature.categorical and len(feature.levels) <= _SMALL
        columns[feature.name] = column.astype(np.int8) if small else column
    return Block(numbers, columns)


def read_blocks(pieces: Iterable[bytes]) -> Iterator[Block]:
    """The blocks of a ``columns.bin``, one in memory at a time. Raises DocumentUnusable where it is cut off or
    damaged.
    """
    buffer, stream = bytearray(), iter(pieces)

    def more(size: int) -> bool:
        while len(buffer) < size:
            if (piece := next(stream, None)) is None:
                return False
            buffer.extend(piece)
        return True

    while more(1):
        while b"\n" not in buffer:
            if not more(len(buffer) + 1):
                raise DocumentUnusable("The columns of a batch are cut off.")
        head, _, _ = buffer.partition(b"\n")
        try:
            raw = json.loads(bytes(head))
            rows, kinds = int(raw["rows"]), [(str(name), np.dtype(str(kind))) for name, kind in raw["columns"]]
            if rows < 0 or any(kind.hasobject or not kind.itemsize for _, kind in kinds):
                raise ValueError("no columns of so many values")
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise DocumentUnusable(f"The columns of a batch are damaged ({type(error).__name__}).") from error
        sizes = [8 * rows, *(kind.itemsize * rows for _, kind in kinds)]
        start = len(head) + 1
        if not more(start + sum(sizes)):
            raise DocumentUnusable("The columns of a batch are cut off.")
        data = bytes(buffer[start : start + sum(sizes)])
        del buffer[: start + sum(sizes)]
        numbers, at, columns = np.frombuffer(data, np.int64, rows), sizes[0], {}
        for (name, kind), size in zip(kinds, sizes[1:], strict=True):
            columns[name] = np.frombuffer(data, kind, rows, at)
            at += size
        yield Block(numbers, columns)


def without_rows(data: bytes, gone: set[int]) -> tuple[bytes, int]:
    """A ``columns.bin`` without the rows of some numbers, and how many those were."""
    left, rows = [], 0
    for block in read_blocks([data]):
        keep = ~np.isin(block.numbers, np.fromiter(gone, np.int64, len(gone)))
        rows += int((~keep).sum())
        left.append(block.take(keep).encoded())
    return b"".join(left), rows
