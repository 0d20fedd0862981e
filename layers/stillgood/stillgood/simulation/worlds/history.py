"""A dated table as a world: every row is predicted at its time, and its outcome becomes known when it did, or a delay
later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.contract.row_check import RowChecker
from stillgood.simulation.rows import request
from stillgood.simulation.world import Bools, Feedback, Ints, Request, Times, Truth, utc64
from stillgood.storage.windows import Window


@dataclass(frozen=True, slots=True)
class LabelFeed:
    """Which outcomes become known: a share ``coverage`` of the rows, drawn with ``seed``; of flagged rows or positives
    only.
    """

    coverage: float = 1.0
    only: Literal["all", "flagged", "positives"] = "all"
    saved: float = 0.0
    seed: int = 0


class History:
    """A World. ``table``: the rows, columns as the contract names them, text or numbers, in order of time.

    ``times`` datetime64[us][n] (UTC) when each is predicted, ``known`` when its outcome is heard of (NaT: never), ``y``
    int8[n] 1 for the positive outcome. Rows before the first of ``spans`` are what the first model learns from; rows
    after the last are left out. ``slices`` calls of predict a window: rows of one slice are predicted together, at the
    time of the slice's last row.
    """

    def __init__(
        self,
        contract: Contract,
        table: pd.DataFrame,
        times: Times,
        known: Times,
        y: NDArray[np.int8],
        spans: Sequence[Window],
        *,
        feed: LabelFeed = LabelFeed(),
        slices: int = 8,
    ) -> None:
        self.contract, self.spans, self.feed = contract, tuple(spans), feed
        self._table, self._times, self._known, self._y = table, times, known, y
        edges = [utc64(spans[0].start), *(utc64(span.end) for span in spans)]
        self._edges = np.searchsorted(times, np.array(edges, dtype="datetime64[us]"))
        self._slices = slices

    def under(self, contract: Contract) -> "History":
        """The same rows under another contract that names the same columns."""
        return History(
            contract, self._table, self._times, self._known, self._y, self.spans, feed=self.feed, slices=self._slices
        )

    def rows(self, at: int) -> Ints:
        """int64[n]: the places in the table of the rows of window ``at``."""
        return np.arange(self._edges[at], self._edges[at + 1])

    def first(self) -> bytes:
        told = self._table.iloc[: self._edges[0]]
        return told.to_csv(index=False, lineterminator="\n").encode()

    def requests(self, at: int) -> Sequence[Request]:
        rows = self.rows(at)
        if not len(rows):
            return []
        span = self.spans[at]
        step = (span.end - span.start) / self._slices
        cuts = [utc64(span.start + number * step) for number in range(self._slices + 1)]
        edges = np.searchsorted(self._times[rows], np.array(cuts, dtype="datetime64[us]"))
        edges[-1] = len(rows)
        calls = []
        for low, high in pairwise(edges.tolist()):
            if low < high:
                when = _moment(self._times[rows[high - 1]])
                good = ~self._bad[rows[low:high]]
                calls += self._calls(when, rows[low:high], np.arange(low, high), good)
        return calls

    def _calls(self, when: datetime, rows: Ints, places: Ints, good: Bools) -> list[Request]:
        """Rows that keep the contract in one request, those that break it in another, which is refused as a whole."""
        return [
            request(when, [self._json[row] for row in rows[kind].tolist()], places[kind])
            for kind in (good, ~good)
            if kind.any()
        ]

    def outcomes(self, at: int, flagged: Bools) -> NDArray[np.int8]:
        y = self._y[self.rows(at)]
        if not self.feed.saved:
            return y
        random = np.random.default_rng((self.feed.seed, 4, at))
        return np.where(flagged & (random.random(len(y)) < self.feed.saved), 0, y).astype(np.int8)

    def feedback(self, at: int, flagged: Bools, y: NDArray[np.int8]) -> Feedback:
        rows = self.rows(at)
        known = np.random.default_rng((self.feed.seed, 5, at)).random(len(rows)) < self.feed.coverage
        if self.feed.only != "all":
            known &= flagged if self.feed.only == "flagged" else y == 1
        row = np.flatnonzero(known & ~np.isnat(self._known[rows]))
        # An outcome comes after its row was predicted, and a slice is predicted at its last row's time: of one that is
        # not later than its prediction the ledger would make nothing.
        when = np.maximum(self._known[rows[row]], self._asked_at(at)[row] + np.timedelta64(1, "s"))
        return Feedback(row, y[row] == 1, when, when)

    def _asked_at(self, at: int) -> Times:
        """datetime64[us][n]: when each row of the window is predicted."""
        when = np.empty(len(self.rows(at)), dtype="datetime64[us]")
        for one in self.requests(at):
            when[one.rows] = utc64(one.time)
        return when

    def truth(self, at: int) -> Truth | None:
        return None

    @cached_property
    def _json(self) -> list[bytes]:
        names = [one for one in (self.contract.id_column, self.contract.time_column) if one]
        columns: list[list[Any]] = [self._table[name].astype(str).tolist() for name in names]
        for feature in self.contract.features:
            names.append(feature.name)
            columns.append(_json_column(feature, self._table[feature.name]))
        return [orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]

    @cached_property
    def _bad(self) -> Bools:
        """bool[n]: rows that break the contract. Rules, not models, say so, hence it is the same under every policy."""
        check = RowChecker(self.contract).check
        return np.array([bool(check(orjson.loads(row)).violations) for row in self._json], dtype=bool)


def windows_of(start: datetime, length: timedelta, until: datetime) -> tuple[Window, ...]:
    """Windows of ``length`` from ``start`` on, as many as begin before ``until``; the last may reach beyond it."""
    found = []
    while start < until:
        found.append(Window(start, start + length))
        start += length
    return tuple(found)


def _json_column(feature: Feature, column: "pd.Series[Any]") -> list[Any]:
    """Values as a typed client sends them; what does not read as the contract's kind is sent as it stands, and
    refused.
    """
    if column.dtype.kind in "fiub":
        values = column.tolist()
        return [None if value != value else _number(feature, value) for value in values]
    return [_value(feature, text) for text in column.tolist()]


def _value(feature: Feature, text: Any) -> Any:
    if text is None or text != text:
        return None
    if not isinstance(text, str):
        return _number(feature, text)
    text = text.strip()
    if not text:
        return None
    if feature.kind == "categorical":
        return text
    if feature.kind == "boolean":
        return _TRUTHS.get(text.lower(), text)
    try:
        return _number(feature, float(text))
    except ValueError:
        return text


def _number(feature: Feature, value: Any) -> Any:
    if feature.kind == "categorical":
        return str(value)
    if feature.kind == "boolean":
        return bool(value) if value in (0, 1) else value
    if isinstance(value, float) and value.is_integer() and feature.kind == "integer":
        return int(value)
    return value


_TRUTHS = {"1": True, "true": True, "yes": True, "1.0": True, "0": False, "false": False, "no": False, "0.0": False}


def _moment(time: np.datetime64) -> datetime:
    found: datetime = time.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
