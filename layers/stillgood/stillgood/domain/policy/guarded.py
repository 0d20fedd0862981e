"""The default rule: trust the data first, then ask whether a finding is real, lasts, and can be learned from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from stillgood.domain.drift.detect import DriftCheck, DriftReport, Thresholds
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.policy.evidence import Action, Evidence, PolicyDecision, figures_of, not_enough
from stillgood.domain.policy.refusals import broken_upstream
from stillgood.domain.policy.repairs import jumps
from stillgood.domain.policy.spans import follows, span_of
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.statistics.intervals import normal_sf

PERFORMANCE = "performance"  # names the finding that realised performance is below what was promised
CALIBRATION = "calibration"  # the probabilities are off; the ranking may be as good as ever
RECALL = "recall"  # the threshold lets more positives through than the contract's floor allows
FLOOR = "floor"  # realised ROC-AUC is demonstrably under the contract's floor
GROWTH = "growth"  # so many new labelled rows that learning from them pays
PREVIOUS = "previous"  # the version before does better on the same labelled rows
# What a new threshold and calibration mend without learning the features again.
MENDED_BY_RECALIBRATION = frozenset({CALIBRATION, RECALL})
# Labels say that the champion fails: it has its own cooldown, whatever drift was asked about before.
GRAVE = frozenset({PERFORMANCE, RECALL, FLOOR})
_STRICT = 3.29  # standard errors, two-sided 99.9%: a floor is looked at in every window


@dataclass(frozen=True, slots=True)
class Guarded:
    """In this order:

    1. more than ``violation_rate`` of the rows break the contract, and not one sender's alone
       (``domain/policy/refusals.py``), or more values are missing or unseen: *alert*, nothing else;
    2. the previous champion is better on the same labelled rows, by more than ``auc_drop`` ROC-AUC, in ``persistence``
       consecutive windows: *roll back*, once: what a rollback put in force is not rolled back by itself;
    3. realised ROC-AUC is not what was promised (by more than ``auc_drop``, p < alpha), or drift (``thresholds``), each
       in ``persistence`` consecutive windows: *retrain*, if there are ``min_new_rows`` labelled rows the champion has
       not seen, the data changed since the last retrain, and fewer than ``budget`` retrains were asked for within
       ``period``; else *alert*, naming what stands in the way. Within ``cooldown`` of the last retrain, *nothing*; the
       cooldown doubles (at most ``most_doublings`` times) with every retrain that the same champion withstands: see
       docs/decisions/0011;
    4. the ranking holds, but the share of positives differs from the mean probability by more than ``calibration_gap``
       (p < alpha), or realised recall fell by more than ``recall_drop`` (p < alpha), to under the contract's floor; as
       lasting as in 3 and under the same limits: *recalibrate*, which keeps the weights and fits calibration and
       threshold anew.

    5. else, learning from the labelled rows since is worth ``growth_gain`` of log-likelihood a row (*growth*):
       *retrain*, under the same limits, ``cooldown`` after the last one at the soonest.

    Drift that moves neither the scores nor how sure they are is news in the report, not a reason: what a model does not
    feel it need not learn. Windows count as consecutive when they adjoin; the same rows looked at again are no new
    evidence. A finding by labels (*performance*, *recall*, *floor*) alerts when it begins and waits for its own
    cooldown only, which doubles once; drift waits for labels of predictions since it began.

    That the ranking was lost (*previous*, or a fall of *performance*) needs no second window where one alone says it at
    p < ``at_once_p``, which is what ``persistence`` windows at alpha come to; 0 always waits for them.
    docs/decisions/0065.

    Labels of selected customers (``RealisedPerformance.biased``) are reported, and nothing is concluded from them.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    violation_rate: float = 0.05
    persistence: int = 2
    auc_drop: float = 0.02
    calibration_gap: float = 0.03
    recall_drop: float = 0.02
    min_new_rows: int = 200
    cooldown: timedelta = timedelta(hours=72)
    most_doublings: int = 5
    grave_doublings: int = 1
    growth_gain: float = 0.003
    at_once_p: float = 1e-4
    budget: int = 4
    period: timedelta = timedelta(days=30)
    name: str = "guarded"

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        figures = figures_of(evidence) | {
            "streaks": dict(streaks(self, evidence, state)),
            "retrains_withstood": state.attempts(evidence.version),
            "retrains_in_period": state.retrains_within(self.period, evidence.at),
            "news": list(news(evidence)),
            "rules": {
                "violation_rate": self.violation_rate,
                "persistence": self.persistence,
                "auc_drop": self.auc_drop,
                "calibration_gap": self.calibration_gap,
                "recall_drop": self.recall_drop,
                "min_new_rows": self.min_new_rows,
                "cooldown_hours": self.cooldown / timedelta(hours=1),
                "most_doublings": self.most_doublings,
                "grave_doublings": self.grave_doublings,
                "growth_gain": self.growth_gain,
                **({"at_once_p": self.at_once_p} if self.at_once_p else {}),  # reports of before do not state it
                "budget": self.budget,
                "period_days": self.period / timedelta(days=1),
            },
        }
        if evidence.late:
            reason = f"a later window ({state.last_window}) has been decided; this one is reported only"
            return PolicyDecision("nothing", self.name, (reason,), figures, ("windows in the order of time",))
        if evidence.rows + evidence.refused < evidence.min_rows:
            return not_enough(self.name, evidence, figures)
        if broken_upstream(evidence, self.violation_rate):
            return self._violated(evidence, figures)
        if evidence.drift is None or evidence.rows < evidence.min_rows:
            return not_enough(self.name, evidence, figures)
        if faults := evidence.drift.faults:
            reasons = tuple(f"data fault upstream, {check.name}: {check.reason}" for check in faults)
            changes = [f"{check.name}: a rise of at most {check.least_effect:.3f}" for check in faults]
            changes.append(
                "if the change is meant to stay: a retrain by hand (events/train.json), which renews the reference"
            )
            return PolicyDecision("alert", self.name, reasons, figures, tuple(changes))
        if repaired := jumps(evidence, state, self.thresholds.alpha):
            said = tuple(f"data fault upstream, {why}" for why in repaired.values())
            meant = "values as they were, or a retrain by hand if blanks are meant"
            return PolicyDecision("alert", self.name, said, figures, tuple(f"{name}: {meant}" for name in repaired))
        return self._learn(evidence, evidence.drift, state, figures)

    def _violated(self, evidence: Evidence, figures: Mapping[str, Any]) -> PolicyDecision:
        worst = sorted(evidence.violations.items(), key=lambda item: (-item[1], item[0]))[:5]
        total = evidence.rows + evidence.refused
        named = tuple(
            f"field {name!r} breaks rule {rule!r} in {count / total:.1%} of the rows" for (name, rule), count in worst
        )
        reason = (
            f"data fault upstream: {evidence.violation_rate:.1%} of {total} rows break the contract (at most"
            f" {self.violation_rate:.1%} may); nothing else is concluded"
        )
        change = f"at most {self.violation_rate:.1%} refused rows"
        return PolicyDecision("alert", self.name, (reason, *named), figures, (change,))

    def _learn(
        self, evidence: Evidence, drift: DriftReport, state: MonitorState, figures: Mapping[str, Any]
    ) -> PolicyDecision:
        against = findings(self, evidence)
        lasting = {name: why for name, why in against.items() if figures["streaks"][name] >= self.persistence}
        if PREVIOUS in lasting:
            change = "an interval of the gain that holds 0, in this window or the one before"
            return PolicyDecision("roll_back", self.name, (lasting[PREVIOUS],), figures, (change,))
        if lasting:
            reasons = tuple(f"{name}: {why}" for name, why in lasting.items())
            if (until := self._waits_until(evidence, state, lasting)) is not None:
                reasons += (f"asked for already; the next retrain is due from {until:%Y-%m-%d %H:%M} UTC",)
                change = f"a window that ends after {until:%Y-%m-%d %H:%M} UTC"
                begun = any(figures["streaks"][name] == self.persistence for name in GRAVE & lasting.keys())
                return PolicyDecision("alert" if begun else "nothing", self.name, reasons, figures, (change,))
            if blocks := self._blocks(evidence, state, self._since(evidence, figures["streaks"], lasting)):
                reasons += tuple(why for why, _ in blocks)
                return PolicyDecision("alert", self.name, reasons, figures, tuple(change for _, change in blocks))
            action: Action = "recalibrate" if lasting.keys() <= MENDED_BY_RECALIBRATION else "retrain"
            change = "the finding gone in this window or the one before"
            return PolicyDecision(action, self.name, reasons, figures, (change,))
        if (grown := growth(self, evidence, state)) is not None and not self._blocks(evidence, state, None):
            change = "fewer new labelled rows, or a champion that has learnt from more"
            if state.last_retrain is None or evidence.at >= state.last_retrain.at + self.cooldown:
                return PolicyDecision("retrain", self.name, (f"{GROWTH}: {grown}",), figures, (change,))
        if against:
            reasons = tuple(
                f"{name}: {why}; seen in {figures['streaks'][name]} of {self.persistence} windows"
                for name, why in against.items()
            )
            return PolicyDecision("nothing", self.name, reasons, figures, ("the same finding in the next window",))
        ways = {check.name: f" ({check.direction})" for check in drift.checks if check.direction}
        moved = tuple(
            f"news, not a reason: {name} drifted{ways.get(name, '')}, and the scores did not" for name in news(evidence)
        )
        quiet = moved or ("nothing drifted enough to matter",)
        return PolicyDecision("nothing", self.name, quiet, figures, _nearest(drift.checks))

    def _waits_until(self, evidence: Evidence, state: MonitorState, lasting: Mapping[str, str]) -> datetime | None:
        """When the cooldown ends, None if it has. The longer a champion withstands, the less there seems to be to
        gain.
        """
        if state.last_retrain is None:
            return None
        if GRAVE & lasting.keys():
            grave = state.grave_attempts(evidence.version)
            if not grave:
                return None
            until = grave[-1].at + self.cooldown * 2 ** min(len(grave) - 1, self.grave_doublings)
            return until if evidence.at < until else None
        doublings = min(max(state.attempts(evidence.version) - 1, 0), self.most_doublings)
        until = state.last_retrain.at + self.cooldown * 2**doublings
        return until if evidence.at < until else None

    def _since(self, evidence: Evidence, lasted: Mapping[str, int], lasting: Mapping[str, str]) -> datetime | None:
        """When the longest-standing drift began, None where labels speak for themselves or the windows do not say."""
        span = span_of(evidence.window)
        if span is None or lasting.keys() & {PERFORMANCE, RECALL, CALIBRATION}:
            return None
        return span[0] - (span[1] - span[0]) * (max(lasted[name] for name in lasting) - 1)

    def _blocks(self, evidence: Evidence, state: MonitorState, since: datetime | None) -> list[tuple[str, str]]:
        """Why a retrain would be in vain or too many, each with what would lift it. ``since``: when drift began."""
        blocks = []
        learnable = evidence.outcomes.learnable
        if since is not None and len(learnable):
            fresh = len(learnable) - int(np.searchsorted(learnable, microseconds(since)))
            if fresh < self.min_new_rows:
                why = (
                    f"no retrain: {fresh} labelled predictions since the drift began ({since:%Y-%m-%d}), at least"
                    f" {self.min_new_rows} are needed"
                )
                blocks.append((why, f"{self.min_new_rows - fresh} more labels of predictions since then"))
        last = state.last_retrain
        if evidence.new_labelled_rows < self.min_new_rows:
            blocks.append(
                (
                    (
                        f"no retrain: {evidence.new_labelled_rows} new labelled rows, at least {self.min_new_rows} are"
                        " needed"
                    ),
                    f"{self.min_new_rows - evidence.new_labelled_rows} more labelled rows under data/",
                )
            )
        if last is not None and last.data_sha256 == evidence.data_sha256:
            blocks.append(("no retrain: the labelled data is what the last one learned from", "new data under data/"))
        used = state.retrains_within(self.period, evidence.at)
        if used >= self.budget:
            blocks.append(
                (
                    f"no retrain: {used} within {self.period.days} days, the budget is {self.budget}",
                    "a larger budget, or time",
                )
            )
        return blocks


