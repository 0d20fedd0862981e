"""Two rows of counts, some of them small: Fisher's exact test, and a chi-square test that pools what is rare.

Pearson's statistic is no chi-square where expected counts are small: with 500 levels and 200 rows it fires in one
harmless window of seven at a nominal .00025, and two rows of a level that was seen once in 20,000 give it a p of 2e-29.
"""

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics import chi_squared

type Counts = npt.NDArray[np.int64]

MIN_EXPECTED = 5.0  # Cochran (1954), Biometrics 10(4): below it a column counts as rare


def fisher(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Two-sided p of Fisher's exact test of the 2 x 2 table ((a, b), (c, d)): the chance, given its margins, of a table
    that
    is no more likely than this one. Equals ``scipy.stats.fisher_exact``. An empty margin: 1.

    >>> round(fisher((1, 19_999), (2, 198)), 7)
    0.0002907
    >>> fisher((0, 10), (0, 20))
    1.0
    """
    (a, b), (c, d) = first, second
    n, m, hits = a + b, c + d, a + c
    low, high = max(0, hits - n), min(hits, m)
    if low == high:
        return 1.0
    at = np.arange(low, high + 1, dtype=np.float64)
    # log p(k + 1) - log p(k) of k hits in the second row; sums of these are the distribution up to a constant.
    steps = np.log((hits - at[:-1]) * (m - at[:-1])) - np.log((at[1:]) * (n - hits + at[1:]))
    logs = np.append(0.0, np.cumsum(steps))
    weight = np.exp(logs - logs.max())
    seen = weight[c - low]
    return min(float(weight[weight <= seen * (1 + 1e-7)].sum() / weight.sum()), 1.0)


def pooled(reference: Counts, window: Counts, design: tuple[float, float] = (1.0, 1.0)) -> tuple[Counts, Counts, bool]:
    """Both rows with rare columns added up into groups, the most frequent first, and whether the last one is still
    rare.

    Rare is a column whose expected count is below ``MIN_EXPECTED`` in either row; neighbours by their totals make a
    group that is not. Only the columns' totals are looked at, so that under "both rows are of one distribution" the
    choice says nothing about the outcome. ``design``: rows per independent row, of either side (see ``two_sample``).

    >>> once = pooled(np.array([90, 8, 1, 1]), np.array([45, 3, 2, 0]))
    >>> once[0].tolist(), once[1].tolist(), once[2]
    ([90, 10], [45, 5], True)
    """
    n, m = int(reference.sum()), int(window.sum())
    total = reference + window
    order = np.argsort(-total, kind="stable")
    expected = total[order] * (min(n / design[0], m / design[1]) / (n + m))
    starts, waiting = [], MIN_EXPECTED
    for at, count in enumerate(expected.tolist()):
        if waiting >= MIN_EXPECTED:
            starts.append(at)
            waiting = 0.0
        waiting += count
    return np.add.reduceat(reference[order], starts), np.add.reduceat(window[order], starts), waiting < MIN_EXPECTED


def independence(
    reference: Counts, window: Counts, design: tuple[float, float] = (1.0, 1.0)
) -> tuple[float, float, Counts, Counts]:
    """X2 and p of "both rows of counts are of one distribution", and both rows as they were compared, rare columns
    pooled.

    Pearson's X2 over the groups that are not rare, divided by the design effect (Rao & Scott 1981, JASA 76, first
    order); a last group that is still rare stands against the rest in Fisher's exact test, and the smaller of the two p
    counts double (Bonferroni). No rows on one side, or one column: X2 = 0, p = 1.

    >>> x2, p, *_ = independence(np.array([30, 70]), np.array([45, 55]))
    >>> round(x2, 6), round(p, 6)
    (4.8, 0.02846)
    >>> round(independence(np.array([19_999, 1]), np.array([198, 2]))[1], 6)
    0.000291
    """
    used = (reference + window) > 0
    n, m = int(reference.sum()), int(window.sum())
    if n == 0 or m == 0 or used.sum() < 2:
        return 0.0, 1.0, reference, window
    before, now, rare = pooled(reference[used], window[used], design)
    if len(before) < 2:
        return 0.0, 1.0, before, now
    scale = (design[0] / n + design[1] / m) / (1 / n + 1 / m)
    if not rare:
        x2 = _pearson(before, now) / scale
        return x2, chi_squared.sf(len(before) - 1, x2), before, now
    hits = [round(int(row[-1]) / effect) for row, effect in ((before, design[0]), (now, design[1]))]
    totals = [round(n / design[0]), round(m / design[1])]
    exact = fisher((hits[0], totals[0] - hits[0]), (hits[1], totals[1] - hits[1]))
    if len(before) < 3 or not (before[:-1].any() and now[:-1].any()):
        return _pearson(before, now) / scale, exact, before, now
    x2 = _pearson(before[:-1], now[:-1]) / scale
    return x2, min(1.0, 2.0 * min(exact, chi_squared.sf(len(before) - 2, x2))), before, now


def distance(reference: Counts, window: Counts, design: tuple[float, float] = (1.0, 1.0)) -> float:
    """Total variation distance of two rows of counts, less what chance alone would show: half the sum over columns of
    sqrt(max(0, d^2 - v)), with d the difference of shares and v its variance under "no difference", p (1 - p) (1/n +
    1/m).

    0 to 1; 0 when one side has no rows. Many columns and few rows no longer look far apart by themselves.

    >>> round(distance(np.array([5000, 5000]), np.array([750, 250])), 2)
    0.25
    """
    n, m = int(reference.sum()), int(window.sum())
    if n == 0 or m == 0:
        return 0.0
    d = reference / n - window / m
    p = (reference + window) / (n + m)
    v = p * (1 - p) * (design[0] / n + design[1] / m)
    return float(np.sqrt(np.maximum(d * d - v, 0.0)).sum()) / 2


def _pearson(before: Counts, now: Counts) -> float:
    table = np.stack((before, now)).astype(np.float64)
    rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    expected = rows * columns / rows.sum()
    return float(((table - expected) ** 2 / expected).sum())
