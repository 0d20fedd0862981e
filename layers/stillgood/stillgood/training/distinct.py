"""Each row once: which rows are the same, by their values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

type Bools = npt.NDArray[np.bool_]
type Ints = npt.NDArray[np.int64]
type Hashes = npt.NDArray[np.uint64]

_GOLDEN, _MIX_A, _MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def distinct(
    columns: Sequence[npt.NDArray[Any]],
    entities: Hashes,
    unnamed: Bools,
    times: npt.NDArray[np.datetime64],
    objects: Ints,
    *,
    dated: bool,
) -> tuple[Bools, int, Ints]:
    """Which rows stay (bool[n]), how many were there before, and where rows contradict each other: same entity and
    time, other values.

    ``dated``: rows have times of their own. Without, an upload's date is no event time, so a row that returns unchanged
    is the same row, not news. The oldest copy stays. Rows without an id (``unnamed``) may look alike and be two: of
    those, the second in one object is dropped only where another object has a second, too. Of rows that contradict each
    other none stays: nothing says which one is right. Rows are compared by 128 bits of a hash of their values.
    """
    n = len(entities)
    stamps = times.astype(np.int64)
    words = [*columns, entities, *([stamps] if dated else [])]
    low, high = hashed(words, n, seed=1), hashed(words, n, seed=2)
    if unnamed.any():
        copy = _copies(low, objects)
        copy[~unnamed] = 0
        low ^= _mixed(copy.astype(np.uint64))
    order = np.lexsort((np.arange(n), stamps, high, low))  # the oldest copy first
    again = np.zeros(n, dtype=bool)
    again[order[1:]] = (low[order][1:] == low[order][:-1]) & (high[order][1:] == high[order][:-1])
    kept = ~again
    rows = np.flatnonzero(kept & ~unnamed)
    place = rows[np.lexsort((stamps[rows], entities[rows]))]
    same = (entities[place][1:] == entities[place][:-1]) & (stamps[place][1:] == stamps[place][:-1])
    beside = np.zeros(len(place), dtype=bool)
    beside[1:] |= same
    beside[:-1] |= same
    contradicting = np.sort(place[beside])
    kept[contradicting] = False
    return kept, int(again.sum()), contradicting


def _copies(rows: Hashes, objects: Ints) -> Ints:
    """int64[n]: how many rows like this one stand before it in its object."""
    n = len(rows)
    order = np.lexsort((np.arange(n), objects, rows))
    first = np.ones(n, dtype=bool)
    first[1:] = (rows[order][1:] != rows[order][:-1]) | (objects[order][1:] != objects[order][:-1])
    starts = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    copies = np.empty(n, dtype=np.int64)
    copies[order] = np.arange(n) - starts
    return copies


def hashed(columns: Sequence[npt.NDArray[Any]], n: int, seed: int) -> Hashes:
    """uint64[n]: a hash of each row's values; null is one value, and so are 0 and -0."""
    state = np.full(n, seed, dtype=np.uint64)
    for column in columns:
        if column.dtype == np.float64:
            values = column + 0.0
            words = np.where(np.isnan(values), np.nan, values).view(np.uint64)
        else:
            words = column.astype(np.int64).view(np.uint64) if column.dtype != np.uint64 else column
        state = _mixed(state ^ _mixed(words + np.uint64(seed)))
    return state


def _mixed(words: Hashes) -> Hashes:
    """SplitMix64's finaliser. Source: G. Steele, D. Lea, C. Flood (2014), "Fast splittable pseudorandom number
    generators".
    """
    with np.errstate(over="ignore"):
        z = words + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_A
        z = (z ^ (z >> np.uint64(27))) * _MIX_B
        return np.asarray(z ^ (z >> np.uint64(31)))
