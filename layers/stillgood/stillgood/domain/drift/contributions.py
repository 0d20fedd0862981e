"""Drift in units of the logit: how far each feature, and each pair, has moved the mean score, and that it adds up.

The models are sums, so the mean logit is the sum of mean contributions, and its change the sum of their changes. A
feature may be distributed quite differently and move no score; another may hardly differ and move all of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.frame import Frame
from stillgood.domain.drift.reference import Distribution, Levels, Reference, mean_and_variance
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import contribution, contributions
from stillgood.domain.statistics.intervals import Z95, normal_sf

TOTAL = "logit"


@dataclass(frozen=True, slots=True)
class ContributionChange:
    """Mean contribution of ``name`` in logits, ``before`` (the reference) and ``now``, and the standard error of the
    change. ``spread_before``, ``spread``: standard deviation over rows, then and now.
    """

    name: str
    before: float
    now: float
    standard_error: float
    spread_before: float = 0.0
    spread: float = 0.0

    @property
    def change(self) -> float:
        return self.now - self.before

    @property
    def p(self) -> float:
        """Two-sided p of "it has not changed"."""
        if self.standard_error > 0.0:
            return 2.0 * normal_sf(abs(self.change) / self.standard_error)
        return float(self.change == 0.0)

    def to_dict(self) -> dict[str, Any]:
        reach = Z95 * self.standard_error
        return {
            "name": self.name,
            "before": self.before,
            "now": self.now,
            "change": {"value": self.change, "low": self.change - reach, "high": self.change + reach},
            "p": self.p,
            "spread": {"before": self.spread_before, "now": self.spread},
        }


@dataclass(frozen=True, slots=True)
class ContributionDrift:
    """``parts`` largest change first; ``total`` is the change of the mean logit, of which they are the whole."""

    total: ContributionChange
    parts: tuple[ContributionChange, ...]
    rows: int
    entities: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "total": self.total.to_dict(),
            "parts": [part.to_dict() for part in self.parts],
            "rows": self.rows,
            "entities": self.entities,
        }


def contribution_drift(
    model: Model, reference: Reference, frame: Frame, entities: npt.NDArray[Any]
) -> ContributionDrift | None:
    """The change of each mean contribution between ``reference`` and the rows of ``frame``, whose they are ``entities``
    [n].

    Standard error of a change: sqrt(sum over entities of (sum of (c - mean c))^2 / n^2 * g / (g - 1) + v / m), with g
    entities and v the variance over the reference's m rows (Liang and Zeger 1986). Features that are personal data are
    not captured and left out, of the total as well. None without rows, for rows of one entity alone, which say nothing
    of how far entities differ, and for a model with pairs whose reference does not know their contributions.

    >>> from stillgood.domain.contract.contract import Contract, Feature, Target
    >>> from stillgood.domain.model.model import Calibration, NumericTerm
    >>> contract = Contract("c", "1", None, None, Target("y", "1", "0"), (Feature("x", "numeric"),))
    >>> model = Model("v1", contract, (NumericTerm("x", 0.0, 1.0, 2.0),), 0.5, 0.0, Calibration(1.0, 0.0))
    >>> before = Reference("v1", 2, {"x": Distribution.of([0.0, 1.0])}, {}, Distribution.of([0.5]))
    >>> moved = contribution_drift(model, before, Frame(contract, 2, {"x": np.array([2.0, 3.0])}), np.arange(2))
    >>> moved.total.before, moved.total.now, moved.parts[0].change
    (1.5, 5.5, 4.0)
    """
    n = frame.n
    known = reference_contributions(model, reference)
    if n == 0 or known is None:
        return None
    shares = contributions(model, frame)
    columns = [place for place, name in enumerate(model.names) if name in known]
    _, whose = np.unique(entities, return_inverse=True)
    groups = int(whose.max()) + 1
    if groups < 2:
        return None
    parts = []
    for place in columns:
        name, share = model.names[place], shares[:, place]
        before, variance = known[name]
        mean = math.fsum(share) / n
        error = _error(share - mean, whose, groups, n)
        error = math.hypot(error, math.sqrt(variance / reference.rows))
        parts.append(ContributionChange(name, before, mean, error, math.sqrt(variance), float(share.std())))
    logit = shares[:, columns].sum(axis=1)
    logit -= logit.mean()
    # The reference's joint distribution is not stored: its part of the error is taken as if contributions were
    # independent.
    error = math.hypot(
        _error(logit, whose, groups, n), math.sqrt(sum(known[part.name][1] for part in parts) / reference.rows)
    )
    total = ContributionChange(
        TOTAL,
        math.fsum([model.baseline, *(part.before for part in parts)]),
        math.fsum([model.baseline, *(part.now for part in parts)]),
        error,
    )
    return ContributionDrift(total, tuple(sorted(parts, key=lambda part: -abs(part.change))), n, groups)


def reference_contributions(model: Model, reference: Reference) -> Mapping[str, tuple[float, float]] | None:
    """Mean and variance (n - 1) of each contribution over the reference's rows, by name; None where pairs are unknown.

    Of a single feature they follow from its distribution; of a pair, they were stored when the model was trained.
    """
    moments: dict[str, tuple[float, float]] = {}
    for term in model.terms:
        values: Distribution | Levels | None = reference.numeric.get(term.name) or reference.categorical.get(term.name)
        if values is None:
            continue  # personal data
        if isinstance(values, Distribution):
            column, counts = np.append(values.values, np.nan), np.append(values.counts, values.nulls)
        elif model.contract.feature(term.name).kind == "boolean":
            column, counts = np.array([0.0, 1.0, np.nan]), values.counts[[0, 1, 3]]
        else:
            k = len(values.levels)
            column, counts = np.array([*range(k), -2, -1], dtype=np.int32), values.counts
        frame = Frame(model.contract, len(column), {term.name: column})
        moments[term.name] = mean_and_variance(contribution(term, frame), counts)
    for pair in model.pairs:
        if pair.name not in reference.contributions:
            return None
        moments[pair.name] = reference.contributions[pair.name]
    return moments


def _error(deviations: npt.NDArray[np.float64], whose: npt.NDArray[np.int64], groups: int, n: int) -> float:
    sums = np.bincount(whose, deviations, minlength=groups)
    return math.sqrt(float((sums**2).sum()) * groups / max(groups - 1, 1)) / n
