"""What monitoring remembers from window to window: streaks of drift, and the retrains it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

FORMAT = "stillgood.monitor-state"


@dataclass(frozen=True, slots=True)
class Retrain:
    """A retrain that was asked for: by which ``window`` (its id), ``at`` its end (aware, UTC), on data of which hash,
    and
    of which champion (``version``; empty where an older state did not say). ``grave``: labels said that the champion
    had failed.
    ``unlearnt_rows``: labelled predictions there were that the champion had not learnt from.
    """

    window: str
    at: datetime
    data_sha256: str
    version: str = ""
    grave: bool = False
    unlearnt_rows: int = 0


@dataclass(frozen=True, slots=True)
class MonitorState:
    """``last_window``: id of the newest window decided. ``version``: the champion it was decided about.

    ``streaks``: consecutive windows in which a check drifted, by the check's name. ``retrains``: oldest first.
    ``standing``: what lasts (see standing.py), as it is stored.
    ``repairs``: rows in which a blank was filled, by feature, in usual windows; under "" all their rows.
    ``point``: what ``steps/monitor/follow.py`` remembers of the operating point. ``pooled_since``: the start (aware,
    UTC) of the newest windows in a row that had too few rows to be judged, None where the last one was judged.
    """

    last_window: str | None = None
    version: str | None = None
    streaks: Mapping[str, int] = field(default_factory=dict)
    retrains: tuple[Retrain, ...] = ()
    standing: tuple[Mapping[str, Any], ...] = ()
    point: Mapping[str, Any] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)
    pooled_since: datetime | None = None

    def streaks_of(self, version: str) -> Mapping[str, int]:
        """The streaks that count for champion ``version``: another champion has another reference, so they start
        again.
        """
        return self.streaks if version == self.version else {}

    @property
    def last_retrain(self) -> Retrain | None:
        return self.retrains[-1] if self.retrains else None

    def grave_attempts(self, version: str) -> tuple[Retrain, ...]:
        """The retrains asked of champion ``version`` because labels said that it had failed, oldest first."""
        return tuple(retrain for retrain in self.retrains if retrain.grave and retrain.version == version)

    def attempts(self, version: str) -> int:
        """How many of the newest retrains in a row were asked of champion ``version``: it has withstood all but the
        last.
        """
        return next(
            (count for count, retrain in enumerate(reversed(self.retrains)) if retrain.version != version),
            len(self.retrains),
        )

    def retrains_within(self, period: timedelta, until: datetime) -> int:
        """How many retrains were asked for in (until - period, until]."""
        return sum(until - period < retrain.at <= until for retrain in self.retrains)

    def to_dict(self) -> dict[str, Any]:
        raw = {
            "last_window": self.last_window,
            "version": self.version,
            "streaks": dict(self.streaks),
            "retrains": [
                {
                    "window": retrain.window,
                    "at": retrain.at.isoformat(),
                    "data_sha256": retrain.data_sha256,
                    "version": retrain.version,
                    **({"grave": True} if retrain.grave else {}),
                    **({"unlearnt_rows": retrain.unlearnt_rows} if retrain.unlearnt_rows else {}),
                }
                for retrain in self.retrains
            ],
        } | ({"standing": [dict(state) for state in self.standing]} if self.standing else {})
        if self.repairs:
            raw |= {"repairs": dict(self.repairs)}
        if self.pooled_since:
            raw |= {"pooled_since": self.pooled_since.isoformat()}
        return raw | {"point": dict(self.point)} if self.point else raw

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is not a state."""
        return cls(
            last_window=data["last_window"],
            version=data["version"],
            streaks={str(name): int(count) for name, count in data["streaks"].items()},
            point=dict(data.get("point", {})),
            repairs={str(name): int(count) for name, count in data.get("repairs", {}).items()},
            pooled_since=datetime.fromisoformat(data["pooled_since"]) if data.get("pooled_since") else None,
            retrains=tuple(
                Retrain(
                    str(retrain["window"]),
                    datetime.fromisoformat(retrain["at"]),
                    str(retrain["data_sha256"]),
                    str(retrain.get("version", "")),
                    retrain.get("grave") is True,
                    int(retrain.get("unlearnt_rows", 0)),
                )
                for retrain in data["retrains"]
            ),
            standing=tuple(dict(state) for state in data.get("standing", ())),
        )
