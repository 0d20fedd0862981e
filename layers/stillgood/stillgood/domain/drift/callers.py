"""How many rows each caller sent, and how many of them were refused: counted by hour and added up, the largest only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

MAX_CALLERS = 100  # kept by answered rows, and as many by refused ones: a caller may be anybody with a token


@dataclass(frozen=True, slots=True)
class CallerRows:
    """Rows of one caller: ``accepted`` and ``refused``."""

    accepted: int = 0
    refused: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(self.accepted + other.accepted, self.refused + other.refused)


def added(left: Mapping[str, CallerRows], right: Mapping[str, CallerRows]) -> dict[str, CallerRows]:
    """Both together, by name, sorted."""
    none = CallerRows()
    return largest({name: left.get(name, none) + right.get(name, none) for name in {*left, *right}})


def largest(callers: Mapping[str, CallerRows]) -> dict[str, CallerRows]:
    """The callers with the most accepted rows and those with the most refused ones, sorted by name.

    >>> largest({"b": CallerRows(3), "a": CallerRows(0, 2)})
    {'a': CallerRows(accepted=0, refused=2), 'b': CallerRows(accepted=3, refused=0)}
    """
    if len(callers) > 2 * MAX_CALLERS:
        by_rows = sorted(callers, key=lambda name: (-callers[name].accepted, name))[:MAX_CALLERS]
        by_refused = sorted(callers, key=lambda name: (-callers[name].refused, name))[:MAX_CALLERS]
        callers = {name: callers[name] for name in {*by_rows, *by_refused}}
    return dict(sorted(callers.items()))
