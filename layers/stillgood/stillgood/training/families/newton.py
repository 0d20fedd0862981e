"""Newton's method for balanced logistic regression on a dense matrix of many rows, a block of rows at a time.

scikit-learn's newton-cholesky copies the matrix of each fold and makes a weighted copy in every step: of 1,000,000 rows
x 46 columns 370 MB twice, beside the matrix. Blocks stay in the processor's cache and need no copy
(docs/decisions/0056).
"""

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.special import expit

from stillgood.training.families.parts import Floats, Positions, Targets, balanced, log_loss

BLOCK = 4096  # rows: 1.5 MB of 46 columns
MAX_STEPS = 30
# Of the squared Newton decrement g' H^-1 g: after the step that follows, logits are off by its order, below rounding.
CONVERGED = 1e-14


def newton(
    matrix: npt.NDArray[np.float64], rows: Positions, target: Targets, inverse: float, start: tuple[Floats, float]
) -> tuple[Floats, float] | None:
    """Weights float64[width] and intercept that minimise sum(s log(1 + exp(z)) - s y z) + |w|^2 / (2 ``inverse``) of
    the ``rows`` of ``matrix`` float64[n, width] and ``target`` int8[n], with the weights s of ``balanced``.

    The intercept has no penalty. Steps begin at ``start``; the last one begins where the squared Newton decrement is
    below ``CONVERGED``. None where a step does not lower the objective: then a solver with a line search is needed.
    Source: S. Boyd, L. Vandenberghe (2004), "Convex Optimization", section 9.5.

    >>> x, y = np.array([[-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 1], dtype=np.int8)
    >>> weights, intercept = newton(x, np.arange(4), y, 1.0, (np.zeros(1), 0.0))
    >>> round(float(weights[0]), 6), round(intercept, 6)
    (0.452875, -0.226438)
    """
    weight = balanced(target[rows])
    at = np.append(start[0], start[1])
    before = np.inf
    for _ in range(MAX_STEPS):
        value, gradient, hessian = _slope(matrix, rows, target, weight, at, 1 / inverse)
        try:
            step = linalg.solve(hessian, -gradient, assume_a="pos", check_finite=False)
        except linalg.LinAlgError:
            return None
        decrement = -float(gradient @ step)
        # A difference of two sums of n terms is not known below their rounding.
        if not (np.isfinite(decrement) and value <= before + 1e-12 * abs(before)):
            return None
        at, before = at + step, value
        if decrement <= CONVERGED * len(rows):
            return at[:-1], float(at[-1])
    return None


def _slope(
    matrix: npt.NDArray[np.float64], rows: Positions, target: Targets, weight: Floats, at: Floats, penalty: float
) -> tuple[float, Floats, Floats]:
    """The objective, its gradient float64[width + 1] and its Hessian at ``at``, weights and intercept."""
    wide = matrix.shape[1]
    weights, intercept = at[:-1], at[-1]
    value, gradient, hessian = 0.0, np.zeros(wide + 1), np.zeros((wide + 1, wide + 1))
    block = np.empty((BLOCK, wide + 1))
    for low in range(0, len(rows), BLOCK):
        places = rows[low : low + BLOCK]
        x, y, s = block[: len(places)], target[places], weight[low : low + BLOCK]
        x[:, :-1] = matrix[places]
        x[:, -1] = 1.0
        z = x[:, :-1] @ weights + intercept
        share = expit(z)
        value += float(s @ log_loss(z, y))
        gradient += x.T @ (s * (share - y))
        x *= np.sqrt(s * share * (1 - share))[:, None]
        hessian += x.T @ x
    diagonal = np.arange(wide)
    value += penalty * float(weights @ weights) / 2
    gradient[:-1] += penalty * weights
    hessian[diagonal, diagonal] += penalty
    return value, gradient, hessian
