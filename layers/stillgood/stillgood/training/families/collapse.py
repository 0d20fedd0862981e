"""All trees into step functions and tables, exactly: every value is a whole number of ``UNIT`` logits, and is counted
in int64.

Each leaf is a box over the one or two features on its path, with a value. Boxes over the same features add up in one
table. Then what a table says of one feature alone moves into that feature's steps, until rows and columns of every
table average to zero over the training rows, and so do the steps: the functional ANOVA decomposition, by alternating
averages (B. Lengerich et al. (2020), "Purifying interaction effects with the functional ANOVA"). Moving whole units
changes no sum.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import CategoricalTerm, NumericTerm, Term
from stillgood.domain.model.pairs import UNIT, Axis, LevelAxis, NumericAxis, PairTerm, StepTerm, on_grid
from stillgood.training.families.binning import Bins
from stillgood.training.families.parts import Learned

_PASSES = 50

type Units = npt.NDArray[np.int64]
type Codes = npt.NDArray[np.uint8]
type Mask = npt.NDArray[np.bool_]


def collapse(
    frame: Frame, codes: Codes, bins: Bins, trees: list[TreePredictor], linear: Learned, settings: Mapping[str, Any]
) -> Learned:
    """The sum of ``linear``'s terms and of ``trees`` on the training rows ``frame``, binned as ``codes`` uint8[n,
    features].
    """
    baseline, singles, tables = _boxes(bins, trees)
    pairs = []
    for (first, second), table in sorted(tables.items()):
        groups = _alike(table, bins, first), _alike(table.T, bins, second)
        small = table[np.ix_(*(starts for _, starts in groups))]
        weights = np.zeros(small.shape, dtype=np.int64)
        np.add.at(weights, tuple(of[codes[:, at]] for (of, _), at in zip(groups, (first, second), strict=True)), 1)
        pure, rows, columns = _purified(small, weights)
        singles[first] += rows[groups[0][0]]
        singles[second] += columns[groups[1][0]]
        if pure.any():
            axes = [_axis(frame, bins, at, *group) for at, group in zip((first, second), groups, strict=True)]
            pairs.append(PairTerm(axes[0], axes[1], tuple(tuple(row) for row in pure.tolist())))
    terms: list[Term] = []
    total = round(on_grid(linear.baseline) / UNIT) + baseline
    for at, term in enumerate(linear.terms):
        bent, mean = _bent(frame, codes[:, at], bins, at, term, singles[at])
        terms.append(bent)
        total += mean
    return Learned("boosted", tuple(terms), tuple(pairs), total * UNIT, {**settings, "pairs": len(pairs)})


def _boxes(bins: Bins, trees: list[TreePredictor]) -> tuple[int, list[Units], dict[tuple[int, int], Units]]:
    """The leaves' values, summed over the same features: of none, of each one, of each two that share a path."""
    baseline, width = 0, bins.missing + 1
    singles = [np.zeros(width, dtype=np.int64) for _ in bins.names]
    tables: dict[tuple[int, int], Units] = {}
    for tree in trees:
        paths: list[tuple[int, dict[int, Mask]]] = [(0, {})]
        while paths:
            at, masks = paths.pop()
            node = tree.nodes[at]
            if not node["is_leaf"]:
                feature, left = int(node["feature_idx"]), _left(tree, node, width)
                before = masks.get(feature, np.ones(width, dtype=np.bool_))
                paths.append((int(node["left"]), {**masks, feature: before & left}))
                paths.append((int(node["right"]), {**masks, feature: before & ~left}))
                continue
            value = round(float(node["value"]) / UNIT)
            if not masks:
                baseline += value
            elif len(masks) == 1:
                ((feature, mask),) = masks.items()
                singles[feature][mask] += value
            else:
                first, second = sorted(masks)
                table = tables.setdefault((first, second), np.zeros((width, width), dtype=np.int64))
                table[np.ix_(masks[first], masks[second])] += value
    return baseline, singles, tables


def _left(tree: TreePredictor, node: Any, width: int) -> Mask:
    """bool[width]: which bins go left at a node; the last one is that of missing values."""
    if node["is_categorical"]:
        bits = tree.binned_left_cat_bitsets[node["bitset_idx"]]
        left = np.unpackbits(bits.view(np.uint8), bitorder="little")[:width].astype(np.bool_)
    else:
        left = np.arange(width) <= node["bin_threshold"]
    left[-1] = bool(node["missing_go_to_left"])
    return left


