"""value: what the action on flagged customers is worth, from the outcome ledger. Reads only."""

from datetime import date, datetime
from typing import Any

import numpy as np

from stillgood.domain.actions.assignment import CONTROL, GROUPS, TREATED
from stillgood.domain.actions.value import Effect, effect, effects_by, money, plan, score_bands
from stillgood.domain.contract.contract import Contract
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.outcomes.feeds import Feed
from stillgood.domain.outcomes.ledger import NEGATIVE, POSITIVE, RECORD, Bools, Records
from stillgood.steps.monitor.acted import declared, entities_of
from stillgood.storage.objects import ObjectStore
from stillgood.storage.outcomes import ledger_days, read_day, read_progress

_MAX_MONTHS = 24
_DAYS_A_MONTH = 30.4375


def value(store: ObjectStore, contract: Contract, now: datetime) -> dict[str, Any]:
    """The effect of the action over all matured, labelled, flagged predictions; by month, score band and action.

    JSON-able. ``sentence`` says it in words, also where there is nothing to say yet. Raises StoreUnavailable.
    """
    records, positive, actions = _flagged(store, contract, now)
    control = records["group"] == GROUPS.index(CONTROL)
    entities = entities_of(records)
    found = effect(positive, control, entities)
    told: dict[str, Any] = {
        "declared": declared(contract) or "undeclared",
        "control": int(control.sum()),
        "treated": int((~control).sum()),
        "all": None,
    }
    if found is None:
        return told | {"sentence": _nothing(contract, told)}
    days = records["time"] // 86_400_000_000
    months = max(float(days.max() - days.min() + 1) / _DAYS_A_MONTH, 1 / _DAYS_A_MONTH)
    costs = money(found, contract.costs, months)
    reported = records["performed"] > 0
    return told | {
        "all": found.to_dict(),
        "months": months,
        "by_month": [one.to_dict() for one in effects_by(*_months(records), positive, control, entities)],
        "by_score": [
            one.to_dict()
            for one in effects_by(*score_bands(records["score"].astype(np.float64)), positive, control, entities)
        ],
        "by_action": _by_action(records, positive, control, actions),
        "reported": {"treated": int((reported & ~control).sum()), "control": int((reported & control).sum())},
        "money": costs,
        "plan": dict(plan(found, months)),
        "sentence": _sentence(contract, found, months, costs),
    }


def _flagged(store: ObjectStore, contract: Contract, now: datetime) -> tuple[Records, Bools, tuple[str, ...]]:
    """Matured predictions of either group whose outcome is known, which are positive, and the names of actions."""
    feed, progress = Feed.of(contract), read_progress(store)[0]
    complete = feed.complete_until(progress.watermarks)
    until = feed.matured_until(microseconds(now), complete)
    parts, outcomes, names = [], [], dict[str, int]()
    for day in _newest(store):
        known = read_day(store, day)[0]
        if known is None:
            continue
        said = feed.outcomes(known.records, complete)
        groups = known.records["group"]
        at = ((groups == GROUPS.index(CONTROL)) | (groups == GROUPS.index(TREATED))) & (
            (said == NEGATIVE) | (said == POSITIVE)
        )
        at &= known.records["time"] <= (until if until is not None else -1)
        rows = known.records[at].copy()
        codes = np.array([0, *(1 + names.setdefault(name, len(names)) for name in known.actions)], np.uint16)
        rows["performed"] = codes[rows["performed"]]
        parts.append(rows)
        outcomes.append(said[at] == POSITIVE)
    if not parts:
        return np.empty(0, RECORD), np.empty(0, np.bool_), ()
    return np.concatenate(parts), np.concatenate(outcomes), tuple(names)


def _newest(store: ObjectStore) -> list[date]:
    return list(ledger_days(store))[-round(_MAX_MONTHS * _DAYS_A_MONTH) :]


def _months(records: Records) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    month = records["time"].astype("datetime64[us]").astype("datetime64[M]")
    names, part = np.unique(month, return_inverse=True)
    return [str(name) for name in names], np.asarray(part, dtype=np.int64)


def _by_action(records: Records, positive: Bools, control: Bools, actions: tuple[str, ...]) -> list[dict[str, Any]]:
    """Who got which action was not drawn, so this compares with all who were left alone, and proves nothing alone."""
    found = []
    for code, name in enumerate(actions):
        at = control | (records["performed"] == code + 1)
        one = effect(positive[at], control[at], entities_of(records)[at], name=name, tests=len(actions))
        if one is not None:
            found.append(one.to_dict())
    return found


def _nothing(contract: Contract, told: dict[str, Any]) -> str:
    if contract.control is None:
        return "The contract declares no actions, so nobody is left alone and nothing tells what an action is worth."
    if contract.control.control_share == 0:
        return "Nobody is left alone (control_share 0), so nothing tells what the action is worth."
    return (
        f"Too early: {told['control']} flagged customers who were left alone and {told['treated']} who were acted on"
        " have a known outcome."
    )


def _sentence(contract: Contract, found: Effect, months: float, costs: dict[str, float] | None) -> str:
    positive = contract.target.positive
    kept = found.treated * found.prevented / months
    text = (
        f"Of flagged customers who were left alone {found.control_rate:.1%} became {positive!r}, of those acted on"
        f" {found.treated_rate:.1%}: the action prevents {100 * found.prevented:.1f} in a hundred"
        f" [{100 * found.low:.1f}, {100 * found.high:.1f}], some {kept:.0f} a month; it {found.verdict}."
    ).replace("it not known yet", "whether it works is not known yet")
    if costs is not None:
        text += f" That is worth {costs['brings']:,.0f} a month; the control group costs {costs['control']:,.0f}."
    return text
