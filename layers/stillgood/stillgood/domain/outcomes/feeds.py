"""What a feed of labels means: how long an outcome takes, what silence says, and how far a feed has told everything.

The commonest feed lists positives only: cancellations, defaults, returns. With ``absent: negative`` a prediction that
nobody labelled until its horizon is a negative, but only as far as the feed's watermark reaches: the time up to which
it has sent all it will. Without a watermark nothing is assumed, so a feed that stops never turns into a month of loyal
customers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.outcomes.ledger import NEGATIVE, UNKNOWN, Horizon, Records
from stillgood.domain.outcomes.sources import ANONYMOUS, standing_of

DAY = 86_400_000_000  # microseconds
GRACE_DAYS = 7.0  # after maturity, before labels that did not come are missed
_OPEN_DAYS = 90.0  # how long after that an entity's first label still counts where the contract names no horizon


@dataclass(frozen=True, slots=True)
class Feed:
    """Spans in microseconds. ``matures``: from when on a prediction is judged; ``horizon``: what it is about, None for
    no end.
    """

    matures: int
    horizon: int | None
    silence_is_negative: bool
    min_coverage: float
    by_file_date: bool
    vouched: tuple[str, ...]

    @classmethod
    def of(cls, contract: Contract) -> Self:
        rules = contract.labels
        horizon = None if rules.horizon_days is None else round(rules.horizon_days * DAY)
        matures = max(round(contract.label_maturity_days * DAY), horizon or 0)
        return cls(
            matures=matures,
            horizon=horizon,
            silence_is_negative=rules.absent == "negative",
            min_coverage=rules.min_coverage,
            by_file_date=rules.complete_until == "file_date",
            vouched=rules.vouched_sources,
        )

    @property
    def reach(self) -> Horizon:
        """How an entity's label may be dated.

        A horizon is taken at its word, but a status that is told after it, until maturity and a week, still speaks of
        it where silence does not. Without a horizon an entity's label counts until maturity and a week, the first one
        after that for 90 days more.
        """
        grace = round(GRACE_DAYS * DAY)
        if self.horizon is None:
            return Horizon(self.matures + grace, self.matures + grace + round(_OPEN_DAYS * DAY))
        return Horizon(self.horizon, self.horizon if self.silence_is_negative else self.matures + grace)

    def complete_until(self, watermarks: Mapping[str, int]) -> int | None:
        """Up to when every feed that says so has told everything, None when none does. Of vouched sources only, where
        the contract names any; never of anonymous ones, whose word would turn silence into outcomes.
        """
        said = [
            at
            for source, at in watermarks.items()
            if (source in self.vouched if self.vouched else self.standing(source) != ANONYMOUS)
        ]
        return min(said, default=None)

    def standing(self, source: str) -> int:
        """What the labels of ``source`` are worth: ANONYMOUS, IDENTIFIED or VOUCHED."""
        return standing_of(source, self.vouched)

    def matured_until(self, at: int, complete: int | None) -> int | None:
        """Predictions made at this time or before have an outcome, if they ever get one, as seen from ``at``; None for
        none.
        """
        until = at - self.matures
        if not self.silence_is_negative:
            return until
        return None if complete is None else min(until, complete - self._span)

    def outcomes(self, records: Records, complete: int | None) -> npt.NDArray[np.int8]:
        """int8[n]: what is known of each prediction, silence counted where it says something."""
        known = records["outcome"].copy()
        if self.silence_is_negative and complete is not None:
            known[(known == UNKNOWN) & (records["time"] + self._span <= complete)] = NEGATIVE
        return known

    @property
    def _span(self) -> int:
        return self.matures if self.horizon is None else self.horizon
