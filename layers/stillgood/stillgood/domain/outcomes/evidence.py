"""Labelled predictions as a policy receives them: columns, with the entity of each row, so that repeated customers can
be clustered.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.actions.evidence import ActionEvidence
from stillgood.domain.outcomes.coverage import Span
from stillgood.domain.outcomes.trust import Opposite

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """An aware time as microseconds since 1970 in UTC.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(at: int) -> datetime:
    """The aware time in UTC that is ``at`` microseconds after 1970.

    >>> microseconds(moment(1_500_000)), moment(1_500_000).isoformat()
    (1500000, '1970-01-01T00:00:01.500000+00:00')
    """
    return _EPOCH + timedelta(microseconds=at)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """``n`` predictions whose outcome is known, in order of time.

    ``times`` int64[n], when each was captured, in microseconds since 1970 (UTC). ``entities`` uint64[n], a hash of the
    entity's id; rows without one count as entities of their own. ``scores`` and ``probabilities`` float64[n] in 0..1
    and ``decisions`` bool[n] as captured; ``outcomes`` bool[n], True for the positive one. ``vouched`` bool[n]: told by
    somebody who is vouched for; None where all are.

    Where predictions are acted on, a row of the control group is there as often as it stands for a row
    (domain/actions): ``strata`` int64[n] says for which, ``parts`` float64[n] is 1 over how often; both None where
    nobody acts.
    """

    times: npt.NDArray[np.int64]
    entities: npt.NDArray[np.uint64]
    scores: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.bool_]
    outcomes: npt.NDArray[np.bool_]
    strata: npt.NDArray[np.int64] | None = None
    parts: npt.NDArray[np.float64] | None = None
    vouched: npt.NDArray[np.bool_] | None = None

    @property
    def n(self) -> int:
        return len(self.times)

    @property
    def positives(self) -> int:
        return int(self.outcomes.sum())

    @property
    def of_the_rarer(self) -> int:
        """How many different rows have the rarer outcome: one that stands for others counts once."""
        parts = np.ones(self.n) if self.parts is None else self.parts
        positives = round(float(parts[self.outcomes].sum()))
        return min(positives, round(float(parts.sum())) - positives)

    @classmethod
    def empty(cls) -> Self:
        none = np.empty(0)
        return cls(
            none.astype(np.int64), none.astype(np.uint64), none, none, none.astype(np.bool_), none.astype(np.bool_)
        )

    def take(self, index: npt.NDArray[Any] | slice) -> Self:
        """The rows at ``index`` (positions, a boolean mask or a slice)."""
        return type(self)(
            self.times[index],
            self.entities[index],
            self.scores[index],
            self.probabilities[index],
            self.decisions[index],
            self.outcomes[index],
            None if self.strata is None else self.strata[index],
            None if self.parts is None else self.parts[index],
            None if self.vouched is None else self.vouched[index],
        )

    @property
    def vouched_only(self) -> Self:
        """The rows that somebody is vouched for told."""
        return self if self.vouched is None else self.take(self.vouched)

    def since(self, moment: datetime) -> Self:
        """The rows captured at ``moment`` (aware) or later."""
        return self.take(self.times >= microseconds(moment))


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeEvidence:
    """What is known by labels when a window is judged.

    ``rows``: the champion's own labelled rows of trusted spans since it began, oldest first, the newest ``CAP`` at
    most; ``recent``: their newest stretch. ``spans``: the matured spans of those days, in order of time, trusted or
    not. ``deaf_since``: since when labels that were due have not come, None while they do; ``waits_for`` says what is
    missing. ``min_coverage``: of the contract. ``learnable``: int64[m], sorted capture times (microseconds) of every
    prediction, whoever made it, whose outcome training may see. ``unsigned``: labels came that nobody signed;
    ``contradicting``: callers whose labels contradict everybody else's. Neither judge nor teach. ``opposite``: callers
    whose newest labels, matured or not, say the opposite of the scores.
    """

    rows: LabelledRows = field(default_factory=LabelledRows.empty)
    recent: LabelledRows = field(default_factory=LabelledRows.empty)
    spans: tuple[Span, ...] = ()
    learnable: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    deaf_since: datetime | None = None
    waits_for: str = ""
    min_coverage: float = 0.0
    actions: ActionEvidence = field(default_factory=ActionEvidence)
    unsigned: bool = False
    contradicting: tuple[str, ...] = ()
    opposite: tuple[Opposite, ...] = ()

    @property
    def biased(self) -> bool:
        """Whether the newest matured span that has labels is one of selected customers."""
        newest = next((span for span in reversed(self.spans) if span.labelled), None)
        return newest is not None and newest.selected

    @property
    def thin(self) -> bool:
        """Whether the newest matured span that has labels has too few of them for the contract."""
        newest = next((span for span in reversed(self.spans) if span.labelled), None)
        return newest is not None and newest.coverage < self.min_coverage

    @property
    def unlabelled(self) -> bool:
        """Whether callers whose rows nobody labels sent most predictions of the newest matured span that has labels, or
        so many that with them it would be thin, and is not.
        """
        newest = next((span for span in reversed(self.spans) if span.labelled), None)
        if newest is None or self.thin or not newest.unlabelled:
            return False
        return newest.unlabelled > newest.predictions or newest.of_all < self.min_coverage

    @property
    def coverage(self) -> float:
        """Share of the matured predictions that have an outcome, 0 to 1; 0 where none has matured."""
        predictions = sum(span.predictions for span in self.spans)
        return sum(span.labelled for span in self.spans) / predictions if predictions else 0.0

    def labelled_since(self, moment: datetime) -> int:
        """How many rows training may see whose prediction was captured at ``moment`` (aware) or later."""
        return len(self.learnable) - int(np.searchsorted(self.learnable, microseconds(moment)))
