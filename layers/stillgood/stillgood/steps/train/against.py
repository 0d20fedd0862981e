"""Which labelled rows the champion has not learnt from, and from when on they are of the population of now."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.reread import read_as
from stillgood.domain.errors import DocumentUnusable, ModelUnusable, UnknownVersion
from stillgood.domain.model.vectorised import logits
from stillgood.domain.promotion.decision import Pointer
from stillgood.domain.promotion.population import newest_population
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.champion import load_model
from stillgood.storage.codec import decode, decode_any
from stillgood.storage.keys import LEARNT, METRICS, artifact_key
from stillgood.storage.objects import ObjectStore
from stillgood.training.ingest import Ingested
from stillgood.training.judged import MAX_ROWS, row_ids, seen_in
from stillgood.training.split import is_holdout


def unseen_by(store: ObjectStore, champion: Pointer, ingested: Ingested) -> npt.NDArray[np.bool_]:
    """bool[n]. A champion of before, which kept no list of its rows, has not seen those that were held out for good,
    nor any
    that happened after it was trained. Raises DocumentUnusable, StoreUnavailable."""
    try:
        raw = decode(
            read_artifact(store, champion.version, LEARNT),
            format="stillgood.learnt",
            what=artifact_key(champion.version, LEARNT),
        )
        return ~seen_in(raw, row_ids(ingested.times, ingested.hashes))
    except UnknownVersion:
        held = is_holdout(ingested.hashes, ingested.frame.contract.training.holdout_fraction)
        return held | (ingested.times > _trained_at(store, champion))


def newest_since(store: ObjectStore, champion: Pointer, ingested: Ingested, rows: npt.NDArray[np.int64]) -> int:
    """The position among ``rows`` (not learnt by the champion, oldest first) at which its ROC-AUC became what it is.

    0 where it never changed, or the champion cannot read the rows. Raises StoreUnavailable.
    """
    newest = rows[-MAX_ROWS:]
    try:
        model = load_model(store, champion)
        frame = read_as(model.contract, ingested.frame.take(newest), champion.version)
    except ModelUnusable:  # promote will say so
        return 0
    at = newest_population(logits(model, frame), ingested.target[newest], ingested.hashes[newest])
    return int(newest[at]) if at else 0


def _trained_at(store: ObjectStore, champion: Pointer) -> np.datetime64:
    try:
        stated = decode_any(read_artifact(store, champion.version, METRICS), what=METRICS)["trained_at"]
        return np.datetime64(datetime.fromisoformat(str(stated)).replace(tzinfo=None), "us")
    except (UnknownVersion, KeyError, ValueError, DocumentUnusable):
        return np.datetime64("9999-12-31", "us")
