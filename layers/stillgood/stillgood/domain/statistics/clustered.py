"""ROC-AUC with rows that belong together: one customer's many rows are one piece of evidence, not many.

Source: N. A. Obuchowski (1997), "Nonparametric Analysis of Clustered ROC Curve Data", Biometrics 53, 567-578. Rows may
carry weights, which enter the AUC as they would by repeating rows, and never the number of clusters.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.statistics.delong import Flags, Floats, PairedAuc, checked
from stillgood.domain.statistics.intervals import normal_sf
from stillgood.domain.statistics.skewed import Spread


def clustered_auc(
    scores: npt.ArrayLike,
    y: npt.ArrayLike,
    clusters: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    strata: npt.NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """The AUC and its variance. ``clusters`` [n] names whose row it is, ``weights`` float64[n] > 0; ``strata``: as of
    ``stratified_spread``.

    With a_i the sum over cluster i's positives of w (V10 - AUC), b_i that over its negatives of w (V01 - AUC), M and N
    the sums of the positives' and negatives' weights, and I, I10, I01 the clusters with any, positive and negative
    rows: variance = I10/(I10-1) sum a_i^2 / M^2 + I01/(I01-1) sum b_i^2 / N^2 + 2 I/(I-1) sum a_i b_i / (M N). One row
    a cluster and no weights: DeLong's variance. Raises OneClassOnly; TooFewRows for fewer than two clusters of an
    outcome.

    >>> auc, variance = clustered_auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1], ["a", "b", "c", "d"])
    >>> auc, round(variance, 6)
    (0.875, 0.03125)
    >>> _, twice = clustered_auc([0.1, 0.4, 0.4, 0.8] * 2, [0, 0, 1, 1] * 2, ["a", "b", "c", "d"] * 2)
    >>> round(twice, 6)
    0.03125
    """
    auc, spread = auc_spread(scores, y, clusters, weights, strata)
    return auc, spread.variance


def auc_spread(
    scores: npt.ArrayLike,
    y: npt.ArrayLike,
    clusters: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    strata: npt.NDArray[np.int64] | None = None,
) -> tuple[float, Spread]:
    """``clustered_auc`` with the skewness of the AUC beside its variance."""
    values, positive = checked(scores, y)
    auc, moves, _ = _moves(values, positive, _weights(weights, len(values)))
    codes = _codes(clusters, len(values))
    if strata is not None:
        return auc, stratified_spread(moves, codes, strata)
    return auc, Spread.of(np.bincount(codes, moves), _variance(moves, positive, codes))


def paired_clustered(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    y: npt.ArrayLike,
    clusters: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> PairedAuc:
    """``paired_delong`` with clusters: the variance is that of the differences of the two scores' moves.

    Standard error 0: p = 1, as there is nothing to judge by. Raises OneClassOnly, TooFewRows.

    >>> y = [0, 0, 0, 1, 1, 1]
    >>> test = paired_clustered([1, 2, 3, 4, 5, 6], [1, 2, 5, 4, 3, 6], y, range(6))
    >>> round(test.difference, 4), round(test.p, 4)
    (0.2222, 0.1855)
    """
    values, positive = checked(first, y)
    others, _ = checked(second, y)
    w = _weights(weights, len(values))
    auc, moves, _ = _moves(values, positive, w)
    auc2, moves2, _ = _moves(others, positive, w)
    error = math.sqrt(_variance(moves - moves2, positive, _codes(clusters, len(values))))
    p = normal_sf((auc - auc2) / error) if error > 0.0 else 1.0
    return PairedAuc(auc, auc2, auc - auc2, error, p)


def _weights(weights: npt.ArrayLike | None, n: int) -> Floats:
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not (np.isfinite(w).all() and (w > 0).all()):
        raise ValueError("there is one weight a row, each finite and above 0")
    return w


def _codes(clusters: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    names = np.asarray(list(clusters) if isinstance(clusters, range) else clusters)
    if names.shape != (n,):
        raise ValueError(f"there is one cluster a row: got {names.shape} for {n} rows")
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)


def _moves(values: Floats, positive: Flags, w: Floats) -> tuple[float, Floats, float]:
    """The AUC, and what each row moves it by: w (V - AUC) / (weight of the row's outcome); they sum to 0 per
    outcome.
    """
    up, down = float(w[positive].sum()), float(w[~positive].sum())
    if not up or not down:
        raise OneClassOnly(f"an AUC needs both outcomes; {int(positive.sum())} of {len(values)} rows are positive")
    share = np.empty(len(values))
    share[positive] = _weight_below(values[~positive], w[~positive], values[positive]) / down
    share[~positive] = 1.0 - _weight_below(values[positive], w[positive], values[~positive]) / up
    auc = float((w * share)[positive].sum() / up)
    return auc, w * (share - auc) / np.where(positive, up, down), up


def _weight_below(of: Floats, w: Floats, than: Floats) -> Floats:
    """The weight of ``of`` below each of ``than``, ties counting half."""
    order = np.argsort(of, kind="stable")
    ordered, total = of[order], np.append(0.0, np.cumsum(w[order]))
    left, right = np.searchsorted(ordered, than, "left"), np.searchsorted(ordered, than, "right")
    return np.asarray((total[left] + total[right]) / 2.0, dtype=np.float64)


def _variance(moves: Floats, positive: Flags, codes: npt.NDArray[np.int64]) -> float:
    size = int(codes.max()) + 1
    a = np.bincount(codes[positive], moves[positive], size)
    b = np.bincount(codes[~positive], moves[~positive], size)
    with_positive, with_negative = len(np.unique(codes[positive])), len(np.unique(codes[~positive]))
    if min(with_positive, with_negative) < 2:
        raise TooFewRows(
            f"a variance needs two clusters of each outcome, got {with_positive} with positives and {with_negative}"
            " with negatives"
        )
    variance = (
        with_positive / (with_positive - 1) * float((a * a).sum())
        + with_negative / (with_negative - 1) * float((b * b).sum())
        + 2.0 * size / (size - 1) * float((a * b).sum())
    )
    return max(variance, 0.0)


def stratified_spread(moves: Floats, clusters: npt.NDArray[Any], strata: npt.NDArray[np.int64]) -> Spread:
    """How a sum scatters whose rows in a stratum (``strata`` int64[n] >= 0) stand for all rows of it, some repeatedly.

    With m the mean of a stratum's moves, 0 for rows of none (-1), N its rows and c its clusters: sum over clusters of
    (sum of (move - m) sqrt(c / (c - 1)))^2 + sum over strata of N m^2. How many rows a stratum has is known, so only
    what is left within it counts as often as a row stands there (post-stratification, Holt and Smith 1979). The third
    moment is summed alike, with N m^3 of a stratum.

    >>> moves = np.array([1.0, 1.0, 3.0, 3.0])
    >>> stratified_spread(moves, np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]))
    Spread(variance=32.0, skewness=0.17677669529663687)
    """
    inside = strata >= 0
    size = int(strata.max()) + 1 if inside.any() else 1
    rows = np.bincount(strata[inside], minlength=size)
    means = np.bincount(strata[inside], moves[inside], size) / np.maximum(rows, 1)
    _, codes = np.unique(clusters, return_inverse=True)
    count = int(codes.max()) + 1 if len(codes) else 0
    if count < 2:
        raise TooFewRows("one cluster says nothing of others")
    different = np.unique(strata[inside].astype(np.int64) * count + codes[inside]) // count
    own = np.bincount(different, minlength=size)
    rest = moves.copy()
    rest[inside] = (moves[inside] - means[strata[inside]]) * np.sqrt(own / np.maximum(own - 1, 1))[strata[inside]]
    sums = np.bincount(codes, rest, count)
    variance = float((sums**2).sum() + (rows * means**2).sum())
    third = float((sums**3).sum() + (rows * means**3).sum())
    return Spread(variance, third / variance**1.5 if variance > 0.0 else 0.0)


def ratio_spread(
    numerator: Floats,
    denominator: Floats,
    entities: npt.NDArray[Any],
    strata: npt.NDArray[np.int64] | None = None,
) -> Spread:
    """Of sum(numerator) / sum(denominator) = r over entities: variance c / (c - 1) sum_i (n_i - r d_i)^2 / (sum d)^2,
    and the skewness of the sum of n_i - r d_i. Fewer than two entities: none.

    ``strata``: as of ``stratified_spread``.
    """
    _, codes = np.unique(entities, return_inverse=True)
    size = int(codes.max()) + 1 if len(codes) else 0
    if size < 2:
        return Spread(0.0)
    whole = float(denominator.sum())
    moves = (numerator - float(numerator.sum()) / whole * denominator) / whole
    if strata is not None:
        return stratified_spread(moves, codes, strata)
    sums = np.bincount(codes, moves, size)
    return Spread.of(sums, size / (size - 1) * float((sums**2).sum()))
