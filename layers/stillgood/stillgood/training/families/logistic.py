"""Balanced logistic regression, its penalty chosen: the largest whose out-of-fold loss is within one standard error of
the best
(L. Breiman et al. (1984), "Classification and regression trees", the 1 SE rule), and whose ROC-AUC is within .002.

Collinear columns cancel under a weak penalty, so that reasons move from one refit to the next although no prediction
does. Numbers may bend at quantiles, a broken line in place of a straight one (docs/decisions/0022).
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import Family
from stillgood.domain.statistics.delong import roc_auc
from stillgood.training.design import curves, design, encode, encode_dense, hinges, knots, terms_of
from stillgood.training.families.newton import CONVERGED, Matrix, Optimum, newton
from stillgood.training.families.parts import Floats, Folds, Learned, OutOfFold, Positions, Targets, balanced, log_loss

# Inverse penalties that are tried, as parts of the contract's: half a decade apart, the weakest first.
PATH = tuple(10 ** (-half / 2) for half in range(5))
MAX_AUC_LOSS = 0.002  # a loss that hardly rises can hide a ranking that falls (rain at Bellevue: by .018)
CHOSEN_ON = 20_000  # rows are enough to choose a penalty
COMPARED = 1e-12  # tolerance of fits whose losses are compared: logits are off by 1e-6
C, BENT = "inverse_regularisation", "bent"


class Logistic:
    """The logistic family on ``frame`` and ``target`` int8[n]. Raises ContractInvalid when a number has no finite
    spread.

    ``bends``: the numbers that may bend, and where; ``may_bend`` has all that there are. A feature that the contract
    holds to be monotone stays straight, with a weight of that sign.
    """

    name: Family = "logistic"

    def __init__(self, frame: Frame, target: Targets, seed: int, bends: Mapping[str, Floats] | None = None) -> None:
        self.frame, self.target, self.seed = frame, target, seed
        self.columns = design(frame)
        signs = {feature.name: feature.monotone for feature in frame.contract.features}
        self.bends = dict(bends or {})
        self.width = self.columns[-1].start + self.columns[-1].width
        bent_columns = hinges(frame, self.columns, self.bends)
        stored, wide = len(self.columns) + bent_columns.shape[1], self.width + bent_columns.shape[1]
        self.matrix: Matrix
        if _dense(wide, stored):
            self.matrix = encode_dense(frame, self.columns, bent_columns)
        elif self.bends:
            straight = encode(frame, self.columns)
            self.matrix = sparse.csr_array(sparse.hstack([straight, sparse.csr_array(bent_columns)]))
        else:
            self.matrix = encode(frame, self.columns)
        # Fits and the rows that they are of: other learners start from the fits of the same folds.
        self._known: list[tuple[Positions, float, tuple[Floats, float]]] = []
        self._near: dict[float, Optimum] = {}  # by the inverse penalty: where fits of other rows begin
        self._signs = np.zeros(wide)
        for column in self.columns:
            if sign := signs[column.name]:
                self._signs[column.start] = 1.0 if sign == "increasing" else -1.0

    @property
    def says_nothing(self) -> bool:
        """Whether every row is the same; the solver would start at its optimum, and warn of not getting any further."""
        columns = [self.frame.columns[column.name] for column in self.columns]
        return all(bool((values == values[0]).all() or (values != values).all()) for values in columns)

    def weights(self, rows: Positions, inverse_regularisation: float) -> tuple[Floats, float]:
        """Weights float64[width] and intercept. Monotone features keep their sign.

        Of all rows, if they are at most ``CHOSEN_ON`` or the matrix is sparse, scikit-learn's own fit
        (docs/decisions/0005).
        """
        for known, inverse, fitted in self._known:
            if inverse == inverse_regularisation and np.array_equal(known, rows):
                return fitted
        whole = len(rows) == self.frame.n and bool((rows == np.arange(len(rows))).all())
        if whole and (len(rows) <= CHOSEN_ON or isinstance(self.matrix, sparse.csr_array)):
            optimum = self._by_scikit_learn(self.matrix, self.target, inverse_regularisation)
        else:
            matrix, target = (self.matrix, self.target) if whole else (self.matrix[rows], self.target[rows])
            start = self._near.get(inverse_regularisation)
            optimum = self._optimum(matrix, target, balanced(target), inverse_regularisation, start)
        fitted = optimum.weights, optimum.intercept
        self._known.append((rows, inverse_regularisation, fitted))
        return fitted

    def _optimum(
        self,
        matrix: Matrix,
        target: Targets,
        weight: Floats,
        inverse: float,
        start: Optimum | None,
        tolerance: float = CONVERGED,
    ) -> Optimum:
        """Of the rows that have a ``weight``, from ``start`` on."""
        found = newton(matrix, target, weight, inverse, start, self._signs, tolerance)
        if found is not None:
            return found
        rows = np.flatnonzero(weight)
        return self._by_scikit_learn(matrix[rows], target[rows], inverse)

    def _by_scikit_learn(self, matrix: Matrix, target: Targets, inverse: float) -> Optimum:
        estimator = LogisticRegression(
            C=inverse,
            class_weight="balanced",
            solver="newton-cholesky",
            tol=1e-8,
            max_iter=100,
            random_state=self.seed,
            warm_start=True,
        )
        _fit(estimator, matrix, target)
        kept = np.ones(matrix.shape[1])
        # A weight of the wrong sign becomes 0 and the others are fitted again, until none is wrong: few rounds, if any.
        while (wrong := self._signs * estimator.coef_[0] < 0).any():
            kept[wrong] = 0.0
            _fit(estimator, _scaled(matrix, kept), target)
            estimator.coef_ = estimator.coef_ * kept
        return Optimum(np.append(estimator.coef_[0], estimator.intercept_[0]))

    def out_of_fold(self, folds: Folds, penalties: tuple[float, ...] = ()) -> OutOfFold:
        """Choose the penalty, on at most ``CHOSEN_ON`` rows: those of the folds, thinned out evenly.

        ``penalties``: inverse ones to choose from, the weakest first; ``PATH`` if there are none.
        """
        rows, some = thinned(folds, self.frame.n)
        whole = len(rows) == self.frame.n
        matrix, target = (self.matrix, self.target) if whole else (self.matrix[rows], self.target[rows])
        tests = [test for _, test in some]
        weakest = self.frame.contract.training.inverse_regularisation
        penalties = penalties or tuple(weakest * part for part in PATH)
        paths = self._paths(matrix, target, tests, penalties)
        chosen = self._chosen(matrix, target, tests, paths)
        inverse = penalties[chosen]
        logits = np.empty(self.frame.n)
        for (train, test), path in zip(folds, paths, strict=True):
            optimum = self._optimum(self.matrix, self.target, _weight(self.target, test), inverse, path[chosen])
            self._known.append((train, inverse, (optimum.weights, optimum.intercept)))
            logits[test] = self.matrix[test] @ optimum.weights + optimum.intercept
            self._near[inverse] = optimum
        return OutOfFold(logits, {C: inverse, **({BENT: sorted(self.bends)} if self.bends else {})})

    def _paths(
        self, matrix: Matrix, target: Targets, tests: list[Positions], penalties: tuple[float, ...]
    ) -> list[list[Optimum]]:
        """The optimum without each of ``tests``, one a penalty, near enough to compare penalties: each fit starts from
        the one before, the first of a fold from the first of the last fold.
        """
        paths: list[list[Optimum]] = []
        for test in tests:
            weight, path = _weight(target, test), list[Optimum]()
            near = Optimum(paths[-1][0].at, paths[-1][-1].curvature) if paths else None
            for inverse in penalties:
                near = self._optimum(matrix, target, weight, inverse, near, COMPARED)
                path.append(near)
            paths.append(path)
        return paths

    def _chosen(self, matrix: Matrix, target: Targets, tests: list[Positions], paths: list[list[Optimum]]) -> int:
        """The place of the largest penalty that loses nothing that matters, by the rows of ``tests``."""
        logits = np.empty((len(target), len(paths[0])))
        for test, path in zip(tests, paths, strict=True):
            at = np.column_stack([optimum.at for optimum in path])
            logits[test] = matrix[test] @ at[:-1] + at[-1]
        weight = balanced(target)
        scored = [np.ascontiguousarray(values) for values in logits.T]
        of_rows = [weight * log_loss(values, target) for values in scored]
        losses = [np.array([values[test].mean() for test in tests]) for values in of_rows]
        aucs = [roc_auc(values, target) for values in scored]
        best = min(range(len(losses)), key=lambda index: float(losses[index].mean()))
        bound = float(losses[best].mean() + losses[best].std(ddof=1) / np.sqrt(len(tests)))
        return max(
            index
            for index in range(best, len(losses))
            if losses[index].mean() <= bound and aucs[index] >= aucs[best] - MAX_AUC_LOSS
        )

    def learn(self, rows: Positions, settings: Mapping[str, Any]) -> Learned:
        weights, intercept = self.weights(rows, settings[C])
        frame = self.frame.take(rows)
        terms, baseline = terms_of(frame, self.columns, weights[: self.width], intercept)
        bent, moved = curves(frame, self.columns, self.bends, weights[self.width :], terms)
        return Learned("logistic", bent, (), baseline + moved, dict(settings))


def _dense(wide: int, stored: int) -> bool:
    """Whether a matrix of ``wide`` columns, of which each row stores ``stored`` values, is better dense.

    Per row, BLAS multiplies some thirty pairs of columns in the time of one pair of stored sparse values, and a value
    takes 8 bytes in place of 12: dense where that is faster, and at most 2.7 times as large.

    >>> _dense(54, 30), _dense(146, 10)
    (True, False)
    """
    return wide <= 4 * stored and wide**2 < 30 * stored**2


def thinned(folds: Folds, n: int) -> tuple[Positions, Folds]:
    """The rows on which settings are chosen, at most ``CHOSEN_ON`` of ``n``, evenly from every fold; and the folds as
    positions among them.

    >>> rows, [(train, test), _] = thinned([(np.array([1]), np.array([0])), (np.array([0]), np.array([1]))], 2)
    >>> rows.tolist(), train.tolist(), test.tolist()
    ([0, 1], [1], [0])
    """
    # Of each fold one row more than its share may be left.
    step = 1 if n <= CHOSEN_ON else n // (CHOSEN_ON - len(folds)) + 1
    rows = np.sort(np.concatenate([test[::step] for _, test in folds]))
    tests = [np.searchsorted(rows, test[::step]) for _, test in folds]
    return rows, [(np.setdiff1d(np.arange(len(rows)), test, assume_unique=True), test) for test in tests]


def _weight(target: Targets, test: Positions) -> Floats:
    """float64[n]: what ``balanced`` weighs the other rows by, and 0 for those of ``test``."""
    learnt = np.ones(len(target), dtype=np.bool_)
    learnt[test] = False
    weight = np.zeros(len(target))
    weight[learnt] = balanced(target[learnt])
    return weight


def _scaled(matrix: Matrix, by: Floats) -> Matrix:
    return sparse.csr_array(matrix @ sparse.diags_array(by)) if sparse.issparse(matrix) else matrix * by


def _fit(estimator: LogisticRegression, matrix: Matrix, target: npt.NDArray[np.int8]) -> None:
    """Fit, and say nothing of a start that is the optimum already: its line search ends, and L-BFGS confirms it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Line search of Newton solver", ConvergenceWarning)
        estimator.fit(matrix, target)


def may_bend(frame: Frame) -> dict[str, Floats]:
    """``knots`` of the numbers whose line the contract lets bend."""
    signs = {feature.name: feature.monotone for feature in frame.contract.features}
    return {name: at for name, at in knots(frame).items() if not signs[name]}
