"""What an id may be, on every way in: rows to predict, batch and training files, labels, erasure."""

import re

LONGEST_ID = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
ID_RULE = f"a text of 1 to {LONGEST_ID} characters without control characters, or a whole number"


def read_id(value: object) -> str | None:
    """The id, "" where none is given, None for what cannot be one. A number is what a spreadsheet makes of an id.

    >>> read_id(" C-1 "), read_id(7.0), read_id(None), read_id("  "), read_id("a\\x00b"), read_id("x" * 257)
    ('C-1', '7', '', '', None, None)
    """
    if type(value) is str and len(value) <= LONGEST_ID and value.isascii() and value.isprintable():
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_ID or _CONTROL.search(value):
        return None
    return utf8(value).strip()


def utf8(text: str) -> str:
    """JSON can smuggle in lone surrogates, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
