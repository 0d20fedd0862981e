"""Policies to compare with: never learn again, and learn from every window."""

from dataclasses import dataclass, field

from stillgood.domain.drift.detect import Thresholds
from stillgood.domain.policy.evidence import Evidence, Policy, PolicyDecision, figures_of
from stillgood.domain.policy.policies import POLICIES
from stillgood.domain.policy.state import MonitorState


@dataclass(frozen=True, slots=True)
class Never:
    """Watches and does nothing."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    violation_rate: float = 0.05
    name: str = "never"

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        return PolicyDecision("nothing", self.name, ("the first model stays",), figures_of(evidence), ())


@dataclass(frozen=True, slots=True)
class Always:
    """Asks to learn from every window; the driver puts the candidate in force without a gate."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    violation_rate: float = 0.05
    name: str = "always"

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        return PolicyDecision("retrain", self.name, ("every window is learnt from",), figures_of(evidence), ())


COMPARED: dict[str, Policy] = {"never": Never(), "always": Always(), **POLICIES}
