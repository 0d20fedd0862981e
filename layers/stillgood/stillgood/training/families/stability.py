"""How far reasons move between refits: two models of resampled rows explain the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillgood.domain.contract.frame import Frame
from stillgood.domain.model.vectorised import feature_contributions
from stillgood.training.families.parts import Floats, Learner, Positions, Targets

MAX_ROWS = 20_000
MAX_EXPLAINED = 5_000


@dataclass(frozen=True, slots=True)
class Stability:
    """``movement``: sum |a - b| over the mean of sum |a| and sum |b|, of two refits' reasons a, b (0: none moves; 2:
    all new).

    ``first_reason_stays``: the share of rows, 0 to 1, whose largest reason is the same in both. ``rows``: how many each
    refit learnt from.
    """

    movement: float
    first_reason_stays: float
    rows: int

    def to_dict(self) -> dict[str, float | int]:
        return {"movement": self.movement, "first_reason_stays": self.first_reason_stays, "rows": self.rows}


def stability(learner: Learner, frame: Frame, target: Targets, settings: Mapping[str, Any], seed: int) -> Stability:
    """Refit twice on rows drawn with replacement (at most ``MAX_ROWS``, each outcome as often as it is), and compare
    reasons.

    A pair's share counts half for each of its features, so that both families are measured alike.
    """
    rng = np.random.default_rng(seed)
    shown = frame.take(np.linspace(0, frame.n - 1, min(frame.n, MAX_EXPLAINED)).astype(np.int64))
    rows = [_resampled(rng, target, min(frame.n, MAX_ROWS)) for _ in range(2)]
    first, second = (_reasons(learner, part, settings, shown) for part in rows)
    size = (np.abs(first).sum() + np.abs(second).sum()) / 2
    same = np.abs(first).argmax(axis=1) == np.abs(second).argmax(axis=1)
    moved = float(np.abs(first - second).sum() / size) if size > 0 else 0.0
    return Stability(moved, float(same.mean()), len(rows[0]))


def _resampled(rng: np.random.Generator, target: Targets, rows: int) -> Positions:
    parts = []
    for outcome in (0, 1):
        of = np.flatnonzero(target == outcome)
        parts.append(of[rng.integers(0, len(of), max(1, round(rows * len(of) / len(target))))])
    return np.sort(np.concatenate(parts))


def _reasons(learner: Learner, rows: Positions, settings: Mapping[str, Any], shown: Frame) -> Floats:
    """float64[shown, features]."""
    return feature_contributions(learner.learn(rows, settings).model(shown.contract), shown)
