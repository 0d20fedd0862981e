"""What train does when it is asked to recalibrate: keep the champion's weights, and fit calibration and threshold to
the newest rows.
"""

from dataclasses import replace

import numpy as np

from stillgood.domain.contract.contract import Contract
from stillgood.domain.drift.reference import Reference
from stillgood.domain.errors import InvalidEvent, NoChampion
from stillgood.domain.promotion.decision import Pointer
from stillgood.storage.champion import load_model
from stillgood.storage.objects import ObjectStore
from stillgood.storage.references import read_reference
from stillgood.storage.registry import Registry
from stillgood.training import recalibrate as training
from stillgood.training.fit import Fitted
from stillgood.training.ingest import Ingested
from stillgood.training.split import Split


def recalibrated(store: ObjectStore, contract: Contract) -> Pointer:
    """The champion whose weights are kept. Raises NoChampion; InvalidEvent when ``contract`` is not what it was trained
    by.
    """
    pointer = Registry(store).pointer()
    if pointer is None:
        raise NoChampion("There is no champion to recalibrate; train one (events/train.json).")
    if load_model(store, pointer).contract.sha256 != contract.sha256:
        raise InvalidEvent(
            f"contract.json is not the contract that {pointer.version} was trained by, so its weights cannot be kept;"
            " train anew (events/train.json)."
        )
    return pointer


def recalibrate(
    store: ObjectStore, champion: Pointer, ingested: Ingested, parts: Split, version: str
) -> tuple[Split, Fitted, Reference]:
    """``champion`` under the name of ``version``, fitted on the newest training rows, which are returned as ``train``.

    The reference stays the champion's: the same features and scores are still the yardstick. Raises NotEnoughData,
    ModelUnusable.
    """
    # The judging rows are among the training rows: each is judged by the fold that has not seen it.
    newest = training.newest(parts.train, ingested.frame.contract.training)
    parts = replace(parts, train=np.union1d(newest, parts.holdout))
    fitted = training.recalibrate(
        load_model(store, champion),
        ingested.frame.take(parts.train),
        ingested.target[parts.train],
        ingested.hashes[parts.train],
        version=version,
        data_sha256=ingested.sha256,
    )
    return parts, fitted, replace(read_reference(store, champion), version=version)
