"""Who is left alone: a keyed hash of entity and period decides, so that anybody can draw it again. Light: predict
imports it.
"""

import hashlib
from datetime import datetime

from stillgood.domain.contract.contract import Actions

NONE, CONTROL, TREATED, EXEMPT = "none", "control", "treated", "exempt"
GROUPS = (NONE, CONTROL, TREATED, EXEMPT)  # a group's place is its code wherever groups are numbers
CONTROL_CODE, TREATED_CODE = GROUPS.index(CONTROL), GROUPS.index(TREATED)
_KEY = b"stillgood control group"  # so that no other hash of the same id (folds, ledger) tells the group
_DAY_SECONDS = 86_400
_TRUE = frozenset({"true", "t", "yes", "y", "1", "on"})


def assign(rules: Actions, entity: str, flagged: bool, exempt: bool, at: datetime) -> str:
    """The group of one prediction, made ``at`` (aware): "none" is not flagged, so nobody acts; "control" is flagged
    and left alone; "treated" is flagged and acted on; "exempt" is never left alone and never counted, flagged or not.

    >>> from datetime import UTC
    >>> all_of_them = [assign(Actions(0.5), str(n), True, False, datetime(2026, 1, 1, tzinfo=UTC)) for n in range(8)]
    >>> all_of_them.count("control"), all_of_them.count("treated")
    (4, 4)
    """
    if exempt:
        return EXEMPT
    if not flagged:
        return NONE
    return CONTROL if in_control(rules, entity, at) else TREATED


def acts(group: str, flagged: bool) -> bool:
    """Whether to act on a prediction of ``group``.

    >>> acts("treated", True), acts("control", True), acts("exempt", True), acts("exempt", False)
    (True, False, True, False)
    """
    return flagged and group != CONTROL


def in_control(rules: Actions, entity: str, at: datetime) -> bool:
    """Whether ``entity`` is left alone in the period of ``rotate_days`` that ``at`` (aware) lies in.

    Periods are counted from 1970, the same for all. The draws of two periods are independent, so within one the groups
    differ in nothing but the action, their past included. u = BLAKE2b(entity, period) / 2^64 < ``control_share``.
    """
    period = int(at.timestamp() // (rules.rotate_days * _DAY_SECONDS))
    digest = hashlib.blake2b(f"{period}:{entity}".encode(), digest_size=8, key=_KEY).digest()
    return int.from_bytes(digest, "big") < rules.control_share * 2.0**64


def is_exempt(value: object) -> bool:
    """Whether the value of an ``exempt`` column says yes: true, 1, or such a word. Whatever else it is says no.

    >>> is_exempt(True), is_exempt("Yes"), is_exempt(1), is_exempt("no"), is_exempt(None), is_exempt([1])
    (True, True, True, False, False, False)
    """
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return isinstance(value, bool | int | float) and value == 1
