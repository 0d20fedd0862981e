"""What the action is worth: unbiased, covered, and honest where it does nothing, harms, or cannot be known."""

import math

import numpy as np
import pytest
from stillgood.domain.actions.value import effect, effects_by, money, months_until, plan, score_bands
from stillgood.domain.contract.contract import Costs


def campaign(seed: int, control: float, treated: float, n: int = 4000, share: float = 0.1) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    alone = random.random(n) < share
    return random.random(n) < np.where(alone, control, treated), alone, np.arange(n)


def test_the_effect_is_unbiased_and_its_interval_holds_the_truth() -> None:
    effects = [effect(*campaign(seed, 0.5, 0.2, n=1000)) for seed in range(200)]
    gaps = [measured.prevented - 0.3 for measured in effects if measured is not None]
    held = [measured.low < 0.3 < measured.high for measured in effects if measured is not None]
    assert abs(float(np.mean(gaps))) < 0.01
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("control", "treated", "n", "verdict"),
    [
        (0.5, 0.2, 4000, "works"),
        (0.2, 0.4, 4000, "harms"),
        (0.3, 0.3, 400_000, "does nothing"),
        (0.3, 0.3, 400, "not known yet"),
    ],
)
def test_verdicts(control: float, treated: float, n: int, verdict: str) -> None:
    measured = effect(*campaign(4, control, treated, n))
    assert measured is not None
    assert measured.verdict == verdict


def test_where_hardly_anybody_left_alone_leaves_the_interval_reaches_further_up() -> None:
    measured = effect(*campaign(6, 0.05, 0.05, n=1500))
    assert measured is not None
    assert measured.high - measured.prevented > 1.1 * (measured.prevented - measured.low)


def test_a_customers_rows_are_one_piece_of_evidence() -> None:
    y, alone, who = campaign(2, 0.5, 0.2)
    once, often = effect(y, alone, who), effect(*(np.tile(column, 9) for column in (y, alone, who)))
    assert once is not None
    assert often is not None
    assert often.spread.error == pytest.approx(once.spread.error, rel=0.02)


def test_an_action_that_harms_in_one_band_is_said_there() -> None:
    random = np.random.default_rng(3)
    scores, alone = random.random(20_000), random.random(20_000) < 0.2
    rate = np.where(alone, 0.4, np.where(scores < 0.25, 0.6, 0.2))
    names, part = score_bands(scores)
    effects = effects_by(names, part, random.random(20_000) < rate, alone, np.arange(20_000))
    assert [measured.verdict for measured in effects] == ["harms", "works", "works", "works"]


def test_few_rows_say_nothing_and_a_plan_says_how_long_it_takes() -> None:
    assert effect(*campaign(1, 0.5, 0.2, n=30)) is None
    measured = effect(*campaign(1, 0.5, 0.2))
    assert measured is not None
    assert plan(measured, 2.0)["0.1"] < plan(measured, 2.0)["0.02"]
    assert months_until(0.5, 0.2, 0, 0.1) == math.inf


def test_money_a_month() -> None:
    measured = effect(*campaign(1, 0.5, 0.2))
    assert measured is not None
    monthly = money(measured, Costs(miss=100.0, offer=5.0), 2.0)
    assert monthly is not None
    kept = measured.treated * measured.prevented
    assert monthly["kept"] == pytest.approx(kept / 2)
    assert monthly["brings"] == pytest.approx((100 * kept - 5 * measured.treated) / 2)
    assert money(measured, None, 2.0) is None
