"""A bucket that lives day after day: single predictions, single labels, a file of labels and one of rows an hour, by
the real steps.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from stillgood.aws.capture import Capture
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.policy.policies import POLICIES
from stillgood.pages.writer import write_pages
from stillgood.steps.labels.ingest import post_labels
from stillgood.steps.monitor.compact import compact
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.predict import PredictDeps, predict, status
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import iso
from stillgood.testing.counting import CountingObjectStore, Counts
from stillgood.testing.fakes import FakeInvoker
from stillgood.training.tracking import Tracking

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CONTRACT: dict[str, Any] = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "two readings",
    "version": "1",
    "id": "customer",
    "time": "at",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [{"name": "first", "kind": "numeric"}, {"name": "second", "kind": "numeric"}],
    "floors": {"roc_auc": 0.6, "recall": 0.3},
    "training": {"min_rows": 100, "window_days": 10},
    "monitoring": {"min_rows": 50, "label_maturity_days": 2},
}


@dataclass
class Life:
    """``daily`` single predictions a day, of which a share ``labelled`` gets its outcome a day later, one a request."""

    daily: int = 240
    labelled: float = 0.3
    files: bool = True
    compacting: bool = False  # each hour, at its half
    store: CountingObjectStore = field(init=False)
    inner: MemoryObjectStore = field(init=False)
    now: datetime = BEGIN
    steps: list[tuple[str, int, Counts]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inner = MemoryObjectStore(lambda: self.now)
        self.store = CountingObjectStore(self.inner)
        self.rng = np.random.default_rng(5)
        self.contract = read_contract(CONTRACT)
        self.waiting: list[dict[str, Any]] = []
        self.day = -1
        self.inner.put("contract.json", encode(CONTRACT))
        self.upload(1000, "first")
        self.retrain("begin")

    def live(self, days: int) -> None:
        """So many more days, each ended by monitor."""
        for _ in range(days):
            self.day += 1
            self.one_day()

    def one_day(self) -> None:
        start = BEGIN + (self.day + 1) * DAY
        due, self.waiting = self.waiting, []
        serving = PredictDeps(
            ChampionSource(self.store, lambda: self.now, 10),
            Capture(self.store),
            lambda: self.now,
            self._id,
            100,
            100_000,
        )
        self.store.restart()
        for number in range(self.daily):
            after = start + number * DAY / self.daily
            if self.compacting and after.hour != self.now.hour:
                self.compact()
            self.now = after
            row, left = self._row()
            body = predict(json.dumps(row).encode(), serving).body
            if self.rng.random() < self.labelled:
                label = {"prediction_id": body["prediction_id"], "label": "yes" if left else "no"}
                self.waiting.append(label | {"event_time": iso(self.now + HOUR)})
        self._did("predict")
        self.now = start + DAY - HOUR
        self._measured("status", lambda: status(serving))
        for label in due:
            post_labels(
                json.dumps(label).encode(), self.store, self.contract.target, now=self.now, max_rows=9, max_bytes=9999,
                source="vouched",
            )  # fmt: skip
        self._did("labels")
        if self.files:
            for hour in range(24):
                text = f"entity_id,label,event_time\nnobody-{self.day}-{hour},yes,{iso(start)}\n"
                self.inner.put(f"labels/incoming/crm/{self.day:04}-{hour:02}.csv", text.encode())
            self.upload(24, f"day-{self.day}")
        self.now = start + DAY + timedelta(minutes=5)
        deps = self._monitoring(FakeInvoker())
        answer = self._measured("monitor", lambda: monitor({"scheduled_time": iso(start + DAY)}, deps))
        self._measured("pages", lambda: write_pages(self.store, answer))

    def compact(self) -> None:
        """What the schedule does in the half of an hour, here with all of the hour's captures there."""
        begun = self.now
        self.now = begun.replace(minute=30, second=0, microsecond=0)
        compact(self._monitoring(FakeInvoker()))
        self.now = begun

    def _monitoring(self, invoker: FakeInvoker) -> MonitorDeps:
        policy = POLICIES["guarded"]
        return MonitorDeps(self.store, invoker, lambda: self.now, lambda _: None, policy, settle_seconds=0.0)

    def retrain(self, why: str) -> dict[str, Any]:
        """Train, and let promote judge."""
        event = {"request_id": why, "reason": why}
        invoker = FakeInvoker()
        deps = TrainDeps(self.store, invoker, lambda: self.now, Tracking(None))
        trained = self._measured("train", lambda: train(event, deps))
        request = invoker.events[-1][1]
        self._measured("promote", lambda: promote(request, PromoteDeps(self.store, lambda: self.now)))
        return trained

    def upload(self, rows: int, name: str) -> None:
        """Labelled rows of today, as somebody's export writes them."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["customer", "at", "first", "second", "left"])
        for _ in range(rows):
            row, left = self._row()
            writer.writerow([row["customer"], iso(self.now), row["first"], row["second"], "yes" if left else "no"])
        self.inner.put(f"data/{self.now:%Y-%m-%d}/{name}.csv", text.getvalue().encode())

    def of(self, step: str) -> list[tuple[int, Counts]]:
        """The counts of a step, by day."""
        return [(day, counts) for name, day, counts in self.steps if name == step]

    def _measured[T](self, step: str, call: Callable[[], T]) -> T:
        self.store.restart()
        answer = call()
        self._did(step)
        return answer

    def _did(self, step: str) -> None:
        self.steps.append((step, self.day, self.store.restart()))

    def _row(self) -> tuple[dict[str, Any], bool]:
        first, second = (round(float(value), 4) for value in self.rng.normal(size=2))
        left = self.rng.random() < 1 / (1 + np.exp(1.0 - 1.5 * first - 1.5 * second))
        return {"customer": self._id(), "first": first, "second": second}, bool(left)

    def _id(self) -> str:
        return f"{self.rng.integers(2**62):x}"


def together(counts: list[Counts]) -> Counts:
    """All of ``counts``, added up."""
    total = Counts()
    for part in counts:
        total = replace(
            total,
            calls=total.calls + part.calls,
            read_bytes=total.read_bytes + part.read_bytes,
            written_bytes=total.written_bytes + part.written_bytes,
            reads=total.reads + part.reads,
            lists=total.lists + part.lists,
        )
    return total
