"""Ground truth: what a label is, and which one holds when several speak of the same prediction. Pure, and light: predict takes labels in."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.outcome import read_outcome
from stillgood.domain.contract.row_check import shorten

_LONGEST_ID = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
FIELDS = ("prediction_id", "entity_id", "label", "event_time")


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


def read_labels(rows: Iterable[Mapping[str, Any]], target: Target) -> tuple[list[Label], list[RefusedLabel]]:
    """Labels as they were sent (JSON objects, or CSV rows as text), and those that cannot be used. Never raises."""
    accepted, refused = [], []
    for number, raw in enumerate(rows):
        one = _read(raw, target)
        if isinstance(one, Label):
            accepted.append(one)
        else:
            name, message = one
            shown = {str(key)[:80]: shorten(value) for key, value in list(raw.items())[:20]}
            refused.append(RefusedLabel(number, name, message, shown))
    return accepted, refused


def _read(raw: Mapping[str, Any], target: Target) -> Label | tuple[str, str]:
    if unknown := [str(name)[:80] for name in raw if name not in FIELDS]:
        return unknown[0], f"{unknown[0]} is not a field of a label; they are {', '.join(FIELDS)}."
    prediction, entity = _id(raw.get("prediction_id")), _id(raw.get("entity_id"))
    if prediction is None or entity is None or bool(prediction) == bool(entity):
        return (
            "prediction_id",
            f"Give prediction_id or entity_id, one of them, a text of 1 to {_LONGEST_ID} characters.",
        )
    label = raw.get("label")
    outcome = read_outcome(target, label) if isinstance(label, str | int | float) else None
    if outcome is None:
        return "label", f"label must be {target.positive!r} or {target.negative!r}, not {shorten(label)!r}."
    time = _time(raw.get("event_time"))
    if time is None:
        return "event_time", "event_time must be an ISO 8601 time with an offset, such as 2026-11-23T17:00:00Z."
    return Label(time, prediction, entity, target.positive if outcome else target.negative)


def _id(value: object) -> str | None:
    """The id, "" if none was given, None if it cannot be one. A number is what a spreadsheet makes of an id."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str) or len(value) > _LONGEST_ID or _CONTROL.search(value):
        return None
    return value.strip() or None


def _time(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            return None
        return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Resolved:
    """``outcome``: the label that holds, by id; an id with contradicting newest labels is in ``conflicts`` instead.

    ``corrected`` counts ids whose older labels were overruled, ``duplicates`` labels that said the same again.
    """

    outcome: Mapping[str, Label]
    conflicts: frozenset[str]
    corrected: int
    duplicates: int


def resolve(labels: Iterable[Label], key: str) -> Resolved:
    """Which label holds for each ``key`` ("prediction_id" or "entity_id"), whatever the order and number of times they came in.

    The newest event time wins. Two outcomes at the newest time contradict each other: neither is used until a later one settles it.

    >>> old, new = (Label(f"2026-01-0{day}T00:00:00Z", "p", "", answer) for day, answer in ((1, "No"), (2, "Yes")))
    >>> resolve([new, old, new], "prediction_id").outcome["p"].label
    'Yes'
    """
    given: dict[str, list[Label]] = {}
    for label in labels:
        if identity := getattr(label, key):
            given.setdefault(identity, []).append(label)
    outcome: dict[str, Label] = {}
    conflicts, corrected, duplicates = set(), 0, 0
    for identity, listed in given.items():
        distinct = set(listed)
        duplicates += len(listed) - len(distinct)
        newest = max(distinct)
        said = {one.label for one in distinct if one.event_time == newest.event_time}
        if len(said) > 1:
            conflicts.add(identity)
            continue
        corrected += any(one.label != newest.label for one in distinct)
        outcome[identity] = newest
    return Resolved(outcome, frozenset(conflicts), corrected, duplicates)
