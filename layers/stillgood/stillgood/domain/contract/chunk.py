"""Rows as the contract is held against them: in chunks, by row or by column, each with its place in the input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MISSING = object()  # stands where a row has no such field


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be split into fields. ``number`` counts the rows of the input from 1; ``raw`` is what was
    there.

    ``line``: the line of the file on which it begins, from 1; None where a format has no lines.
    """

    number: int
    rule: str
    message: str
    raw: str
    line: int | None = None


@dataclass(slots=True)
class Chunk:
    """Consecutive rows: those that were read, by row or by column, and those that could not be.

    ``numbers[i]`` (from 1) is the place in the input of row ``i`` of the chunk, ``lines[i]`` the line of the file on
    which it begins; empty where a format has no lines.
    """

    numbers: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    columns: Mapping[str, Sequence[object]] | None = None
    lines: Sequence[int] = ()

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

    def without(self, bad: Mapping[int, Unreadable]) -> "Chunk":
        """The chunk with the rows at some positions unreadable after all."""
        kept = [index for index in range(len(self.numbers)) if index not in bad]
        unreadable = sorted([*self.unreadable, *bad.values()], key=lambda row: row.number)
        columns = None
        if self.columns is not None:
            columns = {name: [column[index] for index in kept] for name, column in self.columns.items()}
        return Chunk(
            [self.numbers[index] for index in kept],
            unreadable,
            [self.rows[index] for index in kept] if self.columns is None else [],
            columns,
            [self.lines[index] for index in kept] if self.lines else (),
        )
