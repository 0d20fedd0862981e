"""The process in which a workbook is read (``apart.py``): the rows of its first sheet as CSV on standard output."""

import csv
import io
import sys
import zipfile
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from stillgood.domain.errors import TableUnreadable
from stillgood.storage.tables.apart import serve

_ROWS = 1_000


def read(wish: Mapping[str, Any]) -> None:
    """Write the rows of the workbook on standard input. Raises TableUnreadable."""
    try:
        import openpyxl
    except ImportError:
        raise TableUnreadable(
            "it is an Excel workbook: install stillgood[xlsx], or save it as CSV.", rule="format"
        ) from None
    with open(0, "rb", closefd=False) as file:
        try:
            _check_parts(file, wish)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            _write(book.worksheets[0], wish)
        except (TableUnreadable, MemoryError, BrokenPipeError):
            raise
        except Exception as error:  # of zip, of XML, of a reader that trusts what both say
            said = f"{type(error).__name__}: {str(error)[:120]}"
            raise TableUnreadable(f"it is no readable Excel workbook ({said}).", rule="format") from None


def _check_parts(file: Any, wish: Mapping[str, Any]) -> None:
    """What the archive says that its parts unpack to. A part that says less than it holds is cut there, and damaged."""
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            limit = wish["sheet_bytes" if "/worksheets/" in part.filename else "part_bytes"]
            if part.file_size > limit:
                raise TableUnreadable(
                    f"{part.filename[:80]} in it unpacks to {part.file_size // 1024**2} MiB; save it as CSV.",
                    rule="budget",
                )


def _write(sheet: Any, wish: Mapping[str, Any]) -> None:
    binary = sys.stdout.buffer
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    sheet.reset_dimensions()  # what the sheet says of its size may be wrong: rows beyond it would be left out
    width = 0  # of the widest row so far; a row's blank cells at its end are not stored
    blank = 0  # rows in a row: one cell in the last row of a sheet makes a million of them
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        width = max(width, len(row))
        if width > wish["columns"]:
            raise TableUnreadable(f"it has more than {wish['columns']:,} columns; save it as CSV.", rule="budget")
        blank = 0 if any(value is not None for value in row) else blank + 1
        if blank > wish["blank_rows"]:
            raise TableUnreadable(f"it has {blank:,} blank rows in a row; save it as CSV.", rule="budget")
        writer.writerow([*map(_text, row), *("" for _ in range(width - len(row)))])
        if number % _ROWS == 0:
            binary.write(out.getvalue().encode(errors="replace"))
            out.seek(0)
            out.truncate()
    binary.write(out.getvalue().encode(errors="replace"))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


if __name__ == "__main__":
    sys.exit(serve(read, sys.argv[1]))
