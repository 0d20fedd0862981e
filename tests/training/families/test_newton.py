"""Many rows are fitted a block at a time: the optimum is scikit-learn's, without its copies."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.training.design import encode
from stillgood.training.families import logistic
from stillgood.training.families.logistic import CHOSEN_ON, Logistic
from stillgood.training.families.newton import Optimum, newton
from stillgood.training.families.parts import balanced
from stillgood.training.fit import folds

N = CHOSEN_ON + 4_321


def table(monotone: str | None = None) -> tuple[Frame, np.ndarray]:
    contract = read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "readings",
            "version": "1",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [
                {"name": "x", "kind": "numeric", "nullable": True, **({"monotone": monotone} if monotone else {})},
                {"name": "z", "kind": "numeric"},
                {"name": "c", "kind": "categorical", "levels": ["a", "b", "d"], "nullable": True},
            ],
            "training": {"family": "logistic"},
            "floors": {"recall": 0.8},
        }
    )
    rng = np.random.default_rng(3)
    x, z, c = rng.normal(size=N), rng.normal(2, 9, size=N), rng.integers(-2, 3, N).astype(np.int32)
    target = (rng.random(N) < 1 / (1 + np.exp(2 - x - 0.1 * z - 0.5 * c))).astype(np.int8)
    x[rng.random(N) < 0.1] = np.nan
    return Frame(contract, N, {"x": x, "z": z, "c": c}), target


def exact(learner: Logistic, rows: np.ndarray, inverse: float) -> np.ndarray:
    estimator = LogisticRegression(
        class_weight="balanced", C=inverse, solver="newton-cholesky", tol=1e-14, max_iter=100
    )
    logistic._fit(estimator, encode(learner.frame, learner.columns)[rows], learner.target[rows])
    return np.append(estimator.coef_[0], estimator.intercept_[0])


@pytest.mark.parametrize("inverse", [1.0, 0.01])
def test_the_optimum_of_many_rows_is_that_of_scikit_learn_to_the_last_bits(inverse: float) -> None:
    learner = Logistic(*table(), 0)
    rows = np.flatnonzero(np.arange(N) % 29 != 3)
    assert len(rows) > CHOSEN_ON

    optimum = newton(learner.matrix[rows], learner.target[rows], balanced(learner.target[rows]), inverse)
    assert optimum is not None
    assert np.abs(optimum.at - exact(learner, rows, inverse)).max() < 1e-11
    assert np.abs(optimum.at - np.append(*learner.weights(rows, inverse))).max() < 1e-11


def test_the_dense_matrix_is_the_sparse_one() -> None:
    learner = Logistic(*table(), 0)
    assert np.array_equal(learner.matrix, encode(learner.frame, learner.columns).toarray())


def test_a_borrowed_curvature_and_a_start_elsewhere_end_at_the_same_optimum() -> None:
    learner = Logistic(*table(), 0)
    weight = balanced(learner.target)
    first = newton(learner.matrix, learner.target, weight, 1.0)
    assert first is not None
    for inverse in (0.01, 1e-4):
        near = newton(learner.matrix, learner.target, weight, inverse, first)
        far = newton(learner.matrix, learner.target, weight, inverse)
        assert near is not None
        assert far is not None
        assert np.abs(near.at - far.at).max() < 1e-11


def test_a_row_without_weight_is_not_learnt_from() -> None:
    learner = Logistic(*table(), 0)
    rows = np.flatnonzero(np.arange(N) % 5 != 3)
    weight = np.zeros(N)
    weight[rows] = balanced(learner.target[rows])
    held_out = newton(learner.matrix, learner.target, weight, 1.0)
    left_out = newton(learner.matrix[rows], learner.target[rows], weight[rows], 1.0)
    assert held_out is not None
    assert left_out is not None
    assert np.abs(held_out.at - left_out.at).max() < 1e-11


def test_of_a_sparse_matrix_the_optimum_is_the_same() -> None:
    learner = Logistic(*table(), 0)
    weight = balanced(learner.target)
    dense = newton(learner.matrix, learner.target, weight, 0.1)
    sparse = newton(encode(learner.frame, learner.columns), learner.target, weight, 0.1)
    assert dense is not None
    assert sparse is not None
    assert np.abs(dense.at - sparse.at).max() < 1e-11


def test_where_steps_do_not_come_nearer_a_solver_with_a_line_search_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, rows = Logistic(*table(), 0), np.arange(N)
    start = Optimum(np.full(learner.width + 1, 40.0))
    assert newton(learner.matrix, learner.target, balanced(learner.target), 1.0, start) is None

    monkeypatch.setattr(logistic, "newton", lambda *_: None)
    assert np.abs(np.append(*learner.weights(rows, 1.0)) - exact(learner, rows, 1.0)).max() < 1e-6


def test_the_model_of_few_rows_is_scikit_learns_own_fit_whatever_was_fitted_before() -> None:
    frame, target = table()
    frame, target = frame.take(np.arange(2_000)), target[:2_000]
    learner, alone = Logistic(frame, target, 0), Logistic(frame, target, 0)
    out_of_fold = learner.out_of_fold(folds(target, np.arange(2_000, dtype=np.uint64)))
    inverse = out_of_fold.settings["inverse_regularisation"]
    theirs = LogisticRegression(class_weight="balanced", C=inverse, solver="newton-cholesky", tol=1e-8)
    theirs.fit(learner.matrix, target)
    weights, intercept = learner.weights(np.arange(2_000), inverse)
    assert weights.tolist() == theirs.coef_[0].tolist()
    assert intercept == theirs.intercept_[0]
    assert np.array_equal(alone.weights(np.arange(2_000), inverse)[0], weights)


@pytest.mark.parametrize("rows", [3_000, N])
def test_out_of_fold_logits_are_those_of_scikit_learn_without_the_fold(rows: int) -> None:
    frame, target = table()
    frame, target = frame.take(np.arange(rows)), target[:rows]
    learner, split = Logistic(frame, target, 0), folds(target, np.arange(rows, dtype=np.uint64))
    out_of_fold = learner.out_of_fold(split)
    for train, test in split:
        at = exact(learner, train, out_of_fold.settings["inverse_regularisation"])
        assert np.abs(learner.matrix[test] @ at[:-1] + at[-1] - out_of_fold.logits[test]).max() < 1e-10


def test_of_many_rows_too_a_monotone_weight_keeps_its_sign() -> None:
    frame, target = table("decreasing")
    learner = Logistic(frame, target, 0)
    assert learner.weights(np.arange(N), 1.0)[0][0] == 0.0
