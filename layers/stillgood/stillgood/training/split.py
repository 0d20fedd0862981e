"""Which rows are learnt from, and which ones the gate scores. See docs/decisions/0002."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import TrainingRules


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row positions, ascending: ``train`` and ``holdout`` never share a row, nor an entity, in this or any other run."""

    train: npt.NDArray[np.int64]
    holdout: npt.NDArray[np.int64]


def is_holdout(hashes: npt.NDArray[np.uint64], fraction: float) -> npt.NDArray[np.bool_]:
    """bool[n]: whether an entity (by the hash of its id) is held out for good, ``fraction`` of them in steps of 1/1000.

    >>> is_holdout(np.array([0, 199, 200, 1000], dtype=np.uint64), 0.2).tolist()
    [True, True, False, True]
    """
    return np.asarray(hashes % np.uint64(1000) < np.uint64(round(fraction * 1000)))


def split(times: npt.NDArray[np.datetime64], hashes: npt.NDArray[np.uint64], rules: TrainingRules) -> Split:
    """Split rows in canonical order (oldest first). ``holdout``: the newest ``holdout_rows`` that are held out."""
    held = is_holdout(hashes, rules.holdout_fraction)
    train = ~held
    if rules.window_days is not None and len(times):
        oldest = times.max() - np.timedelta64(int(rules.window_days * 86_400_000_000), "us")
        train &= times >= oldest
    return Split(np.flatnonzero(train), np.flatnonzero(held)[-rules.holdout_rows :])
