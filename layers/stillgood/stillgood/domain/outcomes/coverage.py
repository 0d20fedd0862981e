"""How many predictions of a span have an outcome, and whether those were picked.

A span is some adjoining days of predictions, as many as it takes to tell. Labels of chosen customers say nothing of the
others, and a handful of labels is soon a choice, so a span judges and teaches only when it is covered well enough and
was not picked. Callers whose rows nobody labels are counted apart: anybody may send such rows, and as many as he likes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.intervals import normal_sf

SELECTED_P = 1e-3
MIN_GROUP = 30  # labelled and unlabelled rows each, for a test of selection
FULL = 0.95  # of so many outcomes it does not matter which are missing
MIN_SHARE = 0.05  # of the others' coverage, below which a caller's rows are of those that nobody labels
NO_CHANCE = 9.2  # -log 1e-4: if a share c gets labels, so many / c in a row without one are no chance


@dataclass(frozen=True, slots=True)
class Span:
    """Matured predictions captured in [``start``, ``end``), aware.

    ``labelled`` of the ``predictions`` have an outcome, ``positives`` of them the positive one. ``selected``: the
    labelled rows were picked, so that they say nothing of the others. ``trusted``: neither selected, nor covered too
    thinly, nor too small to tell; only trusted spans judge a model or are learnt from. ``unlabelled``: predictions of
    callers whose rows nobody labels, which are not among the others.
    """

    start: datetime
    end: datetime
    predictions: int
    labelled: int
    positives: int
    selected: bool
    trusted: bool
    unlabelled: int = 0

    @property
    def coverage(self) -> float:
        """Share of the predictions that have an outcome, 0 to 1."""
        return self.labelled / self.predictions if self.predictions else 0.0

    @property
    def of_all(self) -> float:
        """Share of all predictions that have an outcome, ``unlabelled`` ones among them, 0 to 1."""
        everything = self.predictions + self.unlabelled
        return self.labelled / everything if everything else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "predictions": self.predictions,
            "labelled": self.labelled,
            "positives": self.positives,
            "coverage": self.coverage,
            "selected": self.selected,
            "trusted": self.trusted,
            "unlabelled": self.unlabelled,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Matured predictions of one span, or of several. All arrays [n]; ``stratum`` tells days and models apart.

    ``outcomes`` counts where ``labelled``; ``scores`` and ``probabilities`` are in 0..1.
    """

    stratum: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.bool_]
    outcomes: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.bool_]

    @classmethod
    def together(cls, parts: "Sequence[Sample]") -> "Sample":
        """The rows of all parts, at least one; a stratum of one part is none of another's."""
        sizes = np.cumsum([0, *(int(part.stratum.max(initial=0)) + 1 for part in parts)])
        strata = [part.stratum + base for part, base in zip(parts, sizes, strict=False)]
        return cls(
            np.concatenate(strata),
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("labelled", "outcomes", "scores", "probabilities", "decisions")
            ),
        )


def selection_p(sample: Sample) -> float:
    """p of "the labelled rows are a random sample of all", the least of three tests, times three (Bonferroni); 1 where
    no test applies.

    With at least 30 labelled and 30 unlabelled rows: two-sided z tests of the share of decisions and of the mean score.
    Each compares within strata, so that neither a change of customers nor of labels over time looks like a choice: with
    n1 labelled and n0 unlabelled rows in a stratum, d the difference of their means and v the variance there, z = sum w
    d / sqrt(sum w^2 v (1 / n1 + 1 / n0)) with w = n1 n0 / (n1 + n0). And where some rows have no label and all labels
    agree: the chance of that if each row is positive with its own probability, prod p or prod (1 - p). A feed of
    leavers only is found by it even when leavers score like everybody else.

    >>> n = np.arange(200)
    >>> half = np.full(200, 0.5)
    >>> selection_p(Sample(n * 0, n < 100, n < 50, n % 100 / 100, half, n % 2 == 0))
    1.0
    >>> selection_p(Sample(n * 0, n < 100, n < 100, n % 100 / 100, half, n % 2 == 0)) < 1e-29
    True
    """
    labelled = sample.labelled
    n1, n0 = int(labelled.sum()), int((~labelled).sum())
    if not n0 or not n1:
        return 1.0
    said = sample.outcomes[labelled]
    chances = [1.0]
    if said.all() or not said.any():
        p = sample.probabilities[labelled]
        with np.errstate(divide="ignore"):
            chances.append(math.exp(float(np.log(p if said.all() else 1.0 - p).sum())))
    if min(n1, n0) >= MIN_GROUP:
        values = (sample.decisions.astype(np.float64), sample.scores)
        chances += [_stratified_p(sample.stratum, labelled, column) for column in values]
    return min(1.0, 3.0 * min(chances))


