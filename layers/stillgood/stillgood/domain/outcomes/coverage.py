"""How many predictions of a span have an outcome, and whether those were picked."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.statistics.intervals import normal_sf

SELECTED_P = 1e-3
MIN_GROUP = 30  # labelled and unlabelled rows each, for a test of selection


@dataclass(frozen=True, slots=True)
class Span:
    """Matured predictions captured in [``start``, ``end``), aware.

    ``labelled`` of the ``predictions`` have an outcome, ``positives`` of them the positive one. ``selected``: the labelled rows were
    picked, so that they say nothing of the others. ``trusted``: neither selected nor covered too thinly; only trusted spans
    judge a model or are learnt from.
    """

    start: datetime
    end: datetime
    predictions: int
    labelled: int
    positives: int
    selected: bool
    trusted: bool

    @property
    def coverage(self) -> float:
        """Share of the predictions that have an outcome, 0 to 1."""
        return self.labelled / self.predictions if self.predictions else 0.0

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
        }


def selection_p(
    labelled: npt.NDArray[np.bool_],
    outcomes: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    probabilities: npt.NDArray[np.float64],
    decisions: npt.NDArray[np.bool_],
) -> float:
    """p of "the labelled rows are a random sample of all", the least of three tests, times three (Bonferroni); 1 where no test applies.

    All arrays [n]; ``outcomes`` counts where ``labelled``. With at least 30 labelled and 30 unlabelled rows: two-sided z tests of the
    share of decisions, z = (s1 - s0) / sqrt(s (1 - s) (1 / n1 + 1 / n0)), and of the mean score, z = (m1 - m0) / sqrt(v1 / n1 + v0 / n0).
    And where some rows have no label and all labels agree: the chance of that if each row is positive with its own probability,
    prod p or prod (1 - p). A feed of leavers only is found by it even when leavers score like everybody else.

    >>> n = np.arange(200)
    >>> selection_p(n < 100, n < 50, n % 100 / 100, np.full(200, 0.5), n % 2 == 0)
    1.0
    >>> selection_p(n < 100, n < 100, n % 100 / 100, np.full(200, 0.5), n % 2 == 0) < 1e-29
    True
    """
    n1, n0 = int(labelled.sum()), int((~labelled).sum())
    if not n0 or not n1:
        return 1.0
    said = outcomes[labelled]
    chances = [1.0]
    if said.all() or not said.any():
        p = probabilities[labelled]
        with np.errstate(divide="ignore"):
            chances.append(math.exp(float(np.log(p if said.all() else 1.0 - p).sum())))
    if min(n1, n0) >= MIN_GROUP:
        share = float(decisions.mean())
        spread = math.sqrt(share * (1 - share) * (1 / n1 + 1 / n0))
        chances.append(_two_sided(float(decisions[labelled].mean() - decisions[~labelled].mean()), spread))
        one, other = scores[labelled], scores[~labelled]
        chances.append(_two_sided(float(one.mean() - other.mean()), math.sqrt(one.var() / n1 + other.var() / n0)))
    return min(1.0, 3.0 * min(chances))


def _two_sided(difference: float, spread: float) -> float:
    if spread <= 0:
        return float(difference == 0)
    return 2.0 * normal_sf(abs(difference) / spread)
