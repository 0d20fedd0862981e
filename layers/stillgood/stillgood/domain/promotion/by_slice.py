"""Candidate and champion within each slice of the contract, on the rows that a decision was made on: to look at. What
the gate asks of slices is its own clause.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.statistics.delong import Flags
from stillgood.domain.statistics.intervals import wilson


def by_slice(
    segments: Mapping[str, Flags], y: npt.ArrayLike, scores: Mapping[str, HoldoutScores | None]
) -> list[dict[str, Any]]:
    """A row a slice that has rows, JSON-able, in the contract's order: ``slice``, ``rows``, ``positives``, and of each
    role in ``scores`` the rows ``flagged`` at its own threshold, ``recall`` and ``precision`` with 95% intervals
    (Wilson; each row counts as one), None where nothing is positive or flagged.

    ``segments`` name the rows (bool[n]) of a slice, ``y`` is 0 or 1 [n].
    """
    positive = np.asarray(y) == 1
    return [
        {
            "slice": name,
            "rows": int(rows.sum()),
            "positives": int((rows & positive).sum()),
            **{role: _of(side.flagged, positive, rows) for role, side in scores.items() if side is not None},
        }
        for name, rows in segments.items()
        if rows.any()
    ]


def _of(flagged: Flags, positive: Flags, rows: Flags) -> dict[str, Any]:
    hits, positives, offers = (int((rows & of).sum()) for of in (flagged & positive, positive, flagged))
    return {
        "flagged": offers,
        "recall": wilson(hits, positives).to_dict() if positives else None,
        "precision": wilson(hits, offers).to_dict() if offers else None,
    }
