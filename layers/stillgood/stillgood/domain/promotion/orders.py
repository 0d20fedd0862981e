"""What people ordered, and what waits for them: the mode, a hold, versions they rejected, and open cases.

Each record of the decision log carries the orders that hold after it, so the newest record alone says them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

Mode = Literal["watch", "ask", "automatic"]
CaseKind = Literal["promote", "rollback", "move"]


@dataclass(frozen=True, slots=True)
class Said:
    """Decision number ``decision`` at ``since`` (ISO 8601): ``by`` whom, None where nobody gave a name, and
    ``because``.
    """

    decision: int
    since: str
    by: str | None
    because: str

    def to_dict(self) -> dict[str, Any]:
        return {"decision": self.decision, "since": self.since, "by": self.by, "because": self.because}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Said":
        """Raises KeyError, TypeError or ValueError."""
        by = raw["by"]
        return cls(int(raw["decision"]), str(raw["since"]), None if by is None else str(by), str(raw["because"]))


@dataclass(frozen=True, slots=True)
class ModeOrder:
    """``mode`` until another one is said."""

    mode: Mode
    said: Said

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "ModeOrder":
        """Raises KeyError, TypeError or ValueError."""
        return cls(checked_mode(raw["mode"]), Said.from_dict(raw))


@dataclass(frozen=True, slots=True)
class Hold:
    """A person rolled back from ``version`` to ``to``: no schedule promotes until a release, or a promotion by hand."""

    version: str
    to: str
    said: Said

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Hold":
        """Raises KeyError, TypeError or ValueError."""
        return cls(str(raw["version"]), str(raw["to"]), Said.from_dict(raw))


@dataclass(frozen=True, slots=True)
class Case:
    """Decision ``n`` asks a person whether ``candidate`` may be put in force; open until ``expires`` (ISO 8601).

    ``generation``: of the pointer that it was judged against, None where nothing served.
    """

    n: int
    kind: CaseKind
    candidate: str
    since: str
    expires: str
    generation: int | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "kind": self.kind,
            "candidate": self.candidate,
            "since": self.since,
            "expires": self.expires,
            "generation": self.generation,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Case":
        """Raises KeyError, TypeError or ValueError."""
        if raw["kind"] not in get_args(CaseKind):
            raise ValueError(f"unknown kind of case {raw['kind']!r}")
        generation = raw["generation"]
        return cls(
            int(raw["n"]),
            cast(CaseKind, raw["kind"]),
            str(raw["candidate"]),
            str(raw["since"]),
            str(raw["expires"]),
            None if generation is None else int(generation),
        )


@dataclass(frozen=True, slots=True)
class SettingsOrder:
    """Settings that hold without a model: ``contract`` is the sha256 of the stored bytes, ``learnt_by`` the contract's
    own hash, by which a model is known that was trained under it."""

    contract: str
    learnt_by: str
    said: Said

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "SettingsOrder":
        """Raises KeyError, TypeError or ValueError."""
        return cls(str(raw["contract"]), str(raw["learnt_by"]), Said.from_dict(raw))


@dataclass(frozen=True, slots=True)
class Orders:
    """``mode`` None: nobody said one, so that of the deployment holds. ``waiting``: at most one case of a kind.

    ``settings`` None: a model is watched by the contract that it was trained by.
    """

    mode: ModeOrder | None = None
    hold: Hold | None = None
    rejected: tuple[str, ...] = ()
    waiting: tuple[Case, ...] = ()
    settings: SettingsOrder | None = None

    def case(self, n: int) -> Case | None:
        """The open case of decision ``n``."""
        return next((case for case in self.waiting if case.n == n), None)

    def mode_or(self, deployed: str) -> Mode:
        """The mode in force, where ``deployed`` is the deployment's."""
        return checked_mode(deployed) if self.mode is None else self.mode.mode

    def to_dict(self) -> dict[str, Any]:
        """Only what holds; nothing of it for a deployment as it began."""
        raw: dict[str, Any] = {}
        if self.mode is not None:
            raw["mode"] = {"mode": self.mode.mode, **self.mode.said.to_dict()}
        if self.hold is not None:
            raw["hold"] = {"version": self.hold.version, "to": self.hold.to, **self.hold.said.to_dict()}
        if self.rejected:
            raw["rejected"] = list(self.rejected)
        if self.waiting:
            raw["waiting"] = [case.to_dict() for case in self.waiting]
        if self.settings is not None:
            named = {"contract": self.settings.contract, "learnt_by": self.settings.learnt_by}
            raw["settings"] = {**named, **self.settings.said.to_dict()}
        return raw

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Orders":
        """Raises KeyError, TypeError or ValueError."""
        return cls(
            mode=ModeOrder.from_dict(raw["mode"]) if raw.get("mode") else None,
            hold=Hold.from_dict(raw["hold"]) if raw.get("hold") else None,
            rejected=tuple(str(version) for version in raw.get("rejected", ())),
            waiting=tuple(Case.from_dict(case) for case in raw.get("waiting", ())),
            settings=SettingsOrder.from_dict(raw["settings"]) if raw.get("settings") else None,
        )


def checked_mode(mode: object) -> Mode:
    """Raises ValueError for what is no mode."""
    if mode not in get_args(Mode):
        raise ValueError(f"unknown mode {str(mode)[:40]!r}; one of {', '.join(get_args(Mode))}")
    return cast(Mode, mode)
