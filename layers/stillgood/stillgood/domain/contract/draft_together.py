"""Two columns that together tell the outcome, though neither does alone: a date that lies before another, a state that
equals another, a sum that crosses a limit.

Half of the rows search and measure, the other half judges: what is found among hundreds of pairs of noise does not last
there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.delong import paired_delong, roc_auc
from stillgood.domain.statistics.intervals import normal_sf

MAX_ROWS_OF_EACH = 5_000  # of each outcome
MAX_COLUMNS = 300  # of which pairs are looked at: those that are mostly filled in, then those that tell most alone
MIN_OF_EACH = 20  # rows of each outcome, in each half
_SEARCHED = 1_000  # rows of each outcome that pairs are searched on
_MAX_PAIRS = 800  # that are searched in every way; more are chosen by cheap tests
_MAX_ALIKE = 200  # of them, pairs of columns that go together, whose difference may tell what neither shows
_MAX_JUDGED = 30
_WORTH_JUDGING = 0.95  # ROC-AUC on the rows searched
_GAIN = 0.01  # of ROC-AUC, over the better of the two columns
_ALPHA = 0.01  # of all pairs that are judged together
_GROUPS = 32  # of one quantity
_MAX_SIDE = 24  # groups of a column in a table of two
_ROWS_OF_CELL = 8
# From the plainest on.
_HOW = _EQUAL, _DIFFERENCE, _SUM, _TABLE, _RATIO, _LINE = (
    "by whether they are equal",
    "by their difference",
    "by their sum",
    "by their combination",
    "by their ratio",
    "by a weighted sum",
)
_AS_GOOD = 0.005  # of ROC-AUC: the plainer way is named

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A column as it is looked at: ``numbers`` float64[n], NaN where there is none, or None for a category; ``codes``
    int64[n] of its texts, the same for the same text of any column; ``alone``: its ROC-AUC.
    """

    name: str
    numbers: Floats | None
    codes: Ints
    alone: float


@dataclass(frozen=True, slots=True)
class Together:
    """``auc``: ROC-AUC of both columns on rows that it was not found on; ``how``: in words, by what they tell it."""

    first: str
    second: str
    auc: float
    how: str


def sampled(positives: Bools) -> Ints:
    """The rows that pairs are looked at on, in order: at most ``MAX_ROWS_OF_EACH`` of each outcome."""
    draw = np.random.default_rng(0)
    kept = [draw.permutation(np.flatnonzero(positives == side))[:MAX_ROWS_OF_EACH] for side in (False, True)]
    return np.sort(np.concatenate(kept))


def not_by_chance(auc: float, positives: Bools, tests: int) -> bool:
    """Whether of ``tests`` columns without any effect hardly one would have this ROC-AUC, in either direction.

    By the normal limit of ranks: the variance is (n + 1) / (12 positives negatives) (Mann & Whitney, 1947).

    >>> few, more = np.arange(12) < 4, np.arange(60) < 20
    >>> not_by_chance(0.97, few, 10), not_by_chance(0.97, more, 10)
    (False, True)
    """
    up = int(positives.sum())
    down = len(positives) - up
    if not up or not down:
        return False
    error = ((up + down + 1) / (12 * up * down)) ** 0.5
    return 2 * tests * normal_sf((auc - 0.5) / error) < _ALPHA


def tell_together(columns: Sequence[Looked], positives: Bools, least: float) -> list[Together]:
    """The pairs whose ROC-AUC is above ``least`` on rows that they were not found on, demonstrably better than either
    column alone; the best first, no column twice. ``positives`` bool[n].

    A pair is looked at as a table of both columns' groups, as equal or not, and, of two numbers, as their difference,
    sum, ratio, and the line that parts the outcomes best (Fisher's). Of each quantity the groups' rates tell, so that
    one in the middle may be the positive one. None where either half has fewer than ``MIN_OF_EACH`` of an outcome.

    >>> draw = np.random.default_rng(1)
    >>> opened = draw.integers(0, 1000, 600)
    >>> closed = opened + draw.integers(1, 60, 600)
    >>> late = closed - opened > 30
    >>> columns = [Looked(n, v.astype(float), v, 0.5) for n, v in (("opened", opened), ("closed", closed))]
    >>> [(pair.first, pair.second, pair.how) for pair in tell_together(columns, late, 0.99)]
    [('opened', 'closed', 'by their difference')]
    """
    with np.errstate(all="ignore"):  # of what numbers are too large for, no quantity tells anything
        return _tell_together(columns, positives, least)


def _tell_together(columns: Sequence[Looked], positives: Bools, least: float) -> list[Together]:
    measured, judging = _halves(positives)
    enough = min(int((positives[half] == side).sum()) for half in (measured, judging) for side in (False, True))
    if len(columns) < 2 or enough < MIN_OF_EACH:
        return []
    if len(columns) > MAX_COLUMNS:
        columns = sorted(columns, key=lambda column: (_blank(column) > 0.5, -column.alone))[:MAX_COLUMNS]
    searched = np.concatenate([measured[positives[measured] == side][:_SEARCHED] for side in (False, True)])
    found = _search(columns, positives, searched)
    told = [
        pair
        for first, second, way in found
        if (pair := _judged(columns[first], columns[second], way, positives, measured, judging, len(found), least))
    ]
    chosen: list[Together] = []
    for pair in sorted(told, key=lambda pair: (-round(pair.auc / _AS_GOOD), _HOW.index(pair.how))):
        if not any({pair.first, pair.second} & {other.first, other.second} for other in chosen):
            chosen.append(pair)
    return chosen


