"""Of dated rows, what is better out of fold has to be no worse on the rows that follow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.training.families.auto import choose, later_gain
from stillgood.training.families.boosted import Boosted
from stillgood.training.families.logistic import Logistic
from stillgood.training.fit import folds
from threadpoolctl import threadpool_limits

N = 2_000


def rules(time="at"):
    return read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "dated",
            "version": "1",
            "time": time,
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [{"name": name, "kind": "numeric"} for name in ("a", "b", "day")],
            "training": {"family": "auto"},
        }
    )


def rows(contract, *, swings=0.0, pair=0.0, seed=0):
    """In order of ``day``, 0 to 1. The outcome goes up and down with it ``swings`` wide; a and b act together by
    ``pair``.
    """
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, N))
    day = np.arange(N) / N
    z = a + pair * a * b + swings * np.sin(8 * np.pi * day)
    return Frame(contract, N, {"a": a, "b": b, "day": day}), (rng.random(N) < expit(z)).astype(np.int8)


def chosen(frame, target):
    with threadpool_limits(1):
        return choose(Logistic(frame, target, 0), folds(target, np.arange(N, dtype=np.uint64)))


def sides(frame, target):
    straight, split = Logistic(frame, target, 0), folds(target, np.arange(N, dtype=np.uint64))
    line = straight.out_of_fold(split)
    boosted = Boosted(straight, line.settings)
    return (straight, line), (boosted, boosted.out_of_fold(split))


def test_what_only_interpolates_between_days_is_not_taken():
    frame, target = rows(rules(), swings=2.0)
    choice = chosen(frame, target)
    figures = choice.comparison.figures
    assert choice.learner.name == choice.comparison.chosen == "logistic"
    assert figures["difference"]["low"] > 0.02, "out of fold it looks much better"
    assert figures["later"]["loss"]["lower_by"] < 0
    assert (figures["later"]["learnt"], figures["later"]["rows"]) == (1_000, 1_000)
    assert "but are worse on the 1,000 rows that follow the 1,000 learnt from" in choice.comparison.why


def test_the_same_rows_without_a_time_are_compared_out_of_fold_alone():
    frame, target = rows(rules(time=None), swings=2.0)
    choice = chosen(frame, target)
    assert choice.learner.name == "boosted"
    assert "later" not in choice.comparison.figures


def test_what_goes_on_is_taken():
    frame, target = rows(rules(), pair=1.5)
    choice = chosen(frame, target)
    assert choice.learner.name == "boosted"
    assert choice.comparison.to_dict()["later"]["difference"]["low"] > 0
    assert "and are no worse on the 1,000 rows that follow" in choice.comparison.why


@pytest.mark.parametrize("lasts", [True, False])
def test_bends_too_have_to_last(lasts):
    contract = rules()
    frame, target = rows(contract)
    bent = np.abs(frame.columns["a"]) * (1 if lasts else np.where(np.arange(N) < N * 0.7, 2, -2))
    target = (np.random.default_rng(1).random(N) < expit(2 * bent - 1)).astype(np.int8)
    choice = chosen(frame, target)
    assert choice.learner.name == "logistic"
    assert ("bent" in choice.out_of_fold.settings) == lasts
    assert (choice.comparison.figures["bends_later"]["difference"]["value"] > 0) == lasts
    assert ("bends are better out of fold, and worse on the 1,000 rows" in choice.comparison.why) != lasts


def test_outcomes_of_the_rows_that_follow_are_not_learnt_from():
    frame, target = rows(rules(), pair=1.5)
    (straight, line), (boosted, pairs) = sides(frame, target)
    before = later_gain((straight, line), (boosted, pairs), frame, target).gain.auc
    other = target.copy()
    other[N // 2 :] = 1 - target[N // 2 :]
    straight = Logistic(frame, other, 0)
    after = later_gain((straight, line), (Boosted(straight, line.settings), pairs), frame, other).gain.auc
    assert (after.first, after.second) == pytest.approx((1 - before.first, 1 - before.second), abs=1e-12)


def test_rows_that_cannot_tell_do_not_speak():
    frame, target = rows(rules(), pair=1.5)
    simple, rich = sides(frame, target)
    other = target.copy()
    other[N // 2 + 1 :] = 0
    assert later_gain(simple, rich, frame, other) is None
    undated = replace(frame, contract=rules(time=None))
    assert later_gain(simple, rich, undated, target) is None
