"""A jump of repairs is a fault upstream: a column that arrives blank and is filled by ``if_missing`` breaks no rule."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stillgood.domain.drift.two_sample import categories

if TYPE_CHECKING:
    from stillgood.domain.policy.evidence import Evidence
    from stillgood.domain.policy.state import MonitorState

MIN_JUMP = 0.05  # of the share of rows repaired
CAP = 100_000  # rows that are remembered as usual


def jumps(evidence: "Evidence", state: "MonitorState", alpha: float) -> dict[str, str]:
    """Features that were repaired more often than in the windows before under the same champion, with the reason.

    The 2 x 2 table of repaired and other rows, then and now, has to differ by Fisher's or the chi-square test at
    ``alpha`` over all features that were repaired (Bonferroni), and by MIN_JUMP. A champion's first window sets the
    standard; windows with too few rows are not compared.
    """
    usual = state.repairs if state.version == evidence.version else {}
    rows = usual.get("", 0)
    if evidence.rows < evidence.min_rows or not rows:
        return {}
    reasons = {}
    for name, count in evidence.repairs.items():
        before = usual.get(name, 0)
        now, then = count / evidence.rows, before / rows
        p = categories(np.array([rows - before, before]), np.array([evidence.rows - count, count])).p
        if now - then > MIN_JUMP and p < alpha / len(evidence.repairs):
            reasons[name] = f"{name} was blank and repaired in {now:.1%} of the rows, {then:.1%} before, p {p:.2g}"
    return reasons


def remembered(evidence: "Evidence", state: "MonitorState", alpha: float) -> Mapping[str, int]:
    """The counts of usual windows, rows under the name "", with this one's unless it jumped."""
    usual = dict(state.repairs) if state.version == evidence.version else {}
    if evidence.rows < evidence.min_rows or usual.get("", 0) >= CAP or jumps(evidence, state, alpha):
        return usual
    for name, count in {"": evidence.rows, **evidence.repairs}.items():
        usual[name] = usual.get(name, 0) + count
    return usual
