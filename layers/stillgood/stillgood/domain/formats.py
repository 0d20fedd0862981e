"""The first word of every stored document's ``format``, and the newest version of each. Documents written before the
project was renamed say ``lifecycle``.

Within a version fields are added and none is removed, so that older code reads what newer code wrote: it passes over
what it does not know. Whoever removes or changes one counts the version up here, and reads the former one, too.
"""

from collections.abc import Mapping
from typing import Any

WORD = "stillgood"
FORMER_WORD = "lifecycle"
FORMER_RULES = {"seed": "simple"}  # a policy and a gate
NEWEST = {"outcomes": 3, "profile": 3}  # 1 of any other format


def is_of_later_code(document: Mapping[str, Any]) -> bool:
    """Whether a document says a version that this code does not know.

    >>> is_of_later_code({"format": "stillgood.report", "format_version": 2}), is_of_later_code({"rows": 1})
    (True, False)
    """
    word, _, name = str(document.get("format")).partition(".")
    version = document.get("format_version")
    return word in (WORD, FORMER_WORD) and isinstance(version, int) and version > NEWEST.get(name, 1)


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
