"""What people and other systems are told: one event per decision, per window that needs somebody, and per state that
begins or ends.

Events have the shape of CloudEvents 1.0; contracts/event.schema.json describes them. Pure: the step says what is
stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SOURCE = "stillgood"
_DECIDED = {
    "promote": "promoted",
    "refuse": "refused",
    "rollback": "rolled-back",
    "move": "moved",
    "release": "released",
}
_MAX_REASONS = 5


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


def of_window(report: Mapping[str, Any], before: Iterable[str], page: str) -> list[Announcement]:
    """What a judged window says: an alert or an action, and each standing state that began or ended since ``before``.

    ``before``: the messages that stood after the window before; a state that goes on is not told again.
    """
    window, decision = report["window"], report["decision"]
    action, reasons = str(decision["action"]), tuple(map(str, decision["reasons"][:_MAX_REASONS]))
    common: dict[str, Any] = {"subject": f"window/{window['id']}", "time": str(report["made_at"]), "page": page}
    told: list[Announcement] = []
    if action != "nothing":
        told.append(
            Announcement(
                f"{SOURCE}.window.{action.replace('_', '-')}",
                message=f"Window to {window['end']}: {action.replace('_', ' ')}. {'; '.join(reasons)}",
                reasons=reasons,
                notify=action in ("alert", "roll_back"),
                data={"action": action, "version": report["champion"]["version"]},
                **common,
            )
        )
    stands = [str(item["message"] if isinstance(item, Mapping) else item) for item in report.get("standing") or ()]
    known = list(before)
    began = [f"Since now: {message}" for message in stands if message not in known]
    ended = [f"Over: {message}" for message in known if message not in stands]
    told += [Announcement(f"{SOURCE}.state.began", message=message, notify=True, **common) for message in began]
    told += [Announcement(f"{SOURCE}.state.ended", message=message, notify=True, **common) for message in ended]
    return told


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
            f"Decision {record['n']}: {record['candidate'] or 'the champion'} was {verb.replace('-', ' ')}."
            f" {'; '.join(reasons)}"
        ),
        reasons=reasons,
        notify=action != "refuse",
        page=page,
        data={"action": action, "n": record["n"], "candidate": record["candidate"]},
    )
