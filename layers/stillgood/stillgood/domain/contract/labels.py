"""Ground truth as it is sent: what a label is, and what is none. Light: predict takes labels in. ``domain/outcomes``
joins them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.identity import ID_RULE, read_id
from stillgood.domain.contract.outcome import read_outcome
from stillgood.domain.contract.row_check import shorten
from stillgood.domain.contract.times import iso

COMPLETE_UNTIL = "complete_until"
FIELDS = ("prediction_id", "entity_id", "label", "event_time", COMPLETE_UNTIL)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """The outcome of one prediction, or of an entity. ``event_time``: when it became true, ISO 8601 in UTC ("...Z").

    Exactly one of ``prediction_id`` and ``entity_id`` is not empty; ``label`` is one of the target's two values.
    """

    event_time: str
    prediction_id: str
    entity_id: str
    label: str

    def to_dict(self) -> dict[str, str]:
        key = {"prediction_id": self.prediction_id} if self.prediction_id else {"entity_id": self.entity_id}
        return {**key, "label": self.label, "event_time": self.event_time}


@dataclass(frozen=True, slots=True)
class RefusedLabel:
    """``row`` counts from 0 in the batch; ``message`` says what to mend."""

    row: int
    field: str
    message: str
    raw: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"row": self.row, "field": self.field, "message": self.message, "raw": dict(self.raw)}


def read_labels(
    rows: Iterable[Mapping[str, Any]], target: Target, *, now: datetime | None = None
) -> tuple[list[Label], list[RefusedLabel]]:
    """Labels as they were sent (JSON objects, or CSV rows as text), and those that cannot be used. Never raises.

    ``now`` (aware): nothing may be dated later. Rows that hold only ``complete_until`` are no labels; see
    ``watermark``.
    """
    accepted, refused = [], []
    for number, raw in enumerate(rows):
        parsed = _read(raw, target, now)
        if isinstance(parsed, Label):
            accepted.append(parsed)
        elif parsed is not None:
            name, message = parsed
            shown = {str(key)[:80]: shorten(value) for key, value in list(raw.items())[:20]}
            refused.append(RefusedLabel(number, name, message, shown))
    return accepted, refused


def overlaps(labels: Iterable[Label]) -> tuple[list[Label], list[Label]]:
    """The labels of one batch that say again what another of it says, and those that contradict another: the same id
    and time with both outcomes, of which neither holds.

    >>> yes, no = (Label("2026-11-23T00:00:00Z", "p", "", said) for said in ("Yes", "No"))
    >>> repeated, contradicting = overlaps([yes, yes, no])
    >>> len(repeated), len(contradicting)
    (1, 2)
    """
    said: dict[tuple[str, str, str], set[str]] = {}
    repeated, order = [], dict[Label, None]()
    for label in labels:
        outcomes = said.setdefault((label.prediction_id, label.entity_id, label.event_time), set())
        if label.label in outcomes:
            repeated.append(label)
        outcomes.add(label.label)
        order[label] = None
    both = [label for label in order if len(said[label.prediction_id, label.entity_id, label.event_time]) > 1]
    return repeated, both


def watermark(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The newest ``complete_until`` among the rows: the time up to which their sender has sent all labels. None without
    any.
    """
    return max(filter(None, (_time(raw.get(COMPLETE_UNTIL)) for raw in rows)), default=None)


def _read(raw: Mapping[str, Any], target: Target, now: datetime | None) -> Label | tuple[str, str] | None:
    if unknown := [str(name)[:80] for name in raw if name not in FIELDS]:
        return unknown[0], f"{unknown[0]} is not a field of a label; they are {', '.join(FIELDS)}."
    if raw.get(COMPLETE_UNTIL) is not None:
        if _time(raw[COMPLETE_UNTIL]) is None:
            return (
                COMPLETE_UNTIL,
                "complete_until must be an ISO 8601 time with an offset, such as 2026-11-23T00:00:00Z.",
            )
        if all(raw.get(name) is None for name in FIELDS if name != COMPLETE_UNTIL):
            return None
    prediction, entity = _id(raw, "prediction_id"), _id(raw, "entity_id")
    if prediction is None or entity is None or bool(prediction) == bool(entity):
        return (
            "prediction_id",
            f"Give prediction_id or entity_id, one of them: {ID_RULE}.",
        )
    label = raw.get("label")
    outcome = read_outcome(target, label) if isinstance(label, str | int | float) else None
    if outcome is None:
        return "label", f"label must be {target.positive!r} or {target.negative!r}, not {shorten(label)!r}."
    time = _time(raw.get("event_time"))
    if time is None:
        return "event_time", "event_time must be an ISO 8601 time with an offset, such as 2026-11-23T17:00:00Z."
    if now is not None and datetime.fromisoformat(time) > now + _CLOCK_SKEW:
        return "event_time", f"event_time {time} lies in the future; send the label once it has happened."
    return Label(time, prediction, entity, target.positive if outcome else target.negative)


def _id(raw: Mapping[str, Any], name: str) -> str | None:
    """The id, "" if none was given, None if it cannot be one."""
    value = raw.get(name)
    return read_id(value) or (None if value is not None else "")


def _time(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            return None
        return iso(moment)
    except (ValueError, OverflowError):
        return None
