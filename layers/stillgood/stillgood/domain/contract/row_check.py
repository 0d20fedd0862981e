"""The rules for one row: every field is checked, every violation named, every repair recorded.

Two modes share the rules and differ in how a value is read. JSON is strict about types; text (CSV) is parsed first.
This runs for each prediction, so the loop stays flat.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stillgood.domain.contract.contract import Contract, Feature, FeatureValue

TRUE, FALSE = frozenset(("1", "true", "yes", "1.0")), frozenset(("0", "false", "no", "0.0"))
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_SHOWN = 80
LONGEST = 256  # characters of an unseen level that is accepted


@dataclass(frozen=True, slots=True)
class Violation:
    """``rule`` is a stable short name: required, type, finite, range, whole, level, length, unknown."""

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

    values: "dict[str, FeatureValue]"
    repairs: tuple[Repair, ...]
    violations: tuple[Violation, ...]
    entity_id: str | None
    time: str | None


class _BrokenError(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule, self.message = rule, message


def check(
    contract: "Contract", raw: Mapping[str, object], *, text: bool, extra: Literal["refuse", "ignore"]
) -> CheckedRow:
    """See ``Contract.check``."""
    values: dict[str, FeatureValue] = {}
    repairs: list[Repair] = []
    violations: list[Violation] = []
    for feature in contract.features:
        name = feature.name
        given = raw.get(name)
        if text and isinstance(given, str):
            given = given.strip() or None
        if given is None:
            if feature.if_missing is not None:
                value = _constant(feature)
                values[name] = value
                repairs.append(Repair(name, "if_missing", None, value))
            elif feature.nullable:
                values[name] = None
            else:
                violations.append(Violation(name, "required", None, f"{name} is required."))
            continue
        # The commonest cases, a known level and a number within its bounds, are decided here: calling out for every field
        # would be half of a check's time.
        if isinstance(given, str):
            if given in feature.plain_levels:
                values[name] = given
                continue
        elif feature.kind == "boolean":
            if given is True or given is False:
                values[name] = float(given)
                continue
        elif (
            isinstance(given, float | int)
            and not isinstance(given, bool)
            and feature.low <= given <= feature.high
            and (feature.kind == "numeric" or (feature.kind == "integer" and given.is_integer()))
        ):
            values[name] = float(given)
            continue
        try:
            values[name] = _value(feature, given, text)
        except _BrokenError as broken:
            violations.append(_violation(feature, given, broken))
    if extra == "refuse" and not raw.keys() <= contract.columns:
        for name in raw:
            if name not in contract.columns:
                known = shorten(name)
                violations.append(
                    Violation(str(known), "unknown", None, f"{known} is not in the contract; check its spelling.")
                )
    return CheckedRow(
        values, tuple(repairs), tuple(violations), _label(raw, contract.id_column), _label(raw, contract.time_column)
    )


def read_text(feature: "Feature", given: str) -> "tuple[FeatureValue, Violation | None, bool]":
    """One CSV value of one feature: (value, violation, repaired). For column-wise readers, which ask once per distinct text.

    The same rules as ``Contract.check(text=True)``, because it is the same code.
    """
    given = given.strip()
    if not given:
        if feature.if_missing is not None:
            return _constant(feature), None, True
        missing = Violation(feature.name, "required", None, f"{feature.name} is required.")
        return None, None if feature.nullable else missing, False
    try:
        return _value(feature, given, True), None, False
    except _BrokenError as broken:
        return None, _violation(feature, given, broken), False


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
    shown = _utf8(str(value))
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


def _violation(feature: "Feature", given: object, broken: _BrokenError) -> Violation:
    shown = None if feature.pii else shorten(given)
    message = f"{feature.name} {broken.message}" + ("." if feature.pii else f", not {shown!r}.")
    return Violation(feature.name, broken.rule, shown, message)


def _label(raw: Mapping[str, object], column: str | None) -> str | None:
    given = raw.get(column) if column else None
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**63:
        return str(given)
    return _utf8(given)[:256].strip() or None if isinstance(given, str) else None


def _utf8(given: str) -> str:
    """JSON can smuggle in lone surrogates, which no file can hold."""
    return given if given.isascii() else given.encode("utf-8", "backslashreplace").decode()


def _constant(feature: "Feature") -> "FeatureValue":
    return feature.if_missing if feature.kind == "categorical" else float(feature.if_missing)  # type: ignore[arg-type]


def _value(feature: "Feature", given: object, text: bool) -> "FeatureValue":
    if feature.kind == "categorical":
        return _level(feature, given)
    if feature.kind == "boolean":
        return _truth(given, text)
    number = _number(given, text)
    if feature.kind == "integer" and not number.is_integer():
        raise _BrokenError("whole", "must be a whole number")
    low, high = feature.minimum, feature.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise _BrokenError("range", _range(low, high))
    return number


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"must be at most {high:g}" if low is None else f"must be at least {low:g}"
    return f"must be within {low:g} and {high:g}"


def _level(feature: "Feature", given: object) -> str:
    if not isinstance(given, str):
        raise _BrokenError("type", "must be a text")
    if given not in feature.level_set and feature.unseen == "refuse":
        shown = ", ".join(feature.levels[:12]) + (", ..." if len(feature.levels) > 12 else "")
        raise _BrokenError("level", f"must be one of {shown}")
    if len(given) > LONGEST:
        raise _BrokenError("length", f"must be at most {LONGEST} characters long")
    return _utf8(given)


def _truth(given: object, text: bool) -> float:
    if text and isinstance(given, str):
        lower = given.lower()
        if lower in TRUE or lower in FALSE:
            return float(lower in TRUE)
    elif isinstance(given, bool | int | float) and given in (0, 1):
        return float(given)
    raise _BrokenError("type", "must be true or false")


def _number(given: object, text: bool) -> float:
    if text and isinstance(given, str):
        if _DECIMAL.fullmatch(given) is None:
            raise _BrokenError(
                "finite" if given.lower().lstrip("+-") in ("nan", "inf", "infinity") else "type",
                "must be a finite number",
            )
        number = float(given)
    elif isinstance(given, bool) or not isinstance(given, int | float):
        raise _BrokenError("type", "must be a number")
    else:
        try:
            number = float(given)
        except OverflowError:
            number = math.inf
    if not math.isfinite(number):
        raise _BrokenError("finite", "must be a finite number")
    return number
