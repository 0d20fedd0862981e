"""What the training rows looked like: the frozen profile that every later window is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import pair_contribution
from stillgood.domain.statistics.repeats import EntitySample

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

FORMAT = "stillgood.reference"
# 20,000 reference rows put a standard error of 0.007 on a distribution function, far inside the effects that count;
# more would only make every window's Kolmogorov-Smirnov sums and the stored file longer.
MAX_ROWS = 20_000
BOOLEAN_LEVELS = ("false", "true")


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The values of one number: ``values`` float64[m] strictly ascending, ``counts`` int64[m] of each, ``nulls`` rows
    without one.
    """

    values: Floats
    counts: Counts
    nulls: int

    @property
    def n(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @classmethod
    def of(cls, column: npt.ArrayLike) -> Self:
        """Count ``column``, float64[n] with NaN for null.

        >>> Distribution.of([2.0, float("nan"), 1.0, 2.0])
        Distribution(values=array([1., 2.]), counts=array([1, 2]), nulls=1)
        """
        numbers = np.asarray(column, dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        values, counts = np.unique(present, return_counts=True)
        return cls(values, counts.astype(np.int64), len(numbers) - len(present))

    def to_dict(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "counts": self.counts.tolist(), "nulls": self.nulls}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError for a missing part, ValueError for values that do not ascend or counts that do not fit."""
        values = np.asarray(data["values"], dtype=np.float64)
        counts = np.asarray(data["counts"], dtype=np.int64)
        # Not "diff <= 0", which a NaN would pass.
        if values.ndim != 1 or not np.all(np.isfinite(values)) or not np.all(np.diff(values) > 0):
            raise ValueError("reference values must be finite and ascend strictly")
        if counts.shape != values.shape or np.any(counts < 1) or int(data["nulls"]) < 0:
            raise ValueError("reference counts must be one positive integer per value")
        return cls(values, counts, int(data["nulls"]))


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The values of one category: ``counts`` int64[len(levels) + 2], per level, then unseen, then null."""

    levels: tuple[str, ...]
    counts: Counts

    @classmethod
    def of(cls, levels: tuple[str, ...], codes: npt.ArrayLike) -> Self:
        """Count ``codes``, int[n]: an index into ``levels``, -1 for null, -2 for unseen.

        >>> Levels.of(("no", "yes"), [1, 0, 1, -1]).counts.tolist()
        [1, 2, 0, 1]
        """
        # Codes -2, -1 wrap to the places of unseen and null behind the levels.
        wrapped = np.asarray(codes, dtype=np.int64) % (len(levels) + 2)
        return cls(levels, np.bincount(wrapped, minlength=len(levels) + 2).astype(np.int64))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.levels, self.counts + other.counts)

    def to_dict(self) -> dict[str, Any]:
        return {"levels": list(self.levels), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError for a missing part, ValueError for counts that do not fit."""
        levels = tuple(str(level) for level in data["levels"])
        counts = np.asarray(data["counts"], dtype=np.int64)
        if counts.shape != (len(levels) + 2,) or np.any(counts < 0):
            raise ValueError("reference counts must be one integer per level, then unseen, then null")
        return cls(levels, counts)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The training rows of model ``version``: each feature's values, and the ``score``s (0 to 1) of rows the scoring
    model had not seen.

    ``contributions``: mean and variance of what each pair of features added, in logits; what one feature added follows
    from its values. ``repeats``: rows per independent row, above 1 where entities have several
    (``EntitySample.repeats``).
    """

    version: str
    rows: int
    numeric: Mapping[str, Distribution]
    categorical: Mapping[str, Levels]
    score: Distribution
    repeats: float = 1.0
    contributions: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def confidence(self) -> tuple[float, float]:
        """Mean and variance (n - 1 in the denominator, 0 for one row) of |score - 0.5|, each 0 to 0.5. 0, 0 without
        scores.
        """
        return mean_and_variance(np.abs(self.score.values - 0.5), self.score.counts)

    def to_dict(self) -> dict[str, Any]:
        pairs = {name: list(moments) for name, moments in self.contributions.items()}
        raw = {
            "format": FORMAT,
            "format_version": 1,
            "version": self.version,
            "rows": self.rows,
            "numeric": {name: distribution.to_dict() for name, distribution in self.numeric.items()},
            "categorical": {name: levels.to_dict() for name, levels in self.categorical.items()},
            "score": self.score.to_dict(),
        } | ({} if self.repeats == 1.0 else {"repeats": self.repeats})
        return raw | {"contributions": pairs} if pairs else raw

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is not a reference."""
        return cls(
            version=str(data["version"]),
            rows=int(data["rows"]),
            numeric={name: Distribution.from_dict(part) for name, part in data["numeric"].items()},
            categorical={name: Levels.from_dict(part) for name, part in data["categorical"].items()},
            score=Distribution.from_dict(data["score"]),
            repeats=_repeats(data.get("repeats", 1.0)),
            contributions={
                name: (float(mean), float(spread)) for name, (mean, spread) in data.get("contributions", {}).items()
            },
        )


def _repeats(value: object) -> float:
    repeats = float(str(value))
    if not 1.0 <= repeats < np.inf:
        raise ValueError(f"rows per independent row are at least 1, got {repeats}")
    return repeats


def mean_and_variance(values: Floats, counts: Counts) -> tuple[float, float]:
    """Of ``values`` float64[m], each occurring ``counts`` int64[m] times."""
    n = int(counts.sum())
    if n == 0:
        return 0.0, 0.0
    mean = float((values * counts).sum()) / n
    return mean, float((np.square(values - mean) * counts).sum()) / (n - 1) if n > 1 else 0.0


def build_reference(
    model: Model,
    frame: Frame,
    scores: npt.ArrayLike,
    *,
    entities: npt.NDArray[np.uint64] | None = None,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
) -> Reference:
    """The reference of ``model``'s training rows ``frame`` and their out-of-fold ``scores``, float64[n] in 0..1 (not
    those of
    rows the model was fitted on: they are too sure). ``entities`` uint64[n]: whose rows they are, None for one row
    each.

    More than ``max_rows`` rows are sampled, the same ones for the same ``seed``. Raises ValueError for lengths that
    differ.
    """
    score = np.asarray(scores, dtype=np.float64)
    if score.shape != (frame.n,):
        raise ValueError(f"one score per row: got {score.shape} for {frame.n} rows")
    if frame.n > max_rows:
        sample = np.sort(np.random.default_rng(seed).choice(frame.n, size=max_rows, replace=False))
        frame, score = frame.take(sample), score[sample]
        entities = None if entities is None else entities[sample]
    features = watched(model.contract)
    return Reference(
        version=model.version,
        rows=frame.n,
        numeric={
            feature.name: Distribution.of(frame.columns[feature.name])
            for feature in features
            if not is_category(feature)
        },
        categorical={
            feature.name: Levels.of(levels_of(feature), codes_of(feature, frame.columns[feature.name]))
            for feature in features
            if is_category(feature)
        },
        score=Distribution.of(score),
        contributions={
            pair.name: mean_and_variance(pair_contribution(pair, frame), np.ones(frame.n, dtype=np.int64))
            for pair in model.pairs
        },
        repeats=1.0 if entities is None else EntitySample.of(entities).repeats,
    )


def watched(contract: Contract) -> tuple[Feature, ...]:
    """The features that are compared: those whose values predict may capture, so none that is personal data."""
    return tuple(feature for feature in contract.features if not feature.pii)


def is_category(feature: Feature) -> bool:
    """Whether the feature is compared as a category. A boolean is one, of two levels: the test of two shares is the
    sharper one.
    """
    return feature.categorical or feature.kind == "boolean"


def levels_of(feature: Feature) -> tuple[str, ...]:
    """The levels a category is counted under."""
    return BOOLEAN_LEVELS if feature.kind == "boolean" else feature.levels


def codes_of(feature: Feature, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A category's column of a Frame as codes int[n] into ``levels_of(feature)``; -1 null, -2 unseen."""
    if feature.kind != "boolean":
        return column
    return np.where(np.isnan(column), -1, column != 0.0).astype(np.int64)
