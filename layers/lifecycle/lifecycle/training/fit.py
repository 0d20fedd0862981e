"""Fit the model: sparse balanced logistic regression, its threshold and calibration on out-of-fold logits, and the artifact.

The same rows, contract and seed give the same bytes, and a version's name is derived from them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from lifecycle.domain.contract import Contract
from lifecycle.domain.errors import NotEnoughData, OneClassOnly
from lifecycle.domain.evaluation import Metrics, evaluate, roc_auc, threshold_for_contract
from lifecycle.domain.frame import Frame
from lifecycle.domain.model import Calibration, CategoricalTerm, Model, NumericTerm, Term
from lifecycle.domain.model_columns import scores

FOLDS = 5
LIBRARIES = ("numpy", "scikit-learn", "scipy")
# Raise it when the fit changes, so that a version never names two models.
RECIPE = 1

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """Where one feature stands in the design matrix. ``center`` and ``scale`` are 0 and 1 for a category."""

    name: str
    start: int
    levels: tuple[str, ...]
    center: float
    scale: float
    null: int | None

    @property
    def width(self) -> int:
        return max(len(self.levels), 1) + (self.null is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """``oof_logits`` float64[n]: each row's logit by a model that had not seen it; ``fold_auc``: one per fold."""

    model: Model
    oof_logits: Floats
    oof_metrics: Metrics
    fold_auc: tuple[float, ...]

    @property
    def oof_scores(self) -> Floats:
        return scores(self.oof_logits)


def design(frame: Frame) -> tuple[Column, ...]:
    """The columns of the design matrix: numbers standardised by their mean and standard deviation, one column a level.

    A nullable feature has one more column, 1 where it is null.
    """
    columns, start = [], 0
    for feature in frame.contract.features:
        values = frame.columns[feature.name]
        center, scale = 0.0, 1.0
        if feature.kind != "categorical":
            present = values[~np.isnan(values)]
            center = float(present.mean()) if len(present) else 0.0
            scale = (float(present.std()) if len(present) else 0.0) or 1.0
        width = max(len(feature.levels), 1)
        column = Column(feature.name, start, feature.levels, center, scale, start + width if feature.nullable else None)
        columns.append(column)
        start += column.width
    return tuple(columns)


def encode(frame: Frame, columns: tuple[Column, ...]) -> sparse.csr_array:
    """The design matrix, float64[n, width], one stored value per row and feature: built at once, without a dense one."""
    data = np.empty((frame.n, len(columns)))
    place = np.empty((frame.n, len(columns)), dtype=np.int32)
    for i, column in enumerate(columns):
        values = frame.columns[column.name]
        null = values == -1 if column.levels else np.isnan(values)
        if column.levels:
            place[:, i] = column.start + np.maximum(values, 0)
            data[:, i] = values >= 0  # an unseen level adds nothing
        else:
            place[:, i] = column.start
            data[:, i] = (values - column.center) / column.scale
        if column.null is not None:
            place[null, i] = column.null
        data[null, i] = column.null is not None
    ends = np.arange(frame.n + 1, dtype=np.int32) * len(columns)
    width = columns[-1].start + columns[-1].width
    return sparse.csr_array((data.ravel(), place.ravel(), ends), shape=(frame.n, width))


