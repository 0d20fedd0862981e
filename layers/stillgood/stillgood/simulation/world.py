"""What the driver asks of a world: rows to predict, when they come, and which of their outcomes become known, and
when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.storage.windows import Window

type Bools = NDArray[np.bool_]
type Ints = NDArray[np.int64]
type Times = NDArray[np.datetime64]

NEVER = np.datetime64("NaT", "us")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One call of predict at ``time`` (aware, UTC): ``body`` is a JSON list of rows, ``rows`` int64[k] their places in
    the window; ``caller`` whom API Gateway knows it from, None for nobody.
    """

    time: datetime
    body: bytes
    rows: Ints
    caller: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """What becomes known of a window's rows, each entry one message: ``row`` int64[m] is its place in the window,
    ``positive`` bool[m] what is said of it, ``event`` and ``known`` datetime64[us][m] (UTC) when it became true and
    when it is sent. A row may have none, or several: a correction comes later. An outcome dated before its prediction
    is moved to just after it. ``source`` object[m]: who says it, as labels are kept by; None: all by one upload.
    """

    row: Ints
    positive: Bools
    event: Times
    known: Times
    source: NDArray[np.object_] | None = None

    def take(self, index: NDArray[Any]) -> "Feedback":
        source = None if self.source is None else self.source[index]
        return Feedback(self.row[index], self.positive[index], self.event[index], self.known[index], source)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Rows that nobody learns from with the outcome (int8[n]) that they have if nobody acts: how good a model is.

    ``name`` is equal for equal rows, so that a model is scored once on them.
    """

    name: str
    frame: Frame
    y: NDArray[np.int8]


class World(Protocol):
    """Windows one after the other. The same world gives the same rows to every policy."""

    @property
    def contract(self) -> Contract: ...

    @property
    def spans(self) -> Sequence[Window]:
        """The windows in order of time, each beginning where the one before ended."""

    def first(self) -> bytes:
        """The labelled rows of before the first window, as the CSV that train reads."""

    def requests(self, at: int) -> Sequence[Request]:
        """The calls of window ``at``, in order of time."""

    def outcomes(self, at: int, flagged: Bools) -> NDArray[np.int8]:
        """int8[n]: what becomes of the rows of window ``at``, 1 where it is the positive outcome; ``flagged``: who was.

        Only a world in which people act on predictions looks at ``flagged``.
        """

    def feedback(self, at: int, flagged: Bools, y: NDArray[np.int8]) -> Feedback:
        """What of ``y`` becomes known, and when."""

    def truth(self, at: int) -> Truth | None:
        """None where there is nothing better than the window's own rows."""


def utc64(moment: datetime) -> np.datetime64:
    """An aware time as NumPy's, in UTC and microseconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
