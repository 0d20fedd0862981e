"""The plain rule: any drift or less confidence, then retrain."""

from dataclasses import dataclass, field

from stillgood.domain.drift.detect import DISTRIBUTION_TESTS, Thresholds
from stillgood.domain.policy.evidence import Evidence, PolicyDecision, figures_of, not_enough
from stillgood.domain.policy.state import MonitorState


@dataclass(frozen=True, slots=True)
class Simple:
    """IF drift OR confidence degraded THEN retrain.

    Drift: the KS or chi-square p of any feature below ``alpha``, uncorrected, of whatever size. Degraded: mean
    confidence more than ``tolerance`` (a share) below the reference's. It fires on one harmless window in five; kept to
    compare with.
    """

    alpha: float = 0.05
    tolerance: float = 0.05
    thresholds: Thresholds = field(default_factory=Thresholds)
    violation_rate: float = 0.05
    name: str = "simple"

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        figures = figures_of(evidence) | {"rules": {"alpha": self.alpha, "tolerance": self.tolerance}}
        if evidence.drift is None or evidence.rows < evidence.min_rows:
            return not_enough(self.name, evidence, figures)
        features = [check for check in evidence.drift.checks if check.test in DISTRIBUTION_TESTS]
        drifted = sorted((check for check in features if check.p < self.alpha), key=lambda check: check.p)
        confidence = evidence.drift.confidence
        reasons = [f"{check.name}: p {check.p:.2g} is below {self.alpha:g}" for check in drifted]
        if confidence.degraded(self.tolerance):
            reasons.append(
                f"mean confidence {confidence.mean:.3f} is {-confidence.change:.1%} below the reference's"
                f" {confidence.reference_mean:.3f}"
            )
        if reasons:
            change = (
                f"every p at or above {self.alpha:g} and mean confidence within {self.tolerance:.0%} of the reference"
            )
            return PolicyDecision("retrain", self.name, tuple(reasons), figures, (change,))
        smallest = min(features, key=lambda check: check.p, default=None)
        changes = [f"mean confidence below {confidence.reference_mean * (1 - self.tolerance):.3f}"]
        if smallest is not None:
            changes.insert(0, f"any p below {self.alpha:g}; the least was {smallest.p:.2g} ({smallest.name})")
        return PolicyDecision(
            "nothing",
            self.name,
            ("no feature drifted and the model is as confident as it was",),
            figures,
            tuple(changes),
        )
