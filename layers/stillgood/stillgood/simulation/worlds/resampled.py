"""Customers resampled from a real table, with outcomes drawn anew from a gradient-boosted model of the real ones.

Nothing can be learned by heart, and how good a model truly is can be computed, since every row's probability is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.simulation.rows import csv_of, json_rows, request, with_id
from stillgood.simulation.world import Bools, Feedback, Request, Truth, utc64
from stillgood.storage.windows import Window

FIRST_ROWS = 4000
TRUTH_ROWS = 9000
START = datetime(2026, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)

type Floats = NDArray[np.float64]
type Odds = Callable[[Frame, Floats], Floats]
type Change = Callable[[Frame, np.random.Generator], Frame]


def as_ever(frame: Frame, p: Floats) -> Floats:
    return p


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to the customers from window ``begins`` on, for ``lasts`` windows.

    ``weights`` say who comes (by row of the pool), ``change`` what becomes of a column, ``odds`` who leaves,
    ``refused`` which share of the rows breaks the contract. ``drift``: whether there is anything to learn. The labels:
    ``delay_days`` after the prediction, for a share ``coverage`` of the rows; ``feed`` "flagged" labels flagged rows
    only, "positives" only those who left; a share ``corrected`` is first said wrongly and put right five days later.
    ``saved``: the share of flagged leavers who stay because somebody calls. ``returning``: rows come from so many
    customers, each on every ``returning / rows``-th window; 0: everybody is new.
    """

    name: str
    drift: bool = True
    begins: int = 120
    lasts: int = 10_000
    rows: int = 500
    weights: Callable[[Frame, Floats], Floats] | None = None
    change: Change | None = None
    odds: Odds = as_ever
    refused: float = 0.0
    weekly: bool = False
    delay_days: float = 30.0
    coverage: float = 1.0
    feed: Literal["all", "flagged", "positives"] = "all"
    corrected: float = 0.0
    rarer: float = 1.0
    saved: float = 0.0
    returning: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Real rows with the probability of the positive outcome that a boosted model gives each out of fold; JSON as a
    caller sends it.
    """

    frame: Frame
    p: Floats
    rows: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, frame: Frame, y: NDArray[np.int8]) -> "Pool":
        columns = np.column_stack([frame.columns[feature.name] for feature in frame.contract.features]).astype(float)
        learner = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.06, max_leaf_nodes=12, random_state=0)
        p = cross_val_predict(learner, columns, y, cv=5, method="predict_proba")[:, 1]
        return cls(frame, p, tuple(json_rows(frame)))


class Resampled:
    """A World: ``windows`` windows of ``scenario.rows`` customers, all of it seeded by ``seed``.

    The first model learns from ``FIRST_ROWS`` of the pool, split off by the seed; all later rows come from the others.
    """

    def __init__(
        self,
        pool: Pool,
        scenario: Scenario,
        seed: int,
        *,
        windows: int = 365,
        window: timedelta = DAY,
        contract: Contract | None = None,
    ) -> None:
        self.scenario, self.seed, self.window, self.start = scenario, seed, window, START
        self.spans = tuple(Window(START + at * window, START + (at + 1) * window) for at in range(windows))
        contract = pool.frame.contract if contract is None else contract
        if scenario.weekly:
            contract = replace(contract, monitoring=replace(contract.monitoring, period_hours=168.0))
        self.contract = contract
        self._pool = pool
        order = np.random.default_rng((seed, 0)).permutation(pool.frame.n)
        self._known, self._unseen = order[:FIRST_ROWS], order[FIRST_ROWS:]
        self._p = pool.p * scenario.rarer
        self._drawn: tuple[int, Frame, Floats, Bools] | None = None

    def first(self) -> bytes:
        random = np.random.default_rng((self.seed, 1))
        frame = replace(self._pool.frame.take(self._known), contract=self.contract)
        y = (random.random(frame.n) < self._p[self._known]).astype(np.int8)
        times = utc64(self.start) - np.timedelta64(1, "D") - np.arange(frame.n)[::-1] * np.timedelta64(60, "s")
        return csv_of(frame, y, [f"first-{place:05d}" for place in range(frame.n)], times)

    def on(self, at: int) -> bool:
        """Whether what happens is happening in window ``at``."""
        return self.scenario.begins <= at < self.scenario.begins + self.scenario.lasts

    def requests(self, at: int) -> Sequence[Request]:
        scenario = self.scenario
        random = np.random.default_rng((self.seed, 3, at))
        index = self._who(random, scenario.rows, at)
        frame, p = self._become(index, at, random)
        bad = random.random(scenario.rows) < scenario.refused if self.on(at) else np.zeros(scenario.rows, dtype=bool)
        changed = self.on(at) and scenario.change is not None
        rows: Sequence[bytes] = json_rows(frame) if changed else [self._pool.rows[place] for place in index.tolist()]
        rows = [with_id(self.contract, row, self._identity(at, place)) for place, row in enumerate(rows)]
        self._drawn = (at, frame, p, bad)
        when = self.start + at * self.window + self.window / 2
        good = np.flatnonzero(~bad)
        calls = [request(when, [rows[place] for place in good.tolist()], good)] if len(good) else []
        # A row without its first feature breaks the contract; each comes alone, as a caller would send it.
        name = self.contract.features[0].name
        for place in np.flatnonzero(bad).tolist():
            broken = rows[place].replace(b'"' + name.encode() + b'"', b'"(nothing)"', 1)
            calls.append(request(when, [broken], np.array([place])))
        return calls

    def outcomes(self, at: int, flagged: Bools) -> NDArray[np.int8]:
        _, p = self._of(at)
        random = np.random.default_rng((self.seed, 4, at))
        y = random.random(len(p)) < p
        saved = flagged & (random.random(len(p)) < self.scenario.saved)
        return (y & ~saved).astype(np.int8)

    def feedback(self, at: int, flagged: Bools, y: NDArray[np.int8]) -> Feedback:
        scenario = self.scenario
        random = np.random.default_rng((self.seed, 5, at))
        known = random.random(len(y)) < scenario.coverage
        if scenario.feed == "flagged":
            known &= flagged
        elif scenario.feed == "positives":
            known &= y == 1
        row = np.flatnonzero(known)
        made = utc64(self.start + at * self.window + self.window / 2)
        delay = np.timedelta64(round(scenario.delay_days * 86_400), "s")
        sent = np.full(len(row), made + delay, dtype="datetime64[us]")
        wrong = random.random(len(row)) < scenario.corrected
        reported = Feedback(row, (y[row] == 1) ^ wrong, sent, sent)
        if not wrong.any():
            return reported
        later = sent[wrong] + np.timedelta64(5, "D")
        return Feedback(
            np.concatenate([row, row[wrong]]),
            np.concatenate([reported.positive, y[row[wrong]] == 1]),
            np.concatenate([sent, later]),
            np.concatenate([sent, later]),
        )

    def truth(self, at: int) -> Truth:
        return self._truths[self.on(at)]

    @cached_property
    def _truths(self) -> dict[bool, Truth]:
        truths = {}
        for on in (False, True):
            random = np.random.default_rng((self.seed, 2, on))
            at = self.scenario.begins if on else -1
            index = self._who(random, TRUTH_ROWS, at)
            frame, p = self._become(index, at, random)
            truths[on] = Truth(str(on), frame, (random.random(len(p)) < p).astype(np.int8))
        return truths

    def _who(self, random: np.random.Generator, n: int, at: int) -> NDArray[np.int64]:
        scenario, frame = self.scenario, self._unseen_frame
        weights = np.ones(frame.n)
        if self.on(at) and scenario.weights is not None:
            weights = scenario.weights(frame, self._p[self._unseen])
        if scenario.weekly and at % 7 in (5, 6):  # at weekends other people come
            weights = np.where(frame.columns["contract"] == 0, 1.0, 0.5)
        if scenario.returning and at >= 0:  # the same customers in turn, unchanged
            turns = scenario.returning // scenario.rows
            fixed = np.random.default_rng((self.seed, 6)).choice(frame.n, scenario.returning)
            return np.asarray(self._unseen[fixed[(at % turns) * scenario.rows : (at % turns + 1) * scenario.rows]])
        return np.asarray(self._unseen[random.choice(frame.n, n, p=weights / weights.sum())])

    @cached_property
    def _unseen_frame(self) -> Frame:
        return self._pool.frame.take(self._unseen)

    def _become(self, index: NDArray[np.int64], at: int, random: np.random.Generator) -> tuple[Frame, Floats]:
        frame, p = replace(self._pool.frame.take(index), contract=self.contract), self._p[index]
        if not self.on(at):
            return frame, p
        p = self.scenario.odds(frame, p)
        return (frame if self.scenario.change is None else self.scenario.change(frame, random)), p

    def _of(self, at: int) -> tuple[Frame, Floats]:
        assert self._drawn is not None
        assert self._drawn[0] == at, "the driver plays a window before it asks of it"
        return self._drawn[1], self._drawn[2]

    def _identity(self, at: int, place: int) -> str:
        if self.scenario.returning:
            return f"c{(at % (self.scenario.returning // self.scenario.rows)) * self.scenario.rows + place:06d}"
        return f"w{at:04d}-{place:05d}"


def named(scenarios: Sequence[Scenario], name: str) -> Scenario:
    """The scenario of that name."""
    return next(scenario for scenario in scenarios if scenario.name == name)


def column(frame: Frame, name: str, values: Any) -> Frame:
    """The frame with one column replaced."""
    return Frame(frame.contract, frame.n, {**frame.columns, name: values})