def _alike(table: Units, bins: Bins, feature: int) -> tuple[Units, Units]:
    """Bins that a table treats alike, as one place each: the place of every bin int64[width], and a bin of every place.

    A number's places are neighbours, a category's need not be; missing values have the last place, of their own.
    """
    count = int(bins.counts[feature])
    if bins.categorical[feature]:
        _, starts, places = np.unique(table[:count], axis=0, return_index=True, return_inverse=True)
    else:
        changes = np.flatnonzero((np.diff(table[:count], axis=0) != 0).any(axis=1)) + 1
        starts = np.concatenate([[0], changes])
        places = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, count)))
    of = np.full(len(table), len(starts), dtype=np.int64)
    of[:count] = places
    return of, np.append(starts, len(table) - 1)


def _purified(table: Units, weights: Units) -> tuple[Units, Units, Units]:
    """``table`` without what its rows and columns are on average, which is returned as well, in whole units."""
    pure = table.copy()
    rows, columns = np.zeros(len(table), dtype=np.int64), np.zeros(table.shape[1], dtype=np.int64)
    for _ in range(_PASSES):
        row = _means(pure, weights)
        pure -= row[:, None]
        column = _means(pure.T, weights.T)
        pure -= column
        rows += row
        columns += column
        if not row.any() and not column.any():
            break
    return pure, rows, columns


def _means(table: Units, weights: Units) -> Units:
    """Each row's weighted mean, rounded; the plain one where no training row lies."""
    seen = weights.sum(axis=1)
    weighted = (table.astype(np.float64) * weights).sum(axis=1) / np.maximum(seen, 1)
    return np.rint(np.where(seen > 0, weighted, table.mean(axis=1))).astype(np.int64)


def _axis(frame: Frame, bins: Bins, feature: int, of: Units, starts: Units) -> Axis:
    name = bins.names[feature]
    if not bins.categorical[feature]:
        return NumericAxis(name, tuple(bins.thresholds[feature][starts[1:-1] - 1].tolist()))
    levels = frame.contract.feature(name).levels
    codes = bins.thresholds[feature].astype(np.int64).tolist()
    return LevelAxis(name, {levels[code]: int(of[place]) for place, code in enumerate(codes)}, len(starts))


def _bent(frame: Frame, codes: Codes, bins: Bins, at: int, term: Term, steps: Units) -> tuple[Term, int]:
    """A linear term with ``steps`` int64[width] added, centred on the training rows; and its mean before, in units."""
    column, last, count = frame.columns[term.name], int(steps[-1]), int(bins.counts[at])
    if isinstance(term, CategoricalTerm):
        levels = frame.contract.feature(term.name).levels
        values = [round(on_grid(term.weights.get(level, term.unseen)) / UNIT) + last for level in levels]
        for place, code in enumerate(bins.thresholds[at].astype(np.int64).tolist()):
            values[code] += int(steps[place]) - last
        values += [round(on_grid(term.unseen) / UNIT) + last, round(on_grid(term.missing) / UNIT) + last]
        # Codes -2 (unseen) and -1 (null) index the last two places.
        mean = _mean(np.array(values, dtype=np.int64)[column])
        *known, unseen, missing = ((value - mean) * UNIT for value in values)
        return CategoricalTerm(term.name, dict(zip(levels, known, strict=True)), missing, unseen), mean
    assert isinstance(term, NumericTerm)
    present = column[~np.isnan(column)]
    low, high = (float(present.min()), float(present.max())) if len(present) else (term.center, term.center)
    missing = round(on_grid(term.missing) / UNIT) + last
    with np.errstate(invalid="ignore"):
        line = on_grid(term.weight * ((np.asarray(column, dtype=np.float64) - term.center) / term.scale))
    units = np.where(np.isnan(column), missing, np.rint(np.nan_to_num(line) / UNIT) + steps[codes])
    mean = _mean(units.astype(np.int64))
    changes = np.flatnonzero(np.diff(steps[:count])) + 1
    shown = steps[np.concatenate([[0], changes])] - mean
    return (
        StepTerm(
            term.name,
            tuple(bins.thresholds[at][changes - 1].tolist()),
            tuple((shown * UNIT).tolist()),
            (missing - mean) * UNIT,
            term.center,
            term.scale,
            term.weight,
            low,
            high,
        ),
        mean,
    )


def _mean(units: Units) -> int:
    return int(np.rint(units.astype(np.float64).mean())) if len(units) else 0
