"""Callers whose labels contradict everybody else's: such labels neither judge nor teach.

Labels are compared through the champion's scores, since two callers seldom speak of the same prediction: where both
tell the truth, the champion ranks the rows of either about equally well, and is wrong about as often in either
direction. After a real change it is wrong for all of them.

Before they mature, labels can only be compared by rank. Which outcomes come first depends on the outcome, and a rate
among early labels says nothing; an ROC-AUC is conditional on the outcome, so that yes may come sooner than no.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import NotEnoughData
from stillgood.domain.statistics.delong import delong_variance, roc_auc

MIN_LABELS = 50  # of a caller, and of all others
MIN_OF_EACH = 10  # positives and negatives, for an ROC-AUC
Z = 4.4172  # two-sided 1e-5: it is looked at for every caller in every window
MIN_DIFFERENCE = 0.1  # of ROC-AUC, or of the mean error of the probabilities; less is another kind of customers
RISING_Z = 3.0  # by which the outcomes that a caller is compared with must rise with the scores


@dataclass(frozen=True, slots=True, eq=False)
class SourceOutcomes:
    """What a source told of the predictions: ``probabilities`` float64[n] as captured, ``outcomes`` bool[n], and of
    whom, ``entities`` uint64[n] (0 for nobody known); None where each row is of another.
    """

    probabilities: npt.NDArray[np.float64]
    outcomes: npt.NDArray[np.bool_]
    entities: npt.NDArray[np.uint64] | None = None

    @property
    def n(self) -> int:
        return len(self.outcomes)

    @property
    def comparable(self) -> bool:
        """Whether there are enough labels, and of either outcome, for a comparison by rank."""
        rarer = min(int(self.outcomes.sum()), int((~self.outcomes).sum()))
        return self.n >= MIN_LABELS and rarer >= MIN_OF_EACH

    @property
    def clusters(self) -> npt.NDArray[np.intp]:
        """intp[n]: the same number for rows of one entity."""
        if self.entities is None:
            return np.arange(self.n)
        _, place = np.unique(self.entities, return_inverse=True)
        return np.where(self.entities == 0, self.n + np.arange(self.n), place)

    @classmethod
    def together(cls, parts: Collection[Self]) -> Self:
        """Of several sources."""
        return cls(
            np.concatenate([np.empty(0), *(part.probabilities for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.outcomes for part in parts)]),
            np.concatenate(
                [
                    np.empty(0, np.uint64),
                    *(np.zeros(part.n, np.uint64) if part.entities is None else part.entities for part in parts),
                ]
            ),
        )


@dataclass(frozen=True, slots=True)
class Opposite:
    """A source whose newest ``labels`` fall with the scores, at ``roc_auc``, where ``others`` labels rise, at
    ``others_roc_auc``.
    """

    source: str
    labels: int
    roc_auc: float
    others: int
    others_roc_auc: float

    def to_dict(self) -> dict[str, str | int | float]:
        return asdict(self)

    def __str__(self) -> str:
        """As a sentence's subject.

        >>> str(Opposite("caller:x", 300, 0.0312, 2_100, 0.8449))
        'caller:x (ROC-AUC 0.03 by its newest 300 labels, 0.84 by 2100 others)'
        """
        own, others = f"ROC-AUC {self.roc_auc:.2f} by its newest {self.labels} labels", f"{self.others} others"
        return f"{self.source} ({own}, {self.others_roc_auc:.2f} by {others})"


def opposite(source: str, newest: SourceOutcomes, others: Iterable[SourceOutcomes]) -> Opposite | None:
    """``source`` if its ``newest`` labels fall with the scores beyond chance (z <= -Z) where those of others rise
    (z >= RISING_Z), by the first of ``others`` that has enough labels; None if not, or if nobody has enough.

    It holds for labels of any age: see ``rank_z``. Labels that merely have nothing to do with the scores are found
    once they matured.

    >>> rng = np.random.default_rng(1)
    >>> p = rng.uniform(size=400)
    >>> truth = rng.uniform(size=400) < p
    >>> told = opposite("caller:x", SourceOutcomes(p, p < 0.5), [SourceOutcomes(p, truth)])
    >>> told.roc_auc, round(told.others_roc_auc, 2)
    (0.0, 0.84)
    >>> opposite("caller:x", SourceOutcomes(p, truth), [SourceOutcomes(p, truth)]) is None
    True
    """
    if not newest.comparable or rank_z(newest) > -Z:
        return None
    compared = next((part for part in others if part.comparable), None)
    if compared is None or rank_z(compared) < RISING_Z:
        return None
    aucs = [roc_auc(part.probabilities, part.outcomes) for part in (newest, compared)]
    return Opposite(source, newest.n, aucs[0], compared.n, aucs[1])


def rank_z(told: SourceOutcomes) -> float:
    """By how many standard errors the ROC-AUC of ``told`` is above 1/2; 0 for one outcome only.

    z = T / sqrt(max(v, w)) with T = sum (r - mean r)(y - mean y) = P N (ROC-AUC - 1/2), r the midranks: v is its
    variance over permutations (Mann and Whitney 1947, with ties), w the sum of T's parts by entity, squared, so that
    one customer told a hundred times is one customer. Its mean is 0 where outcomes have nothing to do with the scores,
    whatever share of either outcome has been told so far, and whichever customers a caller has.

    >>> round(rank_z(SourceOutcomes(np.arange(8) / 8, np.arange(8) > 3)), 3)
    2.309
    >>> same = SourceOutcomes(np.arange(8) / 8, np.arange(8) > 3, np.full(8, 7, np.uint64))
    >>> rank_z(same), rank_z(SourceOutcomes(np.arange(3) / 3, np.ones(3, bool)))
    (1.0, 0.0)
    """
    _, place, counts = np.unique(told.probabilities, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    x, y = ranks - ranks.mean(), told.outcomes - told.outcomes.mean()
    variance = float((x**2).sum() * (y**2).sum()) / max(told.n - 1, 1)
    by_entity = np.bincount(np.unique(told.clusters, return_inverse=True)[1], x * y)
    largest = max(variance, float((by_entity**2).sum()))
    return float((x * y).sum()) / math.sqrt(largest) if variance > 0.0 else 0.0


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
