"""Write training rows of predictions whose outcome is known: ``data/<date>/labels-<sha256>.csv``, each prediction once.

``prediction_id`` and ``predicted_at`` are a row's identity and time, whatever the contract names; a later row of the
same prediction corrects the one before, by ``label_arrived_at``. ``label_source`` names the source of an outcome that
nobody vouches for, so that the gate can leave it out. The key is the content, so a retry writes the same object. The
hours are read for this alone, once, so the previous champion scores the same rows on the way.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import numpy as np

from stillgood.domain.actions.assignment import GROUPS
from stillgood.domain.contract.capture_record import KIND, PREDICTION, REJECTION
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.times import iso
from stillgood.domain.errors import DocumentUnusable, ObjectExists, ObjectNotFound
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits
from stillgood.domain.outcomes.evidence import moment
from stillgood.domain.outcomes.feeds import Feed
from stillgood.domain.outcomes.ledger import NEGATIVE, POSITIVE, UNKNOWN, Bools, OutcomeDay, identity
from stillgood.domain.outcomes.sources import VOUCHED
from stillgood.domain.promotion.by_source import LABEL_SOURCE
from stillgood.domain.promotion.decision import Release
from stillgood.steps.monitor.hear import UNREADABLE, change_day
from stillgood.steps.monitor.hours import CapturedHours
from stillgood.storage.champion import load_model
from stillgood.storage.keys import DATA_PREFIX
from stillgood.storage.objects import ObjectStore
from stillgood.storage.training_data import ACTION_GROUP, LABEL_ARRIVED_AT, PREDICTED_AT, PREDICTION_ID, joined_key


class Captured(msgspec.Struct, tag_field=KIND, tag=PREDICTION, gc=False):
    """What a training row is made of."""

    prediction_id: str
    time: str
    entity_id: str | None
    features: dict[str, float | str | None]


class _Refused(msgspec.Struct, tag_field=KIND, tag=REJECTION, gc=False):
    """A captured line that predicted nothing."""


_DECODER = msgspec.json.Decoder(Captured | _Refused)


def learnable(contract: Contract) -> bool:
    """Whether captured rows can be learnt from. A feature that is personal data was not captured."""
    return not any(feature.pii and not feature.nullable and feature.if_missing is None for feature in contract.features)


def write_training_rows(
    store: ObjectStore,
    contract: Contract,
    pool: Executor,
    days: Mapping[date, OutcomeDay],
    trusted: Mapping[date, tuple[Bools, Bools]],
    version: str,
    rival: Release | None,
) -> tuple[dict[date, OutcomeDay], dict[str, int]]:
    """Write what is known and not yet written, or written otherwise. Returns ``days`` after it, and counts.

    ``trusted``: by day, which outcomes are known and which are positive. ``rival``: the champion before ``version``,
    which scores the rows that ``version`` predicted.
    """
    counts = {"rows": 0, "files": 0, "corrections": 0, "personal": 0}
    after = dict(days)
    if not learnable(contract):
        return after, counts | {"personal": 1}
    model = None if rival is None else _model(store, contract, rival)
    for day, (known, positive) in trusted.items():
        made = _noted(store, contract, days[day], known)
        outcome = np.where(positive, POSITIVE, NEGATIVE)
        news = known & (made.records["learnt"] != outcome)
        previous = _blank(made, model)
        unscored = known & made.of_model(version) & np.isnan(previous) if model is not None else np.zeros(made.n, bool)
        if not (news | unscored).any():
            after[day] = made
            continue
        rows = captured_rows(store, pool, made, news | unscored)
        if model is not None:
            _score(model, made, rows, unscored, previous)
        written = news & np.isin(made.records["id"], np.fromiter(rows, np.uint64, len(rows)))
        if written.any():
            data = _csv(contract, made, rows, written, positive)
            counts["rows"] += int(written.sum())
            counts["corrections"] += int((made.records["learnt"][written] != UNKNOWN).sum())
            counts["files"] += 1
            with suppress(ObjectExists):  # another monitor wrote the very same rows
                store.create(joined_key(day, data), data)
        after[day] = _remember(store, made, np.where(written, outcome, made.records["learnt"]), previous, model)
    return after, counts


def _model(store: ObjectStore, contract: Contract, rival: Release) -> Model | None:
    """The rival, if it reads nothing but what was captured."""
    try:
        model = load_model(store, rival)
    except (DocumentUnusable, ObjectNotFound):
        return None
    captured = {feature.name for feature in contract.features if not feature.pii}
    return model if all(feature.name in captured for feature in model.contract.features) else None


def _blank(day: OutcomeDay, model: Model | None) -> Any:
    """The rival's scores of the day's records, NaN where it made none yet."""
    same = model is not None and day.previous_model == model.version
    return day.records["previous"].copy() if same or model is None else np.full(day.n, np.nan)


def _noted(store: ObjectStore, contract: Contract, day: OutcomeDay, known: Bools) -> OutcomeDay:
    """``day`` with what older files say was learnt, where the ledger does not know: it was made anew, or by older
    code.
    """
    if (day.records["learnt"] != UNKNOWN).any() or not known.any():
        return day
    said: dict[int, int] = {}
    for info in store.list(f"{DATA_PREFIX}{day.day}/labels-"):
        for row in csv.DictReader(io.StringIO(store.get(info.key).data.decode(errors="replace"), newline="")):
            if row.get(PREDICTION_ID):
                said[identity(row[PREDICTION_ID])] = (
                    POSITIVE if row.get(contract.target.name) == contract.target.positive else NEGATIVE
                )
    if not said:
        return day
    records = day.records.copy()
    records["learnt"] = [said.get(key, UNKNOWN) for key in records["id"].tolist()]
    return replace(day, records=records)


def captured_rows(store: ObjectStore, pool: Executor, day: OutcomeDay, wanted: Bools) -> dict[int, Captured]:
    """The captured lines of the ``wanted`` records, bool[n], by the hash of their id. Raises StoreUnavailable."""
    ids = set(day.records["id"][wanted].tolist())
    numbers = np.unique(day.records["time"][wanted] // 3_600_000_000 % 24).tolist()
    midnight = datetime.combine(day.day, time(), UTC)
    hours = [midnight + timedelta(hours=int(number)) for number in numbers]
    lines = {}
    for hour in CapturedHours(store, pool, midnight).read(hours):
        for part in hour.parts:
            for line in _decoded(part):
                if isinstance(line, Captured) and (key := identity(line.prediction_id)) in ids:
                    lines[key] = line
    return lines


def _decoded(data: bytes) -> Iterator[Captured | _Refused]:
    try:
        yield from _DECODER.decode_lines(data)
    except UNREADABLE:
        for line in data.splitlines():
            with suppress(*UNREADABLE):
                yield _DECODER.decode(line)


def _score(model: Model, day: OutcomeDay, rows: Mapping[int, Captured], wanted: Bools, previous: Any) -> None:
    at = [place for place in np.flatnonzero(wanted).tolist() if int(day.records["id"][place]) in rows]
    if at:
        features = [rows[int(day.records["id"][place])].features for place in at]
        with suppress(KeyError, TypeError, ValueError):  # captured under another contract
            previous[at] = logits(model, Frame.from_values(model.contract, features))


def _csv(contract: Contract, day: OutcomeDay, rows: Mapping[int, Captured], written: Bools, positive: Bools) -> bytes:
    """Rows as ingestion reads them, in order of time."""
    out = io.StringIO(newline="")
    names = [feature.name for feature in contract.features if not feature.pii]
    feed = Feed.of(contract)
    unvouched = {name for name in day.sources if feed.standing(name) != VOUCHED}
    signed = bool((written & day.sent_by(unvouched)).any())
    own = [name for name in (contract.id_column, contract.time_column) if name]
    writer = csv.writer(out, lineterminator="\n")
    grouped = [] if contract.control is None else [ACTION_GROUP]
    more = [LABEL_SOURCE] if signed else []
    writer.writerow(
        [PREDICTION_ID, PREDICTED_AT, LABEL_ARRIVED_AT, *own, *names, *grouped, contract.target.name, *more]
    )
    lines: list[list[Any]] = []
    for place in np.flatnonzero(written).tolist():
        record = day.records[place]
        row = rows[int(record["id"])]
        at = iso(moment(int(record["time"])))
        line: list[Any] = [row.prediction_id, at, iso(moment(int(record["arrived"])))]
        if contract.id_column:
            line.append(row.entity_id or row.prediction_id)
        if contract.time_column:
            line.append(at)
        line += map(_text, map(row.features.get, names))
        if grouped:
            line.append(GROUPS[int(record["group"])])
        line.append(contract.target.positive if positive[place] else contract.target.negative)
        if signed:
            source = day.sources[int(record["source"])] if record["place"] else ""
            line.append(source if source in unvouched else "")
        lines.append(line)
    lines.sort(key=lambda line: (line[1], line[0]))
    writer.writerows(lines)
    return out.getvalue().encode()


def _text(value: float | str | None) -> float | str | None:
    """As ``Contract.check(text=True)`` reads it back: whole numbers without a point. The writer writes None as nothing
    and a float as its repr.
    """
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _remember(store: ObjectStore, day: OutcomeDay, learnt: Any, previous: Any, model: Model | None) -> OutcomeDay:
    """Keep which outcomes were written, on whatever the day has become meanwhile."""

    def change(now: OutcomeDay | None) -> OutcomeDay:
        base = day if now is None else now
        records = base.records.copy()
        if len(records) == day.n and (records["id"] == day.records["id"]).all():
            records["learnt"], records["previous"] = learnt, previous
        else:
            said = dict(
                zip(day.records["id"].tolist(), zip(learnt.tolist(), previous.tolist(), strict=True), strict=True)
            )
            for record in records:
                record["learnt"], record["previous"] = said.get(int(record["id"]), (record["learnt"], np.nan))
        return replace(base, records=records, previous_model=base.previous_model if model is None else model.version)

    return change_day(store, day.day, change)
