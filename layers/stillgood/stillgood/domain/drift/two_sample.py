"""The two-sample tests behind drift: how far is the window from the reference, and how often would chance go that far?

Each takes counts, so that profiles of many hours give the same answer as their rows would, and equals scipy's to 1e-12.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.drift.histograms import Histogram
from stillgood.domain.drift.reference import Counts, Distribution
from stillgood.domain.statistics import chi_squared, contingency
from stillgood.domain.statistics.kolmogorov import sf


@dataclass(frozen=True, slots=True)
class Statistic:
    """A test's ``value``, its ``p`` (0 to 1), and the ``effect``: a distance from 0 (the same) to 1 that does not grow
    with rows.
    """

    value: float
    p: float
    effect: float


# No rows on one side: nothing speaks against the two being the same.
NOTHING = Statistic(0.0, 1.0, 0.0)

# Rows per independent row (``EntitySample.repeats``) of the reference and of the window: what is one customer's counts
# once.
type Design = tuple[float, float]
INDEPENDENT: Design = (1.0, 1.0)


def kolmogorov_smirnov(reference: Distribution, window: Histogram, design: Design = INDEPENDENT) -> Statistic:
    """Two-sample Kolmogorov-Smirnov test: D = sup over x of |F_reference(x) - F_window(x)|; the effect is D itself.

    D is exact: between two reference values F_reference stands still and F_window only rises, so the supremum is at a
    reference value or just before one, and there the counts say all. Ties, integers and constants need no special case.
    p is that of ``scipy.stats.ks_2samp(method="asymp")``: the one-sample distribution at round(n m / (n + m)) rows,
    at every sample size; for a handful of rows, and for ties, it is approximate, so decide nothing on a handful of
    rows. No values on one side: D = 0, p = 1. One value against one, where scipy gives NaN: p = 1. Source: Hodges
    (1958), "The Significance Probability of the Smirnov Two-Sample Test", Arkiv för Matematik 3(43).

    >>> reference = Distribution.of([1.0, 2.0, 3.0, 4.0])
    >>> result = kolmogorov_smirnov(reference, Histogram.of(reference, [3.5, 4.0, 5.0, 6.0]))
    >>> result.value, round(result.p, 6)
    (0.75, 0.125)
    """
    n, m = reference.n, window.n
    if n == 0 or m == 0:
        return NOTHING
    at_value = np.cumsum(window.between[:-1] + window.at)
    expected = np.cumsum(reference.counts) / n
    # Between two values F_window only rises: it is furthest below F_reference at a value, and furthest above just
    # before the next.
    d = max(
        float((expected - at_value / m).max()),
        float(((at_value + window.between[1:]) / m - expected).max()),
        float(window.between[0] / m),
    )
    return _two_sample(d, n / design[0], m / design[1])


def kolmogorov_smirnov_between(first: Histogram, second: Histogram, design: Design = INDEPENDENT) -> Statistic:
    """The same test between two windows that were placed among the same reference values.

    D is taken at the reference values and just before them, so it is exact on that grid and at most the mass between
    two neighbours below the truth. No values on one side: D = 0, p = 1.
    """
    n, m = first.n, second.n
    if n == 0 or m == 0:
        return NOTHING
    steps = [
        np.concatenate(([0], np.cumsum(np.column_stack((part.between[:-1], part.at))))) for part in (first, second)
    ]
    return _two_sample(float(np.abs(steps[0] / n - steps[1] / m).max()), n / design[0], m / design[1])


def _two_sample(d: float, n: float, m: float) -> Statistic:
    rows = round(n * m / (n + m))
    return Statistic(d, sf(rows, d) if rows else 1.0, d)


def chi_square(reference: Counts, window: Counts) -> Statistic:
    """Pearson's chi-square of the 2 x K table of counts int64[K]; the effect is the total variation distance.

    X2 = sum (observed - expected)^2 / expected over the columns that are not 0 on both sides, K' - 1 degrees of
    freedom. Equals ``scipy.stats.chi2_contingency(table, correction=False)``. One column, or no rows on one side: X2 =
    0, p = 1. Source: Pearson (1900), Philosophical Magazine 50(302).

    >>> result = chi_square(np.array([30, 70, 0]), np.array([45, 55, 0]))
    >>> result.value, round(result.p, 6), round(result.effect, 2)
    (4.8, 0.02846, 0.15)
    """
    table = np.stack((reference, window)).astype(np.float64)
    table = table[:, table.any(axis=0)]
    rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    if table.shape[1] < 2 or not rows.all():
        return NOTHING
    expected = rows * columns / rows.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    return Statistic(value, chi_squared.sf(table.shape[1] - 1, value), total_variation(reference, window))


def categories(reference: Counts, window: Counts, design: Design = INDEPENDENT) -> Statistic:
    """``chi_square`` for counts of any size: rare levels are pooled or tested exactly, see
    ``contingency.independence``.

    The effect is the total variation distance of the pooled rows less what chance alone would show
    (``contingency.distance``).

    >>> result = categories(np.array([300, 700, 0]), np.array([450, 550, 0]))
    >>> round(result.value, 2), round(result.effect, 2)
    (48.0, 0.15)
    """
    x2, p, before, now = contingency.independence(reference, window, design)
    return Statistic(x2, p, contingency.distance(before, now, design))


def total_variation(reference: Counts, window: Counts) -> float:
    """Half the sum over levels of |share in reference - share in window|: the largest difference that any set of levels
    shows. 0 (the same) to 1 (nothing in common); 0 when one side has no rows.

    >>> total_variation(np.array([50, 50]), np.array([75, 25]))
    0.25
    """
    n, m = int(reference.sum()), int(window.sum())
    if n == 0 or m == 0:
        return 0.0
    return float(np.abs(reference / n - window / m).sum()) / 2


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's adjusted p values float64[k]: reject those below alpha, and the chance of any false rejection is below
    alpha.

    Sorted ascending, the i-th of k (from 0) becomes max over j <= i of min(1, (k - j) p_j). Never less powerful than
    Bonferroni's k p. Source: Holm (1979), Scandinavian Journal of Statistics 6(2).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = (len(values) - np.arange(len(values))) * values[order]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
