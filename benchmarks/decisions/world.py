"""A champion on real Telco rows, windows drawn from rows it has not seen, and the evidence that monitor would gather of
them.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.drift.detect import detect_drift
from stillgood.domain.drift.performance import RealisedPerformance, estimate_performance, realise_performance
from stillgood.domain.drift.profile import Profile, profile
from stillgood.domain.drift.reference import Reference, build_reference
from stillgood.domain.model.evaluation import Metrics, evaluate
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits, probabilities, scores
from stillgood.domain.policy.evidence import Evidence
from stillgood.domain.policy.guarded import Guarded
from stillgood.training.fit import Fitted, fit
from stillgood.training.ingest import ingest

from local import datasets

SPLITS = 10
TRAIN = 4000
type Array = np.ndarray[Any, Any]
type Randomness = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows with their outcome ``y`` (0 or 1) and whose they are, ``hashes`` uint64[n]."""

    frame: Frame
    y: Array
    hashes: Array

    @property
    def n(self) -> int:
        return self.frame.n

    def take(self, index: Array) -> "Rows":
        return Rows(self.frame.take(index), self.y[index], self.hashes[index])


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One split: a champion, its reference, its metrics as promote would have measured it, and the rows nobody has
    learned.
    """

    model: Model
    reference: Reference
    promised: Metrics
    unseen: Rows

    def draw(self, random: Randomness, n: int, weights: Array | None = None) -> Rows:
        return self.unseen.take(random.choice(self.unseen.n, n, p=None if weights is None else weights / weights.sum()))


@cache
def telco() -> Rows:
    data = datasets.telco().to_csv(index=False).encode()
    rows = ingest(datasets.contract("telco"), [("data/2026-01-01/a.csv", data)])
    return Rows(rows.frame, rows.target, rows.hashes)


def learn(rows: Rows, version: str) -> Fitted:
    return fit(rows.frame, rows.y, rows.hashes, version=version, data_sha256=version, seed=0)


@cache
def world(split: int) -> World:
    rows = telco()
    order = np.random.default_rng(split).permutation(rows.n)
    known, unseen = rows.take(np.sort(order[:TRAIN])), rows.take(order[TRAIN:])
    fitted = learn(known, f"champion-{split}")
    return World(
        fitted.model,
        build_reference(fitted.model, known.frame, fitted.oof_scores),
        metrics_of(fitted.model, unseen),
        unseen,
    )


def metrics_of(model: Model, rows: Rows) -> Metrics:
    values = logits(model, rows.frame)
    return evaluate(values, probabilities(model, values), rows.y, model.threshold_logit)


def profile_of(model: Model, reference: Reference, frame: Frame, refused: int = 0) -> Profile:
    values = logits(model, frame)
    acted = values >= model.threshold_logit
    return profile(reference, frame, scores(values), probabilities(model, values), acted, refused=refused)


def evidence(
    model: Model,
    reference: Reference,
    seen: Profile,
    *,
    contract: Contract,
    window: str = "w",
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    standing: Any = (),
    season: Profile | None = None,
    **more: Any,
) -> Evidence:
    """As steps/monitor/gather.py puts it together."""
    enough = seen.rows >= contract.monitoring.min_rows
    thresholds = Guarded().thresholds
    gathered = Evidence(
        window=window,
        at=at,
        version=model.version,
        rows=seen.rows,
        min_rows=contract.monitoring.min_rows,
        refused=seen.refused,
        violations={("field", "rule"): seen.refused} if seen.refused else {},
        drift=detect_drift(reference, seen, thresholds, standing=standing, season=season) if enough else None,
        recall_floor=contract.floors.recall if contract.costs is None else 0.0,
        **more,
    )
    if not enough or gathered.violation_rate > Guarded().violation_rate:
        return gathered
    return replace(gathered, estimated=estimate_performance(seen.scores))


def realised(model: Model, rows: Rows, promised: Metrics, **more: Any) -> RealisedPerformance:
    values = logits(model, rows.frame)
    acted = values >= model.threshold_logit
    return realise_performance(scores(values), probabilities(model, values), acted, rows.y, promised=promised, **more)
