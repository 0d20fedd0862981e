"""What a draft says of a file: notes for the person, and what the file's own words mean."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DraftNote:
    """``column`` "" is the whole file. ``change``: what to write, or which option to give, for another decision; "" for
    none.
    """

    column: str
    seen: str
    decided: str
    change: str = ""

    def __str__(self) -> str:
        place = f"{self.column}: " if self.column else ""
        return f"{place}{self.seen}; {self.decided}." + (f" {self.change}." if self.change else "")

    def to_dict(self) -> dict[str, str]:
        return {"column": self.column, "seen": self.seen, "decided": self.decided, "change": self.change}


@dataclass(slots=True)
class Words:
    """What the file's own words mean: collected column by column, for ``source``."""

    missing: dict[str, None]
    true: dict[str, None]
    false: dict[str, None]
    date_formats: Counter[str]
