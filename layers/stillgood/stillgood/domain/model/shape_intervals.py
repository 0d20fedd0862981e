"""How sure the shapes of a model are: 95% intervals of what each feature adds, from the models of the folds.

Each fold model was fitted without a fifth of the customers, so the five are a delete-a-group jackknife: it needs no
further fit, holds for both families, and a customer's rows stay together. With g = 5 groups the squared standard error
of a share is (g - 1) / g * sum((share_k - mean share)^2), and the interval is share +- t * error, t of g - 1 degrees of
freedom (P. Kott (2001), "The delete-a-group jackknife", Journal of Official Statistics 17). Settings that
cross-validation chose are held, so how they were chosen is not in the interval.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from stillgood.domain.model.model import CategoricalTerm, CurveTerm, Model, NumericTerm, Term
from stillgood.domain.model.shapes import BOOLEANS, straight_range

LEVEL = 0.95
GROUPS = 5  # models of folds, as domain/promotion/folds.py has them
# The .975 quantile of Student's t with GROUPS - 1 degrees of freedom.
T = 2.7764451051977987
MAX_POINTS = 16

type Bounds = list[float]


def shape_intervals(model: Model, fold_models: Sequence[Model]) -> dict[str, Any] | None:
    """``{"level": 0.95, "features": {name: ...}}``, JSON-able, in logits; None without one model a fold, and for a
    recalibrated model, whose folds share their weights.

    A number has ``x`` and as many ``low`` and ``high``, and ``weight`` [low, high] per ``scale`` where it is a straight
    line; a category or boolean ``levels``: {level: [low, high]}; each that may be null ``missing`` [low, high].
    Features that are personal data are left out.
    """
    if len(fold_models) != GROUPS or "recalibrates" in model.training:
        return None
    return {
        "level": LEVEL,
        "features": {
            term.name: _of_feature(model, term, [fold.terms[at] for fold in fold_models])
            for at, term in enumerate(model.terms)
            if not model.contract.feature(term.name).pii
        },
    }


def _of_feature(model: Model, term: Term, others: Sequence[Term]) -> dict[str, Any]:
    feature = model.contract.feature(term.name)
    known: dict[str, Any]
    if isinstance(term, CategoricalTerm):
        known = {"levels": {level: _bounds(term, others, level) for level in term.weights}}
    elif feature.kind == "boolean":
        known = {"levels": {name: _bounds(term, others, value) for name, value in BOOLEANS.items()}}
    else:
        x = shown_at(model, term)
        bounds = [_bounds(term, others, value) for value in x]
        known = {"x": x, "low": [low for low, _ in bounds], "high": [high for _, high in bounds]}
        if isinstance(term, NumericTerm):
            known["weight"] = _bounds(term, others, term.center + term.scale)
    return known | ({"missing": _bounds(term, others, None)} if feature.nullable else {})


def shown_at(model: Model, term: Term) -> list[float]:
    """At which values a number's interval is given: both ends and the middle of a straight line, the knots of a bent
    one, and within at most ``MAX_POINTS`` of the steps of others.
    """
    if isinstance(term, CurveTerm):
        return list(term.knots)
    if isinstance(term, NumericTerm):
        low, high = straight_range(model, term)
        return sorted({low, min(max(term.center, low), high), high})
    assert not isinstance(term, CategoricalTerm)
    edges = [term.low, *(cut for cut in term.cuts if term.low < cut < term.high), term.high]
    inside = [(a + b) / 2 for a, b in pairwise(edges)]
    if len(inside) > MAX_POINTS - 2:
        inside = [inside[round(at * (len(inside) - 1) / (MAX_POINTS - 3))] for at in range(MAX_POINTS - 2)]
    return sorted({term.low, *inside, term.high})


def _bounds(term: Term, others: Sequence[Term], value: float | str | None) -> Bounds:
    return interval(term.contribution(value), [other.contribution(value) for other in others])


def interval(share: float, others: Sequence[float]) -> Bounds:
    """[low, high] around ``share`` from the same share of each fold model.

    >>> [round(bound, 3) for bound in interval(1.0, [0.9, 1.0, 1.1, 1.0, 1.0])]
    [0.649, 1.351]
    """
    groups = len(others)
    mean = math.fsum(others) / groups
    error = math.sqrt((groups - 1) / groups * math.fsum((other - mean) ** 2 for other in others))
    return [share - T * error, share + T * error]


def read_intervals(raw: object) -> Mapping[str, Mapping[str, Any]]:
    """The intervals by feature as ``metrics.json`` holds them; empty where an older version has none."""
    features = raw.get("features") if isinstance(raw, Mapping) else None
    return features if isinstance(features, Mapping) else {}
