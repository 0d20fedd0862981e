"""Were the alarms worth it? Each signal of a policy's windows against the losses that the windows' own labels show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stillgood.domain.statistics.delong import auc_estimate
from stillgood.domain.statistics.intervals import Z95
from stillgood.simulation.driver import WindowResult

HORIZON = 3  # windows after an alarm within which a loss counts as announced by it
LEAST_LOSS = 0.02  # ROC-AUC
MIN_ALARMS = 3  # of a signal, before it is called one that never paid
_MIN_PER_CLASS = 5
_ONE_SIDED_95 = 1.6448536269514722


def lost(result: WindowResult, promised: Mapping[str, Any]) -> bool | None:
    """Whether the champion's ROC-AUC on the window's labelled rows is demonstrably under what was ``promised`` at its
    promotion:

    lower by more than ``LEAST_LOSS``, and beyond chance (one-sided z test at .05, the promise having an error of its
    own). None where the window has too few rows of either outcome, or nothing was promised.
    """
    known = ~result.refused & (result.y >= 0)
    y, p = result.y[known], result.probability[known]
    if not promised or min(int(y.sum()), int(len(y) - y.sum())) < _MIN_PER_CLASS:
        return None
    estimate = auc_estimate(p, y)
    error = float(np.hypot(promised["high"] - promised["low"], estimate.high - estimate.low)) / (2 * Z95)
    gap = float(promised["value"]) - estimate.value
    return gap > LEAST_LOSS and gap > _ONE_SIDED_95 * error


def worth(windows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each signal: its alarms, how many were followed by a loss within ``HORIZON`` windows (its own included), how
    many of the
    losses it announced, and by how many windows on the mean. ``base_rate``: the share of all windows that a loss
    follows, which is what an alarm that rings always would reach. "any" stands for all of them together. The most
    useful first.
    """
    losses = [bool(row["lost"]) for row in windows]
    names = sorted({name for row in windows for name in row["signals"]})
    rows = [_worth(name, [name in row["signals"] for row in windows], losses) for name in names]
    rows.append(_worth("any", [bool(row["signals"]) for row in windows], losses))
    return sorted(rows, key=lambda row: (-(row["recall"] or 0), -(row["precision"] or 0), row["signal"]))


def _worth(name: str, alarms: Sequence[bool], losses: Sequence[bool]) -> dict[str, Any]:
    n = len(losses)
    paid = [any(losses[at : at + HORIZON + 1]) for at in range(n) if alarms[at]]
    leads = [
        max(back for back in range(min(HORIZON, at) + 1) if alarms[at - back])
        for at in range(n)
        if losses[at] and any(alarms[max(at - HORIZON, 0) : at + 1])
    ]
    total = sum(losses)
    return {
        "signal": name,
        "alarms": len(paid),
        "paid": sum(paid),
        "precision": sum(paid) / len(paid) if paid else None,
        "base_rate": float(np.mean([any(losses[at : at + HORIZON + 1]) for at in range(n)])) if n else None,
        "losses": total,
        "announced": len(leads),
        "recall": len(leads) / total if total else None,
        "windows_before": float(np.mean(leads)) if leads else None,
        "never_paid": len(paid) >= MIN_ALARMS and not any(paid),
    }
