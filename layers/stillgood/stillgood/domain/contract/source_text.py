"""The text of a file as the contract's check reads it: the words of ``source`` taken back, one value at a time.

"1.234,50" becomes "1234.50", "$5" "5", "(5)" "-5", "n/a" a blank, "02.05.2024" an ISO date. Text that does not
follow ``source`` is left as it stands, or marked, so that the check refuses it: nothing is guessed.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial

from stillgood.domain.contract.contract import Contract, Feature, NegativeNumber, Source
from stillgood.domain.contract.times import read_time
from stillgood.domain.errors import ContractInvalid

type Convert = Callable[[str], str]

# A currency's sign or code, or a percent sign, before or after a number, with the sign of the number on either side.
_AFFIXED = re.compile(
    r"([+-]?)\s*(?:[$€£¥₹₩₽¢]|[A-Z]{3}|[A-Z]{1,3}\$|kr\.?|zł|Fr\.)?\s*([+-]?[\d.,'\u2019"
    r" \u00a0\u202f]*\d[\d.,]*)\s*(?:[$€£¥₹₩₽¢%‰]|[A-Z]{3}|kr\.?|zł|Kč)?"
)

# What stands around a negative number without a sign of its own, in the way of ``Source.negative_number``.
BELOW_ZERO: Mapping[NegativeNumber, re.Pattern[str]] = {
    "parentheses": re.compile(r"([^()\d+-]*)\(([^()+-]*\d[^()+-]*)\)([^()\d+-]*)"),
    "trailing": re.compile(r"([^()+-]*\d[^()+-]*)-"),
}


class SourceText:
    """Converts the columns of files for one contract. Raises ContractInvalid when the time zone is none."""

    def __init__(self, contract: Contract) -> None:
        self._source = contract.source or Source()
        self._missing = frozenset(text.strip().casefold() for text in self._source.missing_values) - {""}
        self._zone = _zone(self._source.time_zone)
        self._columns: dict[str, Convert] = {}
        for feature in contract.features:
            if (convert := self._of_feature(feature)) is not None:
                self._columns[feature.name] = convert
        for name in filter(None, (contract.id_column, contract.target.name)):
            if self._missing:
                self._columns[name] = self._blank
        if contract.time_column is not None and self._dates_differ():
            self._columns[contract.time_column] = self._date

    def __bool__(self) -> bool:
        """Whether there is anything to convert."""
        return bool(self._columns)

    def column(self, name: str) -> Convert | None:
        """What converts the texts of a column; None where they are read as they stand."""
        return self._columns.get(name)

    def row(self, raw: Mapping[str, object]) -> Mapping[str, object]:
        """``raw`` with its texts converted."""
        if not self._columns:
            return raw
        columns = self._columns
        return {
            name: columns[name](value) if isinstance(value, str) and name in columns else value
            for name, value in raw.items()
        }

    def _of_feature(self, feature: Feature) -> Convert | None:
        source = self._source
        if feature.kind in ("numeric", "integer"):
            plain = source.decimal_char in (None, ".") and source.group_char is None and source.bare_number
            plain = plain and source.negative_number == "minus"
            return None if plain and not self._missing else self._number
        if feature.kind == "boolean":
            return self._truth if self._missing or source.true_values or source.false_values else None
        if feature.kind == "date":
            return self._date if self._missing or self._dates_differ() else None
        known = {*feature.levels, *feature.aliases}
        return partial(self._level, known) if self._missing else None

    def _dates_differ(self) -> bool:
        return bool(self._source.date_format or self._source.time_zone or self._missing)

    def _blank(self, text: str) -> str:
        return "" if text.strip().casefold() in self._missing else text

    def _level(self, known: set[str], text: str) -> str:
        return text if text.strip() in known else self._blank(text)

    def _truth(self, text: str) -> str:
        stripped = text.strip()
        if stripped in self._source.true_values:
            return "true"
        if stripped in self._source.false_values:
            return "false"
        return self._blank(text)

    def _number(self, text: str) -> str:
        stripped = text.strip()
        if not stripped or stripped.casefold() in self._missing:
            return ""
        return plain_number(stripped, self._source)

    def _date(self, text: str) -> str:
        stripped = text.strip()
        if not stripped or stripped.casefold() in self._missing:
            return ""
        moment = _moment(stripped, self._source.date_format)
        if moment is None:
            return text if self._source.date_format is None else f"{text} (dateFormat is {self._source.date_format})"
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC).isoformat()
        except OverflowError:
            return text


def _moment(text: str, form: str | None) -> datetime | None:
    """A date in ``form``, or in ISO 8601, which is never anything else."""
    try:
        if form is not None:
            return datetime.strptime(text, form)  # noqa: DTZ007  # the zone follows
    except ValueError:
        pass
    try:
        return read_time(text) if form is None or text[4:5] == "-" else None
    except ValueError:
        return None


def plain_number(text: str, source: Source) -> str:
    """``text``, a number as ``source`` writes it, with a decimal point and nothing else; as it stands, or marked, if it
    is not one.

    >>> plain_number("1.234,50", Source(decimal_char=",", group_char="."))
    '1234.50'
    >>> plain_number("1.5", Source(decimal_char=","))
    '1.5 (decimalChar is ,)'
    >>> plain_number("-$5", Source(bare_number=False)), plain_number("72+", Source(bare_number=False))
    ('-5', '72+')
    >>> plain_number("(1,234.50)", Source(group_char=",", negative_number="parentheses"))
    '-1234.50'
    """
    if source.negative_number != "minus" and (match := BELOW_ZERO[source.negative_number].fullmatch(text)):
        number = _positive("".join(match.groups()).strip(), source)
        return f"-{number}" if number[:1].isdigit() or number[:1] == "." else text
    return _positive(text, source)


def _positive(text: str, source: Source) -> str:
    """``plain_number``, of a number that is negative by its minus alone."""
    number = text
    if not source.bare_number:
        match = _AFFIXED.fullmatch(text)
        if match is None or (match[1] and match[2][:1] in "+-"):
            return text
        number = match[1] + match[2].strip()
    decimal, group = source.decimal_char or ".", source.group_char
    if group is not None:
        number = (
            number.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
            .replace("\N{NO-BREAK SPACE}", " ")
            .replace("\N{NARROW NO-BREAK SPACE}", " ")
        )
        if group in number:
            # A group's sign stands before groups of three digits (two, in India, but for the last), before the decimal
            # point.
            g, d = re.escape(group), re.escape(decimal)
            if re.fullmatch(rf"[+-]?\d{{1,3}}({g}\d{{2,3}})*{g}\d{{3}}({d}\d*)?", number) is None:
                return f"{text} (groupChar is {group})"
            number = number.replace(group, "")
    if decimal != ".":
        if "." in number:
            return f"{text} (decimalChar is {decimal})"
        number = number.replace(decimal, ".", 1)
    return number


def _zone(name: str | None) -> tzinfo:
    if name is None or name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # hardly a contract needs it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ContractInvalid(
            f"source.timeZone {name!r} is no time zone that is known here, such as Europe/Rome.", path="source.timeZone"
        ) from error
