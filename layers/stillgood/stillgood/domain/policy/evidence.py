"""What a policy may look at, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from stillgood.domain.drift.callers import CallerRows
from stillgood.domain.drift.detect import DriftReport, Thresholds
from stillgood.domain.drift.performance import EstimatedPerformance, RealisedPerformance
from stillgood.domain.model.evaluation import Estimate
from stillgood.domain.outcomes.evidence import OutcomeEvidence
from stillgood.domain.policy.senders import CallerJump
from stillgood.domain.policy.state import MonitorState

Action = Literal["nothing", "alert", "recalibrate", "retrain", "roll_back"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a policy may look at.

    ``window``: its id; ``at``: its end (aware, UTC). ``version``: the champion. ``rows`` accepted and ``refused`` rows;
    ``violations``: refused rows by (field, rule); ``repairs``: rows in which a blank was filled, by
    feature. ``min_rows``: below it nothing is decided.
    ``drift`` is None when there were too few rows to look; ``estimated`` and ``realised`` when there is no such figure.
    ``outcomes``: the labelled predictions behind ``realised``, with the trusted and distrusted spans;
    ``realised_recent`` is of their newest stretch only, None where that is all of them or too few. ``recall_floor``:
    what the contract wants the threshold to reach, 0 when it comes from costs; ``roc_auc_floor`` of any model.
    ``previous_gain``: ROC-AUC of the previous champion minus the champion's on the same labelled rows.
    ``learnt_rows`` the champion was fitted on, ``weights`` it has, ``unlearnt_rows``: labelled predictions since.
    ``new_labelled_rows``: labelled rows that the champion was not trained on; ``data_sha256`` names all labelled data.
    ``labels``: what became of the labels, JSON-able, for the report. ``late``: a later window has been decided already.
    ``pooled_since``: the rows are those of all windows since then (aware, UTC), which had too few each; None where they
    are the window's own. ``callers``: rows by who sent them, as far as it is known; ``largest_refusal``: refused rows
    of the request that had most. ``left_out``: callers who jumped; what is here of rows is without theirs.
    """

    window: str
    at: datetime
    version: str
    rows: int
    min_rows: int
    refused: int = 0
    violations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)
    drift: DriftReport | None = None
    estimated: EstimatedPerformance | None = None
    realised: RealisedPerformance | None = None
    previous_gain: Estimate | None = None
    new_labelled_rows: int = 0
    data_sha256: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)
    late: bool = False
    recall_floor: float = 0.0
    roc_auc_floor: float = 0.0
    outcomes: OutcomeEvidence = field(default_factory=OutcomeEvidence)
    realised_recent: RealisedPerformance | None = None
    learnt_rows: int = 0
    unlearnt_rows: int = 0
    weights: int = 0
    pooled_since: datetime | None = None
    callers: Mapping[str, CallerRows] = field(default_factory=dict)
    largest_refusal: int = 0
    left_out: tuple[CallerJump, ...] = ()

    @property
    def violation_rate(self) -> float:
        """Share of the window's rows that broke the contract, 0 to 1."""
        total = self.rows + self.refused
        return self.refused / total if total else 0.0

    @property
    def trusted_realised(self) -> RealisedPerformance | None:
        """Realised performance of all customers, of the newest stretch that says something; None when the labelled ones
        were
        selected: a narrower range of scores lowers the ROC-AUC by itself, and a share of positives among the chosen is
        no share.
        """
        realised = self.realised_recent or self.realised
        return None if realised is None or realised.biased else realised


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """What to do, and why. ``figures`` is JSON-able; ``would_change`` says what else would have led to another
    action.
    """

    action: Action
    policy: str
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]
    would_change: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "policy": self.policy,
            "reasons": list(self.reasons),
            "figures": dict(self.figures),
            "would_change": list(self.would_change),
        }


class Policy(Protocol):
    """A rule from evidence to an action."""

    @property
    def name(self) -> str:
        """As settings and reports call it."""

    @property
    def thresholds(self) -> Thresholds:
        """What counts as drift."""

    @property
    def violation_rate(self) -> float:
        """Share of refused rows above which nothing else about the window is believed, unless one sender's are all."""

    def decide(self, evidence: Evidence, state: MonitorState) -> PolicyDecision:
        """Pure: the same evidence and state give the same decision."""


def not_enough(policy: str, evidence: Evidence, figures: Mapping[str, Any]) -> PolicyDecision:
    """Nothing, since there are too few rows to decide on."""
    since = f" since {evidence.pooled_since:%Y-%m-%d %H:%M} UTC" if evidence.pooled_since else ""
    reason = f"not enough evidence: {evidence.rows} rows{since}, {evidence.min_rows} are needed"
    change = f"{evidence.min_rows - evidence.rows} more predictions: the next windows are judged together with this one"
    return PolicyDecision("nothing", policy, (reason,), figures, (change,))


def figures_of(evidence: Evidence) -> dict[str, Any]:
    """The figures that every policy's decision carries, JSON-able."""
    drift = evidence.drift
    return {
        "rows": evidence.rows,
        "refused": evidence.refused,
        "violation_rate": evidence.violation_rate,
        "min_rows": evidence.min_rows,
        "drifted": [check.name for check in drift.drifted] if drift else [],
        "directions": {check.name: check.direction for check in drift.drifted if check.direction} if drift else {},
        "drifted_share": drift.share if drift else None,
        "confidence_change": drift.confidence.change if drift else None,
        "estimated_roc_auc": evidence.estimated.roc_auc if evidence.estimated else None,
        "realised_roc_auc": evidence.realised.metrics.roc_auc.to_dict() if evidence.realised else None,
        "realised_trusted": evidence.trusted_realised is not None,
        "new_labelled_rows": evidence.new_labelled_rows,
        "unlearnt_rows": evidence.unlearnt_rows,
        "data_sha256": evidence.data_sha256,
    }
