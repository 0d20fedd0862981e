"""How many independent rows are in rows of which some are one customer's?"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash: spreads what a checksum leaves in order


@dataclass(frozen=True, slots=True, eq=False)
class EntitySample:
    """Row counts of a random sample of entities, which adds up: the ``SIZE`` entities whose hashes are the smallest.

    An entity among the smallest of all rows is among the smallest of every part in which it occurs, so two samples give
    the sample of both (bottom-k sketch; Cohen & Kaplan 2007, PODC). ``hashes`` uint64[k] ascending, ``counts`` int64[k]
    rows of each; ``rows`` in all, ``single`` of them without an entity, each of which stands for itself.
    """

    hashes: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]
    rows: int = 0
    single: int = 0

    SIZE: ClassVar[int] = 1024

    @classmethod
    def empty(cls) -> Self:
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64))

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64], *, single: int = 0) -> Self:
        """Of one hash per row that has an entity, and ``single`` rows that have none.

        >>> EntitySample.of(np.array([7, 7, 9], dtype=np.uint64)).repeats
        1.6666666666666667
        """
        unique, counts = np.unique(np.asarray(hashes, dtype=np.uint64) * _MIX, return_counts=True)
        return cls(unique[: cls.SIZE], counts[: cls.SIZE].astype(np.int64), len(hashes) + single, single)

    @classmethod
    def of_ids(cls, ids: Iterable[str | None]) -> Self:
        """Of the entities' ids as captured, None for a row without one."""
        listed = list(ids)
        named = [entity for entity in listed if entity is not None]
        hashes = np.fromiter((zlib.crc32(entity.encode(errors="replace")) for entity in named), np.uint64, len(named))
        return cls.of(hashes, single=len(listed) - len(named))

    @property
    def repeats(self) -> float:
        """The design effect of the rows if an entity's rows are all alike: (sum of squared counts) / (sum of counts),
        at least 1.

        n rows then say as much as n / repeats independent ones (Kish 1965, Survey Sampling, 5.4 and 8.2). Alike is the
        worst case, so a test that counts n / repeats rows errs no more often than it says.
        """
        named = self.rows - self.single
        if not named or not len(self.counts):
            return 1.0
        each = float(np.square(self.counts).sum()) / float(self.counts.sum())
        return (named * each + self.single) / self.rows

    def __add__(self, other: Self) -> Self:
        hashes, at = np.unique(np.concatenate([self.hashes, other.hashes]), return_inverse=True)
        counts = np.zeros(len(hashes), dtype=np.int64)
        np.add.at(counts, at, np.concatenate([self.counts, other.counts]))
        # Beyond the end of a full sample nothing is known of that part's entities, so the sum ends where the first
        # ends.
        full = [part.hashes[-1] for part in (self, other) if len(part.hashes) == self.SIZE]
        keep = min(self.SIZE, int(np.searchsorted(hashes, min(full), "right")) if full else self.SIZE)
        return type(self)(hashes[:keep], counts[:keep], self.rows + other.rows, self.single + other.single)

    def to_dict(self) -> dict[str, Any]:
        return {
            "hashes": [format(hashed, "x") for hashed in self.hashes.tolist()],
            "counts": self.counts.tolist(),
            "rows": self.rows,
            "single": self.single,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is not a sample."""
        hashes = np.array([int(text, 16) for text in data["hashes"]], dtype=np.uint64)
        counts = np.array([int(count) for count in data["counts"]], dtype=np.int64)
        if hashes.shape != counts.shape or len(hashes) > cls.SIZE or np.any(counts < 1):
            raise ValueError("a sample has one count from 1 an entity")
        return cls(hashes, counts, int(data["rows"]), int(data["single"]))
