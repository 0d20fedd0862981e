"""The first sheet of an Excel workbook as CSV, for the command line: what is stored and read elsewhere is the CSV."""

from collections.abc import Iterator
from pathlib import Path

from stillgood.storage.tables.apart import Apart

MAX_SHEET_BYTES = 1024**3  # unpacked; read as a stream
MAX_PART_BYTES = 64 * 1024**2  # of any other part, such as the shared texts, which are kept in memory
MAX_COLUMNS, MAX_BLANK_ROWS = 10_000, 10_000
_PIECE = 512 * 1024


def is_workbook(path: Path) -> bool:
    return path.name.lower().endswith(".xlsx")


def as_csv(path: Path) -> Iterator[bytes]:
    """The rows of the first sheet as CSV in UTF-8: times as ISO 8601, whole numbers without a point, formulas as their
    last values.

    It is read in a process of its own (docs/decisions/0062). Raises TableUnreadable, also where the extra
    ``stillgood[xlsx]`` is not installed.
    """
    wish = {
        "sheet_bytes": MAX_SHEET_BYTES,
        "part_bytes": MAX_PART_BYTES,
        "columns": MAX_COLUMNS,
        "blank_rows": MAX_BLANK_ROWS,
    }
    with path.open("rb") as file, Apart("stillgood.storage.tables.xlsx_reader", file, wish) as reader:
        while piece := reader.out.read(_PIECE):
            yield piece
        reader.finish()
