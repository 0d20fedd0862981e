"""The outcome of a row, however it is spelt: 1, 1.0, true, YES for a target of "1" or "Yes", wherever that has one
meaning only.
"""

from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.row_check import FALSE, TRUE

_YES, _NO = TRUE | {"t", "y"}, FALSE | {"f", "n"}


def read_outcome(target: Target, value: object) -> bool | None:
    """True for the positive outcome, False for the negative one, None for neither.

    A text is held against the target's two values as it stands, then without case, then as a number; a truth value, or
    a text that is one, is read so where the target's own two values are truth values.

    >>> churn = Target("churn", positive="Yes", negative="No")
    >>> [read_outcome(churn, value) for value in ("Yes", " no ", "YES", True, 0, "1", "maybe", None)]
    [True, False, True, True, False, True, None, None]
    >>> [read_outcome(Target("level", "2", "1"), value) for value in (2, 1.0, "2.0", True, "yes")]
    [True, False, True, None, None]
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return value if (order := _truths(target)) == "as they are" else (not value if order == "reversed" else None)
    text = (str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)).strip()
    for same in (str, str.casefold, _as_number):
        positive, negative = same(text) == same(target.positive), same(text) == same(target.negative)
        if positive != negative:
            return positive
    order = _truths(target)
    lower = text.lower()
    if order is None or (lower not in _YES and lower not in _NO):
        return None
    return (lower in _YES) == (order == "as they are")


def _as_number(text: str) -> object:
    try:
        return float(text) if "_" not in text else text
    except ValueError:
        return text


def _truths(target: Target) -> str | None:
    """Whether the target's values are true and false, or the other way round; None if they are no truth values."""
    positive, negative = target.positive.strip().lower(), target.negative.strip().lower()
    if positive in _YES and negative in _NO:
        return "as they are"
    return "reversed" if positive in _NO and negative in _YES else None
