"""What a process used, contestants run in turns, and the ratio of two of them."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")
TIMEOUT_SECONDS = 900


class MeasurementFailed(Exception):
    """A contestant did not do its work; its last words are the message."""


@dataclass(frozen=True, slots=True)
class Usage:
    """``wall`` and ``cpu`` (user and system) in seconds, ``peak`` resident memory in MiB, ``said``: the JSON of its
    last line.
    """

    wall: float
    cpu: float
    peak: float
    said: Any = None


@dataclass(frozen=True, slots=True)
class Row:
    """One claim. ``target`` is such as "<= 1.1"; None: measured without a promise. ``low`` and ``high``: the extremes
    of the repeats.
    """

    name: str
    ratio: float
    low: float
    high: float
    target: str | None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        sign, bound = self.target.split()
        return self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)

    def to_dict(self) -> dict[str, Any]:
        figures = {name: _rounded(getattr(self, name)) for name in ("ratio", "low", "high")}
        return {"name": self.name, **figures, "target": self.target, "met": self.met}


def run(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run ``command`` to its end in a new process with this environment and no other. Raises MeasurementFailed."""
    with tempfile.TemporaryDirectory() as folder:
        used, printed, complained = (Path(folder) / name for name in ("used.json", "stdout", "stderr"))
        launched = [sys.executable, "-I", "-S", "-B", str(LAUNCH), str(used), *command]
        # Files, not pipes: who reads a pipe at once takes turns with the writer, and is not what is measured.
        with printed.open("wb") as out, complained.open("wb") as err:
            done = subprocess.run(
                launched, env=dict(environment), cwd=folder, stdout=out, stderr=err, timeout=TIMEOUT_SECONDS
            )
        usage = json.loads(used.read_text()) if used.exists() else {"code": done.returncode}
        lines = printed.read_text(errors="replace").splitlines()
        errors = complained.read_text(errors="replace")
    if usage["code"] != 0:
        raise MeasurementFailed(f"{' '.join(command)[:300]}: {(errors or '\n'.join(lines))[-1500:]}")
    said = json.loads(lines[-1]) if lines and lines[-1].startswith(("{", "[")) else None
    return Usage(usage["wall"], usage["cpu"], usage["peak"], said)


def in_turns[T](contestants: Mapping[str, Callable[[], T]], repeats: int, *, warm: bool = True) -> dict[str, list[T]]:
    """``repeats`` measurements of each, one of each after the other, so that a busy minute meets all of them.

    ``warm``: a first round, which fills the caches of files, is thrown away; unless there is one round only.
    """
    results: dict[str, list[T]] = {name: [] for name in contestants}
    unseen = int(warm and repeats > 1)
    for turn in range(repeats + unseen):
        for name, measure in contestants.items():
            result = measure()
            if turn >= unseen:
                results[name].append(result)
    return results


def compare(name: str, above: Sequence[float], below: Sequence[float], target: str | None) -> Row:
    """The median of the ratios ``above[i] / below[i]`` of what was measured in one turn, with the least and the
    greatest.
    """
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return Row(name, statistics.median(ratios), min(ratios), max(ratios), target)


def medians(usages: Sequence[Usage]) -> dict[str, float]:
    """Medians of wall and CPU seconds and of the peak in MiB."""
    return {name: statistics.median(getattr(usage, name) for usage in usages) for name in ("wall", "cpu", "peak")}


def column(usages: Sequence[Usage], name: str) -> list[float]:
    return [getattr(usage, name) for usage in usages]


def environment(**more: str) -> dict[str, str]:
    """What a Lambda finds: nothing of the shell this was started from."""
    return {"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC", **more}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
