"""What an operating point is for: recall at least r, precision at least p, share flagged at most c, or the least
cost.
"""

from stillgood.domain.contract.contract import Contract, Objective

_SENTENCES = {
    "recall": "recall",
    "precision": "precision",
    "capacity": "share flagged",
    "cost": "break-even probability",
}


def objective_of(contract: Contract) -> tuple[Objective, float]:
    """The contract's objective, and the value that its figure should have, 0 to 1.

    The figure of ``cost`` is the calibrated probability at the threshold: flagging pays from offer / miss on, because a
    flagged row costs an offer and saves a miss with its probability.
    """
    objective = contract.objective
    if objective.kind != "cost":
        return objective, objective.value
    assert contract.costs is not None  # the reader refuses cost without costs
    return objective, break_even(contract.costs.miss, contract.costs.offer)


def break_even(miss: float, offer: float) -> float:
    """The probability from which on an offer pays: offer / miss, at most 1. A miss that costs nothing is worth no
    offer.

    >>> break_even(500.0, 50.0), break_even(0.0, 50.0)
    (0.1, 1.0)
    """
    return 1.0 if miss <= offer else offer / miss


def figure_name(objective: Objective) -> str:
    """What the objective's figure is called in a sentence.

    >>> figure_name(Objective("capacity", 0.1))
    'share flagged'
    """
    return _SENTENCES[objective.kind]
