"""What a policy came to, window by window and on the mean, and whether policies differ by more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.evaluation import roc_auc
from stillgood.domain.model.net_value import net_value
from stillgood.simulation.driver import WindowResult
from stillgood.storage.windows import Window, iso

METRICS = ("roc_auc", "recall", "precision", "flagged_share", "brier", "value")
MIN_WINDOWS = 6  # below this a difference between policies is not tested
_DRAWS = 2000


def window_row(result: WindowResult, contract: Contract) -> dict[str, Any]:
    """One window's figures, JSON-able. A figure that the window's rows do not give is None; ``value`` is per 1,000
    rows.
    """
    known = ~result.refused & (result.y >= 0)
    y, p, flagged = result.y[known] == 1, result.probability[known], result.flagged[known]
    hits, positives, n_flagged = int((y & flagged).sum()), int(y.sum()), int(flagged.sum())
    both = 0 < positives < len(y)
    costs = contract.costs
    answered = ~result.refused
    row: dict[str, Any] = {
        "window": result.window.id,
        "start": iso(result.window.start),
        "end": iso(result.window.end),
        "rows": len(result.y),
        "refused": int(result.refused.sum()),
        "labelled": len(y),
        "positives": positives,
        "champion": result.champion,
        "roc_auc": roc_auc(p, y) if both else None,
        "recall": hits / positives if positives else None,
        "precision": hits / n_flagged if n_flagged else None,
        "flagged_share": float(result.flagged[answered].mean()) if answered.any() else None,
        "brier": float(np.mean((p - y) ** 2)) if len(y) else None,
        "value": net_value(hits, n_flagged, len(y), costs) if costs is not None and len(y) else None,
    }
    row["under_floor"] = _under(row, contract)
    row["action"] = result.action
    row["retrained"], row["promoted"] = result.did("trained"), result.did("promoted")
    row["rolled_back"] = result.did("rolled back")
    row["decisions"] = _decisions(result)
    row["signals"] = signals(result.report)
    row["error"] = result.error
    return row


def signals(report: Mapping[str, Any] | None) -> list[str]:
    """The names of what raised its voice in a window's report, whatever became of it."""
    if report is None:
        return []
    drift = report.get("drift") or {}
    names = [f"{name}" for name in drift.get("drifted", ())] + [f"{name} (fault)" for name in drift.get("faults", ())]
    estimated = (report.get("estimated_performance") or {}).get("roc_auc")
    promised = ((report.get("realised_performance") or {}).get("promised") or {}).get("roc_auc") or {}
    if estimated is not None and promised and promised["value"] - _value(estimated) > 0.02:
        names.append("estimated performance")
    return sorted(set(names))


def _value(estimate: Any) -> float:
    return float(estimate["value"]) if isinstance(estimate, Mapping) else float(estimate)


def _under(row: Mapping[str, Any], contract: Contract) -> bool | None:
    """Whether a figure lies under a floor that the contract's objective leaves in force; None where none is known."""
    floors = contract.floors_that_judge
    known = [row[name] < getattr(floors, name) for name in ("roc_auc", "precision", "recall") if row[name] is not None]
    return any(known) if known else None


def _decisions(result: WindowResult) -> list[dict[str, Any]]:
    """What was decided in the window, in words, in order."""
    decisions = []
    if result.report is not None and result.action != "nothing":
        decisions.append(
            {"step": "monitor", "result": result.action, "reasons": list(result.report["decision"]["reasons"])}
        )
    decisions += [
        {"step": event.step, "result": event.result, "reasons": list(event.reasons)}
        for event in result.events
        if (event.step, event.result) != ("train", "trained")
    ]
    return decisions


def summary(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A policy's year: means over its windows, and counts. ``days_under_floor``: of windows with a figure under it."""
    figures: dict[str, Any] = {name: _mean([row[name] for row in windows]) for name in METRICS}
    figures |= {
        "promotions": sum(row["promoted"] for row in windows),
        "retrains": sum(row["retrained"] for row in windows),
        "rollbacks": sum(row["rolled_back"] for row in windows),
        "alerts": sum(row["action"] == "alert" for row in windows),
        "days_under_floor": sum(_days(row) for row in windows if row["under_floor"]),
        "refused": sum(row["refused"] for row in windows),
        "errors": sum(row["error"] is not None for row in windows),
    }
    return figures


def _days(row: Mapping[str, Any]) -> float:
    window = Window.from_id(row["window"])
    return (window.end - window.start) / timedelta(days=1)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True, slots=True)
class Difference:
    """``metric`` of policy ``a`` minus that of ``b`` on the mean over ``windows`` that both have, with its 95%
    interval.

    ``low`` and ``high`` are None where there are too few windows to say.
    """

    a: str
    b: str
    metric: str
    value: float
    low: float | None
    high: float | None
    windows: int

    @property
    def shown(self) -> bool:
        """Whether the data say that they differ: the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def to_dict(self) -> dict[str, Any]:
        return {
            "a": self.a,
            "b": self.b,
            "metric": self.metric,
            "difference": self.value,
            "low": self.low,
            "high": self.high,
            "windows": self.windows,
            "shown": self.shown,
        }


def differences(policies: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Difference]:
    """Each pair of policies on each metric, paired over the windows."""
    names, compared = list(policies), []
    for metric in METRICS:
        for place, a in enumerate(names):
            for b in names[:place]:
                pairs = [
                    (row[metric], other[metric])
                    for row, other in zip(policies[a], policies[b], strict=True)
                    if row[metric] is not None and other[metric] is not None
                ]
                if pairs:
                    gaps = np.array([value - other for value, other in pairs])
                    low, high = _interval(gaps)
                    compared.append(Difference(a, b, metric, float(gaps.mean()), low, high, len(gaps)))
    return compared


def _interval(gaps: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    return block_interval(gaps) if len(gaps) >= MIN_WINDOWS else (None, None)


def block_interval(gaps: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean of a series by the circular block bootstrap (Politis and Romano 1992): neighbouring
    windows are alike,
    so blocks of ``round(n ** (1/3))`` are drawn instead of single windows. Percentiles of 2,000 draws.

    >>> import numpy as np
    >>> low, high = block_interval(np.array([0.01, 0.02, 0.015, 0.012, 0.018, 0.011]))
    >>> 0.01 < low < 0.0143 < high < 0.02
    True
    """
    n = len(gaps)
    length = max(1, round(n ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(n, size=(_DRAWS, -(-n // length)))
    index = ((starts[:, :, None] + np.arange(length)) % n).reshape(_DRAWS, -1)[:, :n]
    means = gaps[index].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
