"""A window and its reference in few numbers: what a page draws, and the distances people know. Stored in the report."""

from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.drift.distances import (
    jensen_shannon_distance,
    population_stability_index,
    wasserstein_distance,
)
from stillgood.domain.drift.histograms import Histogram, ScoreHistogram
from stillgood.domain.drift.profile import Profile
from stillgood.domain.drift.reference import Distribution, Levels, Reference

MAX_BINS = 20
MAX_LEVELS = 12  # the most frequent ones; all others count together
OTHER = "(other)"


def distributions(reference: Reference, window: Profile) -> dict[str, Any]:
    """Each feature's reference and window over the same bins or levels, with the distances between them. JSON-able."""
    found: dict[str, Any] = {}
    for name, values in reference.numeric.items():
        found[name] = numeric_summary(values, window.numeric[name])
    for name, levels in reference.categorical.items():
        found[name] = categorical_summary(levels, window.categorical[name])
    return found


def numeric_summary(reference: Distribution, window: Histogram) -> dict[str, Any]:
    """``edges`` [k + 1] with at most MAX_BINS bins between the reference's ends; rows beyond them are ``below`` and
    ``above``.

    >>> reference = Distribution.of([0.0, 1.0, 2.0, 4.0])
    >>> found = numeric_summary(reference, Histogram.of(reference, [1.5, 1.7, 9.0, float("nan")]))
    >>> found["edges"], found["reference"], found["window"], found["above"], found["window_missing"]
    ([0.0, 1.0, 2.0, 4.0, 6.0], [1, 1, 1, 1], [0, 2, 0, 0], 1, 1)
    """
    values = reference.values
    if len(values) == 0:
        return {
            "kind": "numeric",
            "edges": [],
            "reference": [],
            "window": [],
            "below": window.n,
            "above": 0,
        } | _missing(reference.nulls, window.nulls)
    starts, edges = _bins(values)
    expected = np.add.reduceat(reference.counts, starts)
    # Behind value i lies the gap i + 1; the last gap is above the greatest value.
    inside = window.at.copy()
    inside[:-1] += window.between[1:-1]
    counted = np.add.reduceat(inside, starts)
    return {
        "kind": "numeric",
        "edges": edges,
        "reference": expected.tolist(),
        "window": counted.tolist(),
        "below": int(window.between[0]),
        "above": int(window.between[-1]),
        "psi": population_stability_index(
            np.concatenate(([0], expected, [0])),
            np.concatenate(([window.between[0]], counted, [window.between[-1]])),
        ),
        "jensen_shannon": jensen_shannon_distance(expected, counted),
        "wasserstein": wasserstein_distance(edges, expected, counted),
    } | _missing(reference.nulls, window.nulls)


def categorical_summary(reference: Levels, window: Levels) -> dict[str, Any]:
    """The MAX_LEVELS most frequent levels of both together, then ``(other)``; unseen and missing values beside them.

    >>> found = categorical_summary(Levels.of(("no", "yes"), [0, 0, 1]), Levels.of(("no", "yes"), [1, -2]))
    >>> found["levels"], found["reference"], found["window"], found["unseen"]
    (['no', 'yes'], [2, 1], [0, 1], 1)
    """
    known = len(reference.levels)
    expected, counted = reference.counts[:known], window.counts[:known]
    order = np.argsort(-(expected + counted), kind="stable")
    shown = np.sort(order[:MAX_LEVELS]) if known > MAX_LEVELS else np.arange(known)
    rest = np.setdiff1d(np.arange(known), shown)
    levels = [reference.levels[index] for index in shown]
    first, second = expected[shown].tolist(), counted[shown].tolist()
    if len(rest):
        levels.append(OTHER)
        first.append(int(expected[rest].sum()))
        second.append(int(counted[rest].sum()))
    return {
        "kind": "categorical",
        "levels": levels,
        "reference": first,
        "window": second,
        "unseen": int(window.counts[known]),
        "psi": population_stability_index([*expected, reference.counts[known]], [*counted, window.counts[known]]),
        "jensen_shannon": jensen_shannon_distance(
            [*expected, reference.counts[known]], [*counted, window.counts[known]]
        ),
    } | _missing(int(reference.counts[known + 1]), int(window.counts[known + 1]))


def score_summary(reference: Reference, scores: ScoreHistogram) -> dict[str, Any]:
    """The champion's own rows: their scores beside the reference's, 20 bins of calibrated probability, share flagged
    and mean.
    """
    numbers, sums = scores.bins[:, 0], scores.bins[:, 1]
    total = float(numbers.sum())
    return {
        "score": numeric_summary(reference.score, scores.placed),
        "probabilities": _twentieths(numbers.sum(axis=0), sums.sum(axis=0)),
        "flagged_share": float(numbers[1].sum()) / total if total else None,
        "mean_probability": float(sums.sum()) / total if total else None,
    }


def _twentieths(numbers: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]) -> list[int]:
    """How many rows have a probability in each twentieth of 0 to 1, by the mean probability of their bin."""
    some = numbers > 0
    place = np.minimum((sums[some] / numbers[some] * 20).astype(np.int64), 19)
    counts = np.bincount(place, numbers[some], 20).astype(np.int64)
    return [int(count) for count in counts]


def _bins(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], list[float]]:
    """Indices at which the bins begin, and their edges. Few values get a bin each; many get equal widths, empty ones
    merged.
    """
    if len(values) <= MAX_BINS:
        step = float(values[-1] - values[-2]) if len(values) > 1 else 1.0
        return np.arange(len(values), dtype=np.int64), [*values.tolist(), float(values[-1]) + step]
    wanted = np.linspace(values[0], values[-1], MAX_BINS + 1)[:-1]
    starts = np.unique(np.searchsorted(values, wanted, side="left"))
    return starts, [*values[starts].tolist(), float(values[-1])]


def _missing(reference: int, window: int) -> dict[str, Any]:
    return {"reference_missing": reference, "window_missing": window}
