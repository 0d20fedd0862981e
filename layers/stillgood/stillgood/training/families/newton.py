"""Newton's method for balanced logistic regression, a block of rows at a time, with a curvature that fits share.

The matrix of second derivatives costs as many times the gradient as there are columns, and hardly differs between the
folds and the penalties of one table. A fit therefore begins at the optimum and with the curvature of the fit before,
and computes its own only where steps with the borrowed one become slow (the chord method). Rows that are not learnt
from weigh nothing, so that no fold copies its rows (docs/decisions/0056, 0064).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from scipy.special import expit

from stillgood.training.families.parts import Floats, Targets

BLOCK = 1024  # rows: 1 MB of 126 columns, so that a block is in the cache when it is read again
MAX_STEPS = 60
# Of the squared decrement g' H^-1 g by weight that is expected after a step: logits are off by its root.
CONVERGED = 1e-24
SLOW = 0.05  # of the squared decrement: what is left of it after a step with a curvature that still holds

type Matrix = sparse.csr_array | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """``at`` float64[width + 1]: weights and intercept. ``curvature`` float64[width + 1, width + 1]: the second
    derivative of the loss, without penalty, by weight of rows, at a point nearby.
    """

    at: Floats
    curvature: Floats | None = None

    @property
    def weights(self) -> Floats:
        return self.at[:-1]

    @property
    def intercept(self) -> float:
        return float(self.at[-1])


def newton(
    matrix: Matrix,
    target: Targets,
    weight: Floats,
    inverse: float,
    start: Optimum | None = None,
    signs: Floats | None = None,
    tolerance: float = CONVERGED,
) -> Optimum | None:
    """Weights float64[width] and intercept that minimise sum(s log(1 + exp(z)) - s y z) + |w|^2 / (2 ``inverse``) of
    ``matrix`` float64[n, width] and ``target`` int8[n], where row i has ``weight`` s_i >= 0.

    The intercept has no penalty. ``signs`` float64[width]: -1 or 1 for weights that must not have the other sign; one
    that does becomes 0, and the others are fitted again, until none is wrong. None where a step does not lower the
    objective: then a solver with a line search is needed.
    Source: S. Boyd, L. Vandenberghe (2004), "Convex Optimization", section 9.5; J. Ortega, W. Rheinboldt (1970),
    "Iterative Solution of Nonlinear Equations in Several Variables", section 7.1.

    >>> x, y = np.array([[-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 1], dtype=np.int8)
    >>> found = newton(x, y, np.ones(4), 1.0)
    >>> round(float(found.weights[0]), 6), round(found.intercept, 6)
    (0.452875, -0.226438)
    """
    held = np.zeros(matrix.shape[1] + 1, dtype=np.bool_)
    found = _free(matrix, target, weight, inverse, start or Optimum(np.zeros(len(held))), held, tolerance)
    while signs is not None and found is not None and (wrong := signs * found.weights < 0).any():
        held[:-1] |= wrong
        found = _free(matrix, target, weight, inverse, found, held, tolerance)
    return found


def _free(
    matrix: Matrix,
    target: Targets,
    weight: Floats,
    inverse: float,
    start: Optimum,
    held: npt.NDArray[np.bool_],
    tolerance: float,
) -> Optimum | None:
    """The optimum over the weights that are not ``held`` at 0."""
    penalty = np.append(np.full(matrix.shape[1], 1 / inverse), 0.0)
    total = float(weight.sum())
    at, curvature, factor = np.where(held, 0.0, start.at), start.curvature, None
    if curvature is not None:
        factor = _factor(curvature * total, penalty, held)
    last = np.inf
    for _ in range(MAX_STEPS):
        gradient = np.where(held, 0.0, _gradient(matrix, target, weight, at) + penalty * at)
        step, decrement = _step(factor, gradient)
        if not decrement <= SLOW * last:
            curvature = _curvature(matrix, weight, at)
            factor = _factor(curvature * total, penalty, held)
            step, decrement = _step(factor, gradient)
            if not decrement < last:
                return None
        at = at + step
        if decrement * min(decrement / last if last < np.inf else 1.0, 1.0) <= tolerance * total:
            return Optimum(at, curvature)
        last = decrement
    return None


def _step(factor: Floats | None, gradient: Floats) -> tuple[Floats, float]:
    """The step float64[width + 1] and its squared decrement; not a number where there is no ``factor``."""
    if factor is None:
        return gradient, np.nan
    step = linalg.cho_solve((factor, False), -gradient, check_finite=False)
    return step, -float(gradient @ step)


def _factor(hessian: Floats, penalty: Floats, held: npt.NDArray[np.bool_]) -> Floats | None:
    """The upper Cholesky factor with ``penalty`` and without what is ``held``; None where there is none."""
    hessian[held, :], hessian[:, held] = 0.0, 0.0
    diagonal = np.arange(len(hessian))
    hessian[diagonal, diagonal] += np.where(held, 1.0, penalty)
    try:
        return np.asarray(linalg.cho_factor(hessian, lower=False, overwrite_a=True, check_finite=False)[0])
    except linalg.LinAlgError:
        return None


def _gradient(matrix: Matrix, target: Targets, weight: Floats, at: Floats) -> Floats:
    """float64[width + 1]: the first derivative of the loss, without penalty."""
    gradient = np.zeros(len(at))
    for x, rows in _blocks(matrix):
        left = weight[rows] * (expit(x @ at[:-1] + at[-1]) - target[rows])
        gradient[:-1] += x.T @ left
        gradient[-1] += left.sum()
    return gradient


def _curvature(matrix: Matrix, weight: Floats, at: Floats) -> Floats:
    """float64[width + 1, width + 1]: the second derivative of the loss, by weight."""
    curvature = np.zeros((len(at), len(at)))
    for x, rows in _blocks(matrix):
        share = expit(x @ at[:-1] + at[-1])
        curve = weight[rows] * share * (1 - share)
        rooted = np.sqrt(curve)
        if isinstance(x, sparse.csr_array):
            weighted = sparse.csr_array(sparse.diags_array(rooted) @ x)
            curvature[:-1, :-1] += (weighted.T @ weighted).toarray()
        else:
            scaled = x * rooted[:, None]
            curvature[:-1, :-1] += scaled.T @ scaled
        curvature[:-1, -1] += x.T @ curve
        curvature[-1, -1] += curve.sum()
    curvature[-1, :-1] = curvature[:-1, -1]
    return curvature / weight.sum()


def _blocks(matrix: Matrix) -> Iterator[tuple[Matrix, slice]]:
    """All rows at once of a sparse matrix, whose slices are copies."""
    n = matrix.shape[0]
    if isinstance(matrix, sparse.csr_array):
        yield matrix, slice(0, n)
        return
    for low in range(0, n, BLOCK):
        rows = slice(low, low + BLOCK)
        yield matrix[rows], rows
