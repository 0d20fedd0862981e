"""How would the answer change: against every change there is, for both families, by brute force."""

import math
import random
from itertools import combinations, product
from typing import Any

import pytest
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.counterfactual import Flip, flips
from stillgood.domain.model.model import Calibration, CategoricalTerm, CurveTerm, Model, NumericTerm
from stillgood.domain.model.pairs import UNIT, LevelAxis, NumericAxis, PairTerm, StepTerm

WHOLE = 24
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "toy",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "months", "kind": "integer", "minimum": 0, "maximum": WHOLE},
            {"name": "calls", "kind": "integer", "minimum": 0, "maximum": WHOLE},
            {"name": "plan", "kind": "categorical", "levels": ["a", "b", "c"]},
            {"name": "bill", "kind": "boolean"},
            {"name": "fee", "kind": "numeric", "minimum": 0, "maximum": 100},
        ],
        "may_change": {"months": "any", "calls": "increasing", "plan": "any", "bill": "any"},
    }
)
MAY = CONTRACT.may_change


def unit(dice: random.Random, limit: float = 2.0) -> float:
    return round(dice.uniform(-limit, limit) / UNIT) * UNIT


def steps(dice: random.Random, name: str) -> StepTerm:
    cuts = tuple(sorted(dice.sample(range(WHOLE), 4)))
    shares = tuple(unit(dice) for _ in range(5))
    return StepTerm(name, tuple(map(float, cuts)), shares, 0.0, 12.0, 7.0, unit(dice, 0.3), 2.0, 20.0)


def model(seed: int, family: str) -> Model:
    dice = random.Random(seed)
    plan = CategoricalTerm("plan", {level: unit(dice) for level in "abc"})
    bill = NumericTerm("bill", 0.0, 1.0, unit(dice))
    fee = NumericTerm("fee", 50.0, 20.0, unit(dice, 1.0))
    if family == "logistic":
        months = NumericTerm("months", 12.0, 7.0, unit(dice))
        calls = CurveTerm("calls", (3.0, 9.0, 15.0), tuple(unit(dice) for _ in range(3)))
        terms = (months, calls, plan, bill, fee)
        return Model("v", CONTRACT, terms, 0.0, unit(dice, 1.0), Calibration(1.0, 0.0))
    places = LevelAxis("plan", {"a": 0, "b": 1}, 3)
    first = NumericAxis("months", (5.0, 14.0))
    table = tuple(tuple(round(dice.uniform(-1, 1) / UNIT) for _ in range(3)) for _ in range(4))
    other = NumericAxis("calls", (7.0,))
    square = tuple(tuple(round(dice.uniform(-1, 1) / UNIT) for _ in range(3)) for _ in range(4))
    pairs = (PairTerm(first, places, table), PairTerm(first, other, square))
    terms = (steps(dice, "months"), steps(dice, "calls"), plan, bill, fee)
    return Model("v", CONTRACT, terms, 0.0, unit(dice, 1.0), Calibration(1.0, 0.0), {}, "boosted", pairs)


def row(seed: int) -> dict[str, Any]:
    dice = random.Random(1_000 + seed)
    whole = {name: float(dice.randint(0, WHOLE)) for name in ("months", "calls")}
    return {**whole, "plan": dice.choice("abc"), "bill": float(dice.randint(0, 1)), "fee": dice.uniform(0, 100)}


def values_of(name: str, now: Any) -> list[Any]:
    if name == "plan":
        return [level for level in "abc" if level != now]
    if name == "bill":
        return [1.0 - now]
    low = int(now) if MAY[name] == "increasing" else 0
    return [float(whole) for whole in range(low, WHOLE + 1) if whole != now]


def size(name: str, now: Any, to: Any) -> float:
    return abs(to - now) / WHOLE if name in ("months", "calls") else 1.0


def brute(made: Model, values: dict[str, Any]) -> tuple[dict[str, float], float]:
    """The least size of each feature alone, and of two neither of which turns the decision alone."""
    was = made.score(values).decision
    turned = lambda **to: made.score({**values, **to}).decision != was  # noqa: E731
    ones: dict[str, float] = {}
    for name in MAY:
        sizes = [size(name, values[name], to) for to in values_of(name, values[name]) if turned(**{name: to})]
        if sizes:
            ones[name] = min(sizes)
    smallest = math.inf
    for a, b in combinations(MAY, 2):
        for x, y in product(values_of(a, values[a]), values_of(b, values[b])):
            both = size(a, values[a], x) + size(b, values[b], y)
            if both < smallest and turned(**{a: x, b: y}) and not turned(**{a: x}) and not turned(**{b: y}):
                smallest = both
    return ones, smallest


@pytest.mark.parametrize("family", ["logistic", "boosted"])
@pytest.mark.parametrize("seed", range(12))
def test_no_smaller_change_of_one_or_of_two_features_turns_the_decision(family: str, seed: int) -> None:
    made, values = model(seed, family), row(seed)
    ones, two = flips(made, values, MAY)
    expected, smallest = brute(made, values)
    assert {single.changes[0].feature: single.size for single in ones} == pytest.approx(expected)
    assert [single.size for single in ones] == sorted(single.size for single in ones)
    assert (math.inf if two is None else two.size) == pytest.approx(smallest)
    for flip in [*ones, *([two] if two else [])]:
        assert turns(made, values, flip)


def turns(made: Model, values: dict[str, Any], flip: Flip) -> bool:
    changed = {**values, **{change.feature: change.after for change in flip.changes}}
    return made.score(changed).decision == flip.decision != made.score(values).decision


@pytest.mark.parametrize("seed", range(8))
def test_a_number_changes_to_the_very_first_value_that_turns_the_decision(seed: int) -> None:
    made, values = model(seed, "logistic"), row(seed)
    ones, _ = flips(made, values, {"fee": "any"})
    for flip in ones:
        (change,) = flip.changes
        assert turns(made, values, flip)
        just_before = math.nextafter(float(str(change.after)), float(str(change.before)))
        assert made.score({**values, "fee": just_before}).decision == made.score(values).decision


def test_nothing_is_proposed_that_the_contract_does_not_allow() -> None:
    for seed in range(12):
        values = row(seed)
        ones, two = flips(model(seed, "logistic"), values, {"calls": "increasing"})
        assert two is None
        assert all(float(str(single.changes[0].after)) > values["calls"] for single in ones)
