"""What every family answers: the parts of a model, logits of rows it had not seen, and settings chosen on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Calibration, Family, Model, Term
from stillgood.domain.model.pairs import PairTerm

type Floats = npt.NDArray[np.float64]
type Targets = npt.NDArray[np.int8]
type Positions = npt.NDArray[np.int64]
type Folds = list[tuple[Positions, Positions]]


@dataclass(frozen=True, slots=True)
class Learned:
    """A model but for its threshold and calibration. ``settings``: what was chosen by cross-validation, for the
    record.
    """

    family: Family
    terms: tuple[Term, ...]
    pairs: tuple[PairTerm, ...]
    baseline: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    def model(self, contract: Contract) -> Model:
        """To score and explain rows of ``contract`` with: it has neither name nor threshold, and is not calibrated."""
        unused = Calibration(1.0, 0.0)
        return Model("", contract, self.terms, self.baseline, 0.0, unused, {}, self.family, self.pairs)


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """``logits`` float64[n]: each row's by a model that had not seen it; ``settings`` are those that did best on
    them.
    """

    logits: Floats
    settings: Mapping[str, Any]


class Learner(Protocol):
    """One family on one table of rows."""

    name: Family

    def out_of_fold(self, folds: Folds) -> OutOfFold:
        """Cross-validate, and choose settings. ``folds`` are (train, test) row positions."""

    def learn(self, rows: Positions, settings: Mapping[str, Any]) -> Learned:
        """Fit on the rows at ``rows`` (repeats allowed) with settings that ``out_of_fold`` chose."""


def balanced(target: Targets) -> Floats:
    """float64[n]: weights that give both outcomes the same sum, n / 2 (scikit-learn's ``class_weight="balanced"``).

    >>> balanced(np.array([0, 0, 0, 1], dtype=np.int8)).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    n, positives = len(target), int(target.sum())
    return np.where(target == 1, n / (2 * max(positives, 1)), n / (2 * max(n - positives, 1)))


def log_loss(logits: Floats, target: Targets) -> Floats:
    """float64[n]: each row's -log likelihood, log(1 + exp(z)) - y z."""
    return np.asarray(np.logaddexp(0.0, logits) - target * logits)
