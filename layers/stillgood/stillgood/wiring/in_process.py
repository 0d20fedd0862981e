"""All steps in this process over one store: what the command line and notebooks run, on a bucket or on a plain folder.

Each step imports what it needs, so that asking for one waits for no other's libraries.
"""

import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stillgood.domain.errors import StillgoodError
from stillgood.storage.objects import ObjectStore

if TYPE_CHECKING:
    from stillgood.aws.settings import Settings
    from stillgood.steps.ports import Clock
    from stillgood.steps.predict import PredictDeps

WINDOW_HOURS = 24.0


def now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Queue:
    """An Invoker whose events wait here until ``InProcess.run`` handles them, in order."""

    events: deque[tuple[str, dict[str, Any]]] = field(default_factory=deque)

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        self.events.append((step, dict(event)))


@dataclass(frozen=True, slots=True)
class InProcess:
    """``store`` and how its steps run: the STILLGOOD_ variables of the environment say so, but for the bucket."""

    store: ObjectStore
    clock: "Clock" = now
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def settings(self) -> "Settings":
        """Raises SettingsInvalid."""
        from stillgood.aws.settings import Settings

        return Settings.from_env({**self.environ, "STILLGOOD_BUCKET": "(this store)"})

    def run(self, step: str, event: Mapping[str, Any], *, window_hours: float | None = None) -> list[dict[str, Any]]:
        """Run ``step`` and every step that it asks for; returns their answers in order.

        Raises what the steps raise: the answers of the steps before are then in the store.
        """
        from stillgood.pages.writer import write_pages

        queue = Queue(deque([(step, dict(event))]))
        answers = []
        while queue.events:
            name, next_event = queue.events.popleft()
            answers.append(answer := self._step(name, next_event, queue, window_hours))
            with suppress(StillgoodError):  # a page can be made again; what the step did stands
                write_pages(self.store, answer)
        return answers

    def serving(self, *, capture: bool = True) -> "PredictDeps":
        """What predict works with. Without ``capture`` nothing is kept, so monitor will not know of the predictions."""
        from uuid import uuid4

        from stillgood.aws.capture import Capture
        from stillgood.steps.predict import PredictDeps
        from stillgood.storage.champion import ChampionSource
        from stillgood.storage.memory import MemoryObjectStore

        settings = self.settings
        return PredictDeps(
            champions=ChampionSource(self.store, self.clock, ttl_seconds=settings.champion_ttl_seconds),
            capture=Capture(self.store if capture else MemoryObjectStore()),
            clock=self.clock,
            new_id=lambda: str(uuid4()),
            max_rows=settings.max_rows,
            max_bytes=settings.max_bytes,
        )

    def _step(self, step: str, event: dict[str, Any], queue: Queue, window_hours: float | None) -> dict[str, Any]:
        settings = self.settings
        if step == "train":
            from stillgood.steps.train.train import TrainDeps, train
            from stillgood.training.tracking import Tracking

            tracking = Tracking(settings.mlflow_tracking_uri, settings.mlflow_experiment_name)
            return train(event, TrainDeps(self.store, queue, self.clock, tracking))
        if step == "promote":
            from stillgood.steps.promote.actions import ACTIONS
            from stillgood.steps.promote.promote import PromoteDeps

            deciding = PromoteDeps(self.store, self.clock, settings.gate, mode=settings.mode)
            return ACTIONS[str(event["action"])](event, deciding)
        if step == "monitor":
            from stillgood.domain.policy.policies import POLICIES
            from stillgood.steps.monitor.monitor import MonitorDeps, monitor

            hours = settings.window_hours if window_hours is None else window_hours
            # This process's captures are written already, so nothing has to settle.
            watching = MonitorDeps(
                self.store,
                queue,
                self.clock,
                time.sleep,
                POLICIES[settings.policy],
                hours,
                settle_seconds=0.0,
                mode=settings.mode,
            )
            return monitor(event, watching)
        raise ValueError(f"there is no step {step!r}")
