"""Candidates that differ in how far back they remember; the one that ranks the newest rows best out of fold is
offered.
"""

from dataclasses import replace

import numpy as np

from stillgood.domain.errors import NotEnoughData, OneClassOnly
from stillgood.domain.statistics.delong import roc_auc
from stillgood.training.families.logistic import CHOSEN_ON
from stillgood.training.families.parts import Floats
from stillgood.training.fit import Fitted, fit, logits_alike
from stillgood.training.ingest import Ingested
from stillgood.training.judged import Ints, memories
from stillgood.training.split import Split

UNIT = 2000  # rows; half-lives of 4 and 1.5 of them are tried
MIN_GAIN = 0.002  # ROC-AUC; for less the longer memory is kept: it has seen more


def fit_best(ingested: Ingested, parts: Split, version: str, seed: int) -> tuple[Split, Fitted]:
    """The best of the memories, and ``parts`` with the rows it was fitted on. Raises what ``fit`` raises for all
    rows.

    Above ``CHOSEN_ON`` rows the family and its settings are chosen once, on the longest memory, to compare memories by;
    a shorter one that is better then chooses its own.
    """
    tried = memories(parts.train, parts.holdout, UNIT, parts.starts)
    longest = _fit(ingested, tried[0], version, seed)
    quick = len(tried[0]) > CHOSEN_ON
    best, found, score = tried[0], longest, _score(longest.oof_logits, tried[0], ingested, parts)
    for rows in tried[1:]:
        try:
            shorter = None if quick else _fit(ingested, rows, version, seed)
            logits = _alike(ingested, rows, longest, seed) if shorter is None else shorter.oof_logits
        except (NotEnoughData, OneClassOnly):
            continue
        if (own := _score(logits, rows, ingested, parts)) > score + MIN_GAIN:
            try:
                found = _fit(ingested, rows, version, seed) if shorter is None else shorter
            except (NotEnoughData, OneClassOnly):
                continue
            best, score = rows, own
    return replace(parts, train=best), found


def _fit(ingested: Ingested, rows: Ints, version: str, seed: int) -> Fitted:
    frame, target, hashes = ingested.frame.take(rows), ingested.target[rows], ingested.hashes[rows]
    return fit(frame, target, hashes, version=version, data_sha256=ingested.sha256, seed=seed)


def _alike(ingested: Ingested, rows: Ints, longest: Fitted, seed: int) -> Floats:
    frame, target, hashes = ingested.frame.take(rows), ingested.target[rows], ingested.hashes[rows]
    return logits_alike(frame, target, hashes, longest.model, seed=seed)


def _score(oof_logits: Floats, rows: Ints, ingested: Ingested, parts: Split) -> float:
    """Out-of-fold ROC-AUC of the rows that judge; .5 where they have one outcome only."""
    try:
        return roc_auc(oof_logits[np.searchsorted(rows, parts.holdout)], ingested.target[parts.holdout])
    except OneClassOnly:
        return 0.5
