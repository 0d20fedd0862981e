"""Rows out of a file on this machine, by the one reader that every step uses."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import WrongCall

if TYPE_CHECKING:
    from stillgood.domain.contract.contract import Contract
    from stillgood.storage.tables.table import Table

_PIECE = 1024 * 1024


def table(path: Path, contract: "Contract | None" = None, needed: Collection[str] = ()) -> "Table":
    """The file opened, as ``contract`` says. Raises WrongCall when there is none, TableUnreadable, OSError."""
    from stillgood.storage.tables.opening import open_for, open_table
    from stillgood.storage.tables.xlsx import is_workbook

    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    name = f"{path.stem}.csv" if is_workbook(path) else path.name
    return open_table(name, pieces(path)) if contract is None else open_for(contract, name, pieces(path), needed=needed)


def stored(path: Path) -> tuple[str, str, bytes]:
    """The file as it is kept in a store: its name, its suffix (".csv.gz"), and its bytes; a workbook as the CSV of its
    first sheet.

    Raises WrongCall when there is none, TableUnreadable, OSError.
    """
    from stillgood.storage.tables.xlsx import as_csv, is_workbook

    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    if is_workbook(path):
        return path.stem, ".csv", b"".join(as_csv(path))
    suffix = "".join(path.suffixes[-2:]) if path.suffix.lower() == ".gz" else path.suffix
    return path.name.removesuffix(suffix), suffix, path.read_bytes()


def is_text(path: Path) -> bool:
    """Whether the values of ``path`` are text that the contract has to parse."""
    from stillgood.storage.tables.opening import DELIMITED

    return path.name.lower().removesuffix(".gz").endswith((*DELIMITED, ".xlsx"))


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
    from stillgood.storage.tables.xlsx import as_csv, is_workbook

    if is_workbook(path):
        yield from as_csv(path)
        return
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
