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
from stillgood.training.families.newton import newton
from stillgood.training.families.parts import Floats, Folds, Learned, OutOfFold, Positions, Targets, balanced, log_loss
from stillgood.training.families.wide import WIDE

# Inverse penalties that are tried, as parts of the contract's: half a decade apart, the weakest first.
PATH = tuple(10 ** (-half / 2) for half in range(5))
MAX_AUC_LOSS = 0.002  # a loss that hardly rises can hide a ranking that falls (rain at Bellevue: by .018)
CHOSEN_ON = 20_000  # rows are enough to choose a penalty
C, BENT = "inverse_regularisation", "bent"

type Matrix = sparse.csr_array | npt.NDArray[np.float64]


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
        self._signs = {
            column.start: 1.0 if signs[column.name] == "increasing" else -1.0
            for column in self.columns
            if signs[column.name]
        }

    @property
    def says_nothing(self) -> bool:
        """Whether every row is the same; the solver would start at its optimum, and warn of not getting any further."""
        columns = [self.frame.columns[column.name] for column in self.columns]
        return all(bool((values == values[0]).all() or (values != values).all()) for values in columns)

    def weights(self, rows: Positions, inverse_regularisation: float) -> tuple[Floats, float]:
        """Weights float64[width] and intercept; docs/decisions/0005 has the solver. Monotone features keep their
        sign.
        """
        for known, inverse, fitted in self._known:
            if inverse == inverse_regularisation and np.array_equal(known, rows):
                return fitted
        fitted = self._of_many(rows, inverse_regularisation) or self._path(rows, (inverse_regularisation,))[0]
        self._known.append((rows, inverse_regularisation, fitted))
        return fitted

    def _of_many(self, rows: Positions, inverse: float) -> tuple[Floats, float] | None:
        """The optimum of more than ``CHOSEN_ON`` rows, from that of some of them on; None where ``_path`` is to find
        it.
        """
        some = rows[:: -(-len(rows) // CHOSEN_ON)]
        few = len(some) == len(rows) or not 0 < self.target[some].sum() < len(some)
        if few or isinstance(self.matrix, sparse.csr_array):
            return None
        fitted = newton(self.matrix, rows, self.target, inverse, self._path(some, (inverse,))[0])
        if fitted is None or any(sign * fitted[0][at] < 0 for at, sign in self._signs.items()):
            return None
        return fitted

    def _path(self, rows: Positions, penalties: tuple[float, ...]) -> list[tuple[Floats, float]]:
        """The weights of each inverse penalty, each fit starting from the one before."""
        matrix, target = self.matrix[rows], self.target[rows]
        estimator = LogisticRegression(
            class_weight="balanced",
            solver="newton-cholesky",
            tol=1e-8,
            max_iter=100,
            random_state=self.seed,
            warm_start=True,
        )
        fitted = []
        for inverse in penalties:
            _fit(estimator.set_params(C=inverse), matrix, target)
            kept = np.ones(self.matrix.shape[1])
            # A weight of the wrong sign becomes 0 and the others are fitted again, until none is wrong: few rounds, if
            # any.
            while wrong := [at for at, sign in self._signs.items() if sign * estimator.coef_[0, at] < 0]:
                kept[wrong] = 0.0
                _fit(estimator, _scaled(matrix, kept), target)
                estimator.coef_ = estimator.coef_ * kept
            fitted.append((estimator.coef_[0].copy(), float(estimator.intercept_[0])))
        return fitted

    def out_of_fold(self, folds: Folds, penalties: tuple[float, ...] = ()) -> OutOfFold:
        """Choose the penalty, on at most ``CHOSEN_ON`` rows: those of the folds, thinned out evenly.

        ``penalties``: inverse ones to choose from, the weakest first; ``PATH`` if there are none.
        """
        step = -(-self.frame.n // CHOSEN_ON)
        thinned = [(train[::step], test[::step]) for train, test in folds]
        weakest = self.frame.contract.training.inverse_regularisation
        penalties = penalties or tuple(weakest * part for part in PATH)
        fitted = [self._path(train, penalties) for train, _ in thinned]
        scored = self._scored(thinned, fitted, len(penalties))
        rows = np.sort(np.concatenate([test for _, test in thinned]))
        weight = balanced(self.target)
        losses = [
            np.array([(weight * log_loss(logits, self.target))[test].mean() for _, test in thinned])
            for logits in scored
        ]
        aucs = [roc_auc(logits[rows], self.target[rows]) for logits in scored]
        best = min(range(len(losses)), key=lambda index: float(losses[index].mean()))
        bound = float(losses[best].mean() + losses[best].std(ddof=1) / np.sqrt(len(folds)))
        chosen = max(
            index
            for index in range(best, len(losses))
            if losses[index].mean() <= bound and aucs[index] >= aucs[best] - MAX_AUC_LOSS
        )
        logits = scored[chosen]
        if step == 1 and len(self.columns) > WIDE:  # a fit from scratch would end within the solver's tolerance of it
            self._known += [
                (train, penalties[chosen], path[chosen]) for (train, _), path in zip(folds, fitted, strict=True)
            ]
        if step > 1:
            for train, test in folds:
                weights, intercept = self.weights(train, penalties[chosen])
                logits[test] = self.matrix[test] @ weights + intercept
        return OutOfFold(logits, {C: penalties[chosen], **({BENT: sorted(self.bends)} if self.bends else {})})

    def _scored(self, folds: Folds, fitted: list[list[tuple[Floats, float]]], penalties: int) -> list[Floats]:
        """Logits float64[n] of the test rows for each of ``penalties``; 0 for rows in no fold. ``fitted``: the fits of
        each fold, one a penalty.
        """
        logits = [np.zeros(self.frame.n) for _ in range(penalties)]
        for (_, test), path in zip(folds, fitted, strict=True):
            for values, (weights, intercept) in zip(logits, path, strict=True):
                values[test] = self.matrix[test] @ weights + intercept
        return logits

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
