"""The same scorer over columns: logits equal ``Model.score`` to the last bit, because every operation is the same IEEE one in the same order."""

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import CategoricalTerm, Model, Term

type Floats = NDArray[np.float64]


def contribution(term: Term, frame: Frame) -> Floats:
    """float64[n] of what one term adds, in logits."""
    column = frame.columns[term.name]
    if isinstance(term, CategoricalTerm):
        levels = frame.contract.feature(term.name).levels
        # Codes -2 (unseen) and -1 (null) index the last two places.
        table = np.array([*(term.weights.get(level, term.unseen) for level in levels), term.unseen, term.missing])
        return np.asarray(table[column])
    added = term.weight * ((column - term.center) / term.scale)
    return np.where(np.isnan(column), term.missing, added)


def logits(model: Model, frame: Frame) -> Floats:
    """float64[n], bit-identical to ``Model.score`` of each row."""
    total = np.full(frame.n, model.baseline)
    for term in model.terms:
        total += contribution(term, frame)
    return total


def contributions(model: Model, frame: Frame) -> Floats:
    """float64[n, features], in the contract's order."""
    return np.column_stack([contribution(term, frame) for term in model.terms])


def scores(logit: Floats) -> Floats:
    """float64[n] of class-balanced scores, 0 to 1, within an ulp of the pure scorer's."""
    e = np.exp(-np.abs(logit))
    return np.asarray(np.where(logit >= 0, 1.0 / (1.0 + e), e / (1.0 + e)))


def probabilities(model: Model, logit: Floats) -> Floats:
    """float64[n] of calibrated probabilities, 0 to 1."""
    return scores(model.calibration.slope * logit + model.calibration.intercept)


def decisions(model: Model, logit: Floats) -> NDArray[np.bool_]:
    """bool[n], bit for bit the API's."""
    return np.asarray(logit >= model.threshold_logit)
