"""Intervals of shapes: a jackknife over the models of the folds, that covers what it should."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from stillgood.domain.contract.contract import Contract, Feature, Target
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm
from stillgood.domain.model.pairs import StepTerm
from stillgood.domain.model.shape_intervals import GROUPS, MAX_POINTS, T, interval, shape_intervals, shown_at
from stillgood.domain.promotion.folds import FOLDS, fold_of
from stillgood.training.families.newton import newton
from stillgood.training.families.parts import balanced

CONTRACT = Contract(
    "c",
    "1",
    None,
    None,
    Target("y", "1", "0"),
    (
        Feature("x", "numeric", nullable=True),
        Feature("plan", "categorical", levels=("a", "b")),
        Feature("sure", "boolean"),
        Feature("age", "numeric", pii=True),
    ),
)


def model(weight=1.0, missing=0.0, plan=0.5, sure=0.25):
    terms = (
        NumericTerm("x", 10.0, 2.0, weight, missing),
        CategoricalTerm("plan", {"a": plan, "b": -plan}),
        NumericTerm("sure", 0.5, 0.5, sure),
        NumericTerm("age", 0.0, 1.0, 0.1),
    )
    return Model("v", CONTRACT, terms, 0.0, 0.0, Calibration(1.0, 0.0))


FOLD_MODELS = [
    model(weight, missing=0.2 * at, plan=0.5, sure=0.25) for at, weight in enumerate((0.8, 0.9, 1, 1.1, 1.2))
]


def test_a_weight_has_the_interval_of_the_delete_a_group_jackknife():
    (low, high) = shape_intervals(model(), FOLD_MODELS)["features"]["x"]["weight"]
    error = np.sqrt(4 / 5 * np.sum((np.array([0.8, 0.9, 1, 1.1, 1.2]) - 1.0) ** 2))
    assert (low, high) == pytest.approx((1 - T * error, 1 + T * error))
    assert pytest.approx(stats.t.ppf(0.975, GROUPS - 1), abs=1e-12) == T
    assert GROUPS == FOLDS


def test_every_kind_of_feature_has_its_intervals_and_personal_ones_have_none():
    known = shape_intervals(model(), FOLD_MODELS)
    assert known["level"] == 0.95
    assert set(known["features"]) == {"x", "plan", "sure"}
    x = known["features"]["x"]
    assert x["x"] == [6.0, 10.0, 14.0]
    assert x["low"][1] == x["high"][1] == 0.0  # at the centre a straight line adds nothing, whatever its weight
    assert x["low"][0] < -2.0 < x["high"][0]
    assert x["missing"] == pytest.approx(interval(0.0, [0.0, 0.2, 0.4, 0.6, 0.8]))
    assert known["features"]["plan"]["levels"] == {"a": [0.5, 0.5], "b": [-0.5, -0.5]}
    assert known["features"]["sure"]["levels"] == {"false": [-0.25, -0.25], "true": [0.25, 0.25]}


def test_of_weights_that_all_folds_share_nothing_is_claimed():
    recalibrated = replace(model(), training={"recalibrates": "v0"})
    assert shape_intervals(recalibrated, [recalibrated] * FOLDS) is None
    assert shape_intervals(model(), ()) is None


def test_a_step_function_is_shown_at_few_of_its_steps_and_at_both_ends():
    cuts = tuple(float(at) for at in range(1, 200))
    term = StepTerm("x", cuts, (0.0,) * 200, 0.0, 0.0, 1.0, 0.0, 0.0, 200.0)
    at = shown_at(model(), term)
    assert len(at) == MAX_POINTS
    assert (at[0], at[-1]) == (0.0, 200.0)
    assert shown_at(model(), replace(term, low=5.0, high=5.0)) == [5.0]


def test_intervals_of_a_logistic_weight_cover_its_mean_19_times_of_20():
    contract = Contract("c", "1", None, None, Target("y", "1", "0"), (Feature("a", "numeric"), Feature("b", "numeric")))
    rng = np.random.default_rng(3)
    weights, bounds = [], []
    for _ in range(200):
        n = 400
        matrix = rng.normal(size=(n, 2))
        target = (rng.random(n) < 1 / (1 + np.exp(0.3 * matrix[:, 1] - matrix[:, 0]))).astype(np.int8)
        fold = fold_of(rng.integers(0, 2**63, n).astype(np.uint64))
        fitted = [
            newton(matrix[rows], target[rows], balanced(target[rows]), 1.0)
            for rows in (np.arange(n), *(np.flatnonzero(fold != k) for k in range(FOLDS)))
        ]
        whole, *others = (
            Model("v", contract, terms, 0.0, 0.0, Calibration(1.0, 0.0))
            for terms in (
                tuple(NumericTerm(name, 0.0, 1.0, by) for name, by in zip("ab", at.weights.tolist(), strict=True))
                for at in fitted
                if at is not None
            )
        )
        weights.append([term.weight for term in whole.terms])
        features = shape_intervals(whole, others)["features"]
        bounds.append([features[name]["weight"] for name in "ab"])
    inside = np.array(bounds)
    mean = np.mean(weights, axis=0)
    covered = ((inside[:, :, 0] <= mean) & (mean <= inside[:, :, 1])).mean()
    assert 0.92 <= covered <= 0.98
