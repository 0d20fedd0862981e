"""What a ranking is worth at the contract's objective, so that two models are compared at one operating point.

A model's own threshold says where it stands today; the operating point follows the objective anyway. So both rankings
are placed on the same rows, and what is compared is what the objective leaves open: precision at the recall that is
asked for, recall at a precision, precision within a capacity, or net value.
"""

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Costs, Objective
from stillgood.domain.errors import NotEnoughData
from stillgood.domain.promotion.comparison import Difference
from stillgood.domain.statistics.delong import Flags, Floats, checked

MIN_ENTITIES = 20  # for a standard error

NAMES = {
    "recall": "precision at recall {value:.2f}",
    "precision": "recall at precision {value:.2f}",
    "capacity": "precision among the highest {value:.0%}",
    "cost": "net value per row, in units of a miss",
}


def name_of(objective: Objective) -> str:
    """The figure that ``objective`` leaves open, for reasons.

    >>> name_of(Objective("recall", 0.8))
    'precision at recall 0.80'
    """
    return NAMES[objective.kind].format(value=objective.value)


def placed(objective: Objective, costs: Costs | None, logits: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, int]:
    """The figure and how many rows it flags (the highest). Ties are flagged in the order of rows, as no threshold
    splits them evenly.

    Precision and recall 0 to 1; a net value counts a hit as 1 and an offer as offer / miss. Raises OneClassOnly by
    ``checked`` callers.

    >>> placed(Objective("recall", 0.6), None, [5, 4, 3, 2, 1], [1, 0, 1, 1, 0])
    (0.6666666666666666, 3)
    """
    values, positive = checked(logits, y)
    hits = np.cumsum(positive[np.argsort(-values, kind="stable")])
    flagged = np.arange(1, len(hits) + 1)
    positives = int(hits[-1])
    if positives in (0, len(hits)):
        raise NotEnoughData(f"an objective needs both outcomes; {positives} of {len(hits)} rows are positive")
    match objective.kind:
        case "recall":
            at = int(np.searchsorted(hits, objective.value * positives - 1e-9))
            return float(hits[at] / flagged[at]), at + 1
        case "precision":
            reach = np.flatnonzero(hits / flagged >= objective.value)
            return (float(hits[reach[-1]] / positives), int(reach[-1]) + 1) if len(reach) else (0.0, 0)
        case "capacity":
            at = max(int(objective.value * len(hits) + 1e-9), 1) - 1
            return float(hits[at] / flagged[at]), at + 1
        case _:
            price = _price(costs)
            max_flagged = (
                len(hits) if costs is None or costs.capacity is None else int(costs.capacity / 1000 * len(hits) + 1e-9)
            )
            gains = np.append(0.0, (hits - price * flagged)[:max_flagged])
            return float(gains.max() / len(hits)), int(gains.argmax())


def gain(
    objective: Objective,
    costs: Costs | None,
    candidate: Floats,
    champion: Floats,
    y: npt.ArrayLike,
    clusters: npt.NDArray[np.uint64],
) -> tuple[float, float, Difference]:
    """The candidate's figure, the champion's, and their difference with the standard error of entities.

    Each row moves a figure by its influence (``_influence``); what it moves both by cancels, and an entity's rows are
    added up before they are squared. Raises NotEnoughData.
    """
    _, positive = checked(candidate, y)
    figures, moves = [], []
    for values in (candidate, champion):
        figure, number = placed(objective, costs, values, positive)
        figures.append(figure)
        moves.append(_influence(objective, costs, values, positive, figure, number))
    _, codes = np.unique(clusters, return_inverse=True)
    size = int(codes.max()) + 1
    if size < MIN_ENTITIES:
        raise NotEnoughData(f"the rows are of {size} customers, {MIN_ENTITIES} are needed")
    sums = np.bincount(codes, moves[0] - moves[1], size)
    spread = float(np.sqrt(size / (size - 1) * (sums * sums).sum()))
    return figures[0], figures[1], Difference(figures[0] - figures[1], spread)


def _influence(
    objective: Objective, costs: Costs | None, logits: Floats, positive: Flags, figure: float, number: int
) -> Floats:
    """How far each row moves the figure, float64[n] (its influence function over n): through the rows above the cut,
    and
    through the cut, which gives way so that the objective stays met. ``q`` is the share of positives around the cut.
    """
    n, positives = len(logits), int(positive.sum())
    order = np.argsort(-logits, kind="stable")
    above = np.zeros(n)
    above[order[:number]] = 1.0
    reach = max(round(0.05 * n), 20)
    q = float(np.clip(positive[order[max(number - reach, 0) : number + reach]].mean(), 0.02, 0.98))
    share = above[positive].sum() / positives
    match objective.kind:
        case "recall":  # flagged = hits / precision: a cut that gives way for one hit takes 1 / q rows with it
            moved = above - np.where(positive, (above - share) / q, 0.0)
            return np.asarray(-figure / max(number, 1) * (moved - moved.mean()) + 0.0)
        case "precision":
            slack = min(q - objective.value, -0.05)
            return np.asarray(
                (np.where(positive, above - share, 0.0) - q * above * (positive - objective.value) / slack) / positives
            )
        case "capacity":
            return np.asarray((above * (positive - q) - number / n * (figure - q)) / max(number, 1))
        case _:
            return np.asarray((above * (positive - _price(costs)) - figure) / n)


def _price(costs: Costs | None) -> float:
    return 0.0 if costs is None else costs.offer / costs.miss if costs.miss else 1.0


def slice_gain(
    objective: Objective,
    costs: Costs | None,
    candidate: Floats,
    champion: Floats,
    positive: Flags,
    rows: Flags,
    clusters: npt.NDArray[np.uint64],
) -> Difference:
    """Recall within a slice, candidate - champion, with both placed at the objective on *all* rows; clusters count
    once.
    """
    flags = []
    for values in (candidate, champion):
        _, number = placed(objective, costs, values, positive)
        flag = np.zeros(len(values), dtype=bool)
        flag[np.argsort(-values, kind="stable")[:number]] = True
        flags.append(flag)
    inside = rows & positive
    moved = flags[0][inside].astype(np.float64) - flags[1][inside]
    return clustered_mean(moved, clusters[inside])


def clustered_mean(values: Floats, clusters: npt.NDArray[np.uint64]) -> Difference:
    """A mean with the standard error of entities: c / (c - 1) sum_i (sum over i of (v - mean))^2 / n^2.

    >>> clustered_mean(np.array([1.0, 1.0, 0.0, 0.0]), np.array([1, 1, 2, 2], dtype=np.uint64))
    Difference(value=0.5, standard_error=0.5)
    """
    _, codes = np.unique(clusters, return_inverse=True)
    size = int(codes.max()) + 1
    mean = float(values.mean())
    if size < 2:
        raise NotEnoughData("one customer's rows say nothing of others")
    sums = np.bincount(codes, values - mean, size)
    return Difference(mean, float(np.sqrt(size / (size - 1) * (sums * sums).sum())) / len(values))
