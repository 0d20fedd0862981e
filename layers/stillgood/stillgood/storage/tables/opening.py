"""The one way into a file of rows, for every step: by its name and the contract's ``source``, strictly, in chunks, in
bounded memory.
"""

from collections.abc import Collection, Iterable

from stillgood.domain.contract.contract import Contract, Source
from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.bytes_in import as_utf8
from stillgood.storage.tables.delimited import read_delimited
from stillgood.storage.tables.lines import CHUNK_ROWS
from stillgood.storage.tables.table import Table

DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
TEXT_SUFFIXES = (*DELIMITED, *JSON_LINES)
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), *PARQUET)


def is_table(name: str) -> bool:
    """Whether a file of this name holds rows that can be read."""
    return name.lower().endswith(SUFFIXES)


def open_table(
    name: str,
    data: Iterable[bytes],
    *,
    source: Source | None = None,
    wanted: Collection[str] = (),
    high_cardinality: Collection[str] = frozenset(),
    chunk_rows: int = CHUNK_ROWS,
) -> Table:
    """The rows of ``data``, whose format is that of ``name``: CSV, TSV, JSON Lines, gzip of those, or Parquet.

    ``wanted``: the columns that matter, all if empty; of Parquet only these are read. ``high_cardinality`` as for
    ``read_delimited``. Raises TableUnreadable, now or while the chunks are read.
    """
    lower = name.lower().removesuffix(".gz")
    if not is_table(name):
        raise TableUnreadable(
            f"it is not one of {', '.join(TEXT_SUFFIXES)} (each also as .gz) or .parquet; convert it, or move it away.",
            rule="format",
        )
    source = source or Source()
    if lower.endswith(PARQUET):
        try:
            from stillgood.storage.tables.parquet import read_parquet  # 0.2 s that other formats need not wait for
        except ImportError:
            raise TableUnreadable(
                "this function carries no reader of Parquet; send CSV or JSON Lines, or train in the container image.",
                rule="format",
            ) from None

        return read_parquet(data, wanted=wanted, chunk_rows=chunk_rows)
    text = as_utf8(data, source.encoding)
    if lower.endswith(JSON_LINES):
        from stillgood.storage.tables.json_lines import json_chunks

        return Table(None, json_chunks(text, chunk_rows, high_cardinality), False)
    delimiter = source.delimiter or next(mark for suffix, mark in DELIMITED.items() if lower.endswith(suffix))
    return read_delimited(
        text,
        delimiter=delimiter,
        wanted=wanted,
        chunk_rows=chunk_rows,
        high_cardinality=high_cardinality if delimiter == "," else (),
    )


def open_for(
    contract: Contract, name: str, data: Iterable[bytes], *, needed: Collection[str] = (), chunk_rows: int = CHUNK_ROWS
) -> Table:
    """``open_table`` as ``contract`` says, where the ``needed`` columns (all features if empty) must be there.

    A column that is absent would read as blank in every row, so it is refused by name. Raises TableUnreadable.
    """
    # Ids and measures: hardly two rows have the same.
    varied = {feature.name for feature in contract.features if feature.kind == "numeric"}
    if contract.id_column is not None:
        varied.add(contract.id_column)
    table = open_table(
        name, data, source=contract.source, wanted=contract.columns, high_cardinality=varied, chunk_rows=chunk_rows
    )
    try:
        require_columns(table, needed or [feature.name for feature in contract.features])
    except TableUnreadable:
        table.close()
        raise
    return table


def require_columns(table: Table, needed: Collection[str]) -> None:
    """Raises TableUnreadable when a needed column is absent, and says what the header has in its place."""
    if (names := table.names) is None:
        return
    missing = [name for name in needed if name not in names]
    for name in missing:
        same = [other for other in names if other.casefold() == name.casefold()]
        if same:
            raise TableUnreadable(
                f"it has no column {name!r}, but {same[0]!r}; names count letter by letter.", rule="columns"
            )
    if not missing:
        return
    has = ", ".join(map(repr, names[:30])) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    wanted = (
        f"none of the {len(needed)} columns is there"
        if len(missing) == len(needed)
        else f"it lacks the column {', '.join(missing)}"
    )
    hint = "Add it, or change the contract (a model keeps the one that it was trained by)."
    if len(names) == 1:
        for mark, word in ((";", ";"), ("\t", "a tab"), ("|", "|"), (",", ",")):
            if mark in names[0]:
                hint = (
                    f'The header seems to be delimited by {word}: say so in the contract, "source": {{"delimiter":'
                    f' "{"\\t" if mark == "\t" else mark}"}}.'
                )
                break
    raise TableUnreadable(f"{wanted}; it has {has}. {hint}", rule="columns")