def fit(frame: Frame, target: npt.NDArray[np.int8], *, data_sha256: str, newest: str, seed: int = 0) -> Fitted:
    """Fit a model on ``frame`` (rows in canonical order) and ``target`` int8[n].

    ``newest`` is the newest row's date as YYYYMMDD. Raises OneClassOnly when an outcome has too few rows to cross-validate,
    NotEnoughData when the features say nothing about the outcome.
    """
    contract = frame.contract
    fewest = int(min(target.sum(), frame.n - target.sum()))
    if fewest < FOLDS:
        raise OneClassOnly(
            f"Only {fewest} of {frame.n} training rows have the rarer outcome; {FOLDS}-fold validation needs {FOLDS}."
        )
    columns = design(frame)
    matrix = encode(frame, columns)
    oof, fold_auc = _out_of_fold(matrix, target, contract, seed)
    calibration = _calibrate(oof, target)
    threshold = threshold_for_contract(oof, target, contract)
    weights, intercept = _logistic(matrix, target, contract, seed)
    terms, baseline = _terms(frame, columns, weights, intercept)
    libraries = {name: installed(name) for name in LIBRARIES}
    model = Model(
        version=f"{newest}-{_fingerprint(contract, data_sha256, seed, libraries)}",
        contract=contract,
        terms=terms,
        baseline=baseline,
        threshold_logit=threshold,
        calibration=calibration,
        training={"rows": frame.n, "data_sha256": data_sha256, "seed": seed, "libraries": libraries},
    )
    probabilities = scores(calibration.slope * oof + calibration.intercept)
    return Fitted(model, oof, evaluate(oof, probabilities, target, threshold), fold_auc)


def _logistic(
    matrix: sparse.csr_array, target: npt.NDArray[np.int8], contract: Contract, seed: int
) -> tuple[Floats, float]:
    """Weights float64[width] and intercept of the balanced logistic regression; see docs/decisions/0005 for the solver."""
    estimator = LogisticRegression(
        class_weight="balanced",
        C=contract.training.inverse_regularisation,
        solver="newton-cholesky",
        tol=1e-8,
        max_iter=100,
        random_state=seed,
    )
    estimator.fit(matrix, target)
    return estimator.coef_[0], float(estimator.intercept_[0])


def _out_of_fold(
    matrix: sparse.csr_array, target: npt.NDArray[np.int8], contract: Contract, seed: int
) -> tuple[Floats, tuple[float, ...]]:
    logits, aucs = np.empty(len(target)), []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(logits, target):
        weights, intercept = _logistic(matrix[train], target[train], contract, seed)
        logits[test] = matrix[test] @ weights + intercept
        aucs.append(roc_auc(logits[test], target[test]))
    return logits, tuple(aucs)


def _calibrate(logits: Floats, target: npt.NDArray[np.int8]) -> Calibration:
    """Platt scaling of out-of-fold logits: an unpenalised logistic regression on one feature."""
    estimator = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(logits[:, None], target)
    slope, intercept = float(estimator.coef_[0, 0]), float(estimator.intercept_[0])
    if slope <= 0:
        raise NotEnoughData(
            "The features say nothing about the outcome: out of fold, higher scores are not more often positive. Check the target column, or add features."
        )
    return Calibration(slope, intercept)


def _terms(
    frame: Frame, columns: tuple[Column, ...], weights: Floats, intercept: float
) -> tuple[tuple[Term, ...], float]:
    """Terms whose categorical weights are centred on the training rows, so that contributions read "against the average row"."""
    terms: list[Term] = []
    baseline = intercept
    for column in columns:
        null = float(weights[column.null]) if column.null is not None else 0.0
        if not column.levels:
            terms.append(NumericTerm(column.name, column.center, column.scale, float(weights[column.start]), null))
            continue
        own = weights[column.start : column.start + len(column.levels)]
        codes = frame.columns[column.name]
        counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=len(own))
        mean = float((counts @ own + (codes == -1).sum() * null) / max(frame.n, 1))
        centred = {level: float(weight) - mean for level, weight in zip(column.levels, own, strict=True)}
        terms.append(CategoricalTerm(column.name, centred, null - mean, -mean))
        baseline += mean
    return tuple(terms), baseline


def _fingerprint(contract: Contract, data_sha256: str, seed: int, libraries: Mapping[str, str]) -> str:
    told: dict[str, Any] = {
        "contract": contract.sha256,
        "data": data_sha256,
        "seed": seed,
        "recipe": RECIPE,
        "libraries": dict(libraries),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