def _halves(positives: Bools) -> tuple[Ints, Ints]:
    """Rows that measure and rows that judge, drawn: as many of each outcome in both."""
    draw = np.random.default_rng(1)
    drawn = [draw.permutation(np.flatnonzero(positives == side)) for side in (False, True)]
    return np.concatenate([rows[0::2] for rows in drawn]), np.concatenate([rows[1::2] for rows in drawn])


def _blank(column: Looked) -> float:
    return float((column.codes < 0).mean())


def _quantity(how: str, a: Floats, b: Floats, measured: Ints, up: Bools) -> Floats:
    """One number of two, float64[n]; NaN where either is. ``up`` bool[measured] are the outcomes of the rows
    ``measured``.
    """
    if how == _DIFFERENCE:
        return a - b
    if how == _SUM:
        return a + b
    if how == _RATIO:
        return np.where(b == 0, np.nan, a / np.where(b == 0, 1.0, b))
    return _line(a, b, measured, up)


def _line(a: Floats, b: Floats, measured: Ints, up: Bools) -> Floats:
    """Fisher's linear discriminant: W^-1 (mean of positives - mean of negatives), W the covariance within both."""
    both, there = np.column_stack([a, b]), ~np.isnan(a + b)[measured]
    rows, positive = both[measured[there]], up[there]
    nothing = np.zeros(len(a))
    if not 1 < positive.sum() < len(positive) - 1:
        return nothing
    scale = rows.std(axis=0)
    rows = rows / scale
    apart = rows[positive].mean(axis=0) - rows[~positive].mean(axis=0)
    within = sum(np.cov(rows[positive == side].T, ddof=0) * (positive == side).mean() for side in (True, False))
    if not np.isfinite(within).all():
        return nothing
    return np.asarray(both @ (np.linalg.pinv(within, hermitian=True) @ apart / scale))


def _search(columns: Sequence[Looked], positives: Bools, rows: Ints) -> list[tuple[int, int, str]]:
    """The pairs, and how, whose ROC-AUC on the very ``rows`` that measured them is worth judging, best first."""
    up = positives[rows]
    found = [(auc, first, second, _EQUAL) for auc, first, second in _equal_pairs(columns, up, rows)]
    side = _side(len(rows))
    groups = [_groups(column, rows, up, side)(rows) for column in columns]
    for first, second in _worth_a_look(groups, up):
        a, b = columns[first].numbers, columns[second].numbers
        found.append((_auc_of_groups(groups[first] * (side + 1) + groups[second], up), first, second, _TABLE))
        if a is None or b is None:
            continue
        for how in (_DIFFERENCE, _SUM, _RATIO, _LINE):
            quantity = _quantity(how, a[rows], b[rows], np.arange(len(rows)), up)
            found.append((_auc_of_groups(_placed(quantity, _cuts(quantity, _GROUPS)), up), first, second, how))
    worth = [entry for entry in found if entry[0] > _WORTH_JUDGING]
    return [(first, second, how) for _, first, second, how in sorted(worth, key=lambda entry: -entry[0])[:_MAX_JUDGED]]


def _equal_pairs(columns: Sequence[Looked], up: Bools, rows: Ints) -> Iterator[tuple[float, int, int]]:
    codes = np.column_stack([column.codes[rows] for column in columns]).astype(np.int32)
    among_up, among_down = codes[up], codes[~up]
    for first in range(len(columns) - 1):
        equal, otherwise = (
            (of[:, first + 1 :] == of[:, first : first + 1]).mean(axis=0) for of in (among_up, among_down)
        )
        auc = 0.5 + np.abs(equal - otherwise) / 2
        for place in np.flatnonzero(auc > _WORTH_JUDGING):
            yield float(auc[place]), first, first + 1 + int(place)


def _worth_a_look(groups: Sequence[Ints], up: Bools) -> list[tuple[int, int]]:
    """All pairs, or of many the ``_MAX_PAIRS`` in which a cheap test shows most.

    The tests, on both columns' groups, standardised: the share of variance that a line of both explains, and the
    correlation of the outcome with products of lines and of distances from the middle; all pairs by products of
    matrices. ``_MAX_ALIKE`` are those that correlate most.
    """
    if len(groups) * (len(groups) - 1) // 2 <= _MAX_PAIRS:
        return list(combinations(range(len(groups)), 2))
    lines = _standardised(np.column_stack(groups).astype(np.float64))
    folds = _standardised(np.abs(lines))
    y = _standardised(up.astype(np.float64)[:, None])[:, 0] / len(up)
    first, second = np.triu_indices(len(groups), 1)
    alone, alike = y @ lines, (lines.T @ lines)[first, second] / len(up)
    a, b = alone[first], alone[second]
    most = (a**2 + b**2 - 2 * a * b * alike) / np.maximum(1 - alike**2, 1e-6)
    for left, right in ((lines, lines), (folds, folds), (lines, folds), (folds, lines)):
        most = np.maximum(most, ((left.T * y) @ right)[first, second] ** 2)
    chosen = np.union1d(
        np.argsort(-most, kind="stable")[: _MAX_PAIRS - _MAX_ALIKE],
        np.argsort(-np.abs(alike), kind="stable")[:_MAX_ALIKE],
    )
    return list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


