"""Where a logit becomes a decision: by recall, precision, share of rows or costs. Each is found by one sort."""

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.statistics.delong import checked

Ints = npt.NDArray[np.int64]


def threshold_for_recall(logits: npt.ArrayLike, y: npt.ArrayLike, floor: float) -> float:
    """The logit threshold with the highest precision among those with recall >= ``floor`` (0 to 1).

    A row is flagged when its logit >= the threshold; candidates are the observed logits, so rows with equal logits
    fall on one side. At equal precision the higher recall wins. Raises OneClassOnly if no row is positive.

    >>> threshold_for_recall([0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 0, 1, 1], floor=0.6)
    0.4
    """
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"a recall floor lies in [0, 1], got {floor}")
    cuts, flagged, hits = _cuts(logits, y)
    positives = int(hits[-1])
    if positives == 0:
        raise OneClassOnly(f"recall needs positive rows; there are none in {int(flagged[-1])}")
    # The quotient is the very figure that is reported, so that "recall >= floor" never hangs on a rounding.
    allowed = hits / positives >= floor
    precision = np.where(allowed, hits / flagged, -1.0)
    best = np.flatnonzero(precision == precision.max())[-1]
    return float(cuts[best])


def threshold_for_costs(
    logits: npt.ArrayLike, y: npt.ArrayLike, *, miss: float, offer: float, capacity: float | None = None
) -> float:
    """The logit threshold with the lowest cost = ``miss`` * missed positives + ``offer`` * flagged rows.

    ``miss`` and ``offer`` are in one currency, per row, >= 0; ``capacity`` is the largest share of rows (0 to 1) that
    may be flagged: .29 of 100 rows are 29, whatever the product rounds to. At equal cost fewer offers win. When no
    offer pays, the threshold lies just above every logit.

    >>> threshold_for_costs([1, 2, 3, 4], [0, 1, 0, 1], miss=5.0, offer=1.0)
    2.0
    >>> threshold_for_costs([1, 2, 3, 4], [0, 1, 0, 1], miss=5.0, offer=1.0, capacity=0.5)
    4.0
    """
    if miss < 0 or offer < 0 or not np.isfinite([miss, offer]).all():
        raise ValueError(f"costs are finite and not negative, got miss {miss}, offer {offer}")
    if capacity is not None and not 0.0 <= capacity <= 1.0:
        raise ValueError(f"a capacity is a share of rows in [0, 1], got {capacity}")
    cuts, flagged, hits = _cuts(logits, y)
    nobody = np.nextafter(cuts[0], np.inf)
    cuts, flagged, hits = np.append(nobody, cuts), np.append(0, flagged), np.append(0, hits)
    cost = miss * (hits[-1] - hits) + offer * flagged
    if capacity is not None:
        cost = np.where(flagged <= capacity * flagged[-1] + 1e-9, cost, np.inf)
    return float(cuts[np.argmin(cost)])


def threshold_for_precision(logits: npt.ArrayLike, y: npt.ArrayLike, least: float) -> float:
    """The lowest logit threshold with precision >= ``least`` (0 to 1), which has the highest recall of those.

    Where none reaches it, the one with the highest precision: a model that flags nobody shows nobody that it failed.

    >>> threshold_for_precision([5, 4, 3, 2, 1], [1, 0, 1, 0, 0], least=0.6)
    3.0
    """
    if not 0.0 <= least <= 1.0:
        raise ValueError(f"a precision lies in [0, 1], got {least}")
    cuts, flagged, hits = _cuts(logits, y)
    precision = hits / flagged
    reaching = np.flatnonzero(precision >= min(least, precision.max()))
    return float(cuts[reaching[-1]])


def threshold_for_capacity(logits: npt.ArrayLike, y: npt.ArrayLike, share: float) -> float:
    """The lowest logit threshold that flags at most a ``share`` (0 to 1) of the rows; above every logit where not even
    the highest fit.

    >>> threshold_for_capacity([5, 4, 3, 2, 1], [1, 0, 1, 0, 0], share=0.5)
    4.0
    """
    cuts, flagged, _ = _cuts(logits, y)
    fitting = np.flatnonzero(flagged <= share * flagged[-1] + 1e-9)
    return float(cuts[fitting[-1]]) if len(fitting) else float(np.nextafter(cuts[0], np.inf))


def threshold_for_contract(logits: npt.ArrayLike, y: npt.ArrayLike, contract: Contract) -> float:
    """The logit threshold at which a contract's objective is met. Raises OneClassOnly, TooFewRows."""
    objective, costs = contract.objective, contract.costs
    match objective.kind:
        case "recall":
            return threshold_for_recall(logits, y, objective.value)
        case "precision":
            return threshold_for_precision(logits, y, objective.value)
        case "capacity":
            return threshold_for_capacity(logits, y, objective.value)
        case "cost":
            assert costs is not None  # the reader refuses cost without costs
            capacity = None if costs.capacity is None else costs.capacity / 1000
            return threshold_for_costs(logits, y, miss=costs.miss, offer=costs.offer, capacity=capacity)


def _cuts(logits: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], Ints, Ints]:
    """Distinct logits, highest first, with the rows flagged (>= it) and the positives among them, each int64[k]."""
    values, positive = checked(logits, y)
    if not len(values):
        raise TooFewRows("a threshold needs rows; there are none")
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(positive[order], dtype=np.int64)
    return ordered[last_of_tie], last_of_tie + 1, hits[last_of_tie]
