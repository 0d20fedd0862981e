"""Evidence chooses the family by the out-of-fold loss, and keeps the simpler one where its ranking loses nothing that
matters (docs/decisions/0033).

``auto`` also lets numbers bend in logistic regression where that lowers the out-of-fold loss demonstrably.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.model.model import Family
from stillgood.domain.statistics.delong import auc_estimate, paired_delong
from stillgood.domain.statistics.intervals import Z95, normal_sf
from stillgood.training.families.boosted import Boosted
from stillgood.training.families.logistic import CHOSEN_ON, C, Logistic, may_bend, thinned
from stillgood.training.families.parts import Floats, Folds, Learner, OutOfFold, Targets, balanced, log_loss
from stillgood.training.families.wide import WIDE, bending

ALPHA = 0.05
TOLERANCE = 0.003  # of ROC-AUC: less than this does not matter


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
    out_of_fold: OutOfFold
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
    frame, target = straight.frame, straight.target
    bends = may_bend(frame)
    penalties: tuple[float, ...] = ()
    if len(frame.contract.features) > WIDE:
        bends = bending(frame, straight.columns, bends, line.logits, target)
        penalties = (line.settings[C],)
    elif bends and frame.n > CHOSEN_ON:
        bends, penalties = _worth_trying(straight, line, folds, bends)
    if not bends:
        return straight, line
    bent = Logistic(frame, target, straight.seed, bends)
    curve = bent.out_of_fold(folds, penalties)
    return (bent, curve) if loss_falls(line.logits, curve.logits, straight.target) else (straight, line)


def _worth_trying(
    straight: Logistic, line: OutOfFold, folds: Folds, bends: dict[str, Floats]
) -> tuple[dict[str, Floats], tuple[float, ...]]:
    """``bends`` and their inverse penalty if on the rows that settings are chosen on the loss is lower with them,
    however little; else none.
    """
    rows, some = thinned(folds, straight.frame.n)
    frame, target = straight.frame.take(rows), straight.target[rows]
    before = Logistic(frame, target, straight.seed).out_of_fold(some, (line.settings[C],))
    after = Logistic(frame, target, straight.seed, bends).out_of_fold(some)
    less, _ = loss_difference(before.logits, after.logits, target)
    return (bends, (after.settings[C],)) if less > 0 else ({}, ())


def loss_falls(before: Floats, after: Floats, target: Targets) -> bool:
    """Whether the balanced log loss of ``after`` is demonstrably lower: a paired z-test of each row's, one-sided at
    ``ALPHA``.

    >>> import numpy as np
    >>> y = np.tile([0, 1], 50).astype(np.int8)
    >>> loss_falls(np.zeros(100), y - 0.5, y), loss_falls(np.zeros(100), np.zeros(100), y)
    (True, False)
    """
    less, error = loss_difference(before, after, target)
    return less > 0 and (error == 0 or normal_sf(less / error) < ALPHA)


def loss_difference(before: Floats, after: Floats, target: Targets) -> tuple[float, float]:
    """By how much the mean balanced log loss of ``after`` is lower, and the standard error of that, paired by row.

    >>> import numpy as np
    >>> y = np.tile([0, 1], 50).astype(np.int8)
    >>> [round(value, 3) for value in loss_difference(np.zeros(100), y - 0.5, y)]
    [0.219, 0.0]
    """
    less = balanced(target) * (log_loss(before, target) - log_loss(after, target))
    return float(less.mean()), float(less.std(ddof=1)) / math.sqrt(len(less))


def compare(logistic: Floats, boosted: Floats, target: Targets) -> Comparison:
    """Choose by out-of-fold logits float64[n] of the same rows: boosted if its balanced log loss is lower by more than
    one standard error, unless its gain of ROC-AUC is below ``TOLERANCE`` by one standard error (DeLong, paired).

    The loss tells with fewer rows what the ROC-AUC tells later; the tolerance lets the simpler family keep what it
    loses nothing by. Raises OneClassOnly, TooFewRows.

    >>> import numpy as np
    >>> y = np.tile([0, 1], 500).astype(np.int8)
    >>> noise = np.random.default_rng(0).normal(size=1000)
    >>> compare(y + 2 * noise, y + noise, y).chosen, compare(y + noise, y + noise, y).chosen
    ('boosted', 'logistic')
    """
    test = paired_delong(boosted, logistic, target)
    low, high = (test.difference + side * Z95 * test.standard_error for side in (-1, 1))
    less, error = loss_difference(logistic, boosted, target)
    matters = test.difference + test.standard_error >= TOLERANCE
    chosen: Family = "boosted" if less > error and matters else "logistic"
    gain = f"ROC-AUC {test.difference:+.4f} [{low:+.4f}, {high:+.4f}], log loss {-less:+.4f} ± {error:.4f}"
    if chosen == "boosted":
        why = f"boosted pairs lose less out of fold, by more than one standard error: {gain}"
    elif less > error:
        why = f"boosted pairs gain less than {TOLERANCE:g} of ROC-AUC, which does not matter: {gain}"
    else:
        why = f"boosted pairs are not better out of fold by more than one standard error of the loss: {gain}"
    return Comparison(
        chosen,
        why,
        {
            "logistic_roc_auc": auc_estimate(logistic, target).to_dict(),
            "boosted_roc_auc": auc_estimate(boosted, target).to_dict(),
            "difference": {"value": test.difference, "low": low, "high": high},
            "p": test.p,
            "loss": {"lower_by": less, "standard_error": error},
            "tolerance": TOLERANCE,
        },
    )
