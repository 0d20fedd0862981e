"""The same scorer over columns: logits equal ``Model.score`` to the last bit, because every operation is the same IEEE
one in the same order.
"""

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import CategoricalTerm, CurveTerm, Model, NumericTerm, Term
from stillgood.domain.model.pairs import UNIT, Axis, NumericAxis, PairTerm, on_grid

type Floats = NDArray[np.float64]


def contribution(term: Term, frame: Frame) -> Floats:
    """float64[n] of what one term adds, in logits."""
    column = frame.columns[term.name]
    if isinstance(term, CategoricalTerm):
        levels = frame.contract.feature(term.name).levels
        # Codes -2 (unseen) and -1 (null) index the last two places.
        table = np.array([*(term.weights.get(level, term.unseen) for level in levels), term.unseen, term.missing])
        return np.asarray(table[column])
    if isinstance(term, NumericTerm):
        return np.where(np.isnan(column), term.missing, term.weight * ((column - term.center) / term.scale))
    if isinstance(term, CurveTerm):
        knots, shares = np.array(term.knots), np.array(term.shares)
        x = np.minimum(np.maximum(column, knots[0]), knots[-1])
        left = np.minimum(np.searchsorted(knots, x, side="right"), len(knots) - 1) - 1
        along = (x - knots[left]) / (knots[left + 1] - knots[left])
        return np.where(np.isnan(column), term.missing, shares[left] + (shares[left + 1] - shares[left]) * along)
    inside = np.minimum(np.maximum(column, term.low), term.high)
    line = on_grid(term.weight * ((inside - term.center) / term.scale))
    # NaN is searched for at the end, where "missing" overrides what it finds.
    added = np.array(term.steps)[np.searchsorted(term.cuts, column, side="left")] + line
    return np.where(np.isnan(column), term.missing, added)


def pair_contribution(pair: PairTerm, frame: Frame) -> Floats:
    """float64[n] of what one pair adds, in logits."""
    table = np.array(pair.table, dtype=np.int64)
    return np.asarray(table[_places(pair.first, frame), _places(pair.second, frame)] * UNIT)


def _places(axis: Axis, frame: Frame) -> NDArray[np.intp]:
    column = frame.columns[axis.feature]
    if isinstance(axis, NumericAxis):
        places = np.searchsorted(axis.cuts, column, side="left")
        return np.where(np.isnan(column), len(axis.cuts) + 1, places)
    levels = frame.contract.feature(axis.feature).levels
    # Codes -2 (unseen) and -1 (null) index the last two places.
    table = np.array([*(axis.place(level) for level in levels), axis.size - 1, axis.size - 1])
    return np.asarray(table[column])


def logits(model: Model, frame: Frame) -> Floats:
    """float64[n], bit-identical to ``Model.score`` of each row."""
    total = np.full(frame.n, model.baseline)
    for term in model.terms:
        total += contribution(term, frame)
    for pair in model.pairs:
        total += pair_contribution(pair, frame)
    return total


def contributions(model: Model, frame: Frame) -> Floats:
    """float64[n, features + pairs], in the order in which a logit is summed."""
    parts = [contribution(term, frame) for term in model.terms]
    return np.column_stack(parts + [pair_contribution(pair, frame) for pair in model.pairs])


def feature_contributions(model: Model, frame: Frame) -> Floats:
    """float64[n, features], in the contract's order: half of a pair's share counts for either of its features.

    They add up to the logit as the contributions do.
    """
    shares = contributions(model, frame)
    by_feature = shares[:, : len(model.terms)].copy()
    places = {name: place for place, name in enumerate(model.names)}
    for pair, share in zip(model.pairs, shares[:, len(model.terms) :].T, strict=True):
        by_feature[:, places[pair.first.feature]] += share / 2
        by_feature[:, places[pair.second.feature]] += share / 2
    return by_feature


def scores(logit: Floats) -> Floats:
    """float64[n] of class-balanced scores, 0 to 1, within an ulp of the pure scorer's."""
    e = np.exp(-np.abs(logit))
    return np.asarray(np.where(logit >= 0, 1.0 / (1.0 + e), e / (1.0 + e)))


def logits_of(captured: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n] of captured scores in 0..1: log(s / (1 - s)), within 36, beyond which a score is 0 or 1."""
    inside = np.clip(captured, 2.0**-52, 1.0 - 2.0**-52)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def probabilities(model: Model, logit: Floats) -> Floats:
    """float64[n] of calibrated probabilities, 0 to 1."""
    return scores(model.calibration.slope * logit + model.calibration.intercept)


def decisions(model: Model, logit: Floats) -> NDArray[np.bool_]:
    """bool[n], bit for bit the API's."""
    return np.asarray(logit >= model.threshold_logit)
