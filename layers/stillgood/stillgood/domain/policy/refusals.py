"""Whose rows are refused: a sender who breaks the contract alone is no fault upstream, and nobody else is judged by it.

Refused rows are weighed by who sent them. One caller, or one request where nobody is known, is set aside if all others
keep the contract and too few of its rows were answered to matter; it is named, and the rest is judged.
"""

from dataclasses import dataclass

from stillgood.domain.drift.callers import CallerRows
from stillgood.domain.policy.evidence import Evidence

MAX_SHARE = 0.2  # of the answered rows; who sends more of them is what this model is for


@dataclass(frozen=True, slots=True)
class SetAside:
    """``caller``: whose ``refused`` rows are set aside; None: those of one request of nobody known. ``rate``: refused
    share of all other rows.
    """

    caller: str | None
    refused: int
    rate: float

    @property
    def name(self) -> str:
        return f"caller {self.caller}" if self.caller else "one request"


def set_aside(evidence: Evidence, limit: float) -> SetAside | None:
    """The one sender without whom at most ``limit`` (a share) of the rows are refused; None if there is none, or if the
    rows keep to ``limit`` with everybody.

    At least ``min_rows`` answered rows must be left, and a caller has sent at most ``MAX_SHARE`` of all answered rows.
    """
    if evidence.violation_rate <= limit:
        return None
    by_refused = sorted(evidence.callers.items(), key=lambda item: (-item[1].refused, item[0]))
    senders = [(name, rows) for name, rows in by_refused[:1] if rows.accepted <= MAX_SHARE * evidence.rows]
    for name, rows in (*senders, (None, CallerRows(0, evidence.largest_refusal))):
        accepted, refused = evidence.rows - rows.accepted, evidence.refused - rows.refused
        if rows.refused and accepted >= evidence.min_rows and refused <= limit * (accepted + refused):
            return SetAside(name, rows.refused, refused / (accepted + refused))
    return None


def broken_upstream(evidence: Evidence, limit: float) -> bool:
    """Whether more than ``limit`` (a share) of the rows are refused, and no single sender explains it."""
    return evidence.violation_rate > limit and set_aside(evidence, limit) is None
