"""What must be true, in plain dictionaries: every change of the bucket is noted here, and checked at once where one
change alone can be wrong. ``invariants.py`` checks what takes a look at the whole.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.policy.guarded import Guarded
from stillgood.domain.promotion.orders_after import by_hand
from stillgood.storage.codec import sha256
from stillgood.storage.keys import (
    BATCH_CAPTURE,
    CAPTURE_PREFIX,
    DATA_PREFIX,
    DECISIONS_PREFIX,
    LEDGER_PREFIX,
    MODELS_PREFIX,
    POINTER_KEY,
    REPORTS_PREFIX,
    REQUESTS_PREFIX,
    STATE_KEY,
    TRAINING_PREFIX,
    decision_key,
)
from stillgood.storage.windows import utc

CREATE_ONLY = (
    MODELS_PREFIX,
    DECISIONS_PREFIX,
    REQUESTS_PREFIX,
    TRAINING_PREFIX,
    REPORTS_PREFIX,
    CAPTURE_PREFIX,
    LEDGER_PREFIX,
    DATA_PREFIX,
)


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold, by its name in docs/simulation.md."""

    invariant: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A prediction that a client was answered. ``served_at``: when the request was sent."""

    prediction_id: str
    customer: str
    version: str
    sent_at: datetime
    answered_at: datetime
    instance: str
    leaves: bool


@dataclass(frozen=True, slots=True)
class AcceptedLabel:
    """A label as a client had it accepted."""

    id: str
    label: str
    event: str


@dataclass(slots=True)
class Book:
    """``peek`` gives the bytes of an object, ``running`` names the task that acts."""

    clock: Callable[[], datetime]
    peek: Callable[[str], bytes | None]
    running: Callable[[], str]
    policy: Guarded
    by_hand: tuple[str, ...] = ("forget", "damage", "restore", "unreadable", "old code", "revoke")
    broken: list[Broken] = field(default_factory=list)
    answered: dict[str, Answered] = field(default_factory=dict)
    captured: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)  # by id: object, when it was written
    lines: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)  # by object: (time, written at)
    lost: set[str] = field(default_factory=set)  # predictions whose capture was told as lost
    accepted: list[AcceptedLabel] = field(default_factory=list)
    champions: list[tuple[datetime, str]] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    acted: set[tuple[str, str]] = field(default_factory=set)  # accepted actions: whom about, and when it was done
    revoked: list[tuple[datetime, frozenset[AcceptedLabel]]] = field(default_factory=list)  # since when, which labels
    held: bool = False
    mode: str = "automatic"
    retrains: list[datetime] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)  # by request id: the step that a window asked for
    refused: set[str] = field(default_factory=set)  # requests that a step refused for good, with a reason
    judged: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    state_of_old: bool = False  # monitor's state was written by somebody who does not know all of it
    continued_old: set[str] = field(default_factory=set)  # windows that were judged from such a state
    judged_at: dict[str, datetime] = field(default_factory=dict)
    forgotten: dict[str, datetime] = field(default_factory=dict)
    first_forgotten: dict[str, datetime] = field(default_factory=dict)  # from then on no capture says whose an id is
    forgetting: set[str] = field(default_factory=set)  # customers whose forgetting began, whether it came to its end
    forgotten_ids: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def fail(self, invariant: str, detail: str) -> None:
        self.broken.append(Broken(invariant, self.clock(), detail[:600]))

    def changed(self, key: str, before: bytes | None, after: bytes | None) -> None:
        """The bucket's watcher."""
        kind = self.running().partition("/")[0].partition(".")[2]
        hand = kind in self.by_hand
        if key.startswith(CREATE_ONLY) and before is not None and before != after and not hand:
            self.fail("create-only", f"{key} was {'deleted' if after is None else 'overwritten'} by {self.running()}")
        if hand or after is None:
            self.state_of_old |= kind == "old code" and key == STATE_KEY
            return
        if key == POINTER_KEY:
            self._pointer(before, after)
        elif key.startswith(DECISIONS_PREFIX):
            self._decision(key, after)
        elif key == STATE_KEY:
            self._state(before, after)
        elif key.startswith(CAPTURE_PREFIX) and before is None:
            self._captured(key, after)

    def _pointer(self, before: bytes | None, after: bytes) -> None:
        new, old = _read(after), None
        with suppress(ValueError):  # it was damaged
            old = None if before is None else _read(before)
        model = self.peek(new["model_key"])
        if model is None or sha256(model) != new["model_sha256"]:
            self.fail("champion whole", f"{new['version']} was put in force, and its model is not whole")
        record = self.peek(decision_key(new["decision"]))
        if record is None or _read(record).get("pointer_after") != new:
            self.fail("log explains champion", f"decision {new['decision']} did not put {new['version']} in force")
        if old and new["generation"] != old["generation"] + 1:
            self.fail("generations count", f"generation {new['generation']} after {old['generation']}")
        self.champions.append((self.clock(), new["version"]))

    def _decision(self, key: str, data: bytes) -> None:
        made = _read(data)
        request, action = made["request_id"], made["action"]
        if request in self.requests:
            self.fail("one decision a request", f"{request!r} was decision {self.requests[request]}, now {key}")
        self.requests[request] = made["n"]
        automatic = not by_hand(request)
        after = made["pointer_after"]
        moved = after is not None and after["version"] != made["figures"].get("serving")
        if action == "promote" and automatic and self.held:
            self.fail("override holds", f"{key} promotes {made['candidate']} while a rollback by hand holds")
        if automatic and action in ("promote", "rollback", "move") and self.mode != "automatic":
            self.fail("mode holds", f"{key} changed what serves by itself while the mode was {self.mode}")
        if action == "mode":
            self.mode = made["figures"]["asked"]["mode"]
        if action == "rollback" and not automatic and moved:
            self.held = True
        elif action == "release" or (action in ("promote", "approve") and not automatic):
            self.held = False
        self.count(f"decided: {action}")

    def _state(self, before: bytes | None, after: bytes) -> None:
        new, old = _read(after), None if before is None else _read(before)
        if old and old.get("last_window") and new["last_window"] < old["last_window"]:
            self.fail("windows in order", f"{new['last_window']} after {old['last_window']}")
        report = new["report"]
        window = report["window"]["id"]
        if window in self.judged and (old or {}).get("last_window") != window:
            self.fail("judged once", f"window {window} was decided again")
        if self.state_of_old:
            self.continued_old.add(window)
            self.state_of_old = False
        self.judged[window] = report
        self.judged_at[window] = self.clock()
        if (effect := report.get("effect")) is not None:
            self.effects[effect["event"]["request_id"]] = effect["step"]
        if report["decision"]["action"] in ("retrain", "recalibrate"):
            now = utc(report["window"]["end"])
            self.retrains.append(now)
            recent = [at for at in self.retrains if now - self.policy.period < at <= now]
            if len(recent) > self.policy.budget:
                self.fail("retrains within budget", f"{len(recent)} within {self.policy.period.days} days")
        self.count(f"window: {report['decision']['action']}")

    def _captured(self, key: str, data: bytes) -> None:
        now = self.clock()
        if key.endswith(BATCH_CAPTURE):  # refers to the output of a batch, whose rows count, too
            raw = _read(data)
            scored = self.peek(f"{raw['output']}/predictions.jsonl") or b""
            self.lines[key] = [(utc(raw["time"]), now)] * scored.count(b"\n")
            return
        for line in data.splitlines():
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                at = utc(record["time"])
                self.lines.setdefault(key, []).append((at, now))
                if record.get("kind") == "prediction":
                    self.captured.setdefault(record["prediction_id"], []).append((key, now))

    def served_by(self, answer: Answered, patience: timedelta) -> bool:
        """Whether the answer's version was champion some time from ``patience`` before the request until the answer."""
        until: datetime | None = None
        for at, version in reversed(self.champions):
            if (
                at <= answer.answered_at
                and version == answer.version
                and (until is None or until >= answer.sent_at - patience)
            ):
                return True
            until = at
        return False


def _read(data: bytes) -> dict[str, Any]:
    raw = json.loads(data)
    assert isinstance(raw, dict)
    return raw
