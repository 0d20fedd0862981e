"""Tables of more than ``WIDE`` features: numbers bend and pairs are tried where a cheap test shows something.

The cost of a fit grows with the square of its columns, and that of a screening with the number of pairs, so that on 300
columns the search for a better model would take fifteen times what the model takes (docs/decisions/0063). Of ``WIDE``
features or fewer everything is tried.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from stillgood.domain.contract.frame import Frame
from stillgood.domain.statistics.chi_squared import sf
from stillgood.training.design import Column, hinges
from stillgood.training.families.parts import Floats, Targets, balanced

WIDE = 60
MAX_BENT = 20
BEND_ALPHA = 0.05  # of all numbers together (Bonferroni): each is tested on the rows that judge it later
MAX_TRIED_PAIRS = WIDE * (WIDE - 1) // 2
MAX_FOLDED_PAIRS = 100
_SPREAD_STEP = 4


def bending(
    frame: Frame, columns: tuple[Column, ...], bends: dict[str, Floats], logits: Floats, target: Targets
) -> dict[str, Floats]:
    """Those of ``bends``, at most ``MAX_BENT``, in which a broken line explains what the straight model's out-of-fold
    ``logits`` float64[n] leave.

    The score test of each number's hinges beside its line, of k knots: U' V^-1 U is chi-squared with k degrees of
    freedom, V estimated by the rows' own scores, as balanced weights are no counts (White, 1982).
    """
    share, weight = expit(logits), balanced(target)
    slope, curve = weight * (target - share), weight * share * (1 - share)
    found: list[tuple[float, str]] = []
    for column in columns:
        if column.name not in bends:
            continue
        values = frame.columns[column.name]
        null = np.isnan(values)
        line = np.column_stack([np.ones(frame.n), null, np.where(null, 0.0, (values - column.center) / column.scale)])
        broken = hinges(frame, (column,), {column.name: bends[column.name]})
        weighted = line.T * curve
        beside = np.linalg.pinv(weighted @ line, hermitian=True) @ (weighted @ broken)
        scores = (broken - line @ beside) * slope[:, None]
        sums = scores.sum(axis=0)
        statistic = max(float(sums @ np.linalg.pinv(scores.T @ scores, hermitian=True) @ sums), 0.0)
        p = sf(broken.shape[1], statistic)
        if p < BEND_ALPHA / len(bends):
            found.append((p, column.name))
    kept = {name for _, name in sorted(found)[:MAX_BENT]}
    return {name: at for name, at in bends.items() if name in kept}


def tried_pairs(places: list[npt.NDArray[np.int64]], slope: Floats, curve: Floats) -> list[tuple[int, int]]:
    """Pairs of features, in order: all of them, or of more than ``WIDE`` features the ``MAX_TRIED_PAIRS`` with the
    largest score statistic, and the ``MAX_FOLDED_PAIRS`` with the largest of distances from the middle.

    ``places`` int64[n] of each feature: the group of each row's value. The statistic is that of the product of both
    places, or of both distances, each centred: (sum g a b)^2 / sum h a^2 b^2, all pairs by products of matrices. What
    acts as a place times a distance shows in neither.

    >>> rng = np.random.default_rng(0)
    >>> places = [rng.integers(0, 8, 500) for _ in range(100)]
    >>> acting = (places[3] - 3.5) * (places[70] - 3.5)
    >>> pairs = tried_pairs(places, acting, np.ones(500))
    >>> 1770 < len(pairs) <= 1870, (3, 70) in pairs
    (True, True)
    >>> folded = (abs(places[5] - 3.5) - 2) * (abs(places[60] - 3.5) - 2)
    >>> (5, 60) in tried_pairs(places, folded, np.ones(500))
    True
    """
    if len(places) <= WIDE:
        return list(combinations(range(len(places)), 2))
    lines = np.column_stack(places).astype(np.float64)
    lines -= curve @ lines / curve.sum()
    distances = np.abs(lines)
    distances -= curve @ distances / curve.sum()
    first, second = np.triu_indices(len(places), 1)
    best = np.union1d(
        *(
            np.argsort(-_of_products(part, slope, curve)[first, second], kind="stable")[:most]
            for part, most in ((lines, MAX_TRIED_PAIRS), (distances, MAX_FOLDED_PAIRS))
        )
    )
    return list(zip(first[best].tolist(), second[best].tolist(), strict=True))


def _of_products(centred: Floats, slope: Floats, curve: Floats) -> Floats:
    """The score statistic of each product of two columns, float64[features, features]. Its variance, by which pairs are
    only ranked, is that of every ``_SPREAD_STEP``-th row.
    """
    sums = (centred.T * slope) @ centred
    some = centred[::_SPREAD_STEP] ** 2
    spread = (some.T * curve[::_SPREAD_STEP]) @ some * _SPREAD_STEP
    return np.asarray(sums**2 / np.maximum(spread, np.finfo(np.float64).tiny))
