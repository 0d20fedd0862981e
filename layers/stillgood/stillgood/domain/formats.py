"""The first word of every stored document's ``format``. Documents written before the project was renamed say
``lifecycle``.
"""

from typing import Any

WORD = "stillgood"
FORMER_WORD = "lifecycle"
FORMER_RULES = {"seed": "simple"}  # a policy and a gate


def current_format(value: object) -> object:
    """``value`` with today's word in place of the former one; anything that is not such a format comes back as it is.

    >>> current_format("lifecycle.model"), current_format("stillgood.model"), current_format(7)
    ('stillgood.model', 'stillgood.model', 7)
    """
    if isinstance(value, str) and value.startswith(f"{FORMER_WORD}."):
        return f"{WORD}{value.removeprefix(FORMER_WORD)}"
    return value


def in_current_words(value: Any) -> Any:
    """A JSON value in which every object's ``format`` has today's word, however deep it lies.

    >>> in_current_words({"format": "lifecycle.decision", "after": [{"format": "lifecycle.production"}]})
    {'format': 'stillgood.decision', 'after': [{'format': 'stillgood.production'}]}
    """
    if isinstance(value, dict):
        return {
            name: FORMER_RULES.get(part, part)
            if name == "gate" and isinstance(part, str)
            else current_format(part)
            if name == "format"
            else in_current_words(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [in_current_words(part) for part in value]
    return value
