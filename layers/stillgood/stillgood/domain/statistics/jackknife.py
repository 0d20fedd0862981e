"""How much a figure owes to the rows that a model happened to learn from."""

import numpy as np
import numpy.typing as npt


def jackknife_variance(figures: npt.ArrayLike) -> float:
    """The variance of a figure over training sets, from its values [k] when each of k equal parts is left out in turn:
    (k - 1) / k sum (figure - mean)^2, 0 for fewer than two.

    Source: B. Efron and C. Stein (1981), "The Jackknife Estimate of Variance", Annals of Statistics 9, 586-596; it
    errs on the large side.

    >>> round(jackknife_variance([0.80, 0.81, 0.82, 0.81]), 6)
    0.00015
    >>> jackknife_variance([0.8])
    0.0
    """
    values = np.asarray(figures, dtype=np.float64)
    n = len(values)
    return 0.0 if n < 2 else float((n - 1) / n * ((values - values.mean()) ** 2).sum())
