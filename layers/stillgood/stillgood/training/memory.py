"""Candidates that differ in how far back they remember; the one that ranks the newest rows best out of fold is
offered.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stillgood.domain.errors import NotEnoughData, OneClassOnly, TooFewRows
from stillgood.domain.model.model import Model
from stillgood.domain.statistics.clustered import paired_clustered
from stillgood.training.fit import CrossValidated, Fitted, cross_validate, finish
from stillgood.training.ingest import Ingested
from stillgood.training.judged import memories, newest
from stillgood.training.recalibrate import placed
from stillgood.training.split import Split

UNIT = 2000  # rows; half-lives of 4 and 1.5 of them are tried
MIN_GAIN = 0.002  # ROC-AUC; for less the longer memory is kept: it has seen more

type Rows = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]


class Fits(Protocol):
    """Keeps what was fitted, where the same rows are learnt from again: a rehearsal's policies do."""

    def recall[T](self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` returned for ``name``, made now if it never was. Errors of ``make`` are raised, and not
        kept.
        """

    def is_being_made(self, name: str) -> bool:
        """Whether another process makes ``name`` now, so that ``recall`` would wait."""


class NoFits:
    """Keeps nothing."""

    def recall[T](self, name: str, make: Callable[[], T]) -> T:
        return make()

    def is_being_made(self, name: str) -> bool:
        return False


NO_FITS = NoFits()


def fit_best(ingested: Ingested, parts: Split, version: str, seed: int, fits: Fits = NO_FITS) -> tuple[Split, Fitted]:
    """The best of the memories, and ``parts`` with the rows it was fitted on. Raises what ``fit`` raises for all
    rows.

    Memories are ranked by their out-of-fold logits; only the best becomes a model.
    """
    best: tuple[_Memory, Floats] | None = None
    candidates = [
        _Memory(ingested, rows, seed, fits) for rows in memories(parts.train, parts.holdout, UNIT, parts.starts)
    ]
    _work_ahead(candidates)
    for memory in candidates:
        try:
            scores = memory.logits()[np.searchsorted(memory.rows, parts.holdout)]
        except (NotEnoughData, OneClassOnly):
            if best is None:
                raise
            continue
        if best is None or _ranks_better(scores, best[1], ingested, parts):
            best = memory, scores
    assert best is not None
    memory, fitted = best[0], best[0].fitted(version)
    if parts.against is not None:
        at = np.searchsorted(memory.rows, newest(memory.rows, ingested.target, len(parts.holdout)))
        fitted = placed(fitted, at, ingested.target[memory.rows], ingested.hashes[memory.rows])
    return replace(parts, train=memory.rows), fitted


def _work_ahead(candidates: Sequence["_Memory"]) -> None:
    """While another process is at the longest memory, compare the families on shorter ones that nobody is at."""
    for memory in candidates[1:]:
        if candidates[0].is_being_made and not memory.is_being_made:
            with suppress(NotEnoughData, OneClassOnly):  # raised again when its turn comes
                memory.logits()


class _Memory:
    """One candidate: the rows of ``ingested`` at ``rows``, cross-validated and fitted when asked to."""

    def __init__(self, ingested: Ingested, rows: Rows, seed: int, fits: Fits) -> None:
        self.rows = rows
        self._ingested, self._seed, self._fits = ingested, seed, fits
        self._validated: CrossValidated | None = None
        self._name = "" if isinstance(fits, NoFits) else _name(ingested, rows, seed)

    @property
    def is_being_made(self) -> bool:
        return self._fits.is_being_made(f"{self._name}.logits")

    def logits(self) -> npt.NDArray[np.float64]:
        """float64[n]: of each row, out of fold. Raises what ``fit`` raises."""
        return self._fits.recall(f"{self._name}.logits", lambda: self._cross_validated().logits)

    def fitted(self, version: str) -> Fitted:
        """The model, named ``version``."""
        fitted = self._fits.recall(
            f"{self._name}.fitted",
            lambda: finish(self._cross_validated(), version=version, data_sha256=self._ingested.sha256),
        )
        # The same rows may come from other objects, and then have another name.
        return replace(
            fitted,
            model=self._named(fitted.model, version),
            fold_models=tuple(self._named(model, version) for model in fitted.fold_models),
        )

    def _named(self, model: Model, version: str) -> Model:
        training = {**model.training, "data_sha256": self._ingested.sha256}
        return replace(model, version=version, training=training)

    def _cross_validated(self) -> CrossValidated:
        if self._validated is None:
            data, rows = self._ingested, self.rows
            self._validated = cross_validate(data.frame.take(rows), data.target[rows], data.hashes[rows], self._seed)
        return self._validated


def _name(ingested: Ingested, rows: Rows, seed: int) -> str:
    """Names all that a fit depends on: contract, seed, values, outcomes and whose rows they are."""
    digest = hashlib.sha256(f"{ingested.frame.contract.sha256} {seed}".encode())
    values: list[npt.NDArray[Any]] = [*ingested.frame.columns.values(), ingested.target, ingested.hashes]
    for column in values:
        part = np.ascontiguousarray(column[rows])
        digest.update(f"{part.dtype} {len(part)} ".encode())
        digest.update(part.tobytes())
    return digest.hexdigest()[:32]


def _ranks_better(shorter: Floats, longer: Floats, ingested: Ingested, parts: Split) -> bool:
    """Whether the rows that judge are ranked better by more than ``MIN_GAIN`` and than one standard error, customers
    counted once: of memories that cannot be told apart the longest has seen most.

    The rule is the one-standard-error rule of Breiman, Friedman, Olshen and Stone (1984), section 3.4.3.
    """
    try:
        gain = paired_clustered(shorter, longer, ingested.target[parts.holdout], ingested.hashes[parts.holdout])
    except (OneClassOnly, TooFewRows):
        return False
    return gain.difference > max(MIN_GAIN, gain.standard_error)
