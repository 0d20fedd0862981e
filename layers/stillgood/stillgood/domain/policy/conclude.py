"""What a window comes to: the policy's decision, held back and told as it must be. Pure, so a report replays."""

from stillgood.domain.policy.acted import hold_back
from stillgood.domain.policy.evidence import Evidence, Policy, PolicyDecision
from stillgood.domain.policy.standing import Standing, stand, watched, with_standing
from stillgood.domain.policy.state import MonitorState


def conclude(
    policy: Policy, evidence: Evidence, state: MonitorState, *, point: str, watching: bool
) -> tuple[PolicyDecision, tuple[Standing, ...]]:
    """The decision as it is reported, and what stands after the window.

    ``point``: what the operating point waits for a person with, empty for nothing. ``watching``: mode "watch", in which
    what would be done is only told. A late window changes nothing that stands.
    """
    decision = hold_back(policy.decide(evidence, state), evidence)
    before = tuple(map(Standing.from_dict, state.standing))
    if evidence.late:
        return decision, before
    after = stand(evidence, policy, decision, before, point)
    return with_standing(watched(decision) if watching else decision, before, after), after