def findings(policy: Guarded, evidence: Evidence) -> dict[str, str]:
    """What speaks against the champion in this one window, by name: drifted checks, and realised figures below what was
    promised.
    """
    quiet = set(news(evidence))
    drifted = evidence.drift.drifted if evidence.drift else ()
    against = {check.name: check.reason for check in drifted if check.name not in quiet}
    gain = evidence.previous_gain
    if gain is not None and gain.low > 0 and gain.value > policy.auc_drop:
        against[PREVIOUS] = f"the previous champion is better on the same labelled rows: ROC-AUC +{gain}"
    realised, alpha = evidence.trusted_realised, policy.thresholds.alpha
    if realised is None:
        return against
    # A champion that does better than promised was promised on other rows than those of now: also something to learn
    # from.
    # Outcomes add up and are looked at in every window, so the p values are those that may be looked at always.
    if abs(realised.drop) > policy.auc_drop and realised.drop_always_p < alpha:
        why = (
            "concept drift, or worse data" if realised.drop > 0 else "better: these are other rows than it learnt from"
        )
        against[PERFORMANCE] = (
            f"realised ROC-AUC {realised.metrics.roc_auc} against {realised.promised.roc_auc} at promotion,"
            f" p {realised.drop_always_p:.2g} ({why})"
        )
    if abs(realised.calibration_gap) > policy.calibration_gap and realised.calibration_always_p < alpha:
        against[CALIBRATION] = (
            f"{realised.calibration_gap:+.3f} between the share of positives and the mean probability, p"
            f" {realised.calibration_always_p:.2g}"
        )
    auc = realised.metrics.roc_auc
    if auc.value + _STRICT * auc.standard_error < evidence.roc_auc_floor:
        against[FLOOR] = (
            f"realised ROC-AUC {auc} is demonstrably under the contract's floor {evidence.roc_auc_floor:.3f}"
        )
    recall = realised.metrics.recall
    fell = realised.recall_drop > policy.recall_drop and realised.recall_drop_always_p < alpha
    if fell and recall.value < evidence.recall_floor:
        against[RECALL] = (
            f"realised recall {recall} against {realised.promised.recall} at promotion, p"
            f" {realised.recall_drop_always_p:.2g}, and under the contract's floor {evidence.recall_floor:.3f}"
        )
    return against


