"""What is not learnt from, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.contract.row_check import Violation


@dataclass(frozen=True, slots=True)
class Refused:
    """A row, or a whole object (``row`` None), that is not learnt from. ``row`` counts data rows from 1, ``line`` the
    file's lines.

    ``raw`` is what stood in the contract's columns, but for personal data and for rows that do not fit their header.
    """

    source: str
    row: int | None
    violations: tuple[Violation, ...]
    raw: Mapping[str, object] | None = None
    line: int | None = None

    def to_dict(self) -> dict[str, Any]:
        violations = [
            {"field": violation.field, "rule": violation.rule, "value": violation.value, "message": violation.message}
            for violation in self.violations
        ]
        raw = None if self.raw is None else dict(self.raw)
        return {"source": self.source, "row": self.row, "line": self.line, "violations": violations, "raw": raw}

    @classmethod
    def whole(cls, source: str, rule: str, message: str) -> "Refused":
        """An object of which no row is learnt from."""
        return cls(source, None, (Violation("(object)", rule, None, f"{source}: {message}"),))
