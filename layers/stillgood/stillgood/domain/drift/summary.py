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
    summaries: dict[str, Any] = {}
    for name, values in reference.numeric.items():
        summaries[name] = numeric_summary(values, window.numeric[name])
    for name, levels in reference.categorical.items():
        summaries[name] = categorical_summary(levels, window.categorical[name])
    return summaries


def numeric_summary(reference: Distribution, window: Histogram) -> dict[str, Any]:
    """``edges`` [k + 1] with at most MAX_BINS bins between the reference's ends; rows beyond them are ``below`` and
    ``above``.

    >>> reference = Distribution.of([0.0, 1.0, 2.0, 4.0])
    >>> summary = numeric_summary(reference, Histogram.of(reference, [1.5, 1.7, 9.0, float("nan")]))
    >>> summary["edges"], summary["reference"], summary["window"], summary["above"], summary["window_missing"]
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

    >>> summary = categorical_summary(Levels.of(("no", "yes"), [0, 0, 1]), Levels.of(("no", "yes"), [1, -2]))
    >>> summary["levels"], summary["reference"], summary["window"], summary["unseen"]
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


def moved(reference: Distribution | Levels, window: Histogram | Levels, unit: str = "") -> str:
    """Which way a feature moved and by how much, in its own unit: by the median; where that stays, by the middle half;
    of a category, by the level whose share changed most. Empty where there is nothing to compare.

    >>> reference = Distribution.of([30.0, 31.0, 32.0])
    >>> moved(reference, Histogram.of(reference, [41.0, 42.0, 43.0]), "years")
    'higher by at least 1 years (median 31, now above 32)'
    >>> moved(Levels.of(("no", "yes"), [0, 0, 0, 1]), Levels.of(("no", "yes"), [1, 1, 0, 1]))
    "fewer of 'no' (75.0% to 25.0%)"
    """
    if isinstance(reference, Distribution) and isinstance(window, Histogram):
        return _number_moved(reference, window, f" {unit}" if unit else "")
    if isinstance(reference, Levels) and isinstance(window, Levels):
        return _level_moved(reference, window)
    return ""


def _number_moved(reference: Distribution, window: Histogram, unit: str) -> str:
    if not len(reference.values) or not window.n:
        return ""
    before = [_quantile_before(reference, q) for q in (0.25, 0.5, 0.75)]
    now = [_quantile_now(reference, window, q) for q in (0.25, 0.5, 0.75)]
    (low, middle, high), (low_now, middle_now, high_now) = before, now
    smallest, largest = float(reference.values[0]), float(reference.values[-1])
    if middle_now in (-np.inf, np.inf):
        side, end = ("higher", largest) if middle_now > 0 else ("lower", smallest)
        beyond = "above" if middle_now > 0 else "below"
        return f"{side} by at least {abs(end - middle):.4g}{unit} (median {middle:.6g}, now {beyond} {end:.6g})"
    if middle_now != middle:
        side = "higher" if middle_now > middle else "lower"
        return f"{side} by {abs(middle_now - middle):.4g}{unit} (median {middle:.6g} to {middle_now:.6g})"
    wide, wide_now = high - low, high_now - low_now
    if wide_now != wide and np.isfinite(wide_now):
        side = "wider" if wide_now > wide else "narrower"
        return f"as high (median {middle:.6g}) and {side} (middle half {wide:.4g} to {wide_now:.4g}{unit})"
    return f"as high in the middle (median {middle:.6g}{unit}), of another shape"


def _quantile_before(reference: Distribution, q: float) -> float:
    place = int(np.searchsorted(np.cumsum(reference.counts), q * reference.n, side="left"))
    return float(reference.values[min(place, len(reference.values) - 1)])


def _quantile_now(reference: Distribution, window: Histogram, q: float) -> float:
    """To within neighbouring values of the reference, infinite beyond its ends."""
    values = reference.values
    inner = (values[:-1] + values[1:]) / 2
    gaps = np.concatenate(([-np.inf], inner, [np.inf]))
    places, counts = np.empty(2 * len(values) + 1), np.empty(2 * len(values) + 1, np.int64)
    places[0::2], places[1::2] = gaps, values
    counts[0::2], counts[1::2] = window.between, window.at
    return float(places[int(np.searchsorted(np.cumsum(counts), q * window.n, side="left"))])


def _level_moved(reference: Levels, window: Levels) -> str:
    before, now = (np.asarray(side_levels.counts[:-1], np.float64) for side_levels in (reference, window))
    if not before.sum() or not now.sum():
        return ""
    shares, shares_now = before / before.sum(), now / now.sum()
    widest = int(np.argmax(np.abs(shares_now - shares)))
    name = (
        repr(reference.levels[widest]) if widest < len(reference.levels) else "levels that the contract does not know"
    )
    side = "more of" if shares_now[widest] > shares[widest] else "fewer of"
    return f"{side} {name} ({shares[widest]:.1%} to {shares_now[widest]:.1%})"


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
