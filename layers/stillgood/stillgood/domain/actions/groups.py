"""Which rows stand for which. Outcomes of acted-upon rows say what became of them after the action, not whether the
model was right. So each is replaced by a row of the control group: flagged as well, of a similar score, and left alone.

That is Hajek's estimator with integer weights within strata of the score (post-stratification): in a stratum of N
flagged rows of which C were left alone, each of the C stands N / C times, rounded up or down so that their number is N
again. Repeated rows keep their entity, and whatever clusters by entity takes them for one piece of evidence. So every
figure, test and fit works on them unchanged. Sources: Horvitz and Thompson (1952), JASA 47; Hajek (1971), comment on
Basu; Holt and Smith (1979), JRSS A 142.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.actions.assignment import CONTROL_CODE, TREATED_CODE

STRATA = 8  # at most
ROWS_OF_A_STRATUM = 12  # left alone, on average; fewer strata where there are fewer rows
MAX_REPEATS = 50  # a share of 2% left alone; of a smaller one the figures speak of fewer rows than were flagged
MIN_CONTROL = 20  # rows left alone, from which on they stand for the others (docs/decisions/0032)

type Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """Which rows judge and teach.

    ``index`` int64[m]: positions, ascending; one of the control group as often as it stands for a row. ``strata``
    int64[m]: of those, -1 for rows that stand for themselves alone. ``parts`` float64[m]: the share of an observation
    that a row is, 1 / how often it stands there. ``observed``: False where nobody was left alone, or too few, and so
    nothing is known of flagged rows; ``index`` then has none of them.
    """

    index: Ints
    strata: Ints
    parts: npt.NDArray[np.float64]
    observed: bool = True

    @property
    def effective(self) -> float:
        """Kish's effective number of rows, (sum w)^2 / sum w^2 over different rows with w how often each stands."""
        times = 1.0 / self.parts[np.append(True, np.diff(self.index) > 0)] if len(self.index) else np.empty(0)
        return float(times.sum() ** 2 / (times**2).sum()) if len(times) else 0.0


def stand_in(groups: npt.ArrayLike, scores: npt.ArrayLike | None = None) -> Stand:
    """Which rows stand for which: ``groups`` codes [n], places in ``GROUPS``; ``scores`` float64[n], any figure known
    before the action that goes with the outcome; None for one stratum.

    Exempt rows are left out, flagged or not. Strata hold equally many flagged rows, fewer of them where one would hold
    no control row.

    >>> stand = stand_in([0, 1, 2, 2, 0] + [0] * 3 + [1] * 19)
    >>> stand.index.tolist()[:6], len(stand.index), stand.observed
    ([0, 1, 4, 5, 6, 7], 27, True)
    >>> stand_in([0, 2, 0]).index.tolist(), stand_in([0, 2, 0]).observed
    ([0, 2], False)
    """
    codes = np.asarray(groups)
    alone = np.flatnonzero(codes == 0)
    control = np.flatnonzero(codes == CONTROL_CODE)
    treated = np.flatnonzero(codes == TREATED_CODE)
    if not len(treated) and not len(control):
        return Stand(alone, np.full(len(alone), -1), np.ones(len(alone)))
    if len(control) < MIN_CONTROL:
        return Stand(alone, np.full(len(alone), -1), np.ones(len(alone)), observed=not len(treated))
    of_control, of_treated, count = _stratified(control, treated, scores)
    repeats = np.zeros(len(control), dtype=np.int64)
    for stratum in range(count):
        members = np.flatnonzero(of_control == stratum)
        repeats[members] = _shared(len(members) + int((of_treated == stratum).sum()), control[members])
    index = np.concatenate([alone, np.repeat(control, repeats)])
    strata = np.concatenate([np.full(len(alone), -1), np.repeat(of_control, repeats)])
    parts = np.concatenate([np.ones(len(alone)), np.repeat(1.0 / np.maximum(repeats, 1), repeats)])
    order = np.argsort(index, kind="stable")
    return Stand(index[order], strata[order], parts[order])


def _stratified(control: Ints, treated: Ints, scores: npt.ArrayLike | None) -> tuple[Ints, Ints, int]:
    """The stratum of each control and treated row, and how many there are."""
    count = int(np.clip(len(control) // ROWS_OF_A_STRATUM, 1, STRATA))
    values = None if scores is None else np.asarray(scores, dtype=np.float64)
    while values is not None and count > 1:
        flagged = np.concatenate([values[control], values[treated]])
        cuts = np.quantile(flagged, np.arange(1, count) / count)  # of all: who was left alone must not move them
        of_control = np.searchsorted(cuts, values[control], "right")
        if np.bincount(of_control, minlength=count).min() >= ROWS_OF_A_STRATUM // 3:
            return of_control, np.searchsorted(cuts, values[treated], "right"), count
        count -= 1
    return np.zeros(len(control), np.int64), np.zeros(len(treated), np.int64), 1


def _shared(total: int, rows: Ints) -> Ints:
    """How often each of ``rows`` (positions) stands, so that together they stand ``total`` times, as evenly as can be:
    which of them once more than others follows from a hash of the position.
    """
    each, more = divmod(min(total, MAX_REPEATS * len(rows)), len(rows))
    repeats = np.full(len(rows), each, dtype=np.int64)
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    repeats[np.argsort(mixed, kind="stable")[:more]] += 1
    return repeats
