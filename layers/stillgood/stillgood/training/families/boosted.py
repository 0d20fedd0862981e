"""Boosted pairs: scikit-learn's histogram trees on top of the logistic model, each path through a tree reading two
features at most.

The sum of all trees is a sum of leaves, each a box over one or two features, so it collapses exactly into step
functions and tables (``collapse.py``). Trees start from the logistic model's logit: what users know stays, collinear
contrasts, which greedy trees find slowly, come from the linear part, and few rows cost little, as the number of rounds
is chosen out of fold. The idea: Lou, Caruana, Gehrke & Hooker (2013), "Accurate intelligible models with pairwise
interactions".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.ensemble._hist_gradient_boosting.grower import TreeGrower
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from stillgood.domain.model.model import Family
from stillgood.domain.model.pairs import on_grid
from stillgood.training.families.binning import Bins, bin_columns
from stillgood.training.families.collapse import collapse
from stillgood.training.families.logistic import Logistic
from stillgood.training.families.parts import Floats, Folds, Learned, OutOfFold, Positions, Targets, balanced, log_loss
from stillgood.training.families.wide import WIDE, tried_pairs

LEARNING_RATE = 0.1
MAX_LEAVES = 6
MIN_ROWS_OF_LEAF = 20
L2 = 1.0
MAX_ROUNDS = 300
CHECKED_EVERY = 10
PATIENCE = 4  # checks without a better loss
MAX_PAIRS = 20
SCREENED_ROWS = 20_000
MIN_SCREENED_ROWS = 2_000  # however many features there are
_SCREENED_BINS = 8
_SCREENING_ROUNDS = 40
ROUNDS = "rounds"

type Codes = npt.NDArray[np.uint8]
type Pair = tuple[int, int]


@dataclass(slots=True, eq=False)
class Boosting:
    """Trees grown one by one on ``codes`` uint8[n, features]; ``raw`` float64[n] is the logit so far."""

    bins: Bins
    codes: Codes
    target: Targets
    raw: Floats
    groups: list[set[int]]
    learning_rate: float = LEARNING_RATE
    max_leaves: int = MAX_LEAVES
    trees: list[TreePredictor] = field(default_factory=list)
    done: bool = False
    weight: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.raw = self.raw.copy()
        self.weight = balanced(self.target)

    def grow(self, rounds: int) -> None:
        """Add up to ``rounds`` trees; ``done`` when nothing is left to split."""
        for _ in range(rounds):
            if self.done:
                return
            gradient, hessian = self.slope()
            grower = TreeGrower(
                self.codes,
                gradient.astype(np.float32),
                hessian.astype(np.float32),
                max_leaf_nodes=self.max_leaves,
                min_samples_leaf=MIN_ROWS_OF_LEAF,
                l2_regularization=L2,
                shrinkage=self.learning_rate,
                n_bins=self.bins.missing + 1,
                n_bins_non_missing=self.bins.counts,
                has_missing_values=self.bins.has_missing,
                is_categorical=self.bins.categorical,
                monotonic_cst=self.bins.monotone,
                interaction_cst=self.groups,
                n_threads=1,
            )
            grower.grow()
            if grower.n_nodes == 1:
                self.done = True
                return
            for leaf in grower.finalized_leaves:
                leaf.value = on_grid(leaf.value)
                self.raw[leaf.sample_indices] += leaf.value
            self.trees.append(grower.make_predictor(self.bins.thresholds))

    def slope(self) -> tuple[Floats, Floats]:
        """First and second derivative of the balanced log loss by the logit, float64[n] each."""
        share = expit(self.raw)
        return self.weight * (share - self.target), self.weight * share * (1 - share)


class Boosted:
    """The boosted family on ``frame`` and ``target`` int8[n], on top of ``base``."""

    name: Family = "boosted"

    def __init__(self, base: Logistic, base_settings: Mapping[str, Any]) -> None:
        self.base, self.base_settings = base, dict(base_settings)
        self.frame, self.target = base.frame, base.target
        self.bins = bin_columns(self.frame)
        self.codes = self.bins.codes(self.frame)
        self._grown: list[tuple[Positions, Boosting]] = []

    def out_of_fold(self, folds: Folds) -> OutOfFold:
        """All folds grow together, and stop when their rows' loss has not fallen for ``PATIENCE`` checks."""
        weight = balanced(self.target)
        logits = np.empty(self.frame.n)
        running: list[tuple[Boosting, Codes]] = []
        for train, test in folds:
            boosting, start = self._start(train, test)
            logits[test] = start
            running.append((boosting, np.asfortranarray(self.codes[test])))
        self._grown = [(train, boosting) for (train, _), (boosting, _) in zip(folds, running, strict=True)]
        best = (float((weight * log_loss(logits, self.target)).mean()), 0, logits.copy())
        for rounds in range(CHECKED_EVERY, MAX_ROUNDS + 1, CHECKED_EVERY):
            for (boosting, unseen), (_, test) in zip(running, folds, strict=True):
                before = len(boosting.trees)
                boosting.grow(CHECKED_EVERY)
                for tree in boosting.trees[before:]:
                    logits[test] += tree.predict_binned(unseen, self.bins.missing, 1)
            loss = float((weight * log_loss(logits, self.target)).mean())
            if loss < best[0]:
                best = (loss, rounds, logits.copy())
            elif rounds - best[1] >= PATIENCE * CHECKED_EVERY:
                break
        return OutOfFold(best[2], {**self.base_settings, ROUNDS: best[1]})

    def learn(self, rows: Positions, settings: Mapping[str, Any]) -> Learned:
        """Of rows that ``out_of_fold`` learnt from (the very array), the trees are there already."""
        known = [boosting for train, boosting in self._grown if train is rows]
        boosting = known[0] if known else self._start(rows, rows[:0], screened=settings[ROUNDS] > 0)[0]
        boosting.grow(settings[ROUNDS] - len(boosting.trees))
        trees = boosting.trees[: settings[ROUNDS]]
        linear = self.base.learn(rows, self.base_settings)
        return collapse(
            self.frame.take(rows),
            boosting.codes,
            self.bins,
            trees,
            linear,
            {**settings, ROUNDS: len(trees)},
        )

    def _start(self, train: Positions, test: Positions, *, screened: bool = True) -> tuple[Boosting, Floats]:
        """A boosting of the rows ``train`` that has grown nothing yet, and the logit it starts from, of ``test``."""
        weights, intercept = self.base.weights(train, self.base_settings["inverse_regularisation"])
        codes, target = np.asfortranarray(self.codes[train]), self.target[train]
        raw = self.base.matrix[train] @ weights + intercept
        alone, pairs = screen(self.bins, codes, target, raw) if screened else (range(codes.shape[1]), [])
        groups = [{feature} for feature in alone] + [set(pair) for pair in pairs]
        return Boosting(self.bins, codes, target, raw, groups), self.base.matrix[test] @ weights + intercept