def _standardised(matrix: Floats) -> Floats:
    centred = matrix - matrix.mean(axis=0)
    return np.asarray(centred / np.maximum(centred.std(axis=0), 1e-9))


def _judged(
    first: Looked,
    second: Looked,
    how: str,
    positives: Bools,
    measured: Ints,
    judging: Ints,
    tests: int,
    least: float,
) -> Together | None:
    """The pair if it holds on the rows ``judging``, by what the rows ``measured`` say; else None."""
    up, truth = positives[measured], positives[judging]
    side = _side(len(measured))

    def told(groups: Callable[[Ints], Ints]) -> Floats:
        return _rates(groups(measured), up)[groups(judging)]

    if how == _EQUAL:
        joint = told(lambda rows: (first.codes[rows] == second.codes[rows]).astype(np.int64))
    elif how == _TABLE:
        a, b = (_groups(column, measured, up, side) for column in (first, second))
        joint = told(lambda rows: a(rows) * (side + 1) + b(rows))
    else:
        assert first.numbers is not None
        assert second.numbers is not None
        quantity = _quantity(how, first.numbers, second.numbers, measured, up)
        cuts = _cuts(quantity[measured], _GROUPS)
        joint = told(lambda rows: _placed(quantity[rows], cuts))
    auc = roc_auc(joint, truth)
    if auc <= least:
        return None
    singles = [told(_groups(column, measured, up, _GROUPS)) for column in (first, second)]
    best = max(singles, key=lambda scores: roc_auc(scores, truth))
    test = paired_delong(joint, best, truth)
    if test.difference < _GAIN or test.p * tests >= _ALPHA:
        return None
    return Together(first.name, second.name, auc, how)


def _side(rows: int) -> int:
    """How many groups of each column a table of two has that is measured on so many rows."""
    return int(np.clip((rows / _ROWS_OF_CELL) ** 0.5, 3, _MAX_SIDE))


def _groups(column: Looked, measured: Ints, up: Bools, most: int) -> Callable[[Ints], Ints]:
    """What gives rows their group, 0 to ``most``: of as many rows each; of a category, levels of a like rate share one.

    ``up`` bool[measured]. Blank numbers have the last group, levels that were not measured the middle.
    """
    if column.numbers is not None:
        numbers, cuts = column.numbers, _cuts(column.numbers[measured], most)
        return lambda rows: _placed(numbers[rows], cuts)
    levels, places = np.unique(column.codes, return_inverse=True)
    rates = _rates(places[measured], up, len(levels))[: len(levels)]
    if len(levels) <= most:
        ranks = np.argsort(np.argsort(rates, kind="stable"), kind="stable")
        return lambda rows: ranks[places[rows]]
    by_rate, cuts = rates[places], _cuts(rates[places[measured]], most)
    return lambda rows: _placed(by_rate[rows], cuts)


def _cuts(values: Floats, most: int) -> Floats:
    """At most ``most`` - 1 cuts into groups of as many rows each, or between all values where these are few."""
    ordered: Floats = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return ordered
    another: Bools = np.append(True, ordered[1:] != ordered[:-1])
    if another.sum() <= most:
        return ordered[another][:-1]
    return np.asarray(np.unique(ordered[np.arange(1, most) * len(ordered) // most]))


def _placed(values: Floats, cuts: Floats) -> Ints:
    """The group of each value: a cut belongs to the group below it; NaN comes last."""
    places = np.searchsorted(cuts, values, side="left").astype(np.int64)
    places[np.isnan(values)] = len(cuts) + 1
    return places


def _rates(groups: Ints, up: Bools, many: int = 0) -> Floats:
    """The rate of each group, smoothed by one row of the mean: so that of a group nobody measured is the mean."""
    many = max(many, (_MAX_SIDE + 1) ** 2 + _GROUPS)
    rows = np.bincount(groups, minlength=many)
    return np.asarray((np.bincount(groups, up, many) + up.mean()) / (rows + 1))


def _auc_of_groups(groups: Ints, up: Bools) -> float:
    """ROC-AUC of the groups' own rates on the rows that measured them.

    >>> _auc_of_groups(np.array([0, 0, 1, 1]), np.array([False, False, True, False]))
    0.8333333333333334
    """
    many = int(groups.max()) + 1
    positive, negative = np.bincount(groups[up], minlength=many), np.bincount(groups[~up], minlength=many)
    order = np.argsort(positive / np.maximum(positive + negative, 1), kind="stable")
    positive, negative = positive[order], negative[order]
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))
