"""Numbers counted against the values of a reference: all that an exact Kolmogorov-Smirnov distance needs, and it adds
up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.drift.reference import Counts, Distribution, Floats

PROBABILITY_BINS = 1000
LOGIT_REACH = 12.0  # bins are equal steps of the logit of this size either way: .1% of .2% is seen, too


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Numbers placed among the m values of a reference distribution.

    ``at`` int64[m]: how many equal the i-th value. ``between`` int64[m + 1]: how many lie strictly before the first
    value, between neighbours, after the last. ``nulls``: rows without a number.
    """

    at: Counts
    between: Counts
    nulls: int

    @property
    def n(self) -> int:
        """Rows with a value."""
        return int(self.at.sum() + self.between.sum())

    @property
    def outside(self) -> int:
        """Rows whose value is below the least or above the greatest reference value."""
        return int(self.between[0] + self.between[-1]) if len(self.at) else int(self.between[0])

    @classmethod
    def of(cls, reference: Distribution, column: npt.ArrayLike) -> Self:
        """Place ``column``, float64[n] with NaN for null.

        The column is sorted and the m values are searched in it: sorting is the whole cost, and vectorised by numpy.

        >>> reference = Distribution.of([1.0, 2.0, 2.0])
        >>> Histogram.of(reference, [0.5, 1.0, 1.5, 2.0, 9.0, float("nan")])
        Histogram(at=array([1, 1]), between=array([1, 1, 1]), nulls=1)
        """
        numbers = np.sort(np.asarray(column, dtype=np.float64))
        if numbers.size and np.isnan(numbers[-1]):  # NaN sorts last
            numbers = numbers[: np.searchsorted(numbers, np.nan)]
        present = len(numbers)
        before = np.searchsorted(numbers, reference.values, side="left")
        # Only a value that occurs ends elsewhere than it begins; few of thousands do when numbers are continuous.
        until = before.copy()
        occurs = np.flatnonzero(numbers.take(before, mode="clip") == reference.values) if present else before[:0]
        until[occurs] = np.searchsorted(numbers, reference.values[occurs], side="right")
        edges = np.append(before, present)
        edges[1:] -= until
        return cls(until - before, edges, np.size(column) - present)

    @classmethod
    def empty(cls, reference: Distribution) -> Self:
        m = len(reference.values)
        return cls(np.zeros(m, dtype=np.int64), np.zeros(m + 1, dtype=np.int64), 0)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.at + other.at, self.between + other.between, self.nulls + other.nulls)

    def to_dict(self) -> dict[str, Any]:
        """Counts that are not 0 only: an hour's rows touch few of the reference's thousands of values."""
        return {"at": _sparse(self.at), "between": _sparse(self.between), "nulls": self.nulls}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], reference: Distribution) -> Self:
        """Raises KeyError, TypeError, IndexError or ValueError for what was not placed among ``reference``'s values."""
        m = len(reference.values)
        return cls(_dense(data["at"], m), _dense(data["between"], m + 1), int(data["nulls"]))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """What the champion itself said about its rows.

    ``placed``: scores (0 to 1) among the reference's. ``confidence``: sum and sum of squares of |score - 0.5|.
    ``bins`` float64[2, 2, PROBABILITY_BINS]: calibrated probabilities by decision (0 leave, 1 act) and bin of the
    logit, their number first and their sum second.
    """

    placed: Histogram
    confidence: tuple[float, float]
    bins: Floats

    @property
    def n(self) -> int:
        """Rows scored by the champion."""
        return self.placed.n

    @classmethod
    def of(
        cls, reference: Distribution, scores: npt.ArrayLike, probabilities: npt.ArrayLike, decisions: npt.ArrayLike
    ) -> Self:
        """``scores`` and ``probabilities`` float64[n] in 0..1, ``decisions`` bool[n]."""
        score, probability = np.asarray(scores, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
        acted = np.asarray(decisions, dtype=bool)
        distance = np.abs(score - 0.5)
        place = probability_bins(probability)
        place += acted * PROBABILITY_BINS
        numbers = np.bincount(place, minlength=2 * PROBABILITY_BINS).astype(np.float64)
        sums = np.bincount(place, weights=probability, minlength=2 * PROBABILITY_BINS)
        bins = np.stack((numbers.reshape(2, -1), sums.reshape(2, -1)), axis=1)
        # Not a dot product: the BLAS would wake threads that spin, and cost more processor time than all the rest.
        return cls(Histogram.of(reference, score), (float(distance.sum()), float(np.square(distance).sum())), bins)

    @classmethod
    def empty(cls, reference: Distribution) -> Self:
        return cls(Histogram.empty(reference), (0.0, 0.0), np.zeros((2, 2, PROBABILITY_BINS)))

    def __add__(self, other: Self) -> Self:
        total, squares = (mine + theirs for mine, theirs in zip(self.confidence, other.confidence, strict=True))
        return type(self)(self.placed + other.placed, (total, squares), self.bins + other.bins)

    def to_dict(self) -> dict[str, Any]:
        return {
            "placed": self.placed.to_dict(),
            "confidence": list(self.confidence),
            "bins": _sparse(self.bins.reshape(-1)),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], reference: Distribution) -> Self:
        total, squares = data["confidence"]
        bins = _dense(data["bins"], 4 * PROBABILITY_BINS, np.float64).reshape(2, 2, PROBABILITY_BINS)
        return cls(Histogram.from_dict(data["placed"], reference), (float(total), float(squares)), bins)


def probability_bins(probability: Floats) -> npt.NDArray[np.int64]:
    """int64[n]: the bin of each probability in 0..1, PROBABILITY_BINS equal steps of the logit from -12 to 12.

    >>> probability_bins(np.array([0.0, 0.001, 0.002, 0.5, 1.0])).tolist()
    [0, 212, 241, 500, 999]
    """
    inside = np.clip(probability, 2.0**-52, 1.0 - 2.0**-52)
    logit = np.log(inside) - np.log1p(-inside)
    place = np.floor((logit + LOGIT_REACH) * (PROBABILITY_BINS / (2 * LOGIT_REACH)))
    return np.clip(place, 0, PROBABILITY_BINS - 1).astype(np.int64)


def _sparse(counts: npt.NDArray[Any]) -> dict[str, Any]:
    where = np.flatnonzero(counts)
    return {"i": where.tolist(), "n": counts[where].tolist()}


def _dense(data: Mapping[str, Any], size: int, dtype: type = np.int64) -> npt.NDArray[Any]:
    counts: npt.NDArray[Any] = np.zeros(size, dtype=dtype)
    where = np.asarray(data["i"], dtype=np.int64)
    if np.any(where < 0):
        raise ValueError("a place is counted from 0")
    counts[where] = np.asarray(data["n"], dtype=dtype)
    return counts
