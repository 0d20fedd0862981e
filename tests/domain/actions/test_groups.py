"""Rows of the control group stand for those that were acted on: figures are those of the world without the action."""

import numpy as np
import pytest
from stillgood.domain.actions.groups import MAX_REPEATS, stand_in
from stillgood.domain.model.evaluation import clustered, evaluate
from stillgood.domain.statistics.clustered import clustered_auc


def world(seed: int, n: int = 3000, share: float = 0.05, saved: float = 0.6) -> tuple[np.ndarray, ...]:
    """Scores, what would have happened, what did, and groups: threshold at recall .70."""
    random = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(random.normal(size=n) - 0.3)))
    y = random.random(n) < p
    flagged = p >= np.quantile(p[y], 0.3)
    control = flagged & (random.random(n) < share)
    happened = y & ~(flagged & ~control & (random.random(n) < saved))
    return p, y, happened, flagged, np.where(control, 1, np.where(flagged, 2, 0))


def test_figures_are_those_of_the_world_in_which_nobody_acts() -> None:
    gaps, naive = [], []
    for seed in range(60):
        p, y, happened, flagged, groups = world(seed)
        rows = stand_in(groups, p).index
        truth = clustered_auc(p, y, np.arange(len(p)))[0]
        recall = (flagged & y).sum() / y.sum()
        estimate = clustered_auc(p[rows], happened[rows], rows)[0]
        gaps.append((estimate - truth, (flagged & happened)[rows].sum() / happened[rows].sum() - recall))
        naive.append(clustered_auc(p, happened, np.arange(len(p)))[0] - truth)
    assert np.mean(naive) < -0.1
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.01


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = []
    truth = clustered_auc(*world(999, n=200_000)[:2], np.arange(200_000))[0]
    for seed in range(150):
        p, _, happened, _, groups = world(seed, n=2000)
        stand = stand_in(groups, p)
        auc, variance = clustered_auc(p[stand.index], happened[stand.index], stand.index, strata=stand.strata)
        held.append(abs(auc - truth) < 1.96 * variance**0.5)
    assert 0.9 <= np.mean(held) <= 0.985


def test_few_rows_that_stand_for_many_have_skewed_intervals_that_miss_on_neither_side() -> None:
    def often_positive(seed: int, n: int = 1000) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng(seed)
        logits = random.normal(1.5, 1.2, n)
        y = random.random(n) < 1 / (1 + np.exp(-logits))
        flagged = logits >= 0.9
        control = flagged & (random.random(n) < 0.05)
        return logits, y, flagged, np.where(control, 1, np.where(flagged, 2, 0))

    logits, y, _, _ = often_positive(9999, n=200_000)
    truth = clustered_auc(logits, y, np.arange(len(y)))[0]
    below, above = [], []
    for seed in range(250):
        logits, y, flagged, groups = often_positive(seed)
        stand = stand_in(groups, logits)
        rows = stand.index
        if not stand.observed:
            continue
        p = 1 / (1 + np.exp(-logits[rows]))
        metrics = evaluate(logits[rows], p, y[rows], 0.9)
        auc = clustered(metrics, logits[rows], flagged[rows], y[rows], rows, stand.strata, p).roc_auc
        below.append(truth < auc.low)
        above.append(truth > auc.high)
    assert max(np.mean(below), np.mean(above)) < 0.06  # .11 on one side where the interval is symmetric
    assert 0.02 <= np.mean(below) + np.mean(above) <= 0.08


def test_as_many_rows_stand_as_were_flagged_and_none_that_was_acted_on() -> None:
    p, _, _, _, groups = world(1)
    stand = stand_in(groups, p)
    assert len(stand.index) == len(groups)
    assert not (groups[stand.index] == 2).any()
    assert stand.parts.sum() == pytest.approx((groups != 2).sum())
    assert stand.effective < len(groups) / 4


def test_exempt_rows_are_left_out_and_where_nobody_acts_all_rows_stand_for_themselves() -> None:
    assert stand_in([0, 0, 0]).index.tolist() == [0, 1, 2]
    assert stand_in([0, 3, 0]).index.tolist() == [0, 2]


def test_too_few_rows_left_alone_say_nothing_of_the_others() -> None:
    stand = stand_in([0] * 5 + [1] * 19 + [2] * 100)
    assert not stand.observed
    assert stand.index.tolist() == [0, 1, 2, 3, 4]


def test_weights_are_capped() -> None:
    stand = stand_in([1] * 20 + [2] * 5000)
    assert len(stand.index) == 20 * MAX_REPEATS