def screen(bins: Bins, codes: Codes, target: Targets, raw: Floats) -> tuple[Iterable[int], list[Pair]]:
    """The features that trees may split alone, and the pairs, at most ``MAX_PAIRS``, by what a coarse table of each
    would gain beyond what the features add alone.

    The features' own shapes are boosted first; the gain of a table on what is left is sum(G^2 / (H + l2)) over its
    cells, G and H the sums of first and second derivatives, less what as many cells of noise would gain. At most
    ``SCREENED_ROWS`` rows are used, fewer of more than ``WIDE`` features, of which only those are split alone that were
    split here.
    """
    features = codes.shape[1]
    most = max(SCREENED_ROWS * WIDE // max(features, WIDE), MIN_SCREENED_ROWS)
    step = -(-len(target) // most)
    codes, target, raw = np.asfortranarray(codes[::step]), target[::step], raw[::step]
    singles = [{feature} for feature in range(features)]
    alone = Boosting(bins, codes, target, raw, singles, learning_rate=2 * LEARNING_RATE, max_leaves=4)
    alone.grow(_SCREENING_ROUNDS)
    gradient, hessian = alone.slope()
    noise = float((gradient**2).sum() / hessian.sum())
    coarse = [_coarse(codes[:, at], gradient if bins.categorical[at] else None) for at in range(features)]
    gains: list[tuple[float, Pair]] = []
    for first, second in tried_pairs([places for places, _ in coarse], gradient, hessian):
        (a, wide), (b, high) = coarse[first], coarse[second]
        cell = a * high + b
        sums = np.bincount(cell, gradient, wide * high)
        curves = np.bincount(cell, hessian, wide * high)
        filled = curves > 0
        gain = float((sums**2 / (curves + L2))[filled].sum()) - noise * int(filled.sum())
        if gain > 0:
            gains.append((-gain, (first, second)))
    pairs = [pair for _, pair in sorted(gains)[:MAX_PAIRS]]
    return range(features) if features <= WIDE else sorted(_split(alone.trees)), pairs


def _split(trees: list[TreePredictor]) -> set[int]:
    return {int(node["feature_idx"]) for tree in trees for node in tree.nodes if not node["is_leaf"]}


def _coarse(column: Codes, gradient: Floats | None) -> tuple[npt.NDArray[np.int64], int]:
    """Codes in at most ``_SCREENED_BINS`` groups of as many rows each, and how many groups there are.

    Neighbours share a group; of a category, which has no order, levels of a like ``gradient`` do.
    """
    counts = np.bincount(column)
    order = np.arange(len(counts))
    if gradient is not None:
        order = np.argsort(np.bincount(column, gradient) / np.maximum(counts, 1), kind="stable")
    middles = np.empty(len(counts))
    middles[order] = np.cumsum(counts[order]) - counts[order] / 2
    present, groups = np.flatnonzero(counts), middles * _SCREENED_BINS // len(column)
    _, dense = np.unique(groups[present], return_inverse=True)
    group_of = np.zeros(len(counts), dtype=np.int64)
    group_of[present] = dense
    return group_of[column], int(dense.max()) + 1


def predictions(trees: list[TreePredictor], codes: Codes, bins: Bins) -> Iterator[Floats]:
    """float64[n] of each tree, by scikit-learn itself."""
    for tree in trees:
        yield tree.predict_binned(codes, bins.missing, 1)
