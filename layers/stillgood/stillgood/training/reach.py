"""Which labelled objects need not be read: those whose rows are all older than what may be learnt from.

An object's key and the time it was written bound how new its rows can be, so objects are read newest first until the
rest cannot matter. Uploads of a contract without a column of time are read whatever their date: a row that returns
unchanged is as old as its oldest copy, which has to be read to know that.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from stillgood.domain.contract.contract import Contract
from stillgood.storage.objects import ObjectInfo
from stillgood.storage.training_data import is_joined
from stillgood.training.split import memory_days
from stillgood.training.validate import partition_time

MAX_ROWS = 1_000_000  # at 1.1 KB a row, what train's memory holds with room to fit
_DAY = np.timedelta64(86_400_000_000, "us")
# The newest rows may all turn out to contradict each other, and then the window ends before them.
_MARGIN = 7 * _DAY


@dataclass(slots=True)
class Reach:
    """``until``: by key, the latest time that a row of the object can have, datetime64[us]; None where nothing says.
    ``skipped``: keys that were not read.
    """

    days: float | None
    until: dict[str, np.datetime64 | None]
    max_rows: int = MAX_ROWS
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, contract: Contract, infos: Iterable[ObjectInfo]) -> "Reach":
        """Of all objects under ``data/``."""
        return cls(memory_days(contract.training), {info.key: _until(contract, info) for info in infos})

    def newest_first(self) -> list[str]:
        """The keys in the order they are to be read in."""
        undated = [key for key, until in self.until.items() if until is None]
        dated = [(until, key) for key, until in self.until.items() if until is not None]
        return undated + [key for _, key in sorted(dated, reverse=True)]

    def skips(self, key: str, newest: np.datetime64 | None, rows: int) -> bool:
        """Whether ``key`` need not be read, ``rows`` having been read, the newest of them at ``newest``. Remembers it.

        >>> days = {day: np.datetime64(f"2026-03-{day}", "us") for day in ("01", "20", "30")}
        >>> reach = Reach(10.0, dict(days))
        >>> [reach.skips(day, days["30"], 1) for day in reach.newest_first()], reach.skipped
        ([False, False, True], ['01'])
        """
        until = self.until[key]
        old = False
        if self.days is not None and until is not None and newest is not None:
            old = bool(until < newest - np.timedelta64(int(self.days * 86_400_000_000), "us") - _MARGIN)
        if old or rows >= self.max_rows:
            self.skipped.append(key)
            return True
        return False


def _until(contract: Contract, info: ObjectInfo) -> np.datetime64 | None:
    if is_joined(info.key):
        return partition_time(info.key) + _DAY
    if contract.time_column is None:
        return None
    written = np.datetime64(info.modified.replace(tzinfo=None), "us")
    return max(partition_time(info.key), written) + _DAY
