"""What was really done: an action as it is sent, and what is none. Light: predict takes actions in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from stillgood.domain.contract.labels import RefusedLabel
from stillgood.domain.contract.row_check import shorten
from stillgood.domain.contract.times import iso

FIELDS = ("prediction_id", "entity_id", "action", "time", "cost")
_LONGEST = {"prediction_id": 256, "entity_id": 256, "action": 80}
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, order=True)
class Performed:
    """``action`` was done ``time`` (ISO 8601 in UTC, "...Z") about one prediction or entity: exactly one of the ids is
    not empty. ``cost`` in the currency of the contract's costs, 0 where it was not said.
    """

    time: str
    prediction_id: str
    entity_id: str
    action: str
    cost: float

    def to_dict(self) -> dict[str, Any]:
        key = {"prediction_id": self.prediction_id} if self.prediction_id else {"entity_id": self.entity_id}
        return {**key, "action": self.action, "time": self.time, "cost": self.cost}


def read_performed(rows: Iterable[Mapping[str, Any]], *, now: datetime) -> tuple[list[Performed], list[RefusedLabel]]:
    """Actions as they were sent (JSON objects, or CSV rows as text), and those that cannot be used. Never raises.

    ``now`` (aware): nothing may have been done later.
    """
    accepted, refused = [], []
    for number, raw in enumerate(rows):
        parsed = _read(raw, now)
        if isinstance(parsed, Performed):
            accepted.append(parsed)
        else:
            shown = {str(key)[:80]: shorten(value) for key, value in list(raw.items())[:20]}
            refused.append(RefusedLabel(number, *parsed, shown))
    return accepted, refused


def _read(raw: Mapping[str, Any], now: datetime) -> Performed | tuple[str, str]:
    if unknown := [str(name)[:80] for name in raw if name not in FIELDS]:
        return unknown[0], f"{unknown[0]} is not a field of an action; they are {', '.join(FIELDS)}."
    texts = {name: _text(raw.get(name), longest) for name, longest in _LONGEST.items()}
    prediction, entity, action = texts.values()
    if prediction is None or entity is None or bool(prediction) == bool(entity):
        return "prediction_id", "Give prediction_id or entity_id, one of them, a text of 1 to 256 characters."
    if not action:
        return "action", "action must name what was done, such as call, in 1 to 80 characters."
    cost = _number(raw.get("cost"))
    if cost is None:
        return "cost", "cost must be a number of at least 0, or be left out."
    try:
        moment = datetime.fromisoformat(str(raw.get("time")).strip()[:40])
        if moment.tzinfo is None:
            raise ValueError("without an offset")
        moment = moment.astimezone(UTC)  # raises for what UTC cannot say
    except (ValueError, OverflowError):
        return "time", "time must be an ISO 8601 time with an offset, such as 2026-11-23T17:00:00Z."
    if moment > now + _CLOCK_SKEW:
        return "time", "time lies in the future; send the action once it has been done."
    return Performed(iso(moment), prediction, entity, action, cost)


def _text(value: object, longest: int) -> str | None:
    """The text; "" for a missing one, None for a value that cannot be one. A whole number is what a spreadsheet makes
    of an id.
    """
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str) or len(value) > longest or not value.strip().isprintable():
        return None
    return value.strip()


def _number(value: object) -> float | None:
    if value is None or value == "":
        return 0.0
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) and number >= 0 else None
