"""The rules for one row: every field is checked, every violation named, every repair recorded.

Two modes share the rules and differ in how a value is read. JSON is strict about types; text (CSV) is parsed first.
This runs for each prediction: ``RowChecker`` compiles a contract once, and its loop stays flat.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import float_info

from stillgood.domain.contract.contract import CALENDAR_LEVELS, Contract, Extra, Feature, FeatureValue
from stillgood.domain.contract.identity import ID_RULE, read_id, utf8
from stillgood.domain.contract.times import read_time

TRUE, FALSE = frozenset(("1", "true", "yes", "1.0")), frozenset(("0", "false", "no", "0.0"))
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DAY_SECONDS = 86_400.0
FIRST_ROUNDED = 2**53  # the first number from which on a double skips integers
_SHOWN = 80
LONGEST = 256  # characters of an unseen level that is accepted


@dataclass(frozen=True, slots=True)
class Violation:
    """``rule`` is a stable short name: required, type, finite, range, whole, exact, level, length, time, unknown."""

    field: str
    rule: str
    value: object
    message: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A value mended by a stated rule."""

    field: str
    rule: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """One row after the check. ``values`` holds every feature when there are no violations; None is null."""

    values: dict[str, FeatureValue]
    repairs: tuple[Repair, ...]
    violations: tuple[Violation, ...]
    entity_id: str | None
    time: str | None


