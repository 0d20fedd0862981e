"""Where outcomes of flagged rows are not known as they would be without the action, nothing is done because of them."""

from dataclasses import replace

from stillgood.domain.actions.evidence import ActionEvidence
from stillgood.domain.policy.evidence import Evidence, PolicyDecision

ACTED = "actions"  # the name of the state that stands
_HELD = {"retrain": "no retrain", "recalibrate": "no recalibration", "roll_back": "no rollback"}


def hold_back(decision: PolicyDecision, evidence: Evidence) -> PolicyDecision:
    """``decision``, but nothing that learns from outcomes of flagged rows, or judges by them, while they are unseen."""
    if evidence.outcomes.actions.observed or decision.action not in _HELD:
        return decision
    why = f"{_HELD[decision.action]}: flagged predictions are acted on, so their outcomes neither judge nor teach"
    change = "outcomes of flagged customers who are left alone (actions.control_share in the contract)"
    return replace(
        decision,
        action="alert",
        reasons=(*decision.reasons, why),
        would_change=(*decision.would_change, change),
    )


def message_of(actions: ActionEvidence) -> tuple[str, str] | None:
    """What stands, and what it waits for; None where every outcome is observed, or soon will be."""
    if actions.acted and actions.jump is not None:
        jump = actions.jump
        return (
            "people act on these predictions: right above the threshold the positive outcome is some"
            f" {jump.prevented:.0%} rarer than just below it lets expect ({jump.size:+.3f}, standard error"
            f" {jump.standard_error:.3f}); realised ROC-AUC, recall, precision and calibration are not given, and"
            " flagged outcomes neither judge nor teach",
            "the action declared in the contract (actions), best with control_share 0.05: 5% of flagged customers left"
            ' alone say what the model and the action are worth; actions: "none" if nobody acts',
        )
    if actions.declared == "all" and not actions.observed:
        return (
            "the contract declares actions and leaves nobody alone (control_share 0): realised ROC-AUC, recall,"
            " precision and calibration are not given, and flagged outcomes neither judge nor teach",
            "a control_share above 0, such as 0.05",
        )
    return None
