"""A set of captured rows, counted against one reference: small, exact for every statistic of ``drift.py``, and
mergeable.

An hour's profile is stored once and added to others, so that a window costs its new rows only and memory stays flat.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy.typing as npt

from stillgood.domain.contract.frame import Frame
from stillgood.domain.drift.callers import CallerRows, added, largest
from stillgood.domain.drift.histograms import Histogram, ScoreHistogram
from stillgood.domain.drift.reference import (
    Distribution,
    Levels,
    Reference,
    build_reference,
    codes_of,
    is_category,
    levels_of,
    watched,
)
from stillgood.domain.formats import NEWEST
from stillgood.domain.statistics.repeats import EntitySample

__all__ = [
    "Distribution",
    "Histogram",
    "Levels",
    "Profile",
    "Reference",
    "ScoreHistogram",
    "build_reference",
    "profile",
]

FORMAT = "stillgood.profile"
FORMAT_VERSION = NEWEST["profile"]  # a cache of captures: what other code counted is counted again


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """``rows`` accepted rows counted against a reference, and what was refused meanwhile.

    ``models``: rows per model version (features are compared over all of them, ``scores`` over the champion's own).
    ``refused`` requests' rows broke the contract; ``violations`` counts them by (field, rule), one row under each of
    its rules. ``unreadable`` captured lines could not be read. ``entities``: how the rows spread over them, empty where
    that is not known.
    ``repairs``: accepted rows in which a feature was blank and got ``if_missing``, by its name. ``requests``: objects
    that the API captured them in, one a request; 0 where they came by batch or Firehose alone. ``callers``: rows by who
    asked, as far as API Gateway knows. ``batches``: outputs of batch they came by; ``delivered``: marks of the objects
    that Firehose delivered them in. ``largest_refusal``: refused rows of the request that had most of them.
    """

    rows: int
    numeric: Mapping[str, Histogram]
    categorical: Mapping[str, Levels]
    scores: ScoreHistogram
    models: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    violations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unreadable: int = 0
    entities: EntitySample = field(default_factory=EntitySample.empty)
    repairs: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    callers: Mapping[str, CallerRows] = field(default_factory=dict)
    largest_refusal: int = 0
    batches: int = 0
    delivered: frozenset[str] = frozenset()

    @classmethod
    def empty(cls, reference: Reference) -> Self:
        """No rows; the neutral element of ``+``."""
        return cls(
            rows=0,
            numeric={name: Histogram.empty(values) for name, values in reference.numeric.items()},
            categorical={name: Levels.of(part.levels, ()) for name, part in reference.categorical.items()},
            scores=ScoreHistogram.empty(reference.score),
        )

    def __add__(self, other: Self) -> Self:
        """Both sets of rows together, as if they had been profiled at once. Raises ValueError for different
        references.
        """
        if self.numeric.keys() != other.numeric.keys() or self.categorical.keys() != other.categorical.keys():
            raise ValueError("profiles of different references cannot be added")
        return type(self)(
            rows=self.rows + other.rows,
            numeric={name: part + other.numeric[name] for name, part in self.numeric.items()},
            categorical={name: part + other.categorical[name] for name, part in self.categorical.items()},
            scores=self.scores + other.scores,
            models=_added(self.models, other.models),
            refused=self.refused + other.refused,
            violations=_added(self.violations, other.violations),
            unreadable=self.unreadable + other.unreadable,
            entities=self.entities + other.entities,
            repairs=_added(self.repairs, other.repairs),
            requests=self.requests + other.requests,
            callers=added(self.callers, other.callers),
            largest_refusal=max(self.largest_refusal, other.largest_refusal),
            batches=self.batches + other.batches,
            delivered=self.delivered | other.delivered,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "rows": self.rows,
            "numeric": {name: part.to_dict() for name, part in self.numeric.items()},
            "categorical": {name: part.to_dict() for name, part in self.categorical.items()},
            "scores": self.scores.to_dict(),
            "models": dict(self.models),
            "refused": self.refused,
            "violations": [[*where, count] for where, count in sorted(self.violations.items())],
            "unreadable": self.unreadable,
            "repairs": dict(self.repairs),
            "requests": self.requests,
            "callers": {name: [rows.accepted, rows.refused] for name, rows in self.callers.items()},
            "largest_refusal": self.largest_refusal,
            "batches": self.batches,
            "delivered": sorted(self.delivered),
        } | ({"entities": self.entities.to_dict()} if self.entities.rows else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], reference: Reference) -> Self:
        """Raises KeyError, TypeError, IndexError or ValueError for what is not a profile against ``reference``."""
        if data["format_version"] != FORMAT_VERSION:
            raise ValueError("the profile was counted by other code")
        categorical = {name: Levels.from_dict(data["categorical"][name]) for name in reference.categorical}
        if any(part.levels != reference.categorical[name].levels for name, part in categorical.items()):
            raise ValueError("the profile has other levels than the reference")
        return cls(
            rows=int(data["rows"]),
            numeric={
                name: Histogram.from_dict(data["numeric"][name], part) for name, part in reference.numeric.items()
            },
            categorical=categorical,
            scores=ScoreHistogram.from_dict(data["scores"], reference.score),
            models={str(version): int(count) for version, count in data["models"].items()},
            refused=int(data["refused"]),
            violations={(str(name), str(rule)): int(count) for name, rule, count in data["violations"]},
            unreadable=int(data["unreadable"]),
            entities=EntitySample.from_dict(data["entities"]) if "entities" in data else EntitySample.empty(),
            repairs={str(name): int(count) for name, count in data["repairs"].items()},
            requests=int(data.get("requests", 0)),
            callers={str(name): CallerRows(*map(int, rows)) for name, rows in data.get("callers", {}).items()},
            largest_refusal=int(data.get("largest_refusal", 0)),
            batches=int(data["batches"]),
            delivered=frozenset(map(str, data["delivered"])),
        )


def profile(
    reference: Reference,
    frame: Frame,
    scores: npt.ArrayLike = (),
    probabilities: npt.ArrayLike = (),
    decisions: npt.ArrayLike = (),
    *,
    models: Mapping[str, int] | None = None,
    refused: int = 0,
    violations: Mapping[tuple[str, str], int] | None = None,
    unreadable: int = 0,
    entities: EntitySample | None = None,
    repairs: Mapping[str, int] | None = None,
    callers: Mapping[str, CallerRows] | None = None,
    largest_refusal: int = 0,
) -> Profile:
    """Count the rows of ``frame`` against ``reference``.

    ``scores``, ``probabilities`` float64[k] in 0..1 and ``decisions`` bool[k] are of the champion's own rows, k <=
    frame.n.
    """
    features = watched(frame.contract)
    return Profile(
        rows=frame.n,
        numeric={
            feature.name: Histogram.of(reference.numeric[feature.name], frame.columns[feature.name])
            for feature in features
            if not is_category(feature)
        },
        categorical={
            feature.name: Levels.of(levels_of(feature), codes_of(feature, frame.columns[feature.name]))
            for feature in features
            if is_category(feature)
        },
        scores=ScoreHistogram.of(reference.score, scores, probabilities, decisions),
        models=dict(models or {}),
        refused=refused,
        violations=dict(violations or {}),
        unreadable=unreadable,
        entities=entities or EntitySample.empty(),
        repairs=dict(repairs or {}),
        callers=largest(callers or {}),
        largest_refusal=largest_refusal,
    )


def _added[K](left: Mapping[K, int], right: Mapping[K, int]) -> dict[K, int]:
    return {key: left.get(key, 0) + right.get(key, 0) for key in sorted({*left, *right}, key=str)}
