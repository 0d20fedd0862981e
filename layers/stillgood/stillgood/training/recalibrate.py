"""A champion's ranking under a new calibration and threshold, fitted on the newest labelled rows: the weights stay."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from stillgood.domain.contract.contract import TrainingRules
from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.evaluation import evaluate, threshold_for_contract
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.training.fit import Fitted, calibrate, folds


def newest(train: npt.NDArray[np.int64], rules: TrainingRules) -> npt.NDArray[np.int64]:
    """The rows to calibrate on: the newest ``holdout_rows`` training rows."""
    return train[-rules.holdout_rows :]


def recalibrate(
    champion: Model,
    frame: Frame,
    target: npt.NDArray[np.int8],
    entities: npt.NDArray[np.uint64],
    *,
    version: str,
    data_sha256: str,
) -> Fitted:
    """``champion`` with a Platt calibration and a threshold fitted on ``frame`` (newest rows), ``target`` int8[n] and
    whose rows they are, ``entities`` uint64[n].

    The metrics are of these rows; some of them may be rows the champion learned from, which a line with two
    coefficients and one threshold can hardly exploit. Raises NotEnoughData when higher scores are not more often
    positive: then the ranking is what has to be learned again; OneClassOnly, TooFewRows.
    """
    values = logits(champion, frame)
    with threadpool_limits(1):
        calibration = calibrate(values, target)
    threshold = threshold_for_contract(values, target, champion.contract)
    # A recalibrated champion's weights belong to the version that learnt them.
    weights_of = champion.training.get("recalibrates", champion.version)
    training = {
        **champion.training,
        "data_sha256": data_sha256,
        "recalibrates": weights_of,
        "recalibrated_on": frame.n,
    }
    model = replace(champion, version=version, threshold_logit=threshold, calibration=calibration, training=training)
    metrics = evaluate(values, probabilities(model, values), target, threshold)
    # Each row's probability in the gate is by the line of the other customers.
    learnt = []
    for train, _ in folds(target, entities):
        with threadpool_limits(1):
            learnt.append(replace(model, calibration=calibrate(values[train], target[train])))
    return Fitted(model, values, metrics, (metrics.roc_auc.value,), fold_models=tuple(learnt))
