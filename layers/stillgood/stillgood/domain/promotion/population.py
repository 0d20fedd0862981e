"""Where the newest population begins: rows of before a change do not judge who serves after it."""

import math

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import NotEnoughData
from stillgood.domain.promotion.checks import MIN_PER_CLASS
from stillgood.domain.statistics.clustered import clustered_auc

ALPHA = 0.001  # chance of cutting where nothing changed: a cut picks rows on which the champion looks bad
CUTS = 24
_LEAST_Z = 4.1  # normal_sf(4.1) = 2.07e-5 is ALPHA / CUTS / 2


def newest_population(
    logits: npt.NDArray[np.float64], y: npt.NDArray[np.int8], clusters: npt.NDArray[np.uint64]
) -> int:
    """The place from which on the champion's ROC-AUC is what it is now; 0 where it never changed.

    ``logits`` float64[n] are the champion's, of rows that it has not learnt from, oldest first; ``y`` 0 or 1;
    ``clusters`` whose row it is. At each of at most ``CUTS`` places with MIN_PER_CLASS rows of both outcomes on either
    side, z = (AUC after - AUC before) / sqrt(variance after + variance before) by customers; the largest |z| whose
    two-sided p < ALPHA / CUTS (Bonferroni) is a change. What lies after it is looked at again, for a newer change.

    >>> y = np.tile(np.array([0, 1], dtype=np.int8), 400)
    >>> same = y + np.sin(np.arange(800.0)) * 2
    >>> newest_population(same, y, np.arange(800, dtype=np.uint64))
    0
    >>> turned = np.where(np.arange(800) < 500, same, -same)
    >>> 440 < newest_population(turned, y, np.arange(800, dtype=np.uint64)) < 560
    True
    """
    start = 0
    while cut := _change(logits[start:], y[start:], clusters[start:]):
        start += cut
    return start


def _change(logits: npt.NDArray[np.float64], y: npt.NDArray[np.int8], clusters: npt.NDArray[np.uint64]) -> int:
    """The place of the clearest change, 0 for none."""
    positives = np.cumsum(y, dtype=np.int64)
    rarer = np.minimum(positives, np.arange(1, len(y) + 1) - positives)
    back = np.cumsum(y[::-1], dtype=np.int64)
    rarer_back = np.minimum(back, np.arange(1, len(y) + 1) - back)
    low = int(np.searchsorted(rarer, MIN_PER_CLASS)) + 1
    high = len(y) - int(np.searchsorted(rarer_back, MIN_PER_CLASS)) - 1
    if high < low:
        return 0
    best, place = _LEAST_Z, 0
    for cut in np.unique(np.linspace(low, high, CUTS).astype(int)).tolist():
        try:
            before, variance = clustered_auc(logits[:cut], y[:cut], clusters[:cut])
            after, other = clustered_auc(logits[cut:], y[cut:], clusters[cut:])
        except NotEnoughData:
            continue
        error = math.sqrt(variance + other)
        if error > 0.0 and abs(after - before) / error > best:
            best, place = abs(after - before) / error, cut
    return place
