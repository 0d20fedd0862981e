"""What is not done, and what stands, where outcomes of flagged rows are not known as without the action."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from stillgood.domain.actions.evidence import ActionEvidence
from stillgood.domain.actions.jump import Jump
from stillgood.domain.outcomes.evidence import OutcomeEvidence
from stillgood.domain.policy.acted import hold_back, message_of
from stillgood.domain.policy.evidence import Action, Evidence, PolicyDecision

FOUND = Jump(-0.2, 0.03, 0.4, 1e6, 3000)


def evidence(actions: ActionEvidence) -> Evidence:
    outcomes = OutcomeEvidence(actions=actions)
    return Evidence("w", datetime(2026, 1, 1, tzinfo=UTC), "v1", 500, 200, outcomes=outcomes)


@pytest.mark.parametrize("action", ["retrain", "recalibrate", "roll_back"])
def test_nothing_that_goes_by_unobserved_outcomes_is_done(action: Action) -> None:
    decision = PolicyDecision(action, "guarded", ("drift",), {}, ())
    held = hold_back(decision, evidence(ActionEvidence(observed=False)))
    assert held.action == "alert"
    assert "neither judge nor teach" in held.reasons[-1]
    assert hold_back(decision, evidence(ActionEvidence())) == decision


def test_an_alert_stays_what_it_is() -> None:
    decision = PolicyDecision("alert", "guarded", ("fault",), {}, ())
    assert hold_back(decision, evidence(ActionEvidence(observed=False))) == decision


def test_what_stands_says_how_much_is_prevented_and_what_to_do() -> None:
    message = message_of(ActionEvidence(jump=FOUND))
    assert message is not None
    assert "50% rarer" in message[0]
    assert "control_share 0.05" in message[1]


def test_who_says_that_nobody_acts_is_not_told_otherwise() -> None:
    assert message_of(ActionEvidence(declared="none", jump=FOUND)) is None
    assert message_of(ActionEvidence(declared="control", jump=None)) is None
    assert message_of(ActionEvidence(jump=replace(FOUND, e=10.0))) is None


def test_leaving_nobody_alone_stands() -> None:
    assert message_of(ActionEvidence(declared="all", observed=True)) is None
    message = message_of(ActionEvidence(declared="all", observed=False))
    assert message is not None
    assert "leaves nobody alone" in message[0]
