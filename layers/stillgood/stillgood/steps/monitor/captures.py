"""Captured records into a profile: fetched by threads, decoded by msgspec, counted by NumPy, in memory that does not
grow.

A clock hour that is over is profiled once; its summary is stored and later windows add it up instead of reading it
again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from operator import itemgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import NULL, UNSEEN, Frame
from stillgood.domain.drift.callers import CallerRows
from stillgood.domain.drift.profile import Profile, profile
from stillgood.domain.drift.reference import Reference, watched
from stillgood.domain.statistics.repeats import EntitySample
from stillgood.steps.monitor.hours import CapturedHours, ahead, readers
from stillgood.steps.monitor.sample import KeptLines
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import Window, busy_hours, hour_window, read_summary, summarised, write_summary

_SUMMARY_BYTES = 256 << 10  # about what an hour's profile takes in memory
_SLICE_BYTES = 1 << 19  # decoded at once: fits a processor's cache, which halves the time of 8 MiB
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what a line that is no record may raise
_BATCH_ROWS = 25_000  # profiled at once: sorting is paid per row, searching the reference per batch

type Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Violation(msgspec.Struct, gc=False):
    field: str
    rule: str


class _Rejection(msgspec.Struct, tag_field="kind", tag="rejection", gc=False):
    violations: list[_Violation]
    caller: str | None = None
    request_rows: int = 0


class _Codes:
    """The codes of a feature's levels, of null, and of any other text."""

    def __init__(self, levels: Sequence[str]) -> None:
        # As bytes, since a bytes object is made of them in half of the time that an array takes; -1 is 255.
        self._bytes = len(levels) <= 127
        codes = {level: code for code, level in enumerate(levels)} | {None: NULL}
        self._codes = {level: code % 256 for level, code in codes.items()} if self._bytes else codes

    def of(self, column: Sequence[str | None]) -> NDArray[np.signedinteger[Any]]:
        """int[n], of one byte where the levels allow it."""
        try:
            # One call for all. Of a single value that would give no tuple, hence the null, which is not taken.
            codes: Iterable[int] = itemgetter(*column, None)(self._codes)
        except KeyError:
            unseen = UNSEEN % 256 if self._bytes else UNSEEN
            codes = [self._codes.get(level, unseen) for level in column]
        n = len(column)
        return np.frombuffer(bytes(codes), np.int8, n) if self._bytes else np.fromiter(codes, np.int32, n)


def profile_window(
    store: ObjectStore,
    contract: Contract,
    reference: Reference,
    window: Window,
    *,
    settled: datetime,
    kept: KeptLines | None = None,
    without: Collection[str] = (),
) -> Profile:
    """The profile of what was captured in ``window``, against the champion's ``reference``.

    Hours that ended by ``settled`` get a summary; nothing is captured into them any more. ``kept`` keeps lines of the
    hours that are read, for whoever needs rows of them. Answered rows of the callers ``without`` are passed over;
    summaries, which cannot be told apart by caller, are neither used nor written then. Raises StoreUnavailable.
    """
    reader = CaptureReader(contract, reference, without)
    total = Profile.empty(reference)
    touched = busy_hours(store, window)
    if not touched:
        return total
    stored_hours = () if without else summarised(store, reference.version, touched[0])
    known = takewhile(lambda hour: hour <= touched[-1], stored_hours)
    counted = {hour for hour in known if _covers(window, hour)}
    with readers(store) as pool:
        captured = CapturedHours(store, pool, settled)
        reads = captured.read([hour for hour in touched if hour not in counted], window)
        summaries = ahead(
            pool,
            ((partial(_summary, store, reference, hour), _SUMMARY_BYTES) for hour in touched if hour in counted),
        )
        for hour in touched:  # in this order, whichever were counted before: sums of fractions depend on it
            stored = next(summaries) if hour in counted else None
            if stored is None:
                read = next(captured.read([hour])) if hour in counted else next(reads)
                counted_rows = reader.read(read.parts if kept is None else kept.passing(hour, read.parts))
                stored = replace(counted_rows, requests=read.requests, batches=read.batches, delivered=read.delivered)
                seen = stored.rows or stored.refused or stored.unreadable
                if seen and not without and _covers(window, hour) and hour + timedelta(hours=1) <= settled:
                    write_summary(store, reference.version, hour, msgspec.json.encode(stored.to_dict(), order="sorted"))
            total += stored
    return total


