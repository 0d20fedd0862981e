"""Evidence chooses the family by the out-of-fold loss, and keeps the simpler one where its ranking loses nothing that
matters (docs/decisions/0033).

``auto`` also lets numbers bend in logistic regression where that lowers the out-of-fold loss demonstrably. Of dated
rows, both must also be no worse on the rows that follow (docs/decisions/0077): in shuffled folds every row has
neighbours in time on both sides, which flatters what is flexible as soon as the world moves.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.model import Family
from stillgood.domain.model.vectorised import logits
from stillgood.domain.statistics.delong import PairedAuc, auc_estimate, paired_delong
from stillgood.domain.statistics.intervals import Z95, normal_sf
from stillgood.training.families.boosted import Boosted
from stillgood.training.families.logistic import CHOSEN_ON, C, Logistic, may_bend, thinned
from stillgood.training.families.parts import (
    Floats,
    Folds,
    Learner,
    OutOfFold,
    Positions,
    Targets,
    balanced,
    log_loss,
)
from stillgood.training.families.wide import WIDE, bending

ALPHA = 0.05
TOLERANCE = 0.003  # of ROC-AUC: less than this does not matter
EARLIER = 0.5  # the share of dated rows that is learnt from before the others are asked
MIN_PER_CLASS = 2  # in either part; DeLong's variance needs as many

type Side = tuple[Learner, OutOfFold]


@dataclass(frozen=True, slots=True)
class Gain:
    """What one score has over another on the same rows: of ROC-AUC, and by how much its mean balanced log loss is
    lower, with the standard error of that, paired by row.
    """

    auc: PairedAuc
    loss_lower_by: float
    loss_error: float

    @property
    def is_no_loss(self) -> bool:
        """Whether neither is worse, however little."""
        return self.auc.difference >= 0 and self.loss_lower_by >= 0

    def __str__(self) -> str:
        low, high = self._interval
        return (
            f"ROC-AUC {self.auc.difference:+.4f} [{low:+.4f}, {high:+.4f}],"
            f" log loss {-self.loss_lower_by:+.4f} ± {self.loss_error:.4f}"
        )

    def to_dict(self) -> dict[str, Any]:
        low, high = self._interval
        return {
            "difference": {"value": self.auc.difference, "low": low, "high": high},
            "p": self.auc.p,
            "loss": {"lower_by": self.loss_lower_by, "standard_error": self.loss_error},
        }

    @property
    def _interval(self) -> tuple[float, float]:
        reach = Z95 * self.auc.standard_error
        return self.auc.difference - reach, self.auc.difference + reach


@dataclass(frozen=True, slots=True)
class Later:
    """The gain on the last ``rows`` rows of models that learnt from the ``learnt`` rows before them."""

    learnt: int
    rows: int
    gain: Gain

    def __str__(self) -> str:
        return f"on the {self.rows:,} rows that follow the {self.learnt:,} learnt from: {self.gain}"

    def to_dict(self) -> dict[str, Any]:
        return {"learnt": self.learnt, "rows": self.rows, **self.gain.to_dict()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``chosen`` and why: both families' ROC-AUC with its interval, and the paired difference, boosted - logistic.

    Of dated rows ``figures`` also has ``later``, the same difference on the rows that follow, and ``bends_later``, bent
    - straight, each where it was asked.
    """

    chosen: Family
    why: str
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"chosen": self.chosen, "why": self.why, **self.figures}

    def with_bends(self, later: Later | None) -> "Comparison":
        """The same, and what the rows that follow said of bends, if they were asked."""
        if later is None:
            return self
        figures = {**self.figures, "bends_later": later.to_dict()}
        refused = "" if later.gain.is_no_loss else f"; bends are better out of fold, and worse {later}"
        return replace(self, why=self.why + refused, figures=figures)

    def if_it_lasts(self, later: Later | None) -> "Comparison":
        """The same where boosted pairs are no worse on the rows that follow, or these cannot say; else logistic."""
        if later is None:
            return self
        figures = {**self.figures, "later": later.to_dict()}
        if later.gain.is_no_loss:
            return replace(self, why=f"{self.why}; and are no worse {later}", figures=figures)
        return Comparison("logistic", f"{self.why}; but are worse {later}", figures)


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
    frame, target = straight.frame, straight.target
    simple: Side = straight, line
    rich: Side = boosted, pairs
    bends_later = None
    if (bent := _bent(straight, line, folds)) is not None:
        bends_later = later_gain(simple, bent, frame, target)
        if bends_later is None or bends_later.gain.is_no_loss:
            simple = bent
    comparison = compare(simple[1].logits, pairs.logits, target)
    if comparison.chosen == "boosted":
        comparison = comparison.if_it_lasts(later_gain(simple, rich, frame, target))
    comparison = comparison.with_bends(bends_later)
    if comparison.chosen == "boosted":
        return Choice(*rich, comparison, (simple,))
    return Choice(*simple, comparison, (rich,))


