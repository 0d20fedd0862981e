"""Callers whose labels contradict everybody else's: such labels neither judge nor teach.

Labels are compared through the champion's scores, since two callers seldom speak of the same prediction: where both
tell the truth, the champion ranks the rows of either about equally well, and is wrong about as often in either
direction. After a real change it is wrong for all of them.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import NotEnoughData
from stillgood.domain.statistics.delong import delong_variance, roc_auc

MIN_LABELS = 50  # of a caller, and of all others
MIN_OF_EACH = 10  # positives and negatives, for an ROC-AUC
Z = 4.4172  # two-sided 1e-5: it is looked at for every caller in every window
MIN_DIFFERENCE = 0.1  # of ROC-AUC, or of the mean error of the probabilities; less is another kind of customers


@dataclass(frozen=True, slots=True, eq=False)
class SourceOutcomes:
    """What a source told of the predictions: ``probabilities`` float64[n] as captured, ``outcomes`` bool[n]."""

    probabilities: npt.NDArray[np.float64]
    outcomes: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        return len(self.outcomes)

    @classmethod
    def together(cls, parts: Collection[Self]) -> Self:
        """Of several sources."""
        return cls(
            np.concatenate([np.empty(0), *(part.probabilities for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.outcomes for part in parts)]),
        )


def contradicting(by_source: Mapping[str, SourceOutcomes], suspects: Collection[str]) -> tuple[str, ...]:
    """Which of ``suspects`` contradict the others, sorted. The largest contradiction is taken out before the next is
    looked for, so that one liar makes no liars of the rest.

    >>> rng = np.random.default_rng(1)
    >>> p = rng.uniform(size=400)
    >>> truth = rng.uniform(size=400) < p
    >>> contradicting({"crm": SourceOutcomes(p, truth), "caller:x": SourceOutcomes(p, ~truth)}, ["caller:x"])
    ('caller:x',)
    >>> contradicting({"crm": SourceOutcomes(p, truth), "caller:x": SourceOutcomes(p, truth)}, ["caller:x"])
    ()
    """
    left = dict(by_source)
    names: list[str] = []
    while True:
        sizes = {
            name: contradiction(
                left[name], SourceOutcomes.together([part for other, part in left.items() if other != name])
            )
            for name in suspects
            if name in left
        }
        worst = max(sizes, key=lambda name: (sizes[name], name), default=None)
        if worst is None or sizes[worst] < Z:
            return tuple(sorted(names))
        names.append(worst)
        del left[worst]


def contradiction(suspect: SourceOutcomes, others: SourceOutcomes) -> float:
    """The larger of two z values, 0 where too little was told or the difference is too small to matter.

    z = (a1 - a2) / sqrt(v1 + v2) of the ROC-AUCs with DeLong's variances, and of the means of outcome - probability
    with their own.

    >>> half = np.full(9, 0.5)
    >>> contradiction(SourceOutcomes(half, np.arange(9) < 3), SourceOutcomes(half, np.arange(9) > 3))
    0.0
    """
    if min(suspect.n, others.n) < MIN_LABELS:
        return 0.0
    return max(_by_rank(suspect, others), _by_error(suspect, others))


def _by_rank(suspect: SourceOutcomes, others: SourceOutcomes) -> float:
    if any(min(int(part.outcomes.sum()), int((~part.outcomes).sum())) < MIN_OF_EACH for part in (suspect, others)):
        return 0.0
    try:
        auc = [roc_auc(part.probabilities, part.outcomes) for part in (suspect, others)]
        variance = sum(delong_variance(part.probabilities, part.outcomes) for part in (suspect, others))
    except NotEnoughData:
        return 0.0
    return _z(auc[0] - auc[1], variance)


def _by_error(suspect: SourceOutcomes, others: SourceOutcomes) -> float:
    errors = [part.outcomes - part.probabilities for part in (suspect, others)]
    variance = sum(float(error.var(ddof=1)) / len(error) for error in errors)
    return _z(float(errors[0].mean() - errors[1].mean()), variance)


def _z(difference: float, variance: float) -> float:
    if abs(difference) < MIN_DIFFERENCE:
        return 0.0
    return abs(difference) / math.sqrt(variance) if variance > 0.0 else math.inf