def _stratified_p(
    stratum: npt.NDArray[np.int64], labelled: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]
) -> float:
    size = int(stratum.max()) + 1
    n = np.bincount(stratum, minlength=size)
    n1 = np.bincount(stratum[labelled], minlength=size)
    both = (n1 > 0) & (n1 < n)
    if not both.any():
        return 1.0
    total, squares = np.bincount(stratum, values, size), np.bincount(stratum, values**2, size)
    sum1 = np.bincount(stratum[labelled], values[labelled], size)
    n, n1, total, squares, sum1 = n[both], n1[both], total[both], squares[both], sum1[both]
    n0 = n - n1
    weight = n1 * n0 / n
    difference = sum1 / n1 - (total - sum1) / n0
    variance = np.maximum(squares / n - (total / n) ** 2, 0.0)
    # weight^2 v (1 / n1 + 1 / n0) = weight v
    spread = math.sqrt(float((weight * variance).sum()))
    moved = float((weight * difference).sum())
    if spread <= 1e-12:
        return float(abs(moved) <= 1e-9)
    return 2.0 * normal_sf(abs(moved) / spread)


def unlabelled_callers(callers: npt.NDArray[np.uint64], labelled: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """uint64[k], the callers whose rows nobody labels. ``callers`` uint64[n]: who asked for each matured prediction, 0
    for nobody, who is never one of them; ``labelled`` bool[n].

    With c the coverage of the caller of a label, on the mean over all labels (sum l^2 / n over sum l, of callers with l
    labels of n rows), a caller is one of them if it has at least 30 and 9.2 / c rows, so that none labelled were no
    chance (p < 1e-4), and at most c n / 20 labels. A few labels that rows get by borrowed ids do not make a caller
    heard, and a small caller with many labels does not silence the others. Where nobody's rows have labels, nobody is.

    >>> app, web, odd = (np.full(n, name, np.uint64) for n, name in ((400, 1), (20, 2), (1_000, 3)))
    >>> labelled = np.arange(1_420) < 200
    >>> unlabelled_callers(np.concatenate([app, web, odd]), labelled).tolist()  # 20 rows are too few to tell
    [3]
    >>> unlabelled_callers(np.concatenate([app, web, odd]), labelled & False).tolist()
    []
    """
    names, place = np.unique(callers, return_inverse=True)
    n = np.bincount(place, minlength=len(names))
    labels = np.bincount(place, labelled, len(names))
    if not labels.any():
        return names[:0]
    coverage = float((labels**2 / n).sum() / labels.sum())
    enough = n >= max(MIN_GROUP, NO_CHANCE / coverage)
    return np.asarray(names[(names != 0) & enough & (labels <= MIN_SHARE * coverage * n)], np.uint64)


def judge_span(
    start: datetime,
    end: datetime,
    sample: Sample,
    *,
    min_rows: int,
    min_coverage: float,
    picked: bool = False,
    unlabelled: int = 0,
) -> Span:
    """The span of ``sample``. ``picked``: a longer stretch that it is part of was found to be selected. ``unlabelled``:
    predictions beside it of callers whose rows nobody labels.
    """
    n, labelled = len(sample.labelled), int(sample.labelled.sum())
    share = labelled / n if n else 0.0
    selected = share < FULL and (picked or selection_p(sample) < SELECTED_P)
    enough = share >= FULL or n >= min_rows
    return Span(
        start,
        end,
        n,
        labelled,
        int((sample.outcomes & sample.labelled).sum()),
        selected,
        labelled > 0 and enough and not selected and share >= min_coverage,
        unlabelled,
    )
