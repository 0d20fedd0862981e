"""No source that nobody vouches for decides alone: a promotion must hold without the largest of them, too.

What is left has fewer rows, so a gain that it cannot show is no gain to act upon. Whoever is vouched for, by the
contract's ``labels.vouched_sources`` or by lying among the uploaded files, is never left out.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stillgood.domain.outcomes.sources import VOUCHED, standing_of
from stillgood.domain.promotion.gate import GateDecision

LABEL_SOURCE = "label_source"  # the column of a joined row that says who sent its label; absent or "": vouched for


@dataclass(frozen=True, slots=True, eq=False)
class Largest:
    """The largest source of a holdout that nobody vouches for, and ``others`` bool[n], the rows that are not of it."""

    source: str
    others: npt.NDArray[np.bool_]

    @property
    def rows(self) -> int:
        return int((~self.others).sum())


def largest_unvouched(sources: Sequence[str] | None, vouched: Collection[str]) -> Largest | None:
    """Of ``sources``, one a row; None where all are vouched for. Of two as large the first by name.

    >>> largest = largest_unvouched(["", "caller:a", "caller:b", "caller:b"], ["a"])
    >>> largest.source, largest.others.tolist()
    ('caller:b', [True, True, False, False])
    >>> largest_unvouched(["", "caller:a"], ["a"]) is None
    True
    """
    counts = Counter(name for name in sources or () if name and standing_of(name, vouched) != VOUCHED)
    if not counts:
        return None
    source = min(counts, key=lambda name: (-counts[name], name))
    return Largest(source, np.array([name != source for name in sources or ()], np.bool_))


def agreed(verdict: GateDecision, without: GateDecision, largest: Largest) -> GateDecision:
    """``verdict``, a promotion, unless it falls ``without`` the labels of ``largest``."""
    n = len(largest.others)
    share = f"{largest.rows} of the {n} rows that judge were told by {largest.source}, whom nobody vouches for"
    figures = {
        **verdict.figures,
        "without_largest_source": {
            "source": largest.source,
            "rows": largest.rows,
            "promote": without.promote,
            "reasons": list(without.reasons),
        },
    }
    if without.promote:
        return replace(verdict, reasons=(*verdict.reasons, f"{share}; without them it is the same."), figures=figures)
    return GateDecision(
        False,
        verdict.gate,
        (f"{share}; without them it does not hold: {' '.join(without.reasons)}",),
        ("More labels of other sources, or the name among the contract's labels.vouched_sources.",),
        figures,
    )
