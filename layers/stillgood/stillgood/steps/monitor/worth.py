"""What the action on flagged customers is worth, from days of the outcome ledger that were read already."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from stillgood.domain.actions.assignment import CONTROL_CODE, TREATED_CODE
from stillgood.domain.actions.value import Effect, effect, effects_by, money, plan, score_bands
from stillgood.domain.contract.contract import Contract
from stillgood.domain.outcomes.feeds import DAY
from stillgood.domain.outcomes.ledger import RECORD, Bools, OutcomeDay, Records
from stillgood.steps.monitor.acted import Known, declared, entities_of

DAYS_A_MONTH = 30.4375


def flagged(days: Mapping[date, OutcomeDay], known: Known) -> tuple[Records, Bools]:
    """Predictions of either group whose outcome is ``known``, in its order, and which are positive."""
    parts, outcomes = [np.empty(0, RECORD)], [np.empty(0, np.bool_)]
    for day, (which, positive) in known.items():
        records = days[day].records
        at = which & np.isin(records["group"], (CONTROL_CODE, TREATED_CODE))
        parts.append(records[at])
        outcomes.append(positive[at])
    return np.concatenate(parts), np.concatenate(outcomes)


def worth(contract: Contract, records: Records, positive: Bools) -> dict[str, Any]:
    """The effect of the action over ``records`` of both groups, by month and score, with money and plan. JSON-able.

    ``sentence`` says it in words, also where there is nothing to say yet, and then ``all`` is None.
    """
    control = records["group"] == CONTROL_CODE
    entities = entities_of(records)
    overall = effect(positive, control, entities)
    report: dict[str, Any] = {
        "declared": declared(contract) or "undeclared",
        "control": int(control.sum()),
        "treated": int((~control).sum()),
        "all": None,
    }
    if overall is None:
        return report | {"sentence": _nothing(contract, report)}
    days = records["time"] // DAY
    months = max(float(days.max() - days.min() + 1) / DAYS_A_MONTH, 1 / DAYS_A_MONTH)
    costs = money(overall, contract.costs, months)
    bands = score_bands(records["score"].astype(np.float64))
    return report | {
        "all": overall.to_dict(),
        "months": months,
        "by_month": [part.to_dict() for part in effects_by(*_months(records), positive, control, entities)],
        "by_score": [part.to_dict() for part in effects_by(*bands, positive, control, entities)],
        "money": costs,
        "plan": dict(plan(overall, months)),
        "sentence": _sentence(contract, overall, months, costs),
    }


def _months(records: Records) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    month = records["time"].astype("datetime64[us]").astype("datetime64[M]")
    names, part = np.unique(month, return_inverse=True)
    return [str(name) for name in names], np.asarray(part, dtype=np.int64)


def _nothing(contract: Contract, report: dict[str, Any]) -> str:
    if contract.control is None:
        return "The contract declares no actions, so nobody is left alone and nothing tells what an action is worth."
    if contract.control.control_share == 0:
        return "Nobody is left alone (control_share 0), so nothing tells what the action is worth."
    return (
        f"Too early: {report['control']} flagged customers who were left alone and {report['treated']} who were acted"
        " on have a known outcome."
    )


def _sentence(contract: Contract, measured: Effect, months: float, costs: dict[str, float] | None) -> str:
    positive = contract.target.positive
    kept = measured.treated * measured.prevented / months
    verdict = "whether it works is not known yet" if measured.verdict == "not known yet" else f"it {measured.verdict}"
    text = (
        f"Of flagged customers who were left alone {measured.control_rate:.1%} became {positive!r}, of those acted on"
        f" {measured.treated_rate:.1%}: the action prevents {100 * measured.prevented:.1f} in a hundred"
        f" [{100 * measured.low:.1f}, {100 * measured.high:.1f}], some {kept:.0f} a month; {verdict}."
    )
    if costs is not None:
        text += f" That is worth {costs['brings']:,.0f} a month; the control group costs {costs['control']:,.0f}."
    return text
