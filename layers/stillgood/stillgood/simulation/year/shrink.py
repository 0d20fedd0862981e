"""Makes a failing life small: leaves out operations and faults for as long as the same invariant still breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stillgood.simulation.year.plan import Operation, Plan, plan
from stillgood.simulation.year.run import live
from stillgood.simulation.year.weather import Fault


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left of a seed, and ``lives``, how many it took. ``only`` is what ``live`` takes."""

    plan: Plan
    faults: tuple[Fault, ...]
    lives: int

    @property
    def only(self) -> frozenset[tuple[str, int]]:
        return frozenset((fault.attempt, fault.call) for fault in self.faults)


def shrink(seed: int, days: int, invariant: str, *, max_lives: int = 60) -> Shrunk:
    """The least that was found of ``seed`` with which ``invariant`` still breaks. Raises ValueError where it holds."""
    whole = plan(seed, days)
    first = live(whole)
    if invariant not in first.names:
        raise ValueError(f"{invariant!r} holds in seed {seed}")
    lives = 1

    def breaks(operations: Sequence[Operation], faults: Sequence[Fault]) -> bool:
        nonlocal lives
        lives += 1
        only = frozenset((fault.attempt, fault.call) for fault in faults)
        return invariant in live(replace(whole, operations=tuple(operations)), only=only).names

    def left() -> int:
        return max_lives - lives

    faults: Sequence[Fault] = first.faults
    if breaks(whole.operations, ()):
        faults = ()
    operations = ddmin(whole.operations, lambda some: breaks(some, faults), left)
    faults = ddmin(faults, lambda some: breaks(operations, some), left)
    return Shrunk(replace(whole, operations=tuple(operations)), tuple(faults), lives)


def ddmin[T](items: Sequence[T], fails: Callable[[Sequence[T]], bool], left: Callable[[], int]) -> Sequence[T]:
    """A part of ``items`` with which it ``fails`` still, small in that no piece that was tried can be left out.

    ``left()`` bounds the trials. Source: A. Zeller, R. Hildebrandt (2002), "Simplifying and isolating failure-inducing
    input", IEEE TSE 28.

    >>> ddmin(range(100), lambda some: 7 in some and 42 in some, lambda: 1)
    [7, 42]
    """
    parts = 2
    kept = list(items)
    while len(kept) > 1 and left() > 0:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if rest and left() > 0 and fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(kept))
    return kept
