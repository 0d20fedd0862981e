"""One optimum, the same bytes, and figures of rows that were not learnt from."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.model.evaluation import evaluate, roc_auc
from stillgood.domain.model.vectorised import logits
from stillgood.storage.codec import encode
from stillgood.training.fit import calibrate, fit, folds, version_of

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "x", "kind": "numeric"}, {"name": "kind", "kind": "categorical", "levels": ["a", "b"]}],
        "floors": {"recall": 0.8},
    }
)
N = 2_000


def drawn(n=N, seed=1, effect=1.5):
    """Rows whose outcome depends on x, one in four positive or so, and an entity each."""
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=n), rng.integers(0, 2, n).astype(np.int32)
    target = (rng.random(n) < expit(effect * x + 0.5 * kind - 1.5)).astype(np.int8)
    return Frame(CONTRACT, n, {"x": x, "kind": kind}), target, rng.permutation(n).astype(np.uint64)


def fitted(frame, target, entities, seed=0):
    return fit(frame, target, entities, version="v1", data_sha256="0" * 64, seed=seed)


def test_the_same_rows_and_seed_give_the_same_bytes():
    once, again = (encode(fitted(*drawn()).model.to_dict()) for _ in range(2))
    assert once == again


def test_another_seed_gives_the_same_folds_and_weights():
    first, second = fitted(*drawn()).model, fitted(*drawn(), seed=1).model
    assert first.terms == second.terms
    assert first.threshold_logit == second.threshold_logit


def test_it_finds_the_optimum_of_the_balanced_penalised_likelihood():
    frame, target, entities = drawn()
    model = fitted(frame, target, entities).model
    x, kind = frame.columns["x"], frame.columns["kind"]
    matrix = np.column_stack([(x - x.mean()) / x.std(), kind == 0, kind == 1, np.ones(N)])
    weight = np.where(target == 1, N / (2 * target.sum()), N / (2 * (N - target.sum())))
    c = model.training["settings"]["inverse_regularisation"]

    def loss(beta):
        z = matrix @ beta
        return (weight * (np.logaddexp(0, z) - target * z)).sum() + 0.5 / c * (beta[:3] ** 2).sum()

    def slope(beta):
        return matrix.T @ (weight * (expit(matrix @ beta) - target)) + np.append(beta[:3], 0) / c

    best = minimize(loss, np.zeros(4), jac=slope, method="BFGS", options={"gtol": 1e-9}).x
    reading, category = model.terms
    assert reading.weight == pytest.approx(best[0], abs=1e-7)
    assert category.weights["b"] - category.weights["a"] == pytest.approx(best[2] - best[1], abs=1e-7)


def test_the_threshold_has_the_highest_precision_of_all_that_reach_the_recall_floor_out_of_fold():
    frame, target, entities = drawn()
    learnt = fitted(frame, target, entities)
    best = max(
        (hits / flagged, cut)
        for cut in learnt.oof_logits
        if (hits := target[learnt.oof_logits >= cut].sum()) / target.sum() >= 0.8
        for flagged in [(learnt.oof_logits >= cut).sum()]
    )
    assert learnt.model.threshold_logit == best[1]
    assert learnt.oof_metrics.precision.value == best[0]
    assert learnt.oof_metrics.recall.value >= 0.8


def test_figures_are_of_rows_that_the_scoring_model_had_not_seen():
    # 60 columns of noise on 200 rows: a model scores the rows it has learnt well, and others like a coin.
    raw = {
        "features": [{"name": f"x{i}", "kind": "numeric"} for i in range(60)],
        "training": {"inverse_regularisation": 1e3},
    }
    rng = np.random.default_rng(5)
    frame = Frame(read_contract(CONTRACT.to_dict() | raw), 200, {f"x{i}": rng.normal(size=200) for i in range(60)})
    target, entities = (rng.random(200) < 0.5).astype(np.int8), np.arange(200, dtype=np.uint64)
    learnt = fitted(frame, target, entities)
    assert roc_auc(logits(learnt.model, frame), target) > 0.8
    assert 0.4 < learnt.oof_metrics.roc_auc.value < 0.6


def test_the_calibrated_probabilities_are_the_shares_that_come_true():
    frame, target, entities = drawn(n=20_000)
    learnt = fitted(frame, target, entities)
    balanced = evaluate(learnt.oof_logits, learnt.oof_scores, target, 0.0)
    assert learnt.oof_metrics.calibration_error < 0.01
    assert balanced.calibration_error > 0.1


def test_platt_scaling_is_the_optimum_of_the_smoothed_likelihood():
    rng = np.random.default_rng(3)
    z = rng.normal(size=500)
    y = (rng.random(500) < expit(2 * z - 1)).astype(np.int8)
    share = np.where(y == 1, (y.sum() + 1) / (y.sum() + 2), 1 / (500 - y.sum() + 2))

    def loss(line):
        logit = line[0] * z + line[1]
        return (np.logaddexp(0, logit) - share * logit).sum()

    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-8}).x
    calibration = calibrate(z, y)
    assert [calibration.slope, calibration.intercept] == pytest.approx(best, abs=1e-6)


def test_outcomes_that_the_features_separate_have_a_finite_answer():
    x = np.concatenate([np.linspace(-2, -1, 100), np.linspace(1, 2, 100)])
    frame = Frame(CONTRACT, 200, {"x": x, "kind": np.zeros(200, dtype=np.int32)})
    learnt = fitted(frame, (x > 0).astype(np.int8), np.arange(200, dtype=np.uint64))
    assert learnt.oof_metrics.roc_auc.value == 1.0
    assert 0 < learnt.model.score({"x": -2.0, "kind": "a"}).probability < 0.5
    assert 0.5 < learnt.model.score({"x": 2.0, "kind": "a"}).probability < 1


@pytest.mark.parametrize("x", [np.zeros(200), np.tile([0.0, 1.0, 1.0, 0.0], 50)], ids=["constant", "unrelated"])
def test_features_that_say_nothing_are_an_error_that_says_so(x):
    frame = Frame(CONTRACT, 200, {"x": x, "kind": np.zeros(200, dtype=np.int32)})
    with pytest.raises(NotEnoughData, match="say nothing about the outcome"):
        fitted(frame, np.tile([0, 0, 1, 1], 50).astype(np.int8), np.arange(200, dtype=np.uint64))


def test_an_outcome_too_rare_to_cross_validate_is_an_error_with_the_count():
    frame, _, entities = drawn(n=100)
    target = np.zeros(100, dtype=np.int8)
    target[:4] = 1
    with pytest.raises(OneClassOnly, match="Only 4 of 100 entities have the rarer outcome; 5-fold validation needs 5"):
        fitted(frame, target, entities)


def test_a_customers_rows_are_never_on_both_sides_of_a_fold():
    rng = np.random.default_rng(4)
    entities = rng.integers(0, 300, 2_000).astype(np.uint64)
    target = (rng.random(2_000) < 0.1).astype(np.int8)
    parts = folds(target, entities)
    assert sorted(np.concatenate([test for _, test in parts]).tolist()) == list(range(2_000))
    for train, test in parts:
        assert not set(entities[train].tolist()) & set(entities[test].tolist())
        assert len(train) + len(test) == 2_000


def test_folds_have_about_the_same_share_of_either_outcome():
    _, target, entities = drawn()
    shares = [target[test].mean() for _, test in folds(target, entities)]
    assert max(shares) - min(shares) < 0.06  # by hash, not dealt out: four standard errors of 1,000 rows a fold


def test_a_version_is_named_after_its_date_and_everything_it_is_made_of():
    other = read_contract(CONTRACT.to_dict() | {"floors": {"recall": 0.7}})
    names = {
        version_of(CONTRACT, "a", newest="20261101"),
        version_of(CONTRACT, "b", newest="20261101"),
        version_of(CONTRACT, "a", newest="20261101", seed=1),
        version_of(other, "a", newest="20261101"),
    }
    assert len(names) == 4
    assert all(name.startswith("20261101-") and len(name) == 21 for name in names)
    assert version_of(CONTRACT, "a", newest="20261101") in names


def test_the_model_says_what_it_was_learnt_from():
    training = fitted(*drawn()).model.training
    assert (training["rows"], training["data_sha256"], training["seed"]) == (N, "0" * 64, 0)
    assert sorted(training["libraries"]) == ["numpy", "scikit-learn", "scipy"]
