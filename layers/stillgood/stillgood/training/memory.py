"""Candidates that differ in how far back they remember; the one that ranks the newest rows best out of fold is
offered.
"""

from dataclasses import replace

import numpy as np

from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.statistics.delong import roc_auc
from stillgood.training.fit import Fitted, fit
from stillgood.training.ingest import Ingested
from stillgood.training.judged import memories
from stillgood.training.split import Split

UNIT = 2000  # rows; half-lives of 4 and 1.5 of them are tried
MIN_GAIN = 0.002  # ROC-AUC; for less the longer memory is kept: it has seen more


def fit_best(ingested: Ingested, parts: Split, version: str, seed: int) -> tuple[Split, Fitted]:
    """The best of the memories, and ``parts`` with the rows it was fitted on. Raises what ``fit`` raises for all
    rows.
    """
    best: tuple[Split, Fitted, float] | None = None
    for rows in memories(parts.train, parts.holdout, UNIT, parts.starts):
        try:
            fitted = fit(
                ingested.frame.take(rows),
                ingested.target[rows],
                ingested.hashes[rows],
                version=version,
                data_sha256=ingested.sha256,
                seed=seed,
            )
        except (NotEnoughData, OneClassOnly):
            if best is None:
                raise
            continue
        score = _score(fitted, rows, ingested, parts)
        if best is None or score > best[2] + MIN_GAIN:
            best = replace(parts, train=rows), fitted, score
    assert best is not None
    return best[0], best[1]


def _score(fitted: Fitted, rows: np.ndarray[tuple[int], np.dtype[np.int64]], ingested: Ingested, parts: Split) -> float:
    """Out-of-fold ROC-AUC of the rows that judge; .5 where they have one outcome only."""
    try:
        return roc_auc(fitted.oof_logits[np.searchsorted(rows, parts.holdout)], ingested.target[parts.holdout])
    except OneClassOnly:
        return 0.5
