"""Monitor's figures of the action: of predictions that judge, in either group, and of nothing else."""

from datetime import date

import numpy as np
from stillgood.domain.outcomes.ledger import OutcomeDay, blank
from stillgood.steps.monitor.worth import flagged

DAY = date(2026, 1, 1)


def test_only_rows_of_either_group_whose_outcome_counts_are_compared() -> None:
    records = blank(5)
    records["id"], records["group"] = np.arange(5), [0, 1, 2, 3, 2]  # none, control, treated, exempt, treated
    day = OutcomeDay(DAY, records, {})
    every = np.ones(5, bool)
    positive = np.array([True, True, False, True, True])
    rows, outcomes = flagged({DAY: day}, {DAY: (every, positive)})
    assert (rows["id"].tolist(), outcomes.tolist()) == ([1, 2, 4], [True, False, True])
    rows, _ = flagged({DAY: day}, {DAY: (every & (records["id"] != 4), positive)})  # a caller whose rows nobody labels
    assert rows["id"].tolist() == [1, 2]
    assert not len(flagged({DAY: day}, {})[0])