def beyond_doubt(policy: Guarded, evidence: Evidence) -> frozenset[str]:
    """Losses of the ranking that, if they are found large enough, this window's labels show so clearly that a second
    window would add nothing.

    *performance* (a fall) by its p that may be looked at always; *previous* by the normal p, one-sided, of "no gain".
    """
    p: dict[str, float] = {}
    if (gain := evidence.previous_gain) is not None and gain.standard_error > 0:
        p[PREVIOUS] = normal_sf(gain.value / gain.standard_error)
    if (realised := evidence.trusted_realised) is not None and realised.drop > 0:
        p[PERFORMANCE] = realised.drop_always_p
    return frozenset(name for name, chance in p.items() if chance < policy.at_once_p)


def growth(policy: Guarded, evidence: Evidence, state: MonitorState) -> str | None:
    """Why learning anew would pay though nothing speaks against the champion, None where it would not.

    A model of w weights fitted on n rows loses about w / (2 n) of log-likelihood per row to what it cannot know
    (Akaike 1974). So m more rows are worth w / 2 (1 / n - 1 / (n + m)); what an earlier attempt could learn does not
    count again. Large models, small beginnings and fresh starts after a change grow soon, and an old champion never.
    """
    n, unlearnt = evidence.learnt_rows, evidence.unlearnt_rows
    tried = max((retrain.unlearnt_rows for retrain in state.retrains if retrain.version == evidence.version), default=0)
    if not n or unlearnt <= tried:
        return None
    gain = evidence.weights / 2 * (1 / (n + tried) - 1 / (n + unlearnt))
    if gain < policy.growth_gain:
        return None
    return (
        f"{unlearnt} labelled predictions that the champion has not learnt from, beside the {n} that it has,"
        f" are worth about {gain:.4f} of log-likelihood a row (at least {policy.growth_gain:g})"
    )


