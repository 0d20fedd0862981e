"""Of more than sixty features what is costly is tried where a cheap test shows something; of fewer, everything is."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.training.families import boosted
from stillgood.training.families.auto import choose
from stillgood.training.families.boosted import Boosted
from stillgood.training.families.logistic import Logistic, may_bend
from stillgood.training.families.wide import (
    BEND_ALPHA,
    MAX_BENT,
    MAX_FOLDED_PAIRS,
    MAX_TRIED_PAIRS,
    WIDE,
    bending,
    tried_pairs,
)
from stillgood.training.fit import fit, folds, version_of
from threadpoolctl import threadpool_limits


def table(features, n=1_500, seed=0, act=None):
    """Independent normal features of whom ``act`` makes the logit of a matrix float64[n, features]."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, features)).round(3)
    z = matrix[:, 1] - matrix[:, 2] if act is None else act(matrix)
    contract = read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "wide",
            "version": "1",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [{"name": f"x{at}", "kind": "numeric"} for at in range(features)],
            "training": {"family": "auto"},
        }
    )
    frame = Frame(contract, n, {f"x{at}": matrix[:, at] for at in range(features)})
    return frame, (rng.random(n) < expit(z)).astype(np.int8)


def chosen(frame, target):
    with threadpool_limits(1):
        return choose(Logistic(frame, target, 0), folds(target, np.arange(frame.n, dtype=np.uint64)))


def test_two_features_that_act_only_together_are_found_among_many():
    frame, target = table(WIDE + 20, act=lambda x: 2 * x[:, 3] * x[:, 70] + x[:, 1])
    choice = chosen(frame, target)
    assert choice.learner.name == "boosted"
    learned = choice.learner.learn(np.arange(frame.n), choice.out_of_fold.settings)
    assert ("x3", "x70") in [(pair.first.feature, pair.second.feature) for pair in learned.pairs]


def test_two_features_that_act_together_by_how_far_from_the_middle_they_are_are_found_among_many():
    def act(x):
        return 4 * (np.abs(x[:, 3]) - 0.8) * (np.abs(x[:, 70]) - 0.8) + x[:, 1]

    for seed in range(3):
        frame, target = table(150, n=2_500, seed=seed, act=act)
        learner = Boosted(Logistic(frame, target, 0), {"inverse_regularisation": 0.1})
        _, pairs = boosted.screen(learner.bins, learner.codes, target, np.zeros(frame.n))
        assert (3, 70) in pairs
    frame, target = table(WIDE + 20, n=2_500, act=act)
    choice = chosen(frame, target)
    assert choice.learner.name == "boosted"
    learned = choice.learner.learn(np.arange(frame.n), choice.out_of_fold.settings)
    assert ("x3", "x70") in [(pair.first.feature, pair.second.feature) for pair in learned.pairs]


def test_a_number_that_bends_is_found_among_many_and_lines_stay_lines():
    for act, bent in ((lambda x: 2 * np.abs(x[:, 5]) - 1.5 + x[:, 1], ["x5"]), (None, [])):
        frame, target = table(WIDE + 20, act=act)
        straight = Logistic(frame, target, 0)
        with threadpool_limits(1):
            line = straight.out_of_fold(folds(target, np.arange(frame.n, dtype=np.uint64)))
        found = list(bending(frame, straight.columns, may_bend(frame), line.logits, target))
        assert set(found) >= set(bent)
        assert len(found) <= len(bent) + 1  # one table in twenty has one by chance


def test_auto_lets_only_those_numbers_bend():
    frame, target = table(WIDE + 20, n=3_000, act=lambda x: 2 * np.abs(x[:, 5]) + x[:, 7] ** 2 - 2.5 + x[:, 1])
    choice = chosen(frame, target)
    fitted = [choice.out_of_fold, *(other for _, other in choice.others)]
    assert [out.settings["bent"] for out in fitted if "bent" in out.settings] == [["x5", "x7"]]


def test_no_more_numbers_bend_than_there_is_room_for():
    frame, target = table(WIDE + 20, n=6_000, act=lambda x: (np.abs(x[:, :40]) - 0.8).sum(axis=1))
    straight = Logistic(frame, target, 0)
    bends = bending(frame, straight.columns, may_bend(frame), np.zeros(frame.n), target)
    assert len(bends) == MAX_BENT
    assert set(bends) <= {f"x{at}" for at in range(40)}


def test_the_test_of_a_bend_alarms_as_often_as_it_says_where_there_is_none():
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        frame, _ = table(3, n=400, seed=seed)
        z = frame.columns["x0"] - 1.5  # outcomes of unlike frequency, so that balanced weights differ
        target = (rng.random(400) < expit(z)).astype(np.int8)
        straight = Logistic(frame, target, 0)
        weights, intercept = straight.weights(np.arange(400), 1.0)
        only = {"x0": may_bend(frame)["x0"]}
        alarms += bool(bending(frame, straight.columns, only, straight.matrix @ weights + intercept, target))
    assert 0.2 * BEND_ALPHA < alarms / 300 < 2 * BEND_ALPHA


def test_of_few_features_every_pair_is_tried_and_each_may_split_alone():
    places = [np.arange(10) % 3] * WIDE
    assert tried_pairs(places, np.ones(10), np.ones(10)) == list(combinations(range(WIDE), 2))
    frame, target = table(5)
    learner = Boosted(Logistic(frame, target, 0), {"inverse_regularisation": 0.1})
    alone, _ = boosted.screen(learner.bins, learner.codes, target, np.zeros(frame.n))
    assert list(alone) == [0, 1, 2, 3, 4]


def test_of_many_features_no_more_are_split_or_paired_than_of_sixty(monkeypatch):
    asked = []
    tried = boosted.tried_pairs
    monkeypatch.setattr(boosted, "tried_pairs", lambda *given: asked.append(tried(*given)) or asked[-1])
    frame, target = table(3 * WIDE, n=600)
    learner = Boosted(Logistic(frame, target, 0), {"inverse_regularisation": 0.1})
    alone, pairs = boosted.screen(learner.bins, learner.codes, target, np.zeros(frame.n))
    assert MAX_TRIED_PAIRS <= len(asked[0]) <= MAX_TRIED_PAIRS + MAX_FOLDED_PAIRS
    assert len(list(alone)) <= boosted._SCREENING_ROUNDS
    assert {1, 2} <= set(alone)
    assert len(pairs) <= boosted.MAX_PAIRS


@pytest.mark.parametrize("features", [3, WIDE + 1])
def test_a_change_of_wide_fits_renames_wide_versions_alone(features, monkeypatch):
    from stillgood.training import fit as module

    contract = table(features, n=10)[0].contract
    before = version_of(contract, "0" * 64, newest="20260101")
    monkeypatch.setattr(module, "WIDE_RECIPE", "another")
    assert (version_of(contract, "0" * 64, newest="20260101") == before) == (features <= WIDE)


def test_the_same_rows_and_seed_give_the_same_wide_model():
    frame, target = table(WIDE + 2, n=800, act=lambda x: 3 * x[:, 3] * x[:, 50] + 3 * x[:, 7])
    ids = np.arange(frame.n, dtype=np.uint64)
    once, again = (fit(frame, target, ids, version="v", data_sha256="0" * 64) for _ in range(2))
    assert once.model.to_dict() == again.model.to_dict()
    assert set(once.stability) == {once.model.family}  # that of the other would take as long as the model
