"""The closed loop over a year: predict, watch, decide, learn, promote, window after window, with the project's own rules for each."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import concat
from stillgood.domain.drift.performance import RealisedPerformance
from stillgood.domain.drift.reference import Reference, build_reference
from stillgood.domain.errors import StillgoodError
from stillgood.domain.model.evaluation import Metrics, roc_auc
from stillgood.domain.model.model import Model
from stillgood.domain.model.slices import segments
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.domain.policy.evidence import Policy
from stillgood.domain.policy.policies import POLICIES, advance
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.gate import GateInputs, decide
from stillgood.domain.statistics.delong import paired_delong
from stillgood.domain.statistics.intervals import Estimate
from stillgood.steps.monitor.outcomes import GAIN_Z, MIN_OF_EACH
from stillgood.training.recalibrate import newest, recalibrate
from stillgood.training.split import is_holdout

from benchmarks.decisions.world import Array, Rows, evidence, learn, metrics_of, profile_of, realised


class Source(Protocol):
    """Where the windows of a scenario come from."""

    contract: Contract
    windows: int
    window: timedelta
    keeps: int  # windows of labelled rows that a model learns from
    delay: int  # windows until the labels of one have matured

    def first(self) -> Rows:
        """The labelled rows of before the year."""

    def seen(self, at: int) -> tuple[Rows, int]:
        """The rows of window ``at`` with the outcomes they will have, and how many more rows the contract refused."""

    def labelled(self, at: int, acted: Array) -> Array:
        """bool[n]: whose outcome of window ``at`` ever gets known; ``acted``: who was flagged."""

    def truth(self, at: int) -> Rows:
        """Rows that nobody has learned from, as those of window ``at``: how well the champion does."""

    def gain_rows(self, at: int) -> Rows:
        """Rows as they come after window ``at``: whether a promotion then was a gain."""

    def season(self, at: int) -> int | None:
        """The window of the same phase of the season before, if the contract has seasons."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictDeps:
    """A champion and what monitoring compares with. ``since``: the newest window its weights have learned from, + 1."""

    model: Model
    reference: Reference
    promised: Metrics
    since: int


@dataclass(slots=True)
class Year:
    """What happened. Windows are counted from 0."""

    asked: list[int] = field(default_factory=list)  # retrains and recalibrations
    alerts: list[int] = field(default_factory=list)
    rollbacks: list[int] = field(default_factory=list)
    promotions: list[tuple[int, float]] = field(default_factory=list)  # when, and the true gain in ROC-AUC
    aucs: list[float] = field(default_factory=list)  # of the champion on the truth, by window
    recalls: list[float] = field(default_factory=list)

    def acted(self) -> list[int]:
        return sorted({*self.asked, *self.alerts, *self.rollbacks})


