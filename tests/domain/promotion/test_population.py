"""Rows of before a change do not judge: where the champion's ranking turned, the newest population begins."""

import numpy as np
import pytest
from stillgood.domain.promotion.population import newest_population

N = 3000
WHO = np.arange(N, dtype=np.uint64)


def world(seed, turns=()):
    """Logits and outcomes of N rows; from each place in ``turns`` on, a higher score means the opposite."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=N) - 1
    sign = np.ones(N)
    for place in turns:
        sign[place:] *= -1
    return logits, (random.random(N) < 1 / (1 + np.exp(-(sign * (logits + 1) * 1.5 - 1)))).astype(np.int8)


def test_without_a_change_all_rows_judge():
    assert [newest_population(*world(seed), WHO) for seed in range(30)] == [0] * 30


@pytest.mark.parametrize("place", [600, 1500, 2700])
def test_the_rows_of_before_a_flip_are_cut_off(place):
    cuts = [newest_population(*world(seed, (place,)), WHO) for seed in range(5)]
    assert all(abs(cut - place) <= N / 20 for cut in cuts)


def test_of_two_changes_the_newer_counts():
    cut = newest_population(*world(1, (900, 2200)), WHO)
    assert 2050 <= cut <= 2350


def test_a_customers_rows_are_no_change_of_the_population():
    """The same 25 customers 60 times each, ranked badly: their rows are one piece of evidence a customer."""
    logits, y = world(3)
    random = np.random.default_rng(3)
    few = 1500 + random.integers(0, 25, 1500)
    logits[1500:], y[1500:] = logits[few], y[few]
    who = np.concatenate([np.arange(1500), few]).astype(np.uint64)
    assert newest_population(logits, y, who) == 0


def test_too_few_rows_of_an_outcome_cut_nothing():
    logits, y = world(4, (1500,))
    assert newest_population(logits[:80], y[:80], WHO[:80]) == 0
    assert newest_population(logits, np.zeros(N, dtype=np.int8), WHO) == 0
