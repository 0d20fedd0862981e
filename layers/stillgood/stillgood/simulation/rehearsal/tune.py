"""Settings by evidence: a small grid is compared on the first two thirds of the windows, and the choice is shown on the
last third.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median
from typing import Any

import numpy as np

from stillgood.domain.contract.changes import changes
from stillgood.domain.contract.contract import Contract
from stillgood.simulation.rehearsal.figures import block_interval
from stillgood.simulation.rehearsal.plan import Plan, in_days
from stillgood.simulation.rehearsal.play import Kept, played_each
from stillgood.simulation.worlds.history import History

MIN_WINDOWS = 9  # six to choose by, three to look at
METRIC = "roc_auc"


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid: ``name`` in words, and the contract that it makes."""

    name: str
    contract: Contract


def grid(contract: Contract, plan: Plan, window_days: float) -> list[Setting]:
    """The contract as it is first, then one change at a time: what the model remembers, when labels are mature, which
    family learns. ``window_days``: the length of a usual window, which a column of windows may make another than the
    plan's.
    """
    training, monitoring = contract.training, contract.monitoring
    settings = [Setting("as it is", contract)]
    for windows in (3, 6, 12):
        days = window_days * windows
        if days != training.window_days:
            changed = replace(training, window_days=days)
            settings.append(Setting(f"learn from the last {days:g} days", replace(contract, training=changed)))
    if training.window_days is not None:
        settings.append(Setting("learn from all rows", replace(contract, training=replace(training, window_days=None))))
    if (delay := plan.label_delay_days) != monitoring.label_maturity_days and plan.label_time is None:
        changed_monitoring = replace(monitoring, label_maturity_days=delay)
        settings.append(
            Setting(
                f"labels are mature after {in_days(delay)}",
                replace(contract, monitoring=changed_monitoring),
            )
        )
    for family in ("logistic", "boosted"):
        if training.family not in (family, "auto"):
            changed = replace(training, family=family)
            settings.append(Setting(f"family {family}", replace(contract, training=changed)))
    return settings


def tune(
    world: History,
    plan: Plan,
    *,
    as_it_is: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Play guarded with every setting. JSON-able: the grid, the choice, and both on the last third. ``as_it_is``:
    what guarded did under the world's contract, where that was played already. ``kept``: where settings are that an
    earlier call finished, and where this call keeps those that it finishes.

    A setting is recommended only if on the first two thirds it is better than the contract as it is by more than the
    block bootstrap's 95% interval; that several were tried is why the last third is shown, not why the interval is
    believed.
    """
    lengths = [(span.end - span.start) / timedelta(days=1) for span in world.spans]
    settings = grid(world.contract, plan, round(median(lengths), 2))
    n = len(world.spans)
    cut = n - n // 3
    if n < MIN_WINDOWS:
        why = f"{n} windows are too few to choose by: {MIN_WINDOWS} are needed, six to choose by and three to look at."
        return {"windows": n, "chosen_on": 0, "grid": [], "choice": None, "why": why, "changes": []}
    played = _played(world, settings, as_it_is, kept, progress, workers)
    rows = [_series(played[setting.name]["windows"]) for setting in settings]
    default = rows[0]
    compared = [_row(setting.name, series, default, cut) for setting, series in zip(settings, rows, strict=True)]
    better = [row for row in compared[1:] if row["low"] is not None and row["low"] > 0]
    choice = max(better, key=lambda row: row["choosing"], default=None)
    if choice is None:
        why = (
            "No setting is demonstrably better than the contract as it is on the first two thirds; nothing is"
            " recommended."
        )
        return {"windows": n, "chosen_on": cut, "grid": compared, "choice": None, "why": why, "changes": []}
    chosen = next(setting for setting in settings if setting.name == choice["setting"])
    why = (
        f"{chosen.name}: better by {choice['gain']:.4f} on the first {cut} windows ({choice['low']:.4f} to"
        f" {choice['high']:.4f}); on the last {n - cut}, {_shown(choice['looking'])} against"
        f" {_shown(compared[0]['looking'])} as it is."
    )
    changed = [{"place": change.place, "what": change.what} for change in changes(world.contract, chosen.contract)]
    return {"windows": n, "chosen_on": cut, "grid": compared, "choice": chosen.name, "why": why, "changes": changed}


def _played(
    world: History,
    settings: Sequence[Setting],
    as_it_is: Mapping[str, Any] | None,
    kept: Kept | None,
    progress: Callable[[str, int, int], None] | None,
    workers: int,
) -> dict[str, Mapping[str, Any]]:
    """By name, what guarded did under each setting; what is kept is not played again."""
    shas = {setting.name: setting.contract.sha256 for setting in settings}
    played: dict[str, Mapping[str, Any]] = {}
    if kept is not None:
        played = {name: known for name, sha in shas.items() if (known := kept.read_setting(sha)) is not None}
    if as_it_is is not None:
        played[settings[0].name] = as_it_is
    plays = {
        setting.name: (world.under(setting.contract), "guarded") for setting in settings if setting.name not in played
    }
    for name, result in played_each(plays, progress=progress, workers=workers):
        played[name] = result
        if kept is not None:
            kept.write_setting(shas[name], result)
    return played


def _series(windows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    return [row[METRIC] for row in windows]


def _row(name: str, series: list[float | None], default: list[float | None], cut: int) -> dict[str, Any]:
    pairs = [(a, b) for a, b in zip(series[:cut], default[:cut], strict=True) if a is not None and b is not None]
    gaps = np.array([a - b for a, b in pairs])
    low, high = block_interval(gaps) if len(gaps) else (None, None)
    return {
        "setting": name,
        "choosing": _mean(series[:cut]),
        "looking": _mean(series[cut:]),
        "gain": float(gaps.mean()) if len(gaps) else None,
        "low": low,
        "high": high,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
