"""The first sheet of an Excel workbook as CSV, for the command line: what is stored and read elsewhere is the CSV."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path

from stillgood.domain.errors import TableUnreadable

MAX_UNPACKED_BYTES = 1024**3
_MAX_TEXTS_BYTES = 64 * 1024**2  # shared texts are kept in memory
_ROWS = 1_000


def is_workbook(path: Path) -> bool:
    return path.name.lower().endswith(".xlsx")


def as_csv(path: Path) -> Iterator[bytes]:
    """The rows of the first sheet as CSV in UTF-8: times as ISO 8601, whole numbers without a point, formulas as their
    last values.

    Raises TableUnreadable, also where the extra ``stillgood[xlsx]`` is not installed.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise TableUnreadable(
            "it is an Excel workbook: install stillgood[xlsx], or save it as CSV.", rule="format"
        ) from None
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                limit = _MAX_TEXTS_BYTES if part.filename.endswith("sharedStrings.xml") else MAX_UNPACKED_BYTES
                if part.file_size > limit:
                    raise TableUnreadable(
                        f"{part.filename} in it unpacks to {part.file_size // 1024**2} MiB; save it as CSV.",
                        rule="budget",
                    )
        book = load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise TableUnreadable(f"it is no readable Excel workbook ({str(error)[:120]}).", rule="format") from None
    try:
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        for number, row in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
            writer.writerow([_text(value) for value in row])
            if number % _ROWS == 0:
                yield out.getvalue().encode()
                out.seek(0)
                out.truncate()
        yield out.getvalue().encode()
    finally:
        book.close()


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