class Loop:
    """One source under one policy: "guarded", "simple", "always" (learn from every window, promote unseen) or "never"."""

    def __init__(self, source: Source, policy: str) -> None:
        self.source, self.name = source, policy
        self.policy: Policy | None = POLICIES.get(policy)
        self.year, self.state = Year(), MonitorState()
        self.past: list[tuple[Rows, Array, str]] = []  # rows, whose labels get known, who predicted
        self.champion = self._serving(source.first(), "first", 0)
        self.previous: PredictDeps | None = None
        self.rolled_back = False

    def run(self) -> Year:
        for at in range(self.source.windows):
            rows, refused = self.source.seen(at)
            acted = logits(self.champion.model, rows.frame) >= self.champion.model.threshold_logit
            self.past.append((rows, self.source.labelled(at, acted), self.champion.model.version))
            self._judge(at)
            if self.name == "always":
                self._learn(at)
            elif self.policy is not None:
                self._monitor(at, rows, refused, self.policy)
        return self.year

    def _judge(self, at: int) -> None:
        truth, model = self.source.truth(at), self.champion.model
        values = logits(model, truth.frame)
        self.year.aucs.append(roc_auc(values, truth.y))
        self.year.recalls.append(float((values >= model.threshold_logit)[truth.y == 1].mean()))

    def _monitor(self, at: int, rows: Rows, refused: int, policy: Policy) -> None:
        one, end = self.champion, datetime(2026, 1, 1, tzinfo=UTC) + (at + 1) * self.source.window
        season = self.source.season(at)
        found = evidence(
            one.model,
            one.reference,
            profile_of(one.model, one.reference, rows.frame, refused),
            contract=self.source.contract,
            window=f"{at:04d}",
            at=end,
            standing=self.state.streaks_of(one.model.version),
            season=profile_of(one.model, one.reference, self.past[season][0].frame) if season is not None else None,
            new_labelled_rows=sum(int(known.sum()) for _, known, _ in self.past[one.since : self._matured(at)]),
            data_sha256=str(sum(int(known.sum()) for _, known, _ in self.past[: self._matured(at)])),
        )
        found = replace(found, realised=self._realised(at), previous_gain=self._previous_gain(at))
        decision = policy.decide(found, self.state)
        self.state = advance(policy, found, decision, self.state)
        match decision.action:
            case "alert":
                self.year.alerts.append(at)
            case "retrain" | "recalibrate":
                self.year.asked.append(at)
                self._learn(at, keep_weights=decision.action == "recalibrate")
            case "roll_back" if self.previous is not None:
                self.year.rollbacks.append(at)
                self.champion, self.previous, self.rolled_back = self.previous, self.champion, True

    def _matured(self, at: int) -> int:
        """How many windows have labels at the end of window ``at``."""
        return max(0, at + 1 - self.source.delay)

    def _own(self, at: int) -> tuple[Rows, Array] | None:
        """The window that matured last, if the champion predicted it: rows and whose label is known."""
        last = self._matured(at) - 1
        if last < 0 or self.past[last][2] != self.champion.model.version:
            return None
        rows, known, _ = self.past[last]
        labelled = rows.take(np.flatnonzero(known))
        enough = labelled.n >= self.source.contract.monitoring.min_rows
        return (rows, known) if enough and min(labelled.y.sum(), (1 - labelled.y).sum()) >= MIN_OF_EACH else None

    def _realised(self, at: int) -> RealisedPerformance | None:
        if (own := self._own(at)) is None:
            return None
        rows, known = own
        acted = logits(self.champion.model, rows.frame) >= self.champion.model.threshold_logit
        biased = bool(known.any() and not known.all() and abs(acted[known].mean() - acted[~known].mean()) > 0.2)
        labelled = rows.take(np.flatnonzero(known))
        return realised(
            self.champion.model, labelled, self.champion.promised, coverage=float(known.mean()), biased=biased
        )

    def _previous_gain(self, at: int) -> Estimate | None:
        if self.previous is None or self.rolled_back or (own := self._own(at)) is None or not own[1].all():
            return None
        rows = own[0]
        test = paired_delong(logits(self.previous.model, rows.frame), logits(self.champion.model, rows.frame), rows.y)
        reach = GAIN_Z * test.standard_error
        return Estimate(test.difference, test.difference - reach, test.difference + reach)

    def _learn(self, at: int, *, keep_weights: bool = False) -> None:
        labelled = together(self._labelled(at))
        if labelled.n < self.source.contract.training.min_rows:
            return
        try:
            made = (
                self._recalibrated(labelled, at)
                if keep_weights
                else self._serving(labelled, f"v{at:04d}", self._matured(at))
            )
        except StillgoodError:
            return  # too few rows, or nothing to learn from them: the Lambda would say so and promote nothing
        if self.name == "always" or self._promotes(made.model, held(labelled)):
            rows = self.source.gain_rows(at)
            before, after = (roc_auc(logits(one.model, rows.frame), rows.y) for one in (self.champion, made))
            gain = after - before
            self.year.promotions.append((at, gain))
            self.champion, self.previous, self.rolled_back = made, self.champion, False

    def _labelled(self, at: int) -> Iterator[Rows]:
        """Oldest first: the newest matured windows, and the first rows while these are fewer."""
        until = self._matured(at)
        if until < self.source.keeps:
            yield self.source.first()
        for rows, known, _ in self.past[max(0, until - self.source.keeps) : until]:
            yield rows.take(np.flatnonzero(known))

    def _serving(self, labelled: Rows, version: str, since: int) -> PredictDeps:
        train = trained(labelled)
        fitted = learn(train, version)
        reference = build_reference(fitted.model, train.frame, fitted.oof_scores)
        return PredictDeps(fitted.model, reference, metrics_of(fitted.model, held(labelled)), since)

    def _recalibrated(self, labelled: Rows, at: int) -> PredictDeps:
        train, version, one = trained(labelled), f"c{at:04d}", self.champion
        rows = train.take(newest(np.arange(train.n), self.source.contract.training))
        model = recalibrate(one.model, rows.frame, rows.y, version=version, data_sha256=version).model
        reference = replace(one.reference, version=version)
        return PredictDeps(model, reference, metrics_of(model, held(labelled)), one.since)

    def _promotes(self, candidate: Model, holdout: Rows) -> bool:
        scored = [
            HoldoutScores(
                model.version,
                values := logits(model, holdout.frame),
                probabilities(model, values),
                model.threshold_logit,
            )
            for model in (candidate, self.champion.model)
        ]
        contract = self.source.contract
        case = GateInputs(scored[0], scored[1], holdout.y, contract.floors, contract.costs, segments(holdout.frame))
        return decide(self.name, case).promote


def together(parts: Iterator[Rows]) -> Rows:
    found = list(parts)
    return Rows(
        concat([one.frame for one in found]),
        np.concatenate([one.y for one in found]),
        np.concatenate([one.hashes for one in found]),
    )


def trained(rows: Rows) -> Rows:
    return rows.take(np.flatnonzero(~is_holdout(rows.hashes, rows.frame.contract.training.holdout_fraction)))


def held(rows: Rows) -> Rows:
    """The newest held-out rows, as many as the contract has the gate look at."""
    rules = rows.frame.contract.training
    return rows.take(np.flatnonzero(is_holdout(rows.hashes, rules.holdout_fraction))[-rules.holdout_rows :])
