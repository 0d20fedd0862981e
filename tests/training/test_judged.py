"""Every row is learnt from, and the newest that the champion has not seen judge, each by a fold that has not seen its
customer.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import TrainingRules
from stillgood.domain.errors import DocumentUnusable
from stillgood.domain.promotion.folds import FOLDS, fold_of
from stillgood.training.judged import MAX_ROWS, judged, learnt, memories, row_ids, seen_in
from stillgood.training.split import is_holdout, window

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=50).map(lambda values: np.array(values, dtype=np.uint64))


def days(*ago):
    return np.datetime64("2026-11-01", "us") - np.array(ago, dtype="timedelta64[D]")


@given(HASHES, HASHES)
def test_new_rows_never_move_an_entity_to_another_fold(before, more):
    both = np.concatenate([before, more])
    np.testing.assert_array_equal(fold_of(both)[: len(before)], fold_of(before))


def test_folds_are_as_large_as_each_other_whoever_was_held_out_before():
    drawn = np.random.default_rng(7).integers(0, 2**64, 100_000, dtype=np.uint64)
    for part in (drawn, drawn[is_holdout(drawn, 0.2)]):
        assert np.bincount(fold_of(part)) / len(part) == pytest.approx(np.full(FOLDS, 0.2), abs=0.01)


def test_only_rows_of_the_window_are_learnt_from_counted_from_the_newest():
    assert window(days(20, 10, 5, 0), TrainingRules(window_days=10)).tolist() == [1, 2, 3]
    assert window(days(), TrainingRules(window_days=10)).tolist() == []
    assert window(days(20, 0), TrainingRules()).tolist() == [0, 1]


def test_rows_that_the_champion_has_learnt_do_not_judge_while_there_are_enough_others():
    target = np.tile([0, 1], 500).astype(np.int8)
    unseen = np.arange(1000) >= 800
    rows, none_seen = judged(np.arange(1000), target, unseen, TrainingRules(holdout_rows=150))
    assert (rows.min(), rows.max(), none_seen) == (800, 999, True)  # 100 of each outcome, more than the 150 rows hold
    assert judged(np.arange(1000), target, unseen, TrainingRules(holdout_rows=500))[0].min() == 800


def test_with_too_few_new_rows_the_newest_of_all_judge_and_say_so():
    target = np.tile([0, 1], 500).astype(np.int8)
    rows, none_seen = judged(np.arange(1000), target, np.arange(1000) >= 950, TrainingRules(holdout_rows=400))
    assert (rows.min(), none_seen) == (600, False)


def test_a_rare_outcome_gets_more_rows_to_judge_by():
    """D22: half a percent of 100,000 rows never gave a first model, for want of 30 positives among 3,000."""
    target = (np.arange(100_000) % 200 == 0).astype(np.int8)
    rows, _ = judged(np.arange(100_000), target, None, TrainingRules())
    assert target[rows].sum() == 100
    rows, _ = judged(np.arange(100_000), (np.arange(100_000) % 2000 == 0).astype(np.int8), None, TrainingRules())
    assert len(rows) == MAX_ROWS


def test_a_row_is_known_again_by_entity_and_time_in_whatever_order():
    rng = np.random.default_rng(1)
    hashes, times = rng.integers(0, 2**64, 2000, dtype=np.uint64), np.repeat(days(1, 0), 1000)
    ids = row_ids(times, hashes)
    assert len(np.unique(ids)) == 2000
    assert seen_in(learnt("v1", ids[:1500][::-1]), ids).tolist() == [True] * 1500 + [False] * 500
    assert not np.isin(row_ids(times + np.timedelta64(1, "s"), hashes), ids).any()
    with pytest.raises(DocumentUnusable, match="malformed"):
        seen_in({"ids": "?"}, ids)


def test_memories_get_shorter_and_hold_the_rows_that_judge():
    rows = np.arange(40_000)
    assert [len(memory) for memory in memories(rows, rows[-3000:], 2000)] == [40_000, 23_080, 8_655]
    assert [len(memory) for memory in memories(rows, rows[-9000:], 2000)] == [40_000, 23_080]
    assert [len(memory) for memory in memories(rows[:7000], rows[4000:7000], 2000)] == [7_000]
