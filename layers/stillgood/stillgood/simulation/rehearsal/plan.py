"""What a rehearsal is asked to do."""

from dataclasses import asdict, dataclass
from typing import Any

from stillgood.domain.errors import InvalidEvent

POLICIES = ("never", "always", "simple", "guarded")


class HistoryInvalid(InvalidEvent):
    """The history cannot be rehearsed as it is; the message says what to mend. Nothing was written."""

    slug, title = "history-invalid", "This history cannot be rehearsed"


@dataclass(frozen=True, slots=True)
class Plan:
    """``window_days``: the length of a window. ``window_column``: windows are its values instead, in the order in which
    they come. ``label_delay_days``: when an outcome becomes known after its row, unless the column ``label_time`` says
    when it did. ``action_column``: what was done about a row, blank where nothing was; outcomes under an action neither
    teach nor judge.

    ``first``: of so many windows the first model learns, all their outcomes known. ``label_coverage``: the share of
    outcomes that ever become known; ``label_flagged_only``: only those of flagged rows do. ``slices``: calls of predict
    a window, each at the time of its last row. ``sort``: put rows in the order of time first. ``seed`` draws which
    outcomes become known.
    """

    window_days: float = 30.0
    label_delay_days: float = 30.0
    label_time: str | None = None
    action_column: str | None = None
    window_column: str | None = None
    first: int = 3
    label_coverage: float = 1.0
    label_flagged_only: bool = False
    policies: tuple[str, ...] = POLICIES
    slices: int = 8
    sort: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.policies) - set(POLICIES)):
            raise HistoryInvalid(f"There is no policy {unknown[0]!r}; there are {', '.join(POLICIES)}.")
        if not self.policies or len(set(self.policies)) < len(self.policies):
            raise HistoryInvalid("Name each policy once, and at least one.")
        if not self.window_days > 0 or not self.label_delay_days >= 0:
            raise HistoryInvalid("A window is longer than nothing, and a label's delay is not negative.")
        if self.first < 1 or self.slices < 1 or not 0 < self.label_coverage <= 1:
            raise HistoryInvalid("first and slices are at least 1, and label_coverage is a share above 0, at most 1.")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "policies": list(self.policies)}


def in_days(number: float) -> str:
    """
    >>> in_days(1), in_days(2.5)
    ('1 day', '2.5 days')
    """
    return f"{number:g} day{'s' * (number != 1)}"
