"""Many rows are fitted a block at a time: the optimum is scikit-learn's, without its copies."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.training.design import encode
from stillgood.training.families import logistic
from stillgood.training.families.logistic import CHOSEN_ON, Logistic
from stillgood.training.families.newton import newton

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

    optimum = newton(learner.matrix, rows, learner.target, inverse, (np.zeros(learner.width), 0.0))
    assert optimum is not None
    assert np.abs(np.append(*optimum) - exact(learner, rows, inverse)).max() < 1e-11
    assert np.abs(np.append(*optimum) - np.append(*learner.weights(rows, inverse))).max() < 1e-11


def test_the_dense_matrix_is_the_sparse_one() -> None:
    learner = Logistic(*table(), 0)
    assert np.array_equal(learner.matrix, encode(learner.frame, learner.columns).toarray())


def test_where_steps_do_not_descend_a_solver_with_a_line_search_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, rows = Logistic(*table(), 0), np.arange(N)
    assert newton(learner.matrix, rows, learner.target, 1.0, (np.full(learner.width, 40.0), 0.0)) is None

    monkeypatch.setattr(logistic, "newton", lambda *_: None)
    assert np.abs(np.append(*learner.weights(rows, 1.0)) - exact(learner, rows, 1.0)).max() < 1e-6


def test_of_many_rows_too_a_monotone_weight_keeps_its_sign() -> None:
    frame, target = table("decreasing")
    learner = Logistic(frame, target, 0)
    assert learner.weights(np.arange(N), 1.0)[0][0] == 0.0
