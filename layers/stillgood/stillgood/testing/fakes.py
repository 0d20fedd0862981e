"""Fakes of the ports that keep what they were given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class FakeInvoker:
    """An Invoker that keeps what it was given, for tests and for running steps one after the other."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        self.events.append((step, dict(event)))


@dataclass(slots=True)
class FakeCapture:
    """A CaptureLog that keeps every request's records."""

    written: list[Sequence[Mapping[str, Any]]] = field(default_factory=list)

    def write(
        self, records: Sequence[Mapping[str, object]], now: datetime, unique: str, *, required: bool = False
    ) -> None:
        self.written.append(records)

    def status(self) -> dict[str, object]:
        return {"written": len(self.written)}


@dataclass(slots=True)
class FakeAnnouncer:
    """An Announcer that keeps the events."""

    events: list[Mapping[str, Any]] = field(default_factory=list)

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.events.extend(events)
