"""The rows of an uploaded file of labels, by the one reader of every step."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stillgood.domain.contract.chunk import Chunk
from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.dialect import delimiter_of
from stillgood.domain.contract.labels import FIELDS, RefusedLabel
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.opening import open_table

_HEAD = 64 * 1024


def label_rows(
    key: str, data: Iterable[bytes], fields: Sequence[str] = FIELDS
) -> tuple[list[Mapping[str, Any]], list[RefusedLabel]]:
    """The rows, blanks as None, and what could not be read: lines by ``(row)``, the whole file or the rest of it by
    ``(file)``.

    A file may be delimited by commas, semicolons or tabs: its header tells, since the fields of a label are known.
    """
    rows: list[Mapping[str, Any]] = []
    broken: list[RefusedLabel] = []
    pieces = iter(data)
    head = next(pieces, b"")
    try:
        table = open_table(key, _again(head, pieces), source=_source(key, head), wanted=fields)
        for chunk in table.chunks:
            rows += _rows(chunk, text=table.text)
            for bad in chunk.unreadable:
                place = f"line {bad.line}" if bad.line is not None else f"row {bad.number}"
                broken.append(
                    RefusedLabel(bad.number - 1, "(row)", f"{key} {place}: {bad.message}", {"line": bad.raw[:200]})
                )
    except TableUnreadable as error:
        broken.append(RefusedLabel(len(rows), "(file)", f"{key}: {error.detail}", {}))
    return rows, broken


def _rows(chunk: Chunk, *, text: bool) -> list[Mapping[str, Any]]:
    listed = [chunk.row(index) for index in range(len(chunk.numbers))]
    if not text:
        return listed
    return [{name: str(value).strip() or None for name, value in row.items()} for row in listed]


def _source(key: str, head: bytes) -> Source | None:
    if not key.lower().endswith(".csv"):
        return None
    delimiter = delimiter_of(head[:_HEAD].decode(errors="replace").removeprefix("\ufeff"))
    return Source(delimiter=delimiter) if delimiter != "," else None


def _again(head: bytes, pieces: Iterable[bytes]) -> Iterable[bytes]:
    yield head
    yield from pieces
