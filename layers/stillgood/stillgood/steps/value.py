"""value: what the action on flagged customers is worth, from the outcome ledger. Reads only."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from stillgood.domain.actions.assignment import CONTROL_CODE
from stillgood.domain.actions.value import effect
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.slices import slice_names, slices_of
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.outcomes.feeds import DAY, Feed
from stillgood.domain.outcomes.ledger import POSITIVE, Bools, OutcomeDay, Records, identity, is_known
from stillgood.steps.monitor.acted import entities_of
from stillgood.steps.monitor.worth import DAYS_A_MONTH, flagged, worth
from stillgood.storage.objects import ObjectStore
from stillgood.storage.outcomes import ledger_days, read_day, read_progress
from stillgood.storage.performed import performed
from stillgood.storage.windows import utc

_MAX_MONTHS = 24
_EPOCH = date(1970, 1, 1).toordinal()


def value(store: ObjectStore, contract: Contract, now: datetime, *, slices: bool = False) -> dict[str, Any]:
    """The effect of the action over all matured, labelled, flagged predictions; by month, score band and action, and
    with ``slices`` by the contract's slices, for which the captures of these predictions are read.

    JSON-able. ``sentence`` says it in words, also where there is nothing to say yet. Raises StoreUnavailable.
    """
    records, positive = _flagged(store, contract, now)
    report = worth(contract, records, positive)
    if report["all"] is None:
        return report
    control = records["group"] == CONTROL_CODE
    done = reported(store, contract, records)
    return report | {
        "by_slice": _by_slice(store, contract, records, positive, control) if slices else [],
        "by_action": _by_action(records, positive, control, done),
        "reported": {
            "treated": int(((done.codes > 0) & ~control).sum()),
            "control": int(((done.codes > 0) & control).sum()),
            "late": done.late,
            "not_matched": done.not_matched,
            "cost": done.cost,
        },
    }


def _flagged(store: ObjectStore, contract: Contract, now: datetime) -> tuple[Records, Bools]:
    """Matured predictions of either group whose outcome is known, oldest first, and which are positive."""
    feed, progress = Feed.of(contract), read_progress(store)[0]
    complete = feed.complete_until(progress.watermarks)
    until = feed.matured_until(microseconds(now), complete)
    parts = [flagged({}, {})]
    for day in _newest(store):
        made = read_day(store, day)[0]
        if made is None or until is None:
            continue
        said = feed.outcomes(made.records, complete)
        known = (is_known(said) & (made.records["time"] <= until), said == POSITIVE)
        parts.append(flagged({day: made}, {day: known}))  # of a day only these are kept
    records, positive = zip(*parts, strict=True)
    return np.concatenate(records), np.concatenate(positive)


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """``codes`` int64[n]: 0 where nothing was reported of a flagged prediction, else one more than the place in
    ``names`` of the first action after it. ``late``: actions after the prediction had matured; ``not_matched``: those
    of no flagged prediction whose outcome is known. ``cost``: of those that count.
    """

    codes: np.ndarray[tuple[int], np.dtype[np.int64]]
    names: tuple[str, ...]
    late: int
    not_matched: int
    cost: float


def reported(store: ObjectStore, contract: Contract, records: Records) -> Reported:
    """What was reported of ``records``, oldest first. An action that was sent twice counts once. Raises
    StoreUnavailable.
    """
    matures = Feed.of(contract).matures
    by_id = {int(key): place for place, key in enumerate(records["id"])}
    by_entity: dict[int, list[int]] = {}
    for place, key in enumerate(records["entity"]):
        by_entity.setdefault(int(key), []).append(place)
    times, codes = records["time"], np.zeros(len(records), np.int64)
    names: dict[str, int] = {}
    late, missing, cost = 0, 0, 0.0
    for action in sorted(set(performed(store))):
        at = microseconds(utc(action.time))
        if action.prediction_id:
            row = by_id.get(identity(action.prediction_id))
        else:
            before = [place for place in by_entity.get(identity(action.entity_id), ()) if times[place] <= at]
            row = before[-1] if before else None
        if row is None or at < times[row]:
            missing += 1
        elif at > times[row] + matures:
            late += 1
        else:
            cost += action.cost
            codes[row] = codes[row] or 1 + names.setdefault(action.action, len(names))
    return Reported(codes, tuple(names), late, missing, cost)


def _newest(store: ObjectStore) -> list[date]:
    return list(ledger_days(store))[-round(_MAX_MONTHS * DAYS_A_MONTH) :]


def _by_action(records: Records, positive: Bools, control: Bools, done: Reported) -> list[dict[str, Any]]:
    """The choice between actions was not drawn, so each is compared with all who were left alone, and proves nothing
    alone.
    """
    effects = []
    for code, name in enumerate(done.names):
        at = control | (done.codes == code + 1)
        measured = effect(positive[at], control[at], entities_of(records)[at], name=name, tests=len(done.names))
        if measured is not None:
            effects.append(measured.to_dict())
    return effects


def _by_slice(
    store: ObjectStore, contract: Contract, records: Records, positive: Bools, control: Bools
) -> list[dict[str, Any]]:
    """The effect within each slice, from what was captured of the features; personal data is not captured, so a slice
    by it is left out, as are slices of too few rows.
    """
    if not contract.slices:
        return []
    # Only the command asks for slices; the package of promote, which writes pages, is without msgspec.
    from stillgood.steps.monitor.hours import readers
    from stillgood.steps.monitor.training_rows import captured_rows

    members: dict[str, list[int]] = {}
    days = records["time"] // DAY
    with readers(store) as pool:
        for number in np.unique(days).tolist():
            at = np.flatnonzero(days == number)
            day = OutcomeDay(date.fromordinal(_EPOCH + int(number)), records[at], {})
            lines = captured_rows(store, pool, day, np.ones(len(at), np.bool_))
            for place in at.tolist():
                line = lines.get(int(records["id"][place]))
                for name in () if line is None else slices_of(contract, line.features):
                    members.setdefault(name, []).append(place)
    entities = entities_of(records)
    names = slice_names(contract)
    effects = (
        effect(positive[rows], control[rows], entities[rows], name=name, tests=len(names))
        for name in names
        if (rows := np.array(members.get(name, ()), dtype=np.int64)).size
    )
    return [measured.to_dict() for measured in effects if measured is not None]
