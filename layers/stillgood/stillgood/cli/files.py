"""Rows out of a file on this machine, by the one reader that every step uses."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import WrongCall

if TYPE_CHECKING:
    from stillgood.domain.contract.contract import Contract
    from stillgood.storage.tables.table import Table

_PIECE = 1024 * 1024


def table(path: Path, contract: "Contract | None" = None) -> "Table":
    """The file opened, as ``contract`` says. Raises WrongCall when there is none, TableUnreadable, OSError."""
    from stillgood.storage.tables.opening import open_for, open_table

    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    if contract is None:
        return open_table(path.name, pieces(path))
    return open_for(contract, path.name, pieces(path))


def is_text(path: Path) -> bool:
    """Whether the values of ``path`` are text that the contract has to parse."""
    from stillgood.storage.tables.opening import DELIMITED

    return path.name.lower().removesuffix(".gz").endswith(tuple(DELIMITED))


def rows(path: Path, contract: "Contract | None" = None) -> Iterator[Mapping[str, Any]]:
    """The rows of ``path`` in order, converted by the contract's ``source``.

    Raises WrongCall at the first row that could not be read, by its line.
    """
    from stillgood.domain.contract.source_text import SourceText

    convert = SourceText(contract).row if contract is not None else None
    for chunk in table(path, contract).chunks:
        for bad in chunk.unreadable:
            where = f"line {bad.line}" if bad.line else f"row {bad.number}"
            raise WrongCall(f"{path.name} {where} cannot be read: {bad.message}")
        for index in range(len(chunk.numbers)):
            raw = chunk.row(index)
            yield convert(raw) if convert else raw


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a MiB at a time."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
