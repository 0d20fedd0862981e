"""Which rows are learnt from. See docs/decisions/0020, and 0002 for models of before."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import TrainingRules

# Rows of the newest 2.885 half-lives are as old on average as all rows weighed by 2^(-age / half-life).
MEAN_AGES = 2.885


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row positions, ascending: ``train`` is learnt from; ``holdout`` judges, each row by a model that had not seen it.

    ``unseen``: the champion has learnt none of ``holdout`` (also where nothing serves). ``against``: that champion's
    version; ``starts``: positions from which a shorter memory may learn.
    """

    train: npt.NDArray[np.int64]
    holdout: npt.NDArray[np.int64]
    unseen: bool = True
    against: str | None = None
    starts: tuple[int, ...] = ()


def is_holdout(hashes: npt.NDArray[np.uint64], fraction: float) -> npt.NDArray[np.bool_]:
    """bool[n]: whether an entity (by the hash of its id) was held out from models of before docs/decisions/0020.

    >>> is_holdout(np.array([0, 199, 200, 1000], dtype=np.uint64), 0.2).tolist()
    [True, True, False, True]
    """
    return np.asarray(hashes % np.uint64(1000) < np.uint64(round(fraction * 1000)))


def window(times: npt.NDArray[np.datetime64], rules: TrainingRules) -> npt.NDArray[np.int64]:
    """Positions of the rows that may be learnt from, of rows in canonical order (oldest first): those of the newest
    ``window_days``, and of the newest 2.885 half-lives where the contract states one.

    >>> days = np.datetime64("2026-01-01", "us") + np.arange(10) * np.timedelta64(1, "D")
    >>> window(days, TrainingRules(half_life_days=1.0)).tolist()
    [7, 8, 9]
    """
    days = memory_days(rules)
    if days is None or not len(times):
        return np.arange(len(times))
    oldest = times.max() - np.timedelta64(int(days * 86_400_000_000), "us")
    return np.flatnonzero(times >= oldest)


def memory_days(rules: TrainingRules) -> float | None:
    """How many days before the newest row are learnt from; None for all.

    >>> round(memory_days(TrainingRules(window_days=90.0, half_life_days=10.0)), 2)
    28.85
    """
    days = [rules.window_days] if rules.window_days is not None else []
    if rules.half_life_days is not None:
        days.append(MEAN_AGES * rules.half_life_days)
    return min(days, default=None)
