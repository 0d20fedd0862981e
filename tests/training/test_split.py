"""No model, past or future, trains on a row that the gate scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import TrainingRules
from stillgood.training.split import is_holdout, split

RULES = TrainingRules(holdout_fraction=0.2, holdout_rows=3)
hashes = st.lists(st.integers(0, 2**64 - 1), max_size=50).map(lambda listed: np.array(listed, dtype=np.uint64))


def days(count, start="2026-01-01"):
    return np.datetime64(start, "us") + np.arange(count) * np.timedelta64(1, "D")


@given(hashes, hashes)
def test_new_rows_never_move_an_entity_to_the_other_side(before, more):
    both = np.concatenate([before, more])
    np.testing.assert_array_equal(is_holdout(both, 0.2)[: len(before)], is_holdout(before, 0.2))


@given(hashes)
def test_training_and_holdout_share_no_entity(given_hashes):
    parts = split(days(len(given_hashes)), given_hashes, RULES)
    assert not set(given_hashes[parts.train].tolist()) & set(given_hashes[parts.holdout].tolist())


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.333, 0.5])
def test_the_stated_fraction_is_held_out(fraction):
    drawn = np.random.default_rng(1).integers(0, 2**64 - 1, 100_000, dtype=np.uint64)
    assert is_holdout(drawn, fraction).mean() == pytest.approx(fraction, abs=0.005)


def test_the_gate_gets_the_newest_of_the_rows_held_out():
    held, learnt = 0, 500
    parts = split(days(8), np.array([held, held, learnt, held, held, learnt, held, learnt], dtype=np.uint64), RULES)
    assert parts.holdout.tolist() == [3, 4, 6]
    assert parts.train.tolist() == [2, 5, 7]


def test_only_rows_of_the_window_are_learnt_from_counted_from_the_newest():
    rules = TrainingRules(window_days=2.0)
    assert split(days(6), np.full(6, 500, dtype=np.uint64), rules).train.tolist() == [3, 4, 5]


def test_no_rows_are_no_parts():
    parts = split(days(0), np.empty(0, dtype=np.uint64), TrainingRules(window_days=2.0))
    assert (len(parts.train), len(parts.holdout)) == (0, 0)
