"""What people and other systems are told: one event per decision, per window that needs somebody, and per state that
begins or ends.

Events have the shape of CloudEvents 1.0; contracts/event.schema.json describes them. Pure: the step says what is
stored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SOURCE = "stillgood"
_DECIDED = {
    "promote": "promoted",
    "refuse": "refused",
    "rollback": "rolled-back",
    "move": "moved",
    "release": "released",
    "ask": "asked",
    "mode": "mode-set",
    "settings": "settings-changed",
}
_SENTENCES = {
    "promote": "Model {} was promoted: it serves from now on.",
    "refuse": "Model {} was refused: the champion stays.",
    "rollback": "The champion was rolled back: model {} serves again.",
    "move": "The operating point of model {} moved.",
    "release": "Promotions go on by themselves again; model {} serves.",
    "ask": "Model {} waits for you: say `stillgood approve` or `stillgood refuse`.",
    "mode": "Another mode holds from now on.",
    "settings": "Other settings of the contract hold from now on.",
}
_ACTED = {
    "alert": "Please look at the window up to",
    "retrain": "A new model is being trained after the window up to",
    "recalibrate": "The champion is being calibrated anew after the window up to",
    "roll_back": "A rollback was asked for after the window up to",
}
_MAX_REASONS = 5
_MAX_SAID = 3
_FIGURE = re.compile(r"[-+]?[0-9][0-9.,:e+-]*%?")


@dataclass(frozen=True, slots=True)
class Announcement:
    """``type`` such as "stillgood.decision.promoted"; ``message`` is a sentence; ``notify``: whether a person must see
    it.
    """

    type: str
    subject: str
    time: str
    message: str
    reasons: tuple[str, ...] = ()
    notify: bool = False
    page: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The event as CloudEvents has it. ``id`` is the same for the same thing told twice, so receivers can drop
        doubles.
        """
        return {
            "specversion": "1.0",
            "id": f"{self.type}:{self.subject}:{self.message}"[:200],
            "source": SOURCE,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": {
                **self.data,
                "message": self.message,
                "reasons": list(self.reasons),
                "notify": self.notify,
                "page": self.page,
            },
        }


def of_window(report: Mapping[str, Any], before: Mapping[str, Any] | None, page: str) -> list[Announcement]:
    """What a judged window says: an alert or an action, and each lasting state that began, changed or ended.

    ``before``: the report of the window before, None for the first. Repetitions are not announced: a state with the
    same message, an alert for the same reasons with other figures.
    """
    window, decision = report["window"], report["decision"]
    action, reasons = str(decision["action"]), tuple(map(str, decision["reasons"][:_MAX_REASONS]))
    common: dict[str, Any] = {"subject": f"window/{window['id']}", "time": str(report["made_at"]), "page": page}
    stands, stood = _states(report), _states(before)
    announcements: list[Announcement] = []
    if action != "nothing":
        # A state that begins is a message of its own.
        own = [reason for reason in reasons if reason not in stands.values() and not reason.startswith("still: ")]
        announcements.append(
            Announcement(
                f"{SOURCE}.window.{action.replace('_', '-')}",
                message=f"{_ACTED.get(action, action)} {_until(window['end'])}. {_because(own or reasons)}",
                reasons=reasons,
                notify=action == "roll_back" or (action == "alert" and bool(own) and not _same(own, before)),
                data={"action": action, "version": report["champion"]["version"]},
                **common,
            )
        )
    if report.get("standing") is None and "standing" in report:  # a window of the past says nothing of now
        return announcements
    for name, message in stands.items():
        if name not in stood:
            announcements.append(_state("began", f"This began: {message}.", common))
        elif stood[name] != message:
            announcements.append(_state("changed", f"This changed: {message}. Before: {stood[name]}.", common))
    announcements += [
        _state("ended", f"This is over: {message}.", common) for name, message in stood.items() if name not in stands
    ]
    return announcements


def _state(what: str, message: str, common: Mapping[str, Any]) -> Announcement:
    return Announcement(f"{SOURCE}.state.{what}", message=message, notify=True, **common)


def _states(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Message by name of what lasts in a report; an older one has messages only."""
    states = (report or {}).get("standing") or ()
    pairs = (
        (state, state) if isinstance(state, str) else (state.get("name", state["message"]), state["message"])
        for state in states
    )
    return {str(name): str(message) for name, message in pairs}


def _same(own: Sequence[str], before: Mapping[str, Any] | None) -> bool:
    """Whether the window before was an alert, too, with these reasons but for their figures."""
    if before is None or before["decision"]["action"] != "alert":
        return False
    known = {_FIGURE.sub("", str(reason)) for reason in before["decision"]["reasons"]}
    return all(_FIGURE.sub("", reason) in known for reason in own)


def _because(reasons: Sequence[str]) -> str:
    """The first reasons as one sentence.

    >>> _because(["It rose by 3.", "It is 5", "c", "d"])
    'Why: It rose by 3; it is 5; c; and 1 more on the page.'
    """
    if not reasons:
        return ""
    said = [reason.rstrip(".") for reason in reasons[:_MAX_SAID]]
    said[1:] = [reason if reason[:2].isupper() else reason[:1].lower() + reason[1:] for reason in said[1:]]
    more = [f"and {len(reasons) - len(said)} more on the page"] * (len(reasons) > len(said))
    return "Why: " + "; ".join([*said, *more]) + "."


def _until(moment: str) -> str:
    """A time in words.

    >>> _until("2026-11-24T00:00:00Z")
    '24 November 2026, 00:00 UTC'
    """
    try:
        instant = datetime.fromisoformat(moment).astimezone(UTC)
    except ValueError:
        return moment
    return f"{instant.day} {instant:%B %Y, %H:%M} UTC"


def of_decision(record: Mapping[str, Any], page: str) -> Announcement:
    """What a record of the decision log says."""
    action = str(record["action"])
    verb = _DECIDED.get(action, action)
    reasons = tuple(map(str, record["reasons"][:_MAX_REASONS]))
    return Announcement(
        f"{SOURCE}.decision.{verb}",
        subject=f"decision/{record['n']}",
        time=str(record["at"]),
        message=(
            f"{_said(action, record['candidate'])} Decision {record['n']}, {_until(str(record['at']))}."
            f" {_because(reasons)}"
        ),
        reasons=reasons,
        notify=action != "refuse",
        page=page,
        data={"action": action, "n": record["n"], "candidate": record["candidate"]},
    )


def _said(action: str, candidate: object) -> str:
    sentence = _SENTENCES.get(action)
    if sentence is None or (candidate is None and "{}" in sentence):
        return f"{candidate or 'The champion'}: {action.replace('_', ' ')}."
    return sentence.format(candidate)
