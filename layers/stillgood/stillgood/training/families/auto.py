"""Evidence chooses the family: boosted only where its out-of-fold ROC-AUC is demonstrably higher.

``auto`` also lets numbers bend in logistic regression where that lowers the out-of-fold loss demonstrably.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillgood.domain.model.model import Family
from stillgood.domain.statistics.delong import auc_estimate, paired_delong
from stillgood.domain.statistics.intervals import Z95, normal_sf
from stillgood.training.families.boosted import Boosted
from stillgood.training.families.logistic import Logistic
from stillgood.training.families.parts import Floats, Folds, Learner, OutOfFold, Targets, balanced, log_loss

ALPHA = 0.05
MIN_GAIN = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """``chosen`` and why: both families' ROC-AUC with its interval, and the paired difference, boosted - logistic."""

    chosen: Family
    why: str
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"chosen": self.chosen, "why": self.why, **self.figures}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The family that learns, what it did out of fold, and the comparison if there were two. ``others``: those not
    chosen.
    """

    learner: Learner
    found: OutOfFold
    comparison: Comparison | None = None
    others: tuple[tuple[Learner, OutOfFold], ...] = ()


def choose(straight: Logistic, folds: Folds) -> Choice:
    """The family that the contract names, or the one for which evidence speaks; all on the same ``folds``.

    Raises OneClassOnly, TooFewRows.
    """
    family = straight.frame.contract.training.family
    line = straight.out_of_fold(folds)
    if family == "logistic":
        return Choice(straight, line)
    boosted = Boosted(straight, line.settings)
    pairs = boosted.out_of_fold(folds)
    if family == "boosted":
        return Choice(boosted, pairs)
    logistic, smooth = _bent_or_straight(straight, line, folds)
    comparison = compare(smooth.logits, pairs.logits, straight.target)
    sides: list[tuple[Learner, OutOfFold]] = [(logistic, smooth), (boosted, pairs)]
    if comparison.chosen == "boosted":
        sides.reverse()
    return Choice(*sides[0], comparison, (sides[1],))


def _bent_or_straight(straight: Logistic, line: OutOfFold, folds: Folds) -> tuple[Logistic, OutOfFold]:
    bent = Logistic(straight.frame, straight.target, straight.seed, bent=True)
    if not bent.bends:
        return straight, line
    curve = bent.out_of_fold(folds)
    return (bent, curve) if loss_falls(line.logits, curve.logits, straight.target) else (straight, line)


def loss_falls(before: Floats, after: Floats, target: Targets) -> bool:
    """Whether the balanced log loss of ``after`` is demonstrably lower: a paired z-test of each row's, one-sided at
    ``ALPHA``.

    >>> y = np.tile([0, 1], 50).astype(np.int8)
    >>> loss_falls(np.zeros(100), y - 0.5, y), loss_falls(np.zeros(100), np.zeros(100), y)
    (True, False)
    """
    less = balanced(target) * (log_loss(before, target) - log_loss(after, target))
    error = float(less.std(ddof=1)) / np.sqrt(len(less))
    return float(less.mean()) > 0 and (error == 0 or normal_sf(float(less.mean()) / error) < ALPHA)


def compare(logistic: Floats, boosted: Floats, target: Targets) -> Comparison:
    """Choose by out-of-fold logits float64[n] of the same rows: boosted if its ROC-AUC is higher by ``MIN_GAIN`` and
    DeLong's paired test says so at ``ALPHA``, else logistic. Raises OneClassOnly, TooFewRows.

    >>> y = np.tile([0, 1], 500).astype(np.int8)
    >>> noise = np.random.default_rng(0).normal(size=1000)
    >>> compare(y + 2 * noise, y + noise, y).chosen, compare(y + noise, y + noise, y).chosen
    ('boosted', 'logistic')
    """
    test = paired_delong(boosted, logistic, target)
    low, high = (test.difference + side * Z95 * test.standard_error for side in (-1, 1))
    chosen: Family = "boosted" if test.difference >= MIN_GAIN and test.p < ALPHA else "logistic"
    gain = f"ROC-AUC {test.difference:+.4f} [{low:+.4f}, {high:+.4f}], p {test.p:.2g}"
    why = (
        f"boosted pairs rank demonstrably better out of fold: {gain}"
        if chosen == "boosted"
        else f"boosted pairs do not rank demonstrably better by {MIN_GAIN:g} out of fold: {gain}"
    )
    return Comparison(
        chosen,
        why,
        {
            "logistic_roc_auc": auc_estimate(logistic, target).to_dict(),
            "boosted_roc_auc": auc_estimate(boosted, target).to_dict(),
            "difference": {"value": test.difference, "low": low, "high": high},
            "p": test.p,
            "alpha": ALPHA,
            "min_gain": MIN_GAIN,
        },
    )
