"""Bugs planted on purpose, each one line of the code done wrong: what a simulation is worth is what it finds."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from stillgood.aws import capture
from stillgood.domain.errors import ObjectExists, PreconditionFailed, StoreUnavailable
from stillgood.domain.outcomes import ledger
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.promotion.decision import decided
from stillgood.steps import forget
from stillgood.steps.labels import ingest
from stillgood.steps.monitor import hear, monitor
from stillgood.steps.promote import promote
from stillgood.storage.codec import encode
from stillgood.storage.keys import CAPTURE_PREFIX, POINTER_KEY, STATE_KEY, decision_key
from stillgood.storage.records import read_decision
from stillgood.storage.registry import Registry

type Patch = tuple[Any, str, Callable[[Any], Any]]
"""An object, the name of its attribute, and what takes the place of the attribute's value."""


@dataclass(frozen=True, slots=True)
class Planted:
    """``what`` is done wrong. ``seed`` and ``days``: a life that finds it, None before one was looked for."""

    name: str
    what: str
    patches: tuple[Patch, ...]
    seed: int | None = None
    days: int = 12

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The code with the bug in it."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in self.patches]
        try:
            for (owner, name, value), (_, _, made) in zip(before, self.patches, strict=True):
                setattr(owner, name, made(value))
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)


def _put_in_force(self: Any, wanted: Any, stored: Any, head: Any) -> bool:
    self._store.put(POINTER_KEY, wanted.data)
    return True


def _record(self: Any, head: Any, draft: Any) -> Any:
    decision = decided(draft, n=head.n + 1, prev_sha256=head.sha256, champion=head.pointer, before=head.mark)
    data = encode(decision.to_dict())
    self._store.put(decision_key(decision.n), data)
    self.recover()
    return read_decision(data, decision_key(decision.n))


def _append(real: Callable[..., bool], *args: Any, **kwargs: Any) -> bool:
    with contextlib.suppress(StoreUnavailable):
        return real(*args, **kwargs)
    return True


def _drain(self: Any, *, all_of_it: bool = False) -> None:
    while self._pending:
        key, data, _ = self._pending.popleft()
        self._pending_bytes -= len(data)
        with contextlib.suppress(StoreUnavailable):
            self._store.put(key, data)


def _write_state(store: Any, state: Any, etag: str | None) -> str:
    return str(store.put(STATE_KEY, encode(state)))


def _write_day(real: Callable[..., None], store: Any, day: Any, etag: str | None) -> None:
    with contextlib.suppress(PreconditionFailed, ObjectExists):
        real(store, day, etag)


def _put_over(store: Any, key: str, change: Any, first: Any) -> None:
    if first.data:
        store.put(key, first.data)
    else:
        store.delete(key)


def _instead(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _no(*_: Any) -> None:
    return None


PLANTED = (
    Planted("lost index", "a decision is not indexed by its request", ((Registry, "_index", _instead(_no)),), 0),
    Planted("request decided twice", "nobody looks for an earlier answer", ((Registry, "find", _instead(_no)),), 0),
    Planted(
        "pointer without condition",
        "the pointer is put, not swapped",
        ((Registry, "_put_in_force", _instead(_put_in_force)),),
    ),
    Planted("slot without condition", "a decision is put, not created", ((Registry, "record", _instead(_record)),), 2),
    Planted(
        "state without condition",
        "monitor's state is put, not swapped",
        ((monitor, "write_state", _instead(_write_state)),),
    ),
    Planted("hold not asked", "a schedule passes for a person", ((promote, "by_hand", _instead(lambda _: True)),)),
    Planted(
        "budget not counted",
        "no earlier retrain counts",
        ((MonitorState, "retrains_within", _instead(lambda *_: 0)),),
    ),
    Planted(
        "labels lost",
        "an outage while labels are written is taken for success",
        ((ingest, "append", lambda real: partial(_append, real)),),
    ),
    Planted(
        "capture gives up",
        "a capture that failed is not tried again",
        ((capture.Capture, "_drain", _instead(_drain)),),
    ),
    Planted(
        "capture overwritten",
        "two requests of a microsecond share a key",
        ((capture, "capture_key", lambda real: lambda now, _: real(now, "x")),),
    ),
    Planted(
        "swapped condition", "labels after the horizon hold before those within it", ((ledger, "LATER", _instead(9)),)
    ),
    Planted(
        "late captures not seen",
        "captures that come after their hour was read are not looked for",
        ((hear, "_index_late", _instead(lambda *args: (0, None, args[2]))),),
    ),
    Planted(
        "forgotten in part",
        "captures are left out of what is forgotten",
        ((forget, "ROW_PREFIXES", lambda real: tuple(prefix for prefix in real if prefix != CAPTURE_PREFIX)),),
    ),
    Planted(
        "forgotten over others",
        "what others wrote since an object was searched is overwritten",
        ((forget, "rewrite", _instead(_put_over)),),
    ),
    Planted(
        "lost update",
        "a day of outcomes that another monitor changed is not written again",
        ((hear, "write_day", lambda real: partial(_write_day, real)),),
    ),
)
