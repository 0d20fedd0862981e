"""A dated table as a world: every row is predicted at its time, and its outcome becomes known when it did, or a delay
later.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.errors import InvalidEvent
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
        self._times, self._known, self._y = times, known, y
        edges = [utc64(spans[0].start), *(utc64(span.end) for span in spans)]
        self._edges = np.searchsorted(times, np.array(edges, dtype="datetime64[us]"))
        self._slices = slices
        # Text takes some sixty bytes a value: only what the first model learns from stays as it was written.
        self._first = table.iloc[: self._edges[0]].copy()
        self._identity = {
            name: table[name].astype(str).to_numpy(object)
            for name in (contract.id_column, contract.time_column)
            if name
        }
        self._columns = {feature.name: _column(feature, table[feature.name]) for feature in contract.features}

    def under(self, contract: Contract) -> "History":
        """The same rows under another contract of the same features."""
        if contract.features != self.contract.features:
            raise InvalidEvent("The other contract has other features; make a history of the table for it.")
        other = copy(self)
        other.contract = contract
        return other

    def rows(self, at: int) -> Ints:
        """int64[n]: the places in the table of the rows of window ``at``."""
        return np.arange(self._edges[at], self._edges[at + 1])

    def first(self) -> bytes:
        return self._first.to_csv(index=False, lineterminator="\n").encode()

    def requests(self, at: int) -> Sequence[Request]:
        rows = self._json(self._edges[at], self._edges[at + 1])
        return [request(when, rows[low:high], np.arange(low, high)) for when, low, high in self._calls(at)]

    def _calls(self, at: int) -> list[tuple[datetime, int, int]]:
        """The calls of window ``at``: when, and the places in the window of its first row and of the one after its
        last.
        """
        rows = self.rows(at)
        if not len(rows):
            return []
        span = self.spans[at]
        step = (span.end - span.start) / self._slices
        cuts = [utc64(span.start + number * step) for number in range(self._slices + 1)]
        edges = np.searchsorted(self._times[rows], np.array(cuts, dtype="datetime64[us]"))
        edges[-1] = len(rows)
        return [
            (_moment(self._times[rows[high - 1]]), low, high) for low, high in pairwise(edges.tolist()) if low < high
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
        when = np.maximum(self._known[rows[row]], self._predicted_at(at)[row] + np.timedelta64(1, "s"))
        return Feedback(row, y[row] == 1, when, when)

    def _predicted_at(self, at: int) -> Times:
        """datetime64[us][n]: when each row of the window is predicted."""
        when = np.empty(len(self.rows(at)), dtype="datetime64[us]")
        for moment, low, high in self._calls(at):
            when[low:high] = utc64(moment)
        return when

    def truth(self, at: int) -> Truth | None:
        return None

    def _json(self, low: int, high: int) -> list[bytes]:
        """The rows from ``low`` to before ``high`` as a client sends them. Only a window's are made at a time."""
        names = [*self._identity, *self._columns]
        columns = [values[low:high].tolist() for values in self._identity.values()]
        columns += [column.values(low, high) for column in self._columns.values()]
        return [orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def windows_of(start: datetime, length: timedelta, until: datetime) -> tuple[Window, ...]:
    """Windows of ``length`` from ``start`` on, as many as begin before ``until``; the last may reach beyond it."""
    windows = []
    while start < until:
        windows.append(Window(start, start + length))
        start += length
    return tuple(windows)


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column in little memory. ``codes``: int32[n] places in ``texts`` (-1: null), or float64[n] (NaN: null), or
    whatever was there as object[n].
    """

    codes: NDArray[Any]
    texts: NDArray[np.object_] | None = None
    whole: bool = False

    def values(self, low: int, high: int) -> list[Any]:
        """Values as a typed client sends them. NaN is written as null."""
        part = self.codes[low:high]
        values: list[Any] = (
            part if self.texts is None else self.texts[part]
        ).tolist()  # the last is what -1 stands for
        return [int(value) if value.is_integer() else value for value in values] if self.whole else values


def _column(feature: Feature, column: "pd.Series[Any]") -> _Column:
    """Values as the contract's kind reads them; what does not read so is sent as it stands, and refused."""
    if feature.kind in ("categorical", "boolean"):
        codes, uniques = pd.factorize(column)
        texts = [_value(feature, value) for value in uniques]
        return _Column(codes.astype(np.int32), np.array([*texts, None], dtype=object))
    if column.dtype.kind not in "fiu":
        try:
            column = pd.to_numeric(_trimmed(column), errors="raise")
        except (ValueError, TypeError):
            return _Column(np.array([_value(feature, text) for text in column], dtype=object))
    return _Column(column.to_numpy(dtype=np.float64, na_value=np.nan), whole=feature.kind == "integer")


def _trimmed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Without blanks around values, and null where nothing else is there."""
    if column.dtype == object:
        return column.map(lambda value: (value.strip() or None) if isinstance(value, str) else value)
    trimmed = column.str.strip()
    return trimmed.mask(trimmed == "")


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
    moment: datetime = time.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
