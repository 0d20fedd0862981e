"""A year of Telco customers, day by day, and what may happen to them. Rows are resampled from real ones that the first model has not
seen; outcomes are drawn anew from a gradient-boosted model of the real outcomes, so that no outcome is ever learned by heart."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict
from stillgood.domain.contract.frame import Frame

from benchmarks.decisions.rates import change
from benchmarks.decisions.world import TRAIN, Array, Randomness, Rows, telco

SHIFT_AT = 120  # the window in which what happens begins
type Odds = Callable[[Frame, Array], Array]


@cache
def pool(split: int) -> tuple[Rows, Rows, Array, Array]:
    """First and unseen rows of a split, each with its probability of leaving."""
    rows = telco()
    columns = np.column_stack([rows.frame.columns[one.name] for one in rows.frame.contract.features]).astype(float)
    learner = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.06, max_leaf_nodes=12, random_state=0)
    p = cross_val_predict(learner, columns, rows.y, cv=5, method="predict_proba")[:, 1]
    order = np.random.default_rng(split).permutation(rows.n)
    known, unseen = order[:TRAIN], order[TRAIN:]
    return rows.take(known), rows.take(unseen), p[known], p[unseen]


def as_ever(frame: Frame, p: Array) -> Array:
    return p


@dataclass(frozen=True, slots=True)
class Scenario:
    """``weights`` say who comes (by unseen row), ``changes`` what becomes of a column, ``odds`` who leaves, ``refused`` which share of
    the rows breaks the contract; each from window ``SHIFT_AT`` on, for ``lasts`` windows. ``drift``: whether there is anything to learn."""

    name: str
    drift: bool = True
    lasts: int = 10_000
    rows: int = 500
    weights: Callable[[Frame, Array], Array] | None = None
    changes: str | None = None
    odds: Odds = as_ever
    refused: float = 0.0
    weekly: bool = False
    delay: int = 30
    coverage: float = 1.0
    only_acted: bool = False


class Customers:
    """A ``Source``: daily windows of a scenario, seeded by ``seed``."""

    def __init__(self, scenario: Scenario, seed: int, windows: int = 365) -> None:
        self.scenario, self.windows, self.seed = scenario, windows, seed
        self.window, self.keeps, self.delay = timedelta(days=1), 14, scenario.delay
        first, self.unseen, p, self.p = pool(seed % 10)
        contract = first.frame.contract
        if scenario.weekly:
            contract = replace(contract, monitoring=replace(contract.monitoring, period_hours=168.0))
        self.contract = contract
        self._first = self._outcomes(first, p, np.random.default_rng((seed, 1)))
        truth = np.random.default_rng((seed, 2))
        # Refused rows are not served, so they are no part of the truth.
        self._truths = {on: self._draw(truth, 9_000, 0, on, refuses=False)[0] for on in (False, True)}

    def first(self) -> Rows:
        return self._first

    def on(self, at: int) -> bool:
        return SHIFT_AT <= at < SHIFT_AT + self.scenario.lasts

    def seen(self, at: int) -> tuple[Rows, int]:
        return self._draw(np.random.default_rng((self.seed, 3, at)), self.scenario.rows, at, self.on(at))

    def labelled(self, at: int, acted: Array) -> Array:
        random = np.random.default_rng((self.seed, 4, at))
        known = random.random(len(acted)) < self.scenario.coverage
        return known & acted if self.scenario.only_acted else known

    def truth(self, at: int) -> Rows:
        return self._truths[self.on(at)]

    def gain_rows(self, at: int) -> Rows:
        return self.truth(at)

    def season(self, at: int) -> int | None:
        return at - 7 if self.scenario.weekly and at >= 7 else None

    def _draw(self, random: Randomness, n: int, at: int, on: bool, *, refuses: bool = True) -> tuple[Rows, int]:
        one, frame = self.scenario, self.unseen.frame
        weights = np.ones(frame.n)
        if on and one.weights is not None:
            weights = one.weights(frame, self.p)
        if one.weekly and at % 7 in (5, 6):  # at weekends other people come
            weights = np.where(frame.columns["contract"] == 0, 1.0, 0.5)
        index = random.choice(frame.n, n, p=weights / weights.sum())
        rows, p = self.unseen.take(index), self.p[index]
        rows = self._outcomes(rows, one.odds(rows.frame, p) if on else p, random)
        if on and one.changes is not None:
            rows = change(rows, one.changes, random)
        refused = random.random(n) < one.refused if on and refuses else np.zeros(n, dtype=bool)
        return rows.take(np.flatnonzero(~refused)), int(refused.sum())

    def _outcomes(self, rows: Rows, p: Array, random: Randomness) -> Rows:
        y = (random.random(rows.n) < p).astype(np.int8)
        # Everybody who comes is somebody else, so holdout and folds are drawn anew too.
        return Rows(
            replace(rows.frame, contract=self.contract), y, random.integers(2**63, size=rows.n).astype(np.uint64)
        )


def _more(inside: Callable[[Frame], Array]) -> Callable[[Frame, Array], Array]:
    """Ten points more of some."""

    def weights(frame: Frame, p: Array) -> Array:
        chosen = inside(frame)
        share = float(chosen.mean())
        return np.where(chosen, (share + 0.1) / share, (0.9 - share) / (1 - share))

    return weights


def _leavers(frame: Frame, p: Array) -> Array:
    """Positives from 27% to 40%: label shift, the same customers of either kind."""
    return p * 0.40 / p.mean() + (1 - p) * 0.60 / (1 - p).mean()


def _shifted_odds(frame: Frame, p: Array) -> Array:
    share = 0.2654
    odds = p / (1 - p) * (0.40 / 0.60) / (share / (1 - share))
    return odds / (1 + odds)


def _flipped(frame: Frame, p: Array) -> Array:
    """The fifth without internet, who hardly ever left, mostly leave now."""
    none = frame.contract.feature("internet_service").levels.index("No")
    return np.where(frame.columns["internet_service"] == none, 1 - p, p)


SCENARIOS = (
    Scenario("no drift", drift=False),
    Scenario("price x1.002, 5,000 rows a day", drift=False, rows=5000, changes="price x1.002"),
    Scenario("other customers at weekends, seasonal contract", drift=False, weekly=True),
    Scenario("price in cents for a week", drift=False, lasts=7, refused=0.95),
    Scenario("a column missing for a week", drift=False, lasts=7, refused=1.0),
    Scenario("an unknown level in 20% for a week", drift=False, lasts=7, refused=0.2),
    Scenario("tenure in years for a week", drift=False, lasts=7, changes="tenure in years"),
    Scenario("price x1.05", changes="price x1.05"),
    Scenario("tenure +10 points under 12 months", weights=_more(lambda frame: frame.columns["tenure"] < 12)),
    Scenario("month-to-month +10 points", weights=_more(lambda frame: frame.columns["contract"] == 0)),
    Scenario("label shift, 27% to 40% leave", weights=_leavers, odds=_shifted_odds),
    Scenario("concept flip of 20%", odds=_flipped),
    Scenario("concept flip, labels after 90 days", odds=_flipped, delay=90),
    Scenario("concept flip, a fifth of labels", odds=_flipped, coverage=0.2, rows=2000),
    Scenario("concept flip, no labels", odds=_flipped, coverage=0.0),
    Scenario("concept flip, labels of flagged customers only", odds=_flipped, only_acted=True),
)
