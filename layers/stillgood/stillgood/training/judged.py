"""Which rows judge a candidate: the newest that the champion has not learnt from. And what it learnt, small enough to
keep.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import TrainingRules
from stillgood.domain.errors import DocumentUnusable

MIN_PER_CLASS = 30  # as the gate asks for
ENOUGH_PER_CLASS = 100  # rows of the rarer outcome; rare outcomes get more rows than ``holdout_rows``
MAX_ROWS = 50_000
FORMAT = "stillgood.learnt"

type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]


def row_ids(times: npt.NDArray[np.datetime64], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """uint32[n]: names a row by its entity and time. Two of a million rows share one by chance; both then count as
    seen.
    """
    mixed = hashes ^ (times.astype("datetime64[us]").astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return np.asarray(mixed >> np.uint64(32), dtype=np.uint32)


def learnt(version: str, ids: npt.NDArray[np.uint32]) -> dict[str, Any]:
    """``models/<version>/learnt.json``: the rows a model was fitted on, JSON-able, whatever object they lay in."""
    packed = np.unique(ids).astype("<u4").tobytes()
    return {
        "format": FORMAT,
        "format_version": 1,
        "version": version,
        "rows": len(ids),
        "ids": base64.b64encode(packed).decode(),
    }


def seen_in(raw: Mapping[str, Any], ids: npt.NDArray[np.uint32]) -> Bools:
    """bool[n]: whether a row is among those of the document ``raw``. Raises DocumentUnusable."""
    try:
        known = np.frombuffer(base64.b64decode(raw["ids"], validate=True), dtype="<u4")
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentUnusable(f"learnt.json is malformed ({type(error).__name__}: {error}).") from error
    return np.isin(ids, known)


def judged(
    train: Ints, target: npt.NDArray[np.int8], unseen: Bools | None, rules: TrainingRules, since: int = 0
) -> tuple[Ints, bool]:
    """Which of the rows at ``train`` (positions, oldest first) judge the candidate, and whether the champion has seen
    none.

    ``unseen`` bool[n]: the champion has not learnt them; None when nothing serves. The newest ``holdout_rows`` of them,
    and more where an outcome is so rare that those hold fewer than ``ENOUGH_PER_CLASS``. Where the champion has seen
    all but a few, the newest rows of all: then both models have to be scored by their fold models.

    >>> rules = TrainingRules(holdout_rows=2)
    >>> judged(np.arange(4), np.array([0, 1, 0, 1], dtype=np.int8), None, rules)[0].tolist()
    [0, 1, 2, 3]
    """
    if unseen is not None:
        fresh = train[unseen[train]]
        news = newest(fresh[fresh >= since], target, rules.holdout_rows)
        positives = int(target[news].sum())
        if min(positives, len(news) - positives) >= MIN_PER_CLASS:
            return news, True
    return newest(train, target, rules.holdout_rows), unseen is None


def newest(rows: Ints, target: npt.NDArray[np.int8], number: int) -> Ints:
    """The newest ``number`` of ``rows`` (positions, oldest first), and more where those hold fewer than
    ``ENOUGH_PER_CLASS`` of an outcome; ``MAX_ROWS`` at most.
    """
    newest_first = rows[::-1]
    positives = np.cumsum(target[newest_first], dtype=np.int64)
    rarer = np.minimum(positives, np.arange(1, len(rows) + 1) - positives)
    enough = int(np.searchsorted(rarer, ENOUGH_PER_CLASS)) + 1
    return rows[-min(max(number, enough), MAX_ROWS) :]


def memories(rows: Ints, judging: Ints, unit: int, starts: Sequence[int] = ()) -> list[Ints]:
    """The rows that candidates learn from, the longest memory first: all, the newest 11.5 and 4.3 ``unit``s of rows,
    and those from ``starts`` on (positions: where the champion's own memory begins, where the newest population does).

    As many rows stand for half-lives of 4 and 1.5 units: with weights 2^(-age / h) rows are 1.44 h old on average,
    which is the middle of the newest 2.88 h. Only memories that hold all rows that judge, and differ from the longer.

    >>> rows = np.arange(9000)
    >>> [len(memory) for memory in memories(rows, rows[-500:], 2000, [4000, 8200])]
    [9000, 5000, 800]
    """
    lengths = [round(2.885 * half_life * unit) for half_life in (4.0, 1.5)]
    lengths += [len(rows) - int(np.searchsorted(rows, start)) for start in starts]
    kept = [rows]
    for length in sorted(lengths, reverse=True):
        newest = rows[len(rows) - length :] if 0 < length < len(rows) else rows
        if len(newest) < 0.8 * len(kept[-1]) and (not len(judging) or newest[0] <= judging[0]):
            kept.append(newest)
    return kept