def later_gain(simple: Side, rich: Side, frame: Frame, target: Targets) -> Later | None:
    """What ``rich`` gains over ``simple`` on the rows that follow those both learn from: the first ``EARLIER`` of
    ``frame``, which is in order of time, with the settings chosen out of fold on all of it.

    None where the contract names no time, or either part has too few of an outcome to tell.
    """
    cut = round(frame.n * EARLIER)
    counts = [np.bincount(part, minlength=2).min() for part in (target[:cut], target[cut:])]
    if frame.contract.time_column is None or min(counts) < MIN_PER_CLASS:
        return None
    earlier, following, outcomes = np.arange(cut), frame.take(np.arange(cut, frame.n)), target[cut:]
    before, after = (_logits(side, earlier, following) for side in (simple, rich))
    return Later(cut, frame.n - cut, gain(before, after, outcomes))


def _logits(side: Side, rows: Positions, unseen: Frame) -> Floats:
    learner, fitted = side
    return logits(learner.learn(rows, fitted.settings).model(unseen.contract), unseen)


def _bent(straight: Logistic, line: OutOfFold, folds: Folds) -> tuple[Logistic, OutOfFold] | None:
    """Logistic regression whose numbers bend, if that lowers the out-of-fold loss demonstrably."""
    frame, target = straight.frame, straight.target
    bends = may_bend(frame)
    penalties: tuple[float, ...] = ()
    if len(frame.contract.features) > WIDE:
        bends = bending(frame, straight.columns, bends, line.logits, target)
        penalties = (line.settings[C],)
    elif bends and frame.n > CHOSEN_ON:
        bends, penalties = _worth_trying(straight, line, folds, bends)
    if not bends:
        return None
    bent = Logistic(frame, target, straight.seed, bends)
    curve = bent.out_of_fold(folds, penalties)
    return (bent, curve) if loss_falls(line.logits, curve.logits, straight.target) else None


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

    >>> y = np.tile([0, 1], 50).astype(np.int8)
    >>> loss_falls(np.zeros(100), y - 0.5, y), loss_falls(np.zeros(100), np.zeros(100), y)
    (True, False)
    """
    less, error = loss_difference(before, after, target)
    return less > 0 and (error == 0 or normal_sf(less / error) < ALPHA)


def loss_difference(before: Floats, after: Floats, target: Targets) -> tuple[float, float]:
    """By how much the mean balanced log loss of ``after`` is lower, and the standard error of that, paired by row.

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

    >>> y = np.tile([0, 1], 500).astype(np.int8)
    >>> noise = np.random.default_rng(0).normal(size=1000)
    >>> compare(y + 2 * noise, y + noise, y).chosen, compare(y + noise, y + noise, y).chosen
    ('boosted', 'logistic')
    """
    gained = gain(logistic, boosted, target)
    less, error = gained.loss_lower_by, gained.loss_error
    matters = gained.auc.difference + gained.auc.standard_error >= TOLERANCE
    chosen: Family = "boosted" if less > error and matters else "logistic"
    if chosen == "boosted":
        why = f"boosted pairs lose less out of fold, by more than one standard error: {gained}"
    elif less > error:
        why = f"boosted pairs gain less than {TOLERANCE:g} of ROC-AUC, which does not matter: {gained}"
    else:
        why = f"boosted pairs are not better out of fold by more than one standard error of the loss: {gained}"
    return Comparison(
        chosen,
        why,
        {
            "logistic_roc_auc": auc_estimate(logistic, target).to_dict(),
            "boosted_roc_auc": auc_estimate(boosted, target).to_dict(),
            **gained.to_dict(),
            "tolerance": TOLERANCE,
        },
    )


def gain(before: Floats, after: Floats, target: Targets) -> Gain:
    """What logits ``after`` have over ``before``, float64[n] each. Raises OneClassOnly, TooFewRows.

    >>> y = np.tile([0, 1], 50).astype(np.int8)
    >>> print(gain(np.arange(100.0) / 100, y - 0.5, y))
    ROC-AUC +0.4900 [+0.3757, +0.6043], log loss -0.2566 ± 0.0289
    """
    return Gain(paired_delong(after, before, target), *loss_difference(before, after, target))
