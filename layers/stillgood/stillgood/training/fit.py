"""Fit the model: of the family that the contract names or evidence chooses, its threshold and calibration on out-of-fold logits.

The same rows, contract and seed give the same bytes, and a version's name is derived from them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's own dependency, without types

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.model.evaluation import Metrics, evaluate, roc_auc, threshold_for_contract
from stillgood.domain.model.model import Calibration, Family, Model
from stillgood.domain.model.vectorised import scores
from stillgood.training.families.auto import Comparison, choose
from stillgood.training.families.logistic import Logistic
from stillgood.training.families.stability import Stability, stability

FOLDS = 5
LIBRARIES = ("numpy", "scikit-learn", "scipy")
# Raise it when the fit changes, so that a version never names two models.
RECIPE = 4
# In logits: what is left of features without any effect is rounding.
_NO_SPREAD = 1e-9
_SAY_NOTHING = "The features say nothing about the outcome: out of fold, higher scores are not more often positive. Check the target column, or add features."

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """``oof_logits`` float64[n]: each row's logit by a model that had not seen it; ``fold_auc``: one per fold.

    ``comparison`` is there when evidence chose the family; ``stability`` by family, for each that was fitted.
    """

    model: Model
    oof_logits: Floats
    oof_metrics: Metrics
    fold_auc: tuple[float, ...]
    comparison: Comparison | None = None
    stability: Mapping[Family, Stability] = field(default_factory=dict)

    @property
    def oof_scores(self) -> Floats:
        return scores(self.oof_logits)


def version_of(
    contract: Contract, data_sha256: str, *, newest: str, seed: int = 0, recalibrates: str | None = None
) -> str:
    """The version that these rows, contract, seed and libraries give, before anything is fitted.

    ``newest``: the newest row's date, YYYYMMDD; ``recalibrates``: sha256 of the model whose weights are kept, if any are.
    """
    told = {
        "contract": contract.sha256,
        "data": data_sha256,
        "seed": seed,
        "recipe": RECIPE,
        "libraries": _libraries(),
    }
    if recalibrates is not None:
        told["recalibrates"] = recalibrates
    return f"{newest}-{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]}"


def fit(
    frame: Frame,
    target: npt.NDArray[np.int8],
    entities: npt.NDArray[np.uint64],
    *,
    version: str,
    data_sha256: str,
    seed: int = 0,
) -> Fitted:
    """Fit a model on ``frame`` (rows in canonical order), ``target`` int8[n] and whose rows they are, ``entities`` uint64[n].

    Raises OneClassOnly when an outcome is too rare to cross-validate, NotEnoughData when the features say nothing about the
    outcome, ContractInvalid when a number's values have no finite spread.
    """
    contract = frame.contract
    straight = Logistic(frame, target, seed)
    if straight.says_nothing:
        raise NotEnoughData(_SAY_NOTHING)
    # The order in which threads add their sums up depends on how many there are, and the bytes must not.
    with threadpool_limits(1):
        split = folds(target, entities, seed)
        choice = choose(straight, split)
        oof = choice.found.logits
        calibration = calibrate(oof, target)
        learned = choice.learner.learn(np.arange(frame.n), choice.found.settings)
        steady = {
            learner.name: stability(learner, frame, target, found.settings, seed)
            for learner, found in ((choice.learner, choice.found), *choice.others)
        }
    threshold = threshold_for_contract(oof, target, contract)
    model = Model(
        version=version,
        contract=contract,
        terms=learned.terms,
        baseline=learned.baseline,
        threshold_logit=threshold,
        calibration=calibration,
        training={
            "rows": frame.n,
            "data_sha256": data_sha256,
            "seed": seed,
            "libraries": _libraries(),
            "settings": dict(learned.settings),
        },
        family=learned.family,
        pairs=learned.pairs,
    )
    metrics = evaluate(oof, scores(calibration.slope * oof + calibration.intercept), target, threshold)
    fold_auc = tuple(roc_auc(oof[test], target[test]) for _, test in split)
    return Fitted(model, oof, metrics, fold_auc, choice.comparison, steady)


def folds(
    target: npt.NDArray[np.int8], entities: npt.NDArray[np.uint64], seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Stratified folds of entities, as (train, test) row positions: a customer's rows are never on both sides of a fold.

    An entity with any positive row counts as positive. Raises OneClassOnly when there are fewer than ``FOLDS`` of one sort.
    """
    _, first, inverse = np.unique(entities, return_index=True, return_inverse=True)
    positive = np.zeros(len(first), dtype=np.int8)
    np.maximum.at(positive, inverse, target)
    in_order = np.argsort(first)  # of first appearance, so that rows with an entity each are split as they stand
    fewest = int(min(positive.sum(), len(first) - positive.sum()))
    if fewest < FOLDS:
        raise OneClassOnly(
            f"Only {fewest} of {len(first)} entities have the rarer outcome; {FOLDS}-fold validation needs {FOLDS}."
        )
    fold = np.empty(len(first), dtype=np.int8)
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(splitter.split(in_order, positive[in_order])):
        fold[in_order[test]] = number
    of_row = fold[inverse]
    return [(np.flatnonzero(of_row != number), np.flatnonzero(of_row == number)) for number in range(FOLDS)]


def calibrate(logits: Floats, target: npt.NDArray[np.int8]) -> Calibration:
    """Platt scaling: the logistic regression of the outcome on the out-of-fold logit, without penalty.

    The outcomes are Platt's smoothed ones, (P + 1) / (P + 2) and 1 / (N + 2) for P positives and N negatives, so that outcomes
    which the logit separates have a finite answer too. Each row enters as both outcomes, weighted. Raises NotEnoughData when
    higher logits are not more often positive. Source: J. Platt (1999), "Probabilistic outputs for support vector machines".
    """
    positives = int(target.sum())
    smoothed = np.where(target == 1, (positives + 1) / (positives + 2), 1 / (len(target) - positives + 2))
    slope = 0.0
    if np.ptp(logits) > _NO_SPREAD:
        estimator = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=200)
        outcome = np.repeat((1, 0), len(target))
        estimator.fit(np.tile(logits, 2)[:, None], outcome, np.concatenate([smoothed, 1 - smoothed]))
        slope, intercept = float(estimator.coef_[0, 0]), float(estimator.intercept_[0])
    if slope <= 0:
        raise NotEnoughData(_SAY_NOTHING)
    return Calibration(slope, intercept)


def _libraries() -> dict[str, str]:
    return {name: installed(name) for name in LIBRARIES}
