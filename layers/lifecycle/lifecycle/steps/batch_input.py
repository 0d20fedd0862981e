"""What batch reads: rows in chunks, bounded in memory, and every one counted, readable or not. And the lines of a text.

The formats are in ``csv_input.py``, ``json_input.py`` and ``parquet_input.py``.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from lifecycle.domain.errors import MalformedRequest

CHUNK_ROWS = 1_000  # what stays in a CPU cache: read three times as fast as 10,000
MAX_LINE = 1024 * 1024  # characters of one line; what is longer is not a row, and must not fill the memory
MISSING = object()  # stands where a row has no such field


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be split into fields. ``number`` counts the rows of the input from 1; ``raw`` is what was there."""

    number: int
    rule: str
    message: str
    raw: str


@dataclass(slots=True)
class Chunk:
    """Consecutive rows: those that were read, by row or by column, and those that could not be.

    ``numbers[i]`` (from 1) is the place in the input of row ``i`` of the chunk.
    """

    numbers: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    columns: Mapping[str, Sequence[object]] | None = None

    def column(self, name: str) -> Sequence[object]:
        """The values of one field, MISSING where a row has none."""
        if self.columns is None:
            return [row.get(name, MISSING) for row in self.rows]
        return self.columns.get(name) or [MISSING] * len(self.numbers)

    def row(self, index: int) -> Mapping[str, Any]:
        """Row ``index`` of the chunk as it was read, by name."""
        if self.columns is None:
            return self.rows[index]
        return {name: column[index] for name, column in self.columns.items()}


class Lines:
    """The lines of ``data``, with their ends. ``taken`` are those handed out since it was last cleared: the current record's."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self._source = _split(data)
        self._again: list[str] = []
        self.taken: list[str] = []

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._source)
        self.taken.append(line)
        return line

    def check(self) -> None:
        """Raises MalformedRequest when the current record is too long, or is not UTF-8."""
        for line in self.taken:
            if len(line) > MAX_LINE:
                raise MalformedRequest(f"The line is longer than {MAX_LINE} characters.")
            if not line.isascii():
                try:
                    line.encode()
                except UnicodeEncodeError:
                    raise MalformedRequest("The line is not UTF-8.") from None

    def are_clean(self) -> bool:
        """Whether ``check`` would pass for each of the lines taken, at a fraction of its time."""
        try:
            "".join(self.taken).encode()
        except UnicodeEncodeError:
            return False
        return max(map(len, self.taken), default=0) <= MAX_LINE

    def first(self) -> str:
        """The first line taken, as text that any file can hold."""
        return self.taken[0][:MAX_LINE].rstrip("\r\n").encode(errors="backslashreplace").decode()

    def hand_out_again(self, start: int) -> None:
        """Take back the lines taken, but for the first ``start``."""
        self._again += reversed(self.taken[start:])
        self.taken.clear()


def _split(data: Iterable[bytes]) -> Iterator[str]:
    """The lines in ``data``, whatever pieces it comes in. Bytes that are not UTF-8 become lone surrogates, for ``Lines.check``."""
    rest, at_start = b"", True
    for piece in chain(data, [b""]):
        block = rest + piece
        end = block.rfind(b"\n") + 1 if piece else len(block)
        # Of a line without end, no more is kept than shows that it is too long (a character has at most 4 bytes).
        rest = block[end:][: 4 * MAX_LINE + 4]
        text = _decode(block[:end])
        if at_start and text:
            text, at_start = text.removeprefix("\ufeff"), False
        # Not splitlines(): that would also end a line at characters that may stand inside a cell.
        yield from io.StringIO(text, newline="\n")


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape")
