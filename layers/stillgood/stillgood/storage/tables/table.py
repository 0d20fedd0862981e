"""A file of rows that has been opened: what its header says, what was left out, and its rows in chunks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from stillgood.domain.contract.chunk import Chunk


@dataclass(frozen=True, slots=True)
class TableNote:
    """Something about the file as a whole that a person should know. ``kind`` is a stable short name; ``column`` "" for
    none.
    """

    kind: Literal["comment", "separator", "nameless", "twice", "absent", "trimmed", "sheet"]
    message: str
    column: str = ""


@dataclass(slots=True)
class Table:
    """``names``: the columns, trimmed; None where every row names its own (JSON Lines). ``text``: values are text, as
    in CSV.

    ``chunks`` can be read once. Reading raises TableUnreadable where the rest of the file cannot be read. ``close`` is
    for tables that are not read to their end.
    """

    names: tuple[str, ...] | None
    chunks: Iterator[Chunk]
    text: bool
    notes: list[TableNote] = field(default_factory=list)
    close: Callable[[], None] = lambda: None
