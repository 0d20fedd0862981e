"""Fit the model: of the family that the contract names or evidence chooses, its threshold and calibration on
out-of-fold logits.

The same rows, contract and seed give the same bytes, and a version's name is derived from them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version as installed

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.model.evaluation import Metrics, evaluate, roc_auc, threshold_for_contract
from stillgood.domain.model.model import Calibration, Family, Model
from stillgood.domain.model.vectorised import scores
from stillgood.domain.promotion.folds import FOLDS, fold_of
from stillgood.training.families.auto import Choice, Comparison, choose
from stillgood.training.families.logistic import Logistic
from stillgood.training.families.parts import Folds
from stillgood.training.families.stability import Stability, stability
from stillgood.training.families.wide import WIDE

LIBRARIES = ("numpy", "scikit-learn", "scipy")
# Raise it when the fit changes, so that a version never names two models.
RECIPE = 10
# The same of a contract with more than WIDE features, whose fit may change by itself.
WIDE_RECIPE = "10 wide 1"
# In logits: what is left of features without any effect is rounding.
_NO_SPREAD = 1e-9
_SAY_NOTHING = (
    "The features say nothing about the outcome: out of fold, higher scores are not more often positive. Check the"
    ' target column, add features, or set training.family to "auto", which also finds effects that rise and fall.'
)

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """``oof_logits`` float64[n]: each row's logit by a model that had not seen it; ``fold_auc``: one per fold that has
    both outcomes.

    ``comparison`` is there when evidence chose the family; ``stability`` by family, for each that was
    fitted; of more than ``WIDE`` features, of the chosen one.
    ``fold_models``: ``model`` with the terms that were learnt without fold k, which score its rows out of fold.
    """

    model: Model
    oof_logits: Floats
    oof_metrics: Metrics
    fold_auc: tuple[float, ...]
    comparison: Comparison | None = None
    stability: Mapping[Family, Stability] = field(default_factory=dict)
    fold_models: tuple[Model, ...] = ()

    @property
    def oof_scores(self) -> Floats:
        return scores(self.oof_logits)


def version_of(
    contract: Contract,
    data_sha256: str,
    *,
    newest: str,
    seed: int = 0,
    recalibrates: str | None = None,
    against: str | None = None,
) -> str:
    """The version that these rows, contract, seed and libraries give, before anything is fitted.

    ``newest``: the newest row's date, YYYYMMDD; ``recalibrates``: sha256 of the model whose weights are kept, if any
    are; ``against``: the champion whose unseen rows judge it.
    """
    stated = {
        "contract": contract.sha256,
        "data": data_sha256,
        "seed": seed,
        "recipe": RECIPE if len(contract.features) <= WIDE else WIDE_RECIPE,
        "libraries": _libraries(),
    }
    if recalibrates is not None:
        stated["recalibrates"] = recalibrates
    if against is not None:
        stated["against"] = against
    return f"{newest}-{hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidated:
    """The families compared on ``frame`` and ``target`` int8[n], before a model of all rows is fitted: enough to rank
    candidates by. ``folds`` are (train, test) row positions; ``calibration`` is that of ``choice``'s logits.
    """

    frame: Frame
    target: npt.NDArray[np.int8]
    folds: Folds
    choice: Choice
    calibration: Calibration
    seed: int

    @property
    def logits(self) -> Floats:
        """float64[n]: each row's by a model that had not seen it."""
        return self.choice.out_of_fold.logits


def fit(
    frame: Frame,
    target: npt.NDArray[np.int8],
    entities: npt.NDArray[np.uint64],
    *,
    version: str,
    data_sha256: str,
    seed: int = 0,
) -> Fitted:
    """Fit a model on ``frame`` (rows in canonical order, so by time), ``target`` int8[n] and whose rows they are,
    ``entities`` uint64[n].

    Raises OneClassOnly when an outcome is too rare to cross-validate, NotEnoughData when the features say nothing about
    the outcome, ContractInvalid when a number's values have no finite spread.
    """
    return finish(cross_validate(frame, target, entities, seed), version=version, data_sha256=data_sha256)


def cross_validate(
    frame: Frame, target: npt.NDArray[np.int8], entities: npt.NDArray[np.uint64], seed: int
) -> CrossValidated:
    """The first part of ``fit``, which raises all that ``fit`` raises."""
    straight = Logistic(frame, target, seed)
    if straight.says_nothing:
        raise NotEnoughData(_SAY_NOTHING)
    # One thread, because the order of sums, and so the model's bytes, would depend on the number of threads.
    with threadpool_limits(1):
        split = folds(target, entities)
        choice = choose(straight, split)
        calibration = calibrate(choice.out_of_fold.logits, target)
    return CrossValidated(frame, target, split, choice, calibration, seed)


def finish(validated: CrossValidated, *, version: str, data_sha256: str) -> Fitted:
    """The second part of ``fit``: the model of all rows, one without each fold, and how steady their reasons are."""
    frame, target, split, choice = validated.frame, validated.target, validated.folds, validated.choice
    contract, calibration, oof = frame.contract, validated.calibration, validated.logits
    with threadpool_limits(1):
        learned = choice.learner.learn(np.arange(frame.n), choice.out_of_fold.settings)
        without = [choice.learner.learn(train, choice.out_of_fold.settings) for train, _ in split]
        others = choice.others if len(contract.features) <= WIDE else ()
        steady = {
            learner.name: stability(learner, frame, target, learnt.settings, validated.seed)
            for learner, learnt in ((choice.learner, choice.out_of_fold), *others)
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
            "seed": validated.seed,
            "libraries": _libraries(),
            "settings": dict(learned.settings),
        },
        family=learned.family,
        pairs=learned.pairs,
    )
    metrics = evaluate(oof, scores(calibration.slope * oof + calibration.intercept), target, threshold)
    fold_auc = tuple(roc_auc(oof[test], target[test]) for _, test in split if 0 < target[test].sum() < len(test))
    fold_models = tuple(
        replace(model, terms=fold_model.terms, pairs=fold_model.pairs, baseline=fold_model.baseline)
        for fold_model in without
    )
    return Fitted(model, oof, metrics, fold_auc, choice.comparison, steady, fold_models)


def folds(
    target: npt.NDArray[np.int8], entities: npt.NDArray[np.uint64]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Folds of entities by the hash of their id, as (train, test) row positions: a customer's rows are never on both
    sides.

    Raises OneClassOnly when fewer than ``FOLDS`` entities have the rarer outcome, or all of them fall into one fold.
    """
    number = fold_of(entities)
    split = [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(FOLDS)]
    fewest = min(len(np.unique(entities[target == outcome])) for outcome in (0, 1))
    if fewest < FOLDS or any(not 0 < target[train].sum() < len(train) for train, _ in split):
        raise OneClassOnly(
            f"Only {fewest} of {len(np.unique(entities))} entities have the rarer outcome; {FOLDS}-fold validation"
            f" needs {FOLDS}, and more."
        )
    return split


def calibrate(logits: Floats, target: npt.NDArray[np.int8]) -> Calibration:
    """Platt scaling: the logistic regression of the outcome on the out-of-fold logit, without penalty.

    The outcomes are Platt's smoothed ones, (P + 1) / (P + 2) and 1 / (N + 2) for P positives and N negatives, so that
    outcomes which the logit separates have a finite answer too. Each row enters as both outcomes, weighted. Raises
    NotEnoughData when higher logits are not more often positive. Source: J. Platt (1999), "Probabilistic outputs for
    support vector machines".
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
