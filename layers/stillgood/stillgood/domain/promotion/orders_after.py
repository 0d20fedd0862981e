"""How a decision changes the orders: the only rules by which a mode, a hold, a rejection or a case begins and ends."""

from dataclasses import replace

from stillgood.domain.promotion.decision import Decision
from stillgood.domain.promotion.orders import Case, CaseKind, Hold, ModeOrder, Orders, Said, SettingsOrder, checked_mode

AUTOMATIC = ("monitor:", "point:")  # what a request id of the schedule begins with
ASKED_BECAUSE = "Asked because: "  # how the last reason of what a person did begins
_MAX_REJECTED = 50  # the newest; a version is rarely asked for again


def by_hand(request_id: str) -> bool:
    """Whether a person made the request, not the schedule."""
    return not request_id.startswith(AUTOMATIC)


def orders_after(before: Orders, decision: Decision) -> Orders:
    """The orders that hold after ``decision``, when ``before`` held until then."""
    orders = _closed(before, decision)
    serving = decision.figures.get("serving")
    after = decision.pointer_after
    changed = after is not None and after.version != serving
    if decision.action == "mode":
        mode = checked_mode(decision.figures["asked"]["mode"])
        return replace(orders, mode=ModeOrder(mode, _said(decision)))
    if decision.action == "settings":
        contract, learnt_by = str(decision.figures["asked"]["contract"]), str(decision.figures["learnt_by"])
        return replace(orders, settings=SettingsOrder(contract, learnt_by, _said(decision)))
    if decision.action == "ask":
        return replace(orders, waiting=_with_case(orders.waiting, decision))
    if decision.action == "release":
        return replace(orders, hold=None)
    case = _answered(before, decision)
    if case is not None and case.kind == "promote" and decision.figures["asked"].get("action") == "refuse":
        return replace(orders, rejected=_rejected(orders, case.candidate))
    if after is None or not changed:
        return orders
    # Another model serves: what was asked about the one before is no question any more.
    orders = replace(orders, waiting=tuple(case for case in orders.waiting if case.kind == "promote"))
    orders = replace(orders, waiting=tuple(case for case in orders.waiting if case.candidate != after.version))
    if not by_hand(decision.request_id):
        return orders
    kept = tuple(version for version in orders.rejected if version != after.version)
    orders = replace(orders, rejected=kept, hold=None if decision.action == "promote" else orders.hold)
    if decision.action == "rollback" and serving is not None:
        hold = Hold(str(serving), after.version, _said(decision))
        return replace(orders, hold=hold, rejected=_rejected(orders, str(serving)))
    return orders


def _said(decision: Decision) -> Said:
    by = decision.figures.get("by")
    because = decision.reasons[-1].removeprefix(ASKED_BECAUSE) if decision.reasons else ""
    return Said(decision.n, decision.at, None if by is None else str(by), because)


def _answered(before: Orders, decision: Decision) -> Case | None:
    """The case that a person answered by ``decision``."""
    case = decision.figures.get("case")
    return before.case(case) if isinstance(case, int) and decision.figures.get("closes") is True else None


def _closed(before: Orders, decision: Decision) -> Orders:
    case = _answered(before, decision)
    return (
        before if case is None else replace(before, waiting=tuple(other for other in before.waiting if other != case))
    )


def _with_case(waiting: tuple[Case, ...], decision: Decision) -> tuple[Case, ...]:
    asks = decision.figures["asks"]
    kind: CaseKind = asks["kind"]
    generation = decision.pointer_before.generation if decision.pointer_before else None
    case = Case(decision.n, kind, str(decision.candidate), decision.at, str(asks["expires"]), generation)
    return (*(other for other in waiting if other.kind != kind), case)


def _rejected(orders: Orders, version: str) -> tuple[str, ...]:
    return (*(other for other in orders.rejected if other != version), version)[-_MAX_REJECTED:]
