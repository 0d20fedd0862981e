"""Distances that people know from other tools, from counts. They are reported; no decision is made by them."""

import numpy as np
import numpy.typing as npt

_SMALLEST_SHARE = 1e-4  # what an empty bin counts as in the PSI, which has no value for 0


def population_stability_index(reference: npt.ArrayLike, window: npt.ArrayLike) -> float:
    """PSI of two histograms over the same bins, ``sum((w - r) * ln(w / r))`` of their shares; 0 for equal shares.

    Counts float64[k]. Shares below 0.0001 count as 0.0001. 0.0 when either has no rows.
    Source: Siddiqi (2006), Credit Risk Scorecards; people read 0.1 as a change and 0.25 as a large one.

    >>> round(population_stability_index([50, 50], [60, 40]), 4)
    0.0405
    >>> population_stability_index([50, 50], [5, 5])
    0.0
    """
    r, w = _shares(reference), _shares(window)
    if r is None or w is None:
        return 0.0
    r, w = np.maximum(r, _SMALLEST_SHARE), np.maximum(w, _SMALLEST_SHARE)
    return float(np.sum((w - r) * np.log(w / r)))


def jensen_shannon_distance(reference: npt.ArrayLike, window: npt.ArrayLike) -> float:
    """Square root of the Jensen-Shannon divergence to base 2: 0 for equal shares, 1 for disjoint ones.

    Counts float64[k] over the same bins or levels. 0.0 when either has no rows. Source: Lin (1991), IEEE Trans. Inf.
    Theory 37.

    >>> jensen_shannon_distance([10, 0], [0, 7])
    1.0
    >>> round(jensen_shannon_distance([50, 50], [60, 40]), 4)
    0.0854
    """
    r, w = _shares(reference), _shares(window)
    if r is None or w is None:
        return 0.0
    middle = (r + w) / 2.0
    return float(np.sqrt(max((_relative_entropy(r, middle) + _relative_entropy(w, middle)) / 2.0, 0.0)))


def wasserstein_distance(edges: npt.ArrayLike, reference: npt.ArrayLike, window: npt.ArrayLike) -> float:
    """First Wasserstein distance of two histograms, ``sum(|F_r - F_w| * width)``, in the unit of ``edges``.

    ``edges`` float64[k + 1] ascending, counts float64[k]; rows are spread evenly in their bin. 0.0 when either has no
    rows.

    >>> wasserstein_distance([0.0, 1.0, 2.0], [10, 0], [0, 10])
    1.0
    """
    r, w = _shares(reference), _shares(window)
    if r is None or w is None:
        return 0.0
    places = np.asarray(edges, dtype=np.float64)
    gap = np.concatenate(([0.0], np.cumsum(w - r)))
    left, right, width = gap[:-1], gap[1:], np.diff(places)
    # Within a bin the gap is a line from left to right; where it changes its sign, its absolute value has two pieces.
    crosses = left * right < 0.0
    total = np.abs(left) + np.abs(right)
    area = np.where(crosses, (left**2 + right**2) / np.where(total > 0, total, 1.0), total) / 2.0
    return float(np.sum(area * width))


def _shares(counts: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
    numbers = np.asarray(counts, dtype=np.float64)
    total = float(numbers.sum())
    return numbers / total if total > 0 else None


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log2(p[there] / q[there])))
