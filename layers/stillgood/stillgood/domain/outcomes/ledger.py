"""One record per captured prediction: who was scored, how, and what became of it. Labels are joined here, and nowhere
else.

Applying labels is idempotent, and their order does not matter: each record keeps the label that holds so far and the
place it has in the order below, so a label that comes years later finds everything that is needed to judge it.

Which label holds for a prediction made at t, highest first:
1. one with its prediction id, dated after t: the newest;
2. its entity's, dated in (t, t + horizon]: the newest;
3. its entity's, dated after that and before the limit: the oldest, so that next month's news does not overrule this
   month's.
Of labels with the same date the one that arrived last holds; two outcomes in one delivery contradict each other, and
neither holds. Before all of that goes the standing of who sent it: no label overrules one of a higher standing.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

# Whose outcome is what. The bytes of a stored record: little-endian, packed, in this order.
UNKNOWN, NEGATIVE, POSITIVE, CONTRADICTING = -1, 0, 1, 2
LATER, WITHIN, OWN = 1, 2, 3  # the place of the label that holds; 0 for none
RECORD = np.dtype(
    [
        ("id", "<u8"),
        ("entity", "<u8"),
        ("time", "<i8"),
        ("score", "<f8"),
        ("probability", "<f8"),
        ("decision", "?"),
        ("model", "<u2"),
        ("place", "u1"),
        ("event", "<i8"),
        ("arrived", "<i8"),
        ("outcome", "i1"),
        ("source", "<u2"),
        ("learnt", "i1"),
        ("previous", "<f8"),
        ("group", "u1"),
        ("caller", "<u8"),
    ]
)


def _before(field: str) -> np.dtype[np.void]:
    names = RECORD.names or ()
    return np.dtype([(name, RECORD[name]) for name in names[: names.index(field)]])


# As records are stored, by the version of their format: before actions were known, before callers were, and now.
STORED = {1: _before("group"), 2: _before("caller"), 3: RECORD}
LABEL = np.dtype(
    [("id", "<u8"), ("entity", "<u8"), ("event", "<i8"), ("arrived", "<i8"), ("positive", "?"), ("source", "<u2")]
)
CLOCK_SKEW = 5 * 60 * 1_000_000  # microseconds by which a sender's clock may be ahead

type Records = npt.NDArray[np.void]
type Labels = npt.NDArray[np.void]
type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]
type Ids = npt.NDArray[np.uint64]


def identity(text: str) -> int:
    """A 64-bit hash of an id that is never 0, which stands for none.

    >>> identity("C-1") == identity("C-1") != identity("C-2")
    True
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far from its prediction an entity's label may be dated, in microseconds: ``within``, and at most
    ``limit``.
    """

    within: int
    limit: int


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeDay:
    """The predictions captured on one day in UTC, ``records`` of dtype RECORD in the order they were captured.

    ``hours``: which objects each hour was read from, by its number: (objects, hash of their names). ``models`` and
    ``sources`` are what the records' ``model`` and ``source`` count into; ``previous_model`` made the scores in
    ``previous`` (NaN where it made none). ``outcome`` and ``learnt`` are UNKNOWN, NEGATIVE, POSITIVE; ``learnt`` is
    what training rows say of the prediction. ``group`` is a place in ``assignment.GROUPS``; ``caller`` the identity of
    who asked, as the capture has it, 0 for nobody.
    """

    day: date
    records: Records
    hours: Mapping[int, tuple[int, str]]
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    previous_model: str = ""

    @property
    def n(self) -> int:
        return len(self.records)

    def of_model(self, version: str) -> Bools:
        """bool[n]: which predictions the model ``version`` made."""
        if version not in self.models:
            return np.zeros(self.n, bool)
        return np.asarray(self.records["model"] == self.models.index(version))

    def with_hour(self, hour: int, rows: Records, models: Sequence[str], inventory: tuple[int, str]) -> "OutcomeDay":
        """With the predictions of one more hour; ``models`` by row. What was known of the hour before is replaced but
        for its outcomes.
        """
        names = (*self.models, *sorted(set(models) - set(self.models)))
        rows = rows.copy()
        places = {name: place for place, name in enumerate(names)}
        rows["model"] = [places[model] for model in models]
        kept, known = self.records, {}
        if hour in self.hours:
            old = self._in_hour(hour)
            known = {int(record["id"]): record for record in kept[old]}
            kept = kept[~old]
        for row in rows if known else ():
            if (before := known.get(int(row["id"]))) is not None:
                for name in ("place", "event", "arrived", "outcome", "source", "learnt", "previous"):
                    row[name] = before[name]
        records = np.concatenate([kept, rows])
        if (records["time"][1:] < records["time"][:-1]).any():  # hours mostly come in order, and a day may be large
            records = records[np.argsort(records["time"], kind="stable")]
        hours = dict(sorted({**self.hours, hour: inventory}.items()))
        return replace(self, records=records, hours=hours, models=names)

    def of_callers(self, callers: Ids) -> Bools:
        """bool[n]: which predictions one of ``callers`` (identities) asked for."""
        return np.isin(self.records["caller"], callers) if len(callers) else np.zeros(self.n, np.bool_)

    def sent_by(self, names: Collection[str]) -> Bools:
        """bool[n]: which outcomes one of the sources ``names`` told."""
        places = [place for place, name in enumerate(self.sources) if name in names]
        return np.asarray((self.records["place"] > 0) & np.isin(self.records["source"], places))

    def without(self, names: Collection[str]) -> "OutcomeDay":
        """As though the sources ``names`` had never said anything."""
        muted = self.sent_by(names)
        if not muted.any():
            return self
        records = self.records.copy()
        records["outcome"][muted] = UNKNOWN
        return replace(self, records=records)

    def _in_hour(self, hour: int) -> Bools:
        return np.asarray(self.records["time"] // 3_600_000_000 % 24 == hour)


def is_known(outcomes: npt.NDArray[np.int8]) -> Bools:
    """bool[n]: which outcomes are one of the two; the others are unknown or contradict themselves.

    >>> is_known(np.array([NEGATIVE, POSITIVE, UNKNOWN, CONTRADICTING])).tolist()
    [True, True, False, False]
    """
    return np.asarray((outcomes == NEGATIVE) | (outcomes == POSITIVE))


def upgraded(records: npt.NDArray[np.void]) -> Records:
    """Records of an older version of ``STORED`` as dtype RECORD: in no group, of no caller."""
    made = np.zeros(len(records), RECORD)
    for name in records.dtype.names or ():
        made[name] = records[name]
    return made


def blank(n: int) -> Records:
    """``n`` records of which no outcome is known."""
    records = np.zeros(n, RECORD)
    records["outcome"] = records["learnt"] = UNKNOWN
    records["previous"] = np.nan
    return records


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """``matched`` bool[labels]: which labels found a prediction that they may speak of; ``early``: which found only
    predictions made
    after them. ``repeated``: which say what is held already, or less than what holds; ``superseding``: which overruled
    a known outcome. ``corrected``: predictions whose known outcome was overruled by another."""

    day: OutcomeDay
    matched: Bools
    early: Bools
    changed: int
    corrected: int
    repeated: Bools
    superseding: Bools


def equal_standing(_: str) -> int:
    """The standing of all sources where nobody tells them apart."""
    return 0


def apply(
    day: OutcomeDay,
    labels: Labels,
    sources: Sequence[str],
    horizon: Horizon,
    standing: Callable[[str], int] = equal_standing,
) -> Applied:
    """``day`` after ``labels`` (dtype LABEL, whose ``source`` counts into ``sources``) were heard.

    ``standing`` ranks a source's name; a label of a lower standing than the one that holds changes nothing.
    """
    rows, at, place, early = _pairs(day.records, labels, horizon)
    matched = _among(len(labels), at)
    names = (*day.sources, *sorted({sources[i] for i in np.unique(labels["source"][at])} - set(day.sources)))
    translated = np.array([names.index(name) if name in names else 0 for name in sources] or [0], np.uint16)
    event = labels["event"][at]
    said = np.where(labels["positive"][at], POSITIVE, NEGATIVE).astype(np.int8)
    held = day.records[rows]
    sent, kept = np.array([*map(standing, sources)] or [0]), np.array([*map(standing, names)] or [0])
    rank = sent[labels["source"][at]]
    superseding = np.zeros(len(labels), bool)
    same = (held["place"] == place) & (held["event"] == event) & (held["outcome"] == said)
    news = ~(same & (kept[held["source"]] >= rank))
    # The very label that holds is no repetition: a process that was killed after writing the day hears it again.
    itself = (held["arrived"] == labels["arrived"][at]) & (held["source"] == translated[labels["source"][at]])
    repeated = matched.copy()
    repeated[at[news | itself]] = False
    # Said again, it stands against what contradicts it now: of the two, the one that arrived later holds.
    weighed = np.isin(rows, rows[news])
    rows, at, place, event, said = rows[weighed], at[weighed], place[weighed], event[weighed], said[weighed]
    if not len(rows):
        return Applied(day, matched, early & ~matched, 0, 0, repeated, superseding)
    touched = np.unique(rows)
    held = day.records[touched]
    some = held["place"] > 0
    row = np.concatenate([rows, touched[some]])
    places = np.concatenate([place, held["place"][some]])
    events = np.concatenate([event, held["event"][some]])
    arrived = np.concatenate([labels["arrived"][at], held["arrived"][some]])
    outcome = np.concatenate([said, held["outcome"][some]])
    source = np.concatenate([translated[labels["source"][at]], held["source"][some]])
    ranks = np.concatenate([rank[weighed], kept[held["source"][some]]])
    key = np.where(places == LATER, -events, events)
    order = np.lexsort((arrived, key, places, ranks, row))
    sort = [part[order] for part in (row, ranks, places, key, arrived)]
    new = np.ones(len(order), bool)
    new[1:] = np.any([part[1:] != part[:-1] for part in sort], axis=0)
    starts = np.flatnonzero(new)
    low, high = (fold.reduceat(outcome[order], starts) for fold in (np.minimum, np.maximum))
    last = np.append(sort[0][starts][1:] != sort[0][starts][:-1], True)  # the group that holds, of each row
    winner, low, high = order[starts[last]], low[last], high[last]
    records = day.records.copy()
    target = row[winner]
    before = records["outcome"][target].copy()
    records["place"][target] = places[winner]
    records["event"][target] = events[winner]
    records["arrived"][target] = arrived[winner]
    records["source"][target] = source[winner]
    records["outcome"][target] = np.where(low == high, low, CONTRADICTING)
    after = records["outcome"][target]
    known = is_known(before)
    deciding = np.concatenate([at, np.full(int(some.sum()), -1)])[winner]  # -1: what was held before
    superseding[deciding[known & (after != before) & (deciding >= 0)]] = True
    return Applied(
        replace(day, records=records, sources=names),
        matched,
        early & ~matched,
        int((after != before).sum()),
        int((known & (after != before)).sum()),
        repeated,
        superseding,
    )


def spoken_of(records: Records, labels: Labels, horizon: Horizon) -> tuple[Bools, Bools]:
    """What ``Applied`` calls ``matched`` and ``early``, bool[labels] both, of ``records`` alone."""
    _, at, _, early = _pairs(records, labels, horizon)
    matched = _among(len(labels), at)
    return matched, early & ~matched


def _among(n: int, places: Ints) -> Bools:
    """bool[n]: which numbers below n are among ``places``."""
    mask = np.zeros(n, bool)
    mask[places] = True
    return mask


def _pairs(records: Records, labels: Labels, horizon: Horizon) -> tuple[Ints, Ints, npt.NDArray[np.uint8], Bools]:
    """Row, label and place of every label that may speak of a prediction, and which labels came before theirs."""
    by_id, which = _equal(records["id"], labels["id"])
    late = labels["event"][which] > records["time"][by_id]
    early = np.zeros(len(labels), bool)
    early[which[~late]] = True
    by_id, which = by_id[late], which[late]
    rows, at = _equal(records["entity"], labels["entity"])
    after = labels["event"][at] - records["time"][rows]
    early[at[after <= 0]] = True
    fits = (after > 0) & (after <= horizon.limit)
    rows, at, after = rows[fits], at[fits], after[fits]
    place = np.concatenate([np.full(len(by_id), OWN), np.where(after <= horizon.within, WITHIN, LATER)])
    return np.concatenate([by_id, rows]), np.concatenate([which, at]), place.astype(np.uint8), early


def _equal(values: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """All pairs (i, j) with values[i] == wanted[j], but for 0."""
    some = np.flatnonzero(wanted)
    order = np.argsort(values, kind="stable")
    low = np.searchsorted(values, wanted[some], "left", order)
    counts = np.searchsorted(values, wanted[some], "right", order) - low
    offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.repeat(low, counts) + offsets], np.repeat(some, counts)


def labels_of(rows: Sequence[tuple[str, str, int, int, bool, int]]) -> Labels:
    """(prediction id, entity id, event, arrived, positive, source) by row, as an array of LABEL; an id that is "" is
    none.
    """
    out = np.zeros(len(rows), LABEL)
    for place, (prediction, entity, event, arrived, positive, source) in enumerate(rows):
        ids: tuple[Any, Any] = (identity(prediction) if prediction else 0, identity(entity) if entity else 0)
        out[place] = (*ids, event, arrived, positive, source)
    return out
