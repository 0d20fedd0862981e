"""A number whose contribution to the score jumps within one window is a suspected fault of the data, not the world.

Ranges in the contract refuse many a wrong unit; a number without a range passes, and moves every score.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stillgood.domain.drift.contributions import ContributionChange

MAX_JUMP = 2.0  # standard deviations of single rows by which the mean moves within one window
MAX_FACTOR = 3.0  # between the spreads of two windows
UNIT_FACTOR = 2.0  # between a spread and that in the reference; inches are 2.54 centimetres
MIN_JUMP = 0.5  # standard deviations, beside a spread that changed


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation over rows of what one feature adds, in logits."""

    mean: float
    spread: float


def jumped(
    before: Mapping[str, Moments], parts: Collection[ContributionChange], drifted: Collection[str]
) -> tuple[str, ...]:
    """The features of ``drifted``, sorted, whose contribution jumped since ``before``, the last window without a fault.

    With d = abs(mean - mean before) / s, s the spread in the reference, and f the larger of spread / spread before and
    its inverse: d > MAX_JUMP, or f > MAX_FACTOR and d > MIN_JUMP. Another unit multiplies mean and spread by one factor
    (months into years: f = 12), and a column that is filled up with one value has no spread left. Where people change
    their ways, single rows still differ about as much as they did. A feature without any spread in the reference is
    left out, and so is one that ``before`` lacks: nobody knows how fast the first window of a champion came there.

    >>> cents = ContributionChange("price", 0.0, 90.0, 0.1, 1.0, 100.0)
    >>> dearer = ContributionChange("price", 0.0, -1.2, 0.1, 1.0, 1.0)
    >>> last = {"price": Moments(0.0, 1.0)}
    >>> jumped(last, [cents], ["price"]), jumped(last, [dearer], ["price"]), jumped({}, [cents], ["price"])
    (('price',), (), ())
    """
    names = []
    for part in parts:
        scale, last = part.spread_before, before.get(part.name)
        if part.name not in drifted or scale <= 0.0 or last is None:
            continue
        distance = abs(part.now - last.mean) / scale
        low, high = sorted((part.spread, last.spread))
        rescaled = high > MAX_FACTOR * low and distance > MIN_JUMP
        if distance > MAX_JUMP or rescaled:
            names.append(part.name)
    return tuple(sorted(names))


def same_unit(parts: Collection[ContributionChange], names: Collection[str]) -> bool:
    """Whether the contributions of all ``names`` scatter about as much as in the reference, by a factor of less than
    ``UNIT_FACTOR``: numbers in a unit of their own, or filled up with one value, do not.

    >>> cents = ContributionChange("price", 0.0, 90.0, 0.1, 1.0, 100.0)
    >>> dear = ContributionChange("price", 0.0, 2.2, 0.1, 1.0, 1.1)
    >>> same_unit([cents], ["price"]), same_unit([dear], ["price"])
    (False, True)
    """
    return all(
        part.spread < UNIT_FACTOR * part.spread_before and part.spread_before < UNIT_FACTOR * part.spread
        for part in parts
        if part.name in names
    )
