"""What a promotion, a refusal or a rollback is, and what it puts in force. Pure data; ``storage/registry.py`` keeps
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from stillgood.domain.promotion.orders import Orders

Action = Literal["promote", "refuse", "rollback", "move", "release", "ask", "mode", "settings"]
_LEAVES_CHAMPION = ("refuse", "release", "ask", "mode", "settings")


@dataclass(frozen=True, slots=True)
class PointRef:
    """Names an operating point: its ``id`` (storage/keys.py), the ``sha256`` of its bytes, and the pointer's
    ``generation`` when
    it was made. A release without one serves with the model's own calibration and threshold: generation 0."""

    id: str
    sha256: str
    generation: int

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "sha256": self.sha256, "generation": self.generation}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "PointRef":
        """Raises KeyError or TypeError."""
        return cls(_text(raw["id"]), _text(raw["sha256"]), _count(raw["generation"]))


@dataclass(frozen=True, slots=True)
class Release:
    """A version as it can be put in force. ``threshold`` is on the probability scale, ``model_sha256`` of the bytes at
    ``model_key``.

    ``point``: the operating point that it serves with, None for the model's own.
    """

    version: str
    model_key: str
    model_sha256: str
    reference_key: str
    metrics: Mapping[str, Any]
    threshold: float
    point: PointRef | None = field(default=None, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        raw = {
            "version": self.version,
            "model_key": self.model_key,
            "model_sha256": self.model_sha256,
            "reference_key": self.reference_key,
            "metrics": dict(self.metrics),
            "threshold": self.threshold,
        }
        return raw if self.point is None else raw | {"point": self.point.to_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Release":
        """Raises KeyError, TypeError or ValueError for a malformed ``raw``."""
        return cls(
            version=_text(raw["version"]),
            model_key=_text(raw["model_key"]),
            model_sha256=_text(raw["model_sha256"]),
            reference_key=_text(raw["reference_key"]),
            metrics=dict(raw["metrics"]),
            threshold=float(raw["threshold"]),
            point=None if raw.get("point") is None else PointRef.from_dict(raw["point"]),
        )


@dataclass(frozen=True, slots=True)
class Pointer(Release):
    """The production contract: the release in force and how it came to be.

    ``generation`` counts the changes of champion or operating point from 1: A -> B -> A is three generations, so no
    content ever repeats. ``decision`` is the number of the record that put it in force. ``promoted_at`` and
    ``previous`` are about the model: since when it serves, and which one served before; a move of its operating point
    leaves both.
    """

    generation: int
    decision: int
    promoted_at: str
    previous: Release | None

    @property
    def release(self) -> Release:
        """The release alone, without how it came to be in force."""
        return Release(
            self.version,
            self.model_key,
            self.model_sha256,
            self.reference_key,
            self.metrics,
            self.threshold,
            point=self.point,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": "stillgood.production",
            "format_version": 1,
            # Named, not super(): slots=True makes a new class, and the old one's super() would be asked.
            **Release.to_dict(self),
            "generation": self.generation,
            "decision": self.decision,
            "promoted_at": self.promoted_at,
            "previous": None if self.previous is None else self.previous.to_dict(),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Pointer":
        """Raises KeyError, TypeError or ValueError for a malformed ``raw``."""
        release = Release.from_dict(raw)
        return cls(
            version=release.version,
            model_key=release.model_key,
            model_sha256=release.model_sha256,
            reference_key=release.reference_key,
            metrics=release.metrics,
            threshold=release.threshold,
            point=release.point,
            generation=_count(raw["generation"]),
            decision=_count(raw["decision"]),
            promoted_at=_text(raw["promoted_at"]),
            previous=None if raw["previous"] is None else Release.from_dict(raw["previous"]),
        )


@dataclass(frozen=True, slots=True)
class PointerMark:
    """Names one state of the pointer: its generation and the sha256 of its bytes."""

    generation: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision before it has a number.

    ``release`` is what to put in force; None leaves the champion (a refusal). ``figures`` and ``inputs`` are JSON-able;
    ``inputs`` names every object the decision was made from, as ``{name: {"key": ..., "sha256": ...}}``, so that it can
    be replayed.
    """

    at: str
    action: Action
    request_id: str
    candidate: str | None
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    release: Release | None = None

    def __post_init__(self) -> None:
        if (self.action in _LEAVES_CHAMPION) != (self.release is None):
            raise ValueError(f"a decision to {self.action} {'needs' if self.release is None else 'has no'} release")


@dataclass(frozen=True, slots=True)
class Decision:
    """One record of the decision log. ``prev_sha256`` is of the bytes of record ``n - 1``, None for the first.

    ``orders``: what holds after it; None in a record from before there were orders.
    """

    n: int
    prev_sha256: str | None
    at: str
    action: Action
    request_id: str
    candidate: str | None
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]
    inputs: Mapping[str, Any]
    pointer_before: PointerMark | None
    pointer_after: Pointer | None
    orders: Orders | None = None

    def to_dict(self) -> dict[str, Any]:
        before = self.pointer_before
        raw = {
            "format": "stillgood.decision",
            "format_version": 1,
            "n": self.n,
            "prev_sha256": self.prev_sha256,
            "at": self.at,
            "action": self.action,
            "request_id": self.request_id,
            "candidate": self.candidate,
            "reasons": list(self.reasons),
            "figures": dict(self.figures),
            "inputs": dict(self.inputs),
            "pointer_before": None if before is None else {"generation": before.generation, "sha256": before.sha256},
            "pointer_after": None if self.pointer_after is None else self.pointer_after.to_dict(),
        }
        return raw if self.orders is None else raw | {"orders": self.orders.to_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Decision":
        """Raises KeyError, TypeError or ValueError for a malformed ``raw``."""
        before, after = raw["pointer_before"], raw["pointer_after"]
        if raw["action"] not in get_args(Action):
            raise ValueError(f"unknown action {raw['action']!r}")
        return cls(
            n=_count(raw["n"]),
            prev_sha256=None if raw["prev_sha256"] is None else _text(raw["prev_sha256"]),
            at=_text(raw["at"]),
            action=cast(Action, raw["action"]),
            request_id=_text(raw["request_id"]),
            candidate=None if raw["candidate"] is None else _text(raw["candidate"]),
            reasons=tuple(_text(reason) for reason in raw["reasons"]),
            figures=dict(raw["figures"]),
            inputs=dict(raw["inputs"]),
            pointer_before=None
            if before is None
            else PointerMark(_count(before["generation"]), _text(before["sha256"])),
            pointer_after=None if after is None else Pointer.from_dict(after),
            orders=None if raw.get("orders") is None else Orders.from_dict(raw["orders"]),
        )


def decided(
    draft: Proposal, *, n: int, prev_sha256: str | None, champion: Pointer | None, before: PointerMark | None
) -> Decision:
    """``draft`` as record ``n``, on top of ``champion`` (whose mark is ``before``)."""
    after = None
    if draft.release is not None:
        release = draft.release
        # Another operating point of the same model: the model serves on.
        moved = champion is not None and champion.version == release.version and champion.point != release.point
        stays = champion if moved and draft.action != "promote" else None
        after = Pointer(
            version=release.version,
            model_key=release.model_key,
            model_sha256=release.model_sha256,
            reference_key=release.reference_key,
            metrics=release.metrics,
            threshold=release.threshold,
            point=release.point,
            generation=1 if champion is None else champion.generation + 1,
            decision=n,
            promoted_at=draft.at if stays is None else stays.promoted_at,
            previous=stays.previous if stays is not None else None if champion is None else champion.release,
        )
    return Decision(
        n=n,
        prev_sha256=prev_sha256,
        at=draft.at,
        action=draft.action,
        request_id=draft.request_id,
        candidate=draft.candidate,
        reasons=draft.reasons,
        figures=draft.figures,
        inputs=draft.inputs,
        pointer_before=before,
        pointer_after=after,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {type(value).__name__}")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise TypeError(f"a count from 1 expected, got {str(value)[:40]}")
    return value
