"""The default rule: trust the data first, then ask whether a finding is real, lasts, and can be learned from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.drift.detect import DriftCheck, DriftReport, Thresholds
from stillgood.domain.policy.evidence import Action, Evidence, PolicyDecision, figures_of, not_enough
from stillgood.domain.policy.state import MonitorState

PERFORMANCE = "performance"  # names the finding that realised performance is below what was promised
CALIBRATION = "calibration"  # the probabilities are off; the ranking may be as good as ever
RECALL = "recall"  # the threshold lets more positives through than the contract's floor allows
PREVIOUS = "previous"  # the version before does better on the same labelled rows
# What a new threshold and calibration mend without learning the features again.
MENDED_BY_RECALIBRATION = frozenset({CALIBRATION, RECALL})


@dataclass(frozen=True, slots=True)
class Guarded:
    """In this order:

    1. more than ``violation_rate`` of the rows break the contract, or more values are missing or unseen: *alert*, nothing else;
    2. the previous champion is better on the same labelled rows, by more than ``auc_drop`` ROC-AUC, in ``persistence``
       consecutive windows: *roll back*, once: what a rollback put in force is not rolled back by itself;
    3. realised ROC-AUC is not what was promised (by more than ``auc_drop``, p < alpha), or drift (``thresholds``), each in
       ``persistence`` consecutive windows: *retrain*, if there are ``min_new_rows`` labelled rows the champion has not seen,
       the data changed since the last retrain, and fewer than ``budget`` retrains were asked for within ``period``; else
       *alert*, naming what stands in the way. Within ``cooldown`` of the last retrain, *nothing*; the cooldown doubles (at
       most ``most_doublings`` times) with every retrain that the same champion withstands: see docs/decisions/0011;
    4. the ranking holds, but the share of positives differs from the mean probability by more than ``calibration_gap``
       (p < alpha), or realised recall fell by more than ``recall_drop`` (p < alpha), to under the contract's floor; as lasting as
       in 3 and under the same limits: *recalibrate*, which keeps the weights and fits calibration and threshold anew.

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
    budget: int = 4
    period: timedelta = timedelta(days=30)
    name: str = "guarded"

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        figures = figures_of(evidence) | {
            "streaks": dict(streaks(self, evidence, state)),
            "retrains_withstood": state.attempts(evidence.version),
            "retrains_in_period": state.retrains_within(self.period, evidence.at),
            "rules": {
                "violation_rate": self.violation_rate,
                "persistence": self.persistence,
                "auc_drop": self.auc_drop,
                "calibration_gap": self.calibration_gap,
                "recall_drop": self.recall_drop,
                "min_new_rows": self.min_new_rows,
                "cooldown_hours": self.cooldown / timedelta(hours=1),
                "most_doublings": self.most_doublings,
                "budget": self.budget,
                "period_days": self.period / timedelta(days=1),
            },
        }
        if evidence.late:
            reason = f"a later window ({state.last_window}) has been decided; this one is reported only"
            return PolicyDecision("nothing", self.name, (reason,), figures, ("windows in the order of time",))
        if evidence.rows + evidence.refused < evidence.min_rows:
            return not_enough(self.name, evidence, figures)
        if evidence.violation_rate > self.violation_rate:
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
        return self._learn(evidence, evidence.drift, state, figures)

    def _violated(self, evidence: Evidence, figures: Mapping[str, Any]) -> PolicyDecision:
        worst = sorted(evidence.violations.items(), key=lambda item: (-item[1], item[0]))[:5]
        total = evidence.rows + evidence.refused
        named = tuple(
            f"field {name!r} breaks rule {rule!r} in {count / total:.1%} of the rows" for (name, rule), count in worst
        )
        reason = f"data fault upstream: {evidence.violation_rate:.1%} of {total} rows break the contract (at most {self.violation_rate:.1%} may); nothing else is concluded"
        change = f"at most {self.violation_rate:.1%} refused rows"
        return PolicyDecision("alert", self.name, (reason, *named), figures, (change,))

    def _learn(
        self, evidence: Evidence, drift: DriftReport, state: MonitorState, figures: Mapping[str, Any]
    ) -> PolicyDecision:
        found = findings(self, evidence)
        lasting = {name: why for name, why in found.items() if figures["streaks"][name] >= self.persistence}
        if PREVIOUS in lasting:
            change = "an interval of the gain that holds 0, in this window or the one before"
            return PolicyDecision("roll_back", self.name, (lasting[PREVIOUS],), figures, (change,))
        if lasting:
            reasons = tuple(f"{name}: {why}" for name, why in lasting.items())
            if (until := self._waits_until(evidence, state)) is not None:
                reasons += (f"asked for already; the next retrain is due from {until:%Y-%m-%d %H:%M} UTC",)
                change = f"a window that ends after {until:%Y-%m-%d %H:%M} UTC"
                return PolicyDecision("nothing", self.name, reasons, figures, (change,))
            if blocks := self._blocks(evidence, state):
                reasons += tuple(why for why, _ in blocks)
                return PolicyDecision("alert", self.name, reasons, figures, tuple(change for _, change in blocks))
            action: Action = "recalibrate" if lasting.keys() <= MENDED_BY_RECALIBRATION else "retrain"
            change = "the finding gone in this window or the one before"
            return PolicyDecision(action, self.name, reasons, figures, (change,))
        if found:
            reasons = tuple(
                f"{name}: {why}; seen in {figures['streaks'][name]} of {self.persistence} windows"
                for name, why in found.items()
            )
            return PolicyDecision("nothing", self.name, reasons, figures, ("the same finding in the next window",))
        return PolicyDecision(
            "nothing", self.name, ("nothing drifted enough to matter",), figures, _nearest(drift.checks)
        )

    def _waits_until(self, evidence: Evidence, state: MonitorState) -> datetime | None:
        """When the cooldown ends, None if it has. The longer a champion withstands, the less there seems to be to gain."""
        if state.last_retrain is None:
            return None
        doublings = min(max(state.attempts(evidence.version) - 1, 0), self.most_doublings)
        until = state.last_retrain.at + self.cooldown * 2**doublings
        return until if evidence.at < until else None

    def _blocks(self, evidence: Evidence, state: MonitorState) -> list[tuple[str, str]]:
        """Why a retrain would be in vain or too many, each with what would lift it."""
        blocks = []
        last = state.last_retrain
        if evidence.new_labelled_rows < self.min_new_rows:
            blocks.append(
                (
                    f"no retrain: {evidence.new_labelled_rows} new labelled rows, at least {self.min_new_rows} are needed",
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
    """What speaks against the champion in this one window, by name: drifted checks, and realised figures below what was promised."""
    found = {check.name: check.reason for check in evidence.drift.drifted} if evidence.drift else {}
    gain = evidence.previous_gain
    if gain is not None and gain.low > 0 and gain.value > policy.auc_drop:
        found[PREVIOUS] = f"the previous champion is better on the same labelled rows: ROC-AUC +{gain}"
    realised, alpha = evidence.trusted_realised, policy.thresholds.alpha
    if realised is None:
        return found
    # A champion that does better than promised was promised on other rows than those of now: also something to learn from.
    # Outcomes add up and are looked at in every window, so the p values are those that may be looked at always.
    if abs(realised.drop) > policy.auc_drop and realised.drop_always_p < alpha:
        found[PERFORMANCE] = (
            f"realised ROC-AUC {realised.metrics.roc_auc} against {realised.promised.roc_auc} at promotion,"
            f" p {realised.drop_always_p:.2g} (concept drift, or worse data)"
        )
    if abs(realised.calibration_gap) > policy.calibration_gap and realised.calibration_always_p < alpha:
        found[CALIBRATION] = (
            f"{realised.calibration_gap:+.3f} between the share of positives and the mean probability, p {realised.calibration_always_p:.2g}"
        )
    recall = realised.metrics.recall
    fell = realised.recall_drop > policy.recall_drop and realised.recall_drop_always_p < alpha
    if fell and recall.value < evidence.recall_floor:
        found[RECALL] = (
            f"realised recall {recall} against {realised.promised.recall} at promotion, p {realised.recall_drop_always_p:.2g},"
            f" and under the contract's floor {evidence.recall_floor:.3f}"
        )
    return found


def streaks(policy: Guarded, evidence: Evidence, state: MonitorState) -> dict[str, int]:
    """Consecutive windows of each finding, this one included. A window that cannot be judged leaves them as they were."""
    before = state.streaks_of(evidence.version)
    if evidence.drift is None or evidence.drift.faults or evidence.violation_rate > policy.violation_rate:
        return dict(before)
    return {name: before.get(name, 0) + 1 for name in findings(policy, evidence)}


def _nearest(checks: tuple[DriftCheck, ...]) -> tuple[str, ...]:
    """The three checks that came closest, each with what it lacked."""
    closest = sorted(checks, key=lambda check: -check.effect / check.least_effect)[:3]
    return tuple(
        f"{check.name}: effect above {check.least_effect:.3f} (now {check.effect:.3f}) and adjusted p below {check.alpha:g} (now {check.p_adjusted:.2g})"
        for check in closest
    )