class CaptureReader:
    """Reads captured lines of one contract, whichever model wrote them; scores count for ``reference.version`` only.

    A line that is not a record, lacks a watched feature, or holds one of another type is counted as unreadable.
    """

    def __init__(self, contract: Contract, reference: Reference, without: Collection[str] = ()) -> None:
        self._contract, self._without = contract, frozenset(without)
        self._reference = reference
        self._features = watched(contract)
        self._entities = contract.id_column is not None
        # Known levels decode into one shared string each: no allocation, no hashing. Text that is none of them makes
        # the slice be decoded again, by the decoder that takes any.
        self._known_levels = self._decoder(known=True)
        self._any_level = self._decoder(known=False)
        self._codes = {feature.name: _Codes(feature.levels) for feature in self._features if feature.categorical}

    def read(self, objects: Iterable[bytes]) -> Profile:
        """The profile of all lines in ``objects``, each one object's bytes."""
        total, batch = Profile.empty(self._reference), _Batch()
        for data in _slices(objects):
            self._decode(data, batch)
            if batch.rows >= _BATCH_ROWS:
                total += self._profile(batch)
                batch = _Batch()
        return total + self._profile(batch)

    def _decoder(self, *, known: bool) -> "msgspec.json.Decoder[Any]":
        def kind(feature: Any) -> Any:
            if not feature.categorical:
                return float | None
            return Literal[feature.levels] | None if known and feature.unseen == "refuse" else str | None

        # Names of features need not be names in Python.
        names = {f"f{place}": feature.name for place, feature in enumerate(self._features)}
        fields = [(name, kind(feature)) for name, feature in zip(names, self._features, strict=True)]
        features = msgspec.defstruct("Features", fields, rename=names, gc=False)
        columns: list[Any] = [
            ("features", features),
            ("score", Share),
            ("probability", Share),
            ("decision", bool),
            ("model", str),
            ("repairs", tuple[str, ...], ()),
            ("caller", str | None, None),
        ]
        if self._entities:
            columns.append(("entity_id", str | None, None))
        prediction = msgspec.defstruct("Prediction", columns, tag_field="kind", tag="prediction", gc=False)
        return msgspec.json.Decoder(prediction | _Rejection)

    def _decode(self, data: bytes, batch: "_Batch") -> None:
        try:
            records = self._known_levels.decode_lines(data)
        except _UNREADABLE:
            records = list(self._each(data, batch))
        accepted = [record for record in records if type(record) is not _Rejection]
        for record in records if len(accepted) < len(records) else ():
            if type(record) is _Rejection:
                batch.refused += 1
                batch.violations.update({(broken.field, broken.rule) for broken in record.violations})
                batch.refused_by[record.caller] += 1
                batch.largest_refusal = max(batch.largest_refusal, record.request_rows)
        if self._without:
            accepted = [record for record in accepted if record.caller not in self._without]
        if accepted:
            self._add(accepted, batch)

    def _each(self, data: bytes, batch: "_Batch") -> Iterator[Any]:
        for line in data.splitlines():
            if line.strip():
                try:
                    yield self._any_level.decode(line)
                except _UNREADABLE:
                    batch.unreadable += 1

    def _add(self, records: list[Any], batch: "_Batch") -> None:
        batch.rows += len(records)
        rows, scores, probabilities, decisions, models, repairs, callers, *entities = zip(
            *map(astuple, records), strict=True
        )
        for feature, column in zip(self._features, zip(*map(astuple, rows), strict=True), strict=True):
            codes = self._codes.get(feature.name)
            values = _numbers(column) if codes is None else codes.of(column)
            batch.columns.setdefault(feature.name, []).append(values)
        batch.models.update(models)
        batch.accepted_by.update(callers)
        for names in filter(None, repairs):
            batch.repairs.update(names)
        if entities:
            batch.entities += EntitySample.of_ids(entities[0])
        own = np.array([_numbers(column) for column in (scores, probabilities, decisions)])
        if models.count(self._reference.version) < len(models):
            own = own[:, [model == self._reference.version for model in models]]
        batch.own.append(own)

    def _profile(self, batch: "_Batch") -> Profile:
        columns: dict[str, NDArray[Any]] = {}
        for feature in self._features:
            dtype = np.int32 if feature.name in self._codes else np.float64
            parts = batch.columns.get(feature.name, [])
            columns[feature.name] = np.concatenate([np.empty(0, dtype), *parts], dtype=dtype)
        scores, probabilities, decisions = np.concatenate([np.empty((3, 0)), *batch.own], axis=1)
        return profile(
            self._reference,
            Frame(self._contract, batch.rows, columns),
            scores,
            probabilities,
            decisions != 0.0,
            models=batch.models,
            refused=batch.refused,
            violations=batch.violations,
            unreadable=batch.unreadable,
            entities=batch.entities,
            repairs=batch.repairs,
            callers={
                name: CallerRows(batch.accepted_by[name], batch.refused_by[name])
                for name in {*batch.accepted_by, *batch.refused_by}
                if name is not None
            },
            largest_refusal=batch.largest_refusal,
        )


@dataclass(slots=True)
class _Batch:
    """Rows between two profiles: pieces of columns, and of (score, probability, decision) of the champion's own
    rows.
    """

    rows: int = 0
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    own: list[NDArray[np.float64]] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    violations: Counter[tuple[str, str]] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    entities: EntitySample = field(default_factory=EntitySample.empty)
    accepted_by: Counter[str | None] = field(default_factory=Counter)
    refused_by: Counter[str | None] = field(default_factory=Counter)
    largest_refusal: int = 0


def _summary(store: ObjectStore, reference: Reference, hour: datetime) -> Profile | None:
    """The stored profile of an hour; None if there is none that can be read: the captures still say it."""
    try:
        stored = read_summary(store, reference.version, hour)
        return None if stored is None else Profile.from_dict(msgspec.json.decode(stored), reference)
    except (*_UNREADABLE, KeyError, TypeError, ValueError, IndexError):
        return None


def _covers(window: Window, hour: datetime) -> bool:
    whole = hour_window(hour)
    return window.start <= whole.start and whole.end <= window.end


def _slices(objects: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of all objects, in slices of whole lines of about ``_SLICE_BYTES``: many small objects in one, a large
    one in many.
    """
    waiting: list[bytes] = []
    missing = _SLICE_BYTES  # of a slice
    for data in objects:
        start = 0
        while start + missing <= len(data):
            end = data.find(b"\n", start + missing - 1) + 1 or len(data)
            yield b"".join((*waiting, data[start:end]))
            waiting, missing, start = [], _SLICE_BYTES, end
        if rest := data[start:]:
            waiting.append(rest if rest.endswith(b"\n") else rest + b"\n")
            missing -= len(rest)
    if waiting:
        yield b"".join(waiting)


def _numbers(column: Sequence[float | None]) -> NDArray[np.float64]:
    """float64[n], NaN for null."""
    try:
        return np.fromiter(column, np.float64, len(column))
    except TypeError:
        return np.array(column, dtype=np.float64)