class _BrokenError(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule, self.message = rule, message


class RowChecker:
    """The check of one contract's rows, compiled: keep it beside the model, and build it once."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.columns = contract.columns
        self.fields = tuple(FieldChecker(feature) for feature in contract.features)
        self._loop = [
            (field.name, field, field.plain_levels, field.kind == "boolean", field.whole, *field.plain_range)
            for field in self.fields
        ]
        self._dated = any(feature.derive == "days_before" for feature in contract.features)

    def check(
        self, raw: Mapping[str, object], *, text: bool = False, extra: Extra | None = None, now: datetime | None = None
    ) -> CheckedRow:
        """Check one row: every field at once; never raises.

        ``text``: the values are CSV text (trimmed, blank is missing, 1/0/true/false/yes/no are booleans, decimals are
        numbers); otherwise JSON, strict about types. ``extra``: what an unknown field is, None for what the contract
        says. The id, time and target columns are always allowed. ``now`` (aware) is the time of a row that says none;
        only dates need it.
        """
        values: dict[str, FeatureValue] = {}
        repairs: list[Repair] = []
        violations: list[Violation] = []
        time = self._time(raw, now) if self._dated else None
        for name, field, plain_levels, boolean, whole, low, high in self._loop:
            value = raw.get(name)
            if text and isinstance(value, str):
                value = value.strip() or None
            if value is None:
                if field.constant is not None:
                    values[name] = field.constant
                    repairs.append(Repair(name, "if_missing", None, field.constant))
                elif field.nullable:
                    values[name] = None
                else:
                    violations.append(field.missing())
                continue
            # The commonest cases, a known level and a number within its bounds, are decided here: calling out for every
            # field would be half of a check's time.
            if isinstance(value, str):
                if value in plain_levels:
                    values[name] = value
                    continue
                if value in field.aliases:
                    level = field.aliases[value]
                    values[name] = level
                    repairs.append(Repair(name, "alias", None if field.pii else value, level))
                    continue
            elif boolean:
                if value is True or value is False:
                    values[name] = float(value)
                    continue
            elif (
                isinstance(value, float | int)
                and not isinstance(value, bool)
                and low <= value <= high
                and (not whole or value.is_integer())
            ):
                values[name] = float(value)
                continue
            try:
                values[name] = field.value(value, text, time)
            except _BrokenError as broken:
                violations.append(field.violation(value, broken))
        if (extra or self.contract.extra) == "refuse" and not raw.keys() <= self.columns:
            for name in raw:
                if name not in self.columns:
                    known = shorten(name)
                    violations.append(
                        Violation(str(known), "unknown", None, f"{known} is not in the contract; check its spelling.")
                    )
        column = self.contract.id_column
        entity = read_id(raw.get(column)) if column else ""
        if entity is None:
            shown = shorten(raw[str(column)])
            violations.append(Violation(str(column), "id", shown, f"{column} must be {ID_RULE}, not {shown!r}."))
        return CheckedRow(
            values, tuple(repairs), tuple(violations), entity or None, _label(raw, self.contract.time_column)
        )

    def _time(self, raw: Mapping[str, object], now: datetime | None) -> datetime | None:
        """When the row is true, None when that cannot be read."""
        value = raw.get(self.contract.time_column or "")
        if value is None or value == "":
            return now
        try:
            return _utc(read_time(value.strip())) if isinstance(value, str) else None
        except (ValueError, OverflowError):
            return None


class FieldChecker:
    """One feature's rules. ``low`` and ``high`` are numbers even where no bound is set; of a category nothing lies
    between them.
    """

    __slots__ = (
        "aliases", "constant", "derive", "feature", "high", "kind", "level_set", "low", "name", "nullable", "pii",
        "plain_levels", "plain_range", "whole",
    )  # fmt: skip

    def __init__(self, feature: Feature) -> None:
        self.feature, self.name, self.kind, self.derive = feature, feature.name, feature.kind, feature.derive
        self.nullable, self.pii, self.aliases = feature.nullable, feature.pii, feature.aliases
        self.level_set = frozenset(feature.levels)
        self.plain_levels = frozenset(level for level in feature.levels if level.isascii() and len(level) <= LONGEST)
        self.whole = feature.kind == "integer"
        number = not (feature.categorical or feature.kind == "boolean")
        self.low = feature.minimum if feature.minimum is not None else -float_info.max if number else math.inf
        self.high = feature.maximum if feature.maximum is not None else float_info.max if number else -math.inf
        # An integer beyond may have been rounded when it became a number, and is looked at by itself.
        last = FIRST_ROUNDED - 1
        self.plain_range = (max(self.low, -last), min(self.high, last)) if self.whole else (self.low, self.high)
        self.constant: FeatureValue = feature.if_missing
        if self.constant is not None and not feature.categorical:
            self.constant = float(self.constant)

    def read_text(self, text: str, time: datetime | None = None) -> tuple[FeatureValue, Violation | None, str | None]:
        """One CSV value: (value, violation, the rule of its repair). For column-wise readers, which ask once per
        distinct text.

        The same rules as ``RowChecker.check(text=True)``, because it is the same code. ``time``: the row's, for dates.
        """
        text = text.strip()
        if not text:
            if self.constant is not None:
                return self.constant, None, "if_missing"
            return None, None if self.nullable else self.missing(), None
        if text in self.aliases:
            return self.aliases[text], None, "alias"
        try:
            return self.value(text, True, time), None, None
        except _BrokenError as broken:
            return None, self.violation(text, broken), None

    def missing(self) -> Violation:
        return Violation(self.name, "required", None, f"{self.name} is required.")

    def violation(self, value: object, broken: "_BrokenError") -> Violation:
        shown = None if self.pii else shorten(value)
        message = f"{self.name} {broken.message}" + ("." if self.pii else f", not {shown!r}.")
        return Violation(self.name, broken.rule, shown, message)

    def value(self, raw: object, text: bool, time: datetime | None) -> FeatureValue:
        """Raises _BrokenError."""
        if self.kind == "categorical":
            return self._level(raw)
        if self.kind == "boolean":
            return _truth(raw, text)
        if self.kind == "date":
            return self._date(raw, text, time)
        number = _number(raw, text)
        if self.whole and abs(number) >= FIRST_ROUNDED and _is_rounded(raw, number):
            raise _BrokenError("exact", "must be a whole number that a double holds, as all are up to 2^53")
        return self._within(number)

    def _within(self, number: float) -> float:
        if self.whole and not number.is_integer():
            raise _BrokenError("whole", "must be a whole number")
        if not self.low <= number <= self.high:
            raise _BrokenError("range", _range(self.feature.minimum, self.feature.maximum))
        return number

    def _level(self, value: object) -> str:
        if not isinstance(value, str):
            raise _BrokenError("type", "must be a text")
        if value not in self.level_set and self.feature.unseen == "refuse":
            levels = self.feature.levels
            shown = ", ".join(levels[:12]) + (", ..." if len(levels) > 12 else "")
            raise _BrokenError("level", f"must be one of {shown}")
        if len(value) > LONGEST:
            raise _BrokenError("length", f"must be at most {LONGEST} characters long")
        return utf8(value)

    def _date(self, value: object, text: bool, time: datetime | None) -> FeatureValue:
        """The value derived from a date. A value that was derived before (days, or a level) is taken as it is, so that
        captured rows can be read.
        """
        if not isinstance(value, str) or not _DATE.match(value):
            try:
                return self._level(value) if self.derive in CALENDAR_LEVELS else self._within(_number(value, text))
            except _BrokenError as broken:
                if broken.rule == "range":
                    raise
                raise _BrokenError("type", "must be an ISO 8601 date such as 2026-11-23") from None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _BrokenError("type", "must be an ISO 8601 date such as 2026-11-23") from None
        if self.derive == "month":
            return str(moment.month)
        if self.derive == "weekday":
            return CALENDAR_LEVELS["weekday"][moment.weekday()]
        if time is None:
            raise _BrokenError("time", "is counted from the row's time, which is missing or no ISO 8601 time")
        return self._within((time - _utc(moment)).total_seconds() / _DAY_SECONDS)


def _utc(moment: datetime) -> datetime:
    """Aware; a time without an offset is taken to be UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def shorten(value: object) -> object:
    """``value`` as it may stand in a message: JSON-able, finite, and at most 80 characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, int):
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, Mapping | list | tuple):
        return f"a JSON {'object' if isinstance(value, Mapping) else 'array'}"
    shown = utf8(str(value))
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


def _label(raw: Mapping[str, object], column: str | None) -> str | None:
    value = raw.get(column) if column else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    return utf8(value)[:256].strip() or None if isinstance(value, str) else None


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"must be at most {high:g}" if low is None else f"must be at least {low:g}"
    return f"must be within {low:g} and {high:g}"


def _truth(value: object, text: bool) -> float:
    if text and isinstance(value, str):
        lower = value.lower()
        if lower in TRUE or lower in FALSE:
            return float(lower in TRUE)
    elif isinstance(value, bool | int | float) and value in (0, 1):
        return float(value)
    raise _BrokenError("type", "must be true or false")


def _number(value: object, text: bool) -> float:
    if text and isinstance(value, str):
        if _DECIMAL.fullmatch(value) is None:
            raise _BrokenError(
                "finite" if value.lower().lstrip("+-") in ("nan", "inf", "infinity") else "type",
                "must be a finite number",
            )
        number = float(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _BrokenError("type", "must be a number")
    else:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    if not math.isfinite(number):
        raise _BrokenError("finite", "must be a finite number")
    return number


def _is_rounded(raw: object, number: float) -> bool:
    """Whether ``number``, which ``raw`` was read as, is another one."""
    if not isinstance(raw, str):
        return raw != number  # Python compares an int with a float exactly
    from decimal import Decimal  # hardly a row needs it

    return Decimal(raw) != Decimal(number)
