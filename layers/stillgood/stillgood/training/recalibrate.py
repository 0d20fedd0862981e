"""A ranking under a calibration and a threshold of the newest labelled rows: the champion's, whose weights stay, or a
candidate's, which has learnt from older rows too.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from stillgood.domain.contract.contract import TrainingRules
from stillgood.domain.contract.frame import Frame
from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.model.evaluation import evaluate, threshold_for_contract
from stillgood.domain.model.model import Calibration, Model
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
    learnt = tuple(replace(model, calibration=line) for line in _lines(values, target, entities))
    return Fitted(model, values, metrics, (metrics.roc_auc.value,), fold_models=learnt)


def placed(
    fitted: Fitted, newest: npt.NDArray[np.int64], target: npt.NDArray[np.int8], entities: npt.NDArray[np.uint64]
) -> Fitted:
    """``fitted`` with the calibration and threshold of its rows at ``newest`` (positions), by their out-of-fold logits:
    those who are scored next are more like them than like all that it has learnt from.

    ``target`` int8[n] and ``entities`` uint64[n] are of all its rows. As it is where the newest do not say how scores
    and outcomes go together.
    """
    values, outcomes = fitted.oof_logits[newest], target[newest]
    try:
        with threadpool_limits(1):
            calibration = calibrate(values, outcomes)
        lines = _lines(values, outcomes, entities[newest])
    except (NotEnoughData, OneClassOnly):
        return fitted
    threshold = threshold_for_contract(values, outcomes, fitted.model.contract)
    model = replace(fitted.model, calibration=calibration, threshold_logit=threshold)
    folded = tuple(
        replace(without, calibration=line, threshold_logit=threshold)
        for without, line in zip(fitted.fold_models, lines, strict=True)
    )
    metrics = evaluate(fitted.oof_logits, probabilities(model, fitted.oof_logits), target, threshold)
    return replace(fitted, model=model, oof_metrics=metrics, fold_models=folded)


def _lines(
    values: npt.NDArray[np.float64], target: npt.NDArray[np.int8], entities: npt.NDArray[np.uint64]
) -> list[Calibration]:
    """A Platt line for each fold, of the other customers: so each row's probability in the gate is by a line that has
    not seen it.
    """
    with threadpool_limits(1):
        return [calibrate(values[train], target[train]) for train, _ in folds(target, entities)]
