"""What is known of actions when a window is judged: how many rows are left alone, and whether anybody acts at all."""

from dataclasses import dataclass
from typing import Any

from stillgood.domain.actions.jump import Jump


@dataclass(frozen=True, slots=True)
class ActionEvidence:
    """``declared``: "none", "control" (somebody is left alone), "all" (nobody is), or "" where the contract is silent.

    ``control`` and ``treated``: labelled rows of the champion of either group; ``effective``: the effective number of
    rows that judge. ``observed``: whether outcomes of flagged rows are known as they would be without the action;
    where they are not, no figure of them is given. ``jump``: of outcomes at the threshold, None where too few rows say.
    """

    declared: str = ""
    control: int = 0
    treated: int = 0
    effective: float = 0.0
    observed: bool = True
    jump: Jump | None = None

    @property
    def acted(self) -> bool:
        """Whether somebody is found to act though the contract does not say so."""
        return self.declared == "" and self.jump is not None and self.jump.detected

    def to_dict(self) -> dict[str, Any]:
        return {
            "declared": self.declared or "undeclared",
            "control": self.control,
            "treated": self.treated,
            "effective_rows": round(self.effective, 1),
            "observed": self.observed,
            "jump": None if self.jump is None else self.jump.to_dict(),
        }