def news(evidence: Evidence) -> tuple[str, ...]:
    """Names of drifted checks that the model does not feel: no score moved, and neither did how sure it is."""
    drift = evidence.drift
    felt = [check for check in drift.checks if check.subject == "score"] if drift else []
    if drift is None or not felt or any(check.p_adjusted < check.alpha for check in felt):
        return ()
    return tuple(check.name for check in drift.drifted)


def streaks(policy: Guarded, evidence: Evidence, state: MonitorState) -> dict[str, int]:
    """Consecutive windows of each finding, this one included; one that is beyond doubt counts as ``persistence`` of
    them. A window that cannot be judged leaves them as they were.
    """
    before = state.streaks_of(evidence.version)
    repaired = jumps(evidence, state, policy.thresholds.alpha)
    if evidence.drift is None or evidence.drift.faults or repaired or broken_upstream(evidence, policy.violation_rate):
        return dict(before)
    found = findings(policy, evidence)
    match follows(state.last_window, evidence.window):
        case "overlaps":
            counted = {name: max(before.get(name, 0), 1) for name in found}
        case "gap":
            counted = dict.fromkeys(found, 1)
        case _:
            counted = {name: before.get(name, 0) + 1 for name in found}
    sure = beyond_doubt(policy, evidence)
    return {name: max(windows, policy.persistence) if name in sure else windows for name, windows in counted.items()}


def _nearest(checks: tuple[DriftCheck, ...]) -> tuple[str, ...]:
    """The three checks that came closest, each with what it lacked."""
    closest = sorted(checks, key=lambda check: -check.effect / check.least_effect)[:3]
    return tuple(
        f"{check.name}: effect above {check.least_effect:.3f} (now {check.effect:.3f}) and adjusted p below"
        f" {check.alpha:g} (now {check.p_adjusted:.2g})"
        for check in closest
    )
