"""How a file is written, found out from what stands in it: encoding, delimiter, numbers, dates, words for nothing, for
yes and for no.

Everything here proposes; the contract's ``source`` decides, and says so. Where two readings fit all of a column, that
is said, too.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import product

from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.row_check import FALSE, TRUE
from stillgood.domain.contract.source_text import BELOW_ZERO, plain_number
from stillgood.domain.contract.times import read_time

DELIMITERS = (",", ";", "\t", "|")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_DIGIT = re.compile(r"\d")
# Words for "nothing" that are no word of a table's own; and those that might be one ("NA" is Namibia).
MISSING_WORDS = frozenset(
    ("n/a", "#n/a", "nan", "null", "nil", "-", "--", "?", ".", "(null)", "<na>", "n.a.", "#null!", "\\n")
)
DOUBTFUL_WORDS = frozenset(("na", "none", "missing"))
YES_WORDS = frozenset((*TRUE, "y", "t", "on", "ja", "oui", "si", "sí", "sim", "tak", "wahr", "vrai"))
NO_WORDS = frozenset((*FALSE, "n", "f", "off", "nein", "non", "nao", "não", "nie", "falsch", "faux"))
# (decimalChar, groupChar), the plain one first: of two that fit as many columns, the earlier is taken.
NUMBER_SIGNS: tuple[tuple[str, str | None], ...] = (
    (".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip
DATE_FORMATS = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d.%m.%y",
)  # fmt: skip
ISO = "ISO 8601"


def encoding_of(pieces: Iterable[bytes]) -> str | None:
    """ "utf-16", "utf-16-be" or "cp1252" where the bytes are not UTF-8; None where they are, with or without a byte
    order mark.

    >>> encoding_of(["a;b".encode("utf-16")]), encoding_of(["a;b".encode("utf-16-be")]), encoding_of([b"a;b"])
    ('utf-16', 'utf-16-be', None)
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for number, piece in enumerate(pieces):
        if number == 0 and (
            piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or piece.count(0) > len(piece) // 8
        ):
            marked = piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            return "utf-16-be" if not marked and piece[::2].count(0) > piece[1::2].count(0) else "utf-16"
        try:
            decoder.decode(piece)
        except UnicodeDecodeError:
            return "cp1252"
    return None


def delimiter_of(text: str, standard: str = ",") -> str:
    """The delimiter under which the lines of ``text`` (the beginning of a file) have the same number of cells, most of
    all; ``standard`` in doubt.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")][:200]
    best, width = standard, 1
    for delimiter in (standard, *DELIMITERS):
        try:
            widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells)
        except csv.Error:
            continue
        if not widths:
            continue
        common, times = widths.most_common(1)[0]
        if times >= 0.8 * widths.total() and common > width:
            best, width = delimiter, common
    return best


def as_number(text: str, source: Source) -> float | None:
    """The number that ``text`` is under ``source``; None if it is none."""
    plain = plain_number(text, source)
    return float(plain) if NUMBER.fullmatch(plain) else None


def number_share(values: Mapping[str, int], source: Source) -> float:
    """0 to 1: the share of rows whose text is a number under ``source``. ``values`` counts rows by text."""
    return _share(values, lambda text: as_number(text, source) is not None)


def _share(values: Mapping[str, int], has: Callable[[str], bool]) -> float:
    total = sum(values.values())
    return sum(count for text, count in values.items() if has(text)) / total if total else 0.0


def number_signs(columns: Iterable[Mapping[str, int]], at_least: float = 0.95) -> Source:
    """The signs of numbers that make most columns numeric; the plainest of those that do.

    Numbers below zero are read in the way that any of these columns writes them.

    >>> def signs(*texts):
    ...     found = number_signs([dict.fromkeys(texts, 1)])
    ...     return found.decimal_char, found.group_char, found.bare_number, found.negative_number
    >>> signs("1.234,50", "7,00"), signs("$5", "$1,000.5"), signs("5", "(1,000.5)")
    ((',', '.', True, 'minus'), ('.', ',', False, 'minus'), ('.', ',', True, 'parentheses'))
    """
    # Of other columns no signs make numbers.
    listed = [values for values in columns if _share(values, lambda text: _DIGIT.search(text) is not None) >= at_least]
    ways = [way for way in BELOW_ZERO if any(BELOW_ZERO[way].fullmatch(text) for values in listed for text in values)]
    best, most = Source(decimal_char="."), -1
    for way, bare, (decimal, group) in product(("minus", *ways), (True, False), NUMBER_SIGNS):
        source = Source(decimal_char=decimal, group_char=group, bare_number=bare, negative_number=way)
        fits = sum(number_share(values, source) >= at_least for values in listed)
        if fits > most:
            best, most = source, fits
        if most == len(listed):
            break
    if best.negative_number == "minus":
        for way in ways:  # in so few rows that the columns are numeric without it
            source = replace(best, negative_number=way)
            if any(at_least <= number_share(values, best) < number_share(values, source) for values in listed):
                return source
    return best


def ambiguous_signs(values: Iterable[str], source: Source) -> str:
    """What else a column of numbers might mean: "" if nothing. Every sign before exactly three digits may group
    thousands, or not.

    >>> ambiguous_signs(["1.234", "12.500"], Source())
    'dots stand before three digits only, and might group thousands (1.234 for 1234)'
    """
    decimal, group = source.decimal_char or ".", source.group_char
    texts = [text.strip() for text in values]
    with_decimal = [text for text in texts if decimal in text]
    three = re.compile(rf"[^\d]*\d{{1,3}}{re.escape(decimal)}\d{{3}}[^\d]*")
    if len(with_decimal) > 1 and group is None and all(three.fullmatch(text) for text in with_decimal):
        word = "dots" if decimal == "." else "commas"
        return (
            f"{word} stand before three digits only, and might group thousands ({with_decimal[0]} for"
            f" {with_decimal[0].replace(decimal, '')})"
        )
    if group in (",", "."):
        grouped = [text for text in texts if group in text]
        single = re.compile(rf"[^\d]*\d{{1,3}}{re.escape(group)}\d{{3}}[^\d]*")
        if grouped and all(single.fullmatch(text) for text in grouped) and not any(decimal in text for text in texts):
            return f"{group!r} stands before three digits only, and might be the decimal sign"
    return ""


def date_format(values: Sequence[str]) -> tuple[str, str] | None:
    """The format of a column of dates, and what else it might be ("" for nothing); None if it is no column of dates.

    ``ISO`` for ISO 8601. Day and month are told apart by the whole column.

    >>> date_format(["02.05.2024", "31.12.2024"]), date_format(["2024-05-02", "2024-05-02T10:00:00Z"])
    (('%d.%m.%Y', ''), ('ISO 8601', ''))
    >>> date_format(["02/05/2024", "03/06/2024"])
    ('%d/%m/%Y', '%m/%d/%Y')
    """
    if not values or not all(len(text) >= 6 and any(mark in text for mark in ".-/ ") for text in values[:50]):
        return None
    if all(re.match(r"\d{4}-\d\d-\d\d", text) and _is_iso(text) for text in values):
        return ISO, ""
    fitting = [form for form in DATE_FORMATS if all(_is_date(text, form) for text in values)]
    if not fitting:
        return None
    return fitting[0], next((form for form in fitting[1:] if form.lower() != fitting[0]), "")


def _is_iso(text: str) -> bool:
    try:
        read_time(text)
    except ValueError:
        return False
    return True


def _is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007  # only whether it fits
    except ValueError:
        return False
    return True
