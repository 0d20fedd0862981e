"""Lives a plan: each operation is a process, or several, among all others, and what failed is tried again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stillgood.domain.errors import (
    ContractInvalid,
    InvalidEvent,
    NoChampion,
    NotEnoughData,
    StillgoodError,
    UnknownVersion,
)
from stillgood.domain.policy.guarded import Guarded
from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.year.book import Answered, Book
from stillgood.simulation.year.bucket import Bucket
from stillgood.simulation.year.plan import Plan, contract, weather_of
from stillgood.simulation.year.process import Instance, Machine, ProcessClock, SimulatedInvoker
from stillgood.simulation.year.tasks import Scheduler, Task
from stillgood.simulation.year.weather import WeatheredStore
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.monitor.compact import COMPACT, compact
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.promote.actions import ACTIONS
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode
from stillgood.storage.keys import CONTRACT_KEY
from stillgood.testing.faulty import Crashed
from stillgood.training.tracking import Tracking

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SETTLE_SECONDS = 60.0
TURNS_PER_DAY = 60_000
POLICY = Guarded(min_new_rows=100, cooldown=timedelta(days=1), budget=2, period=timedelta(days=10))
_PERMANENT = (InvalidEvent, UnknownVersion, NotEnoughData, ContractInvalid, NoChampion)
_RETRIES = (60.0, 120.0)  # as Lambda tries an event again
_PROMPT = (5.0,) * 12
_REDRIVES = 3
_FLUSHES = 40
_IDLE = timedelta(hours=1)  # after which a process without requests is ended
_SKEW_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Letter:
    """An event on its way: to which ``step``, for the how many-eth time."""

    name: str
    step: str
    event: Mapping[str, Any]
    attempt: int = 1
    redriven: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step that succeeded took: calls of the store, and bytes read. ``day``: of the life."""

    step: str
    day: float
    calls: int
    read_bytes: int


class Life:
    """A plan and its world. ``calm``: nothing goes wrong. ``only``: the faults that may happen, None for all.

    ``prompt``: a step that failed is tried again within seconds, twelve times, clocks agree, and no event is late.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        calm: bool = False,
        prompt: bool = False,
        only: frozenset[tuple[str, int]] | None = None,
    ) -> None:
        self.plan, self.calm, self.prompt = plan, calm, prompt
        self.retries = _PROMPT if prompt else _RETRIES
        self.clock = VirtualClock(BEGIN)
        self.weather = weather_of(plan, BEGIN, only)
        if calm:
            self.weather.rate = 0.0
        self.bucket = Bucket(self.clock, lambda *change: self.book.changed(*change))
        self.scheduler = Scheduler(self.clock, TURNS_PER_DAY * (plan.days + 10))
        self.book = Book(self.clock, self.bucket.peek, lambda: self.scheduler.running, POLICY)
        self.instances: list[Instance] = []
        self.machines: list[Machine] = []  # on which nothing runs
        self.born = 0
        self.predicted: dict[int, list[tuple[str, str, bool]]] = {}
        self.dead: list[Letter] = []
        self.costs: list[Cost] = []
        self.files: list[str] = []
        self.events: dict[str, dict[str, Any]] = {}  # by request id, as it was first sent
        self.bucket.put(CONTRACT_KEY, encode(contract()))

    def keys(self, prefix: str) -> list[str]:
        """What lies under ``prefix``, as a person sees it."""
        return [info.key for info in self.bucket.list(prefix)]

    def at(self, seconds: float) -> datetime:
        """The moment so many seconds after the life began."""
        return BEGIN + SECOND * seconds

    # Events on their way to a step.

    def send(self, letter: Letter, at: datetime) -> None:
        """Have the step get the event at ``at``."""
        name = f"{letter.name}/{letter.attempt + 20 * letter.redriven}"
        self.scheduler.start(name, at, lambda task: self._deliver(task, letter))

    def _deliver(self, task: Task, letter: Letter) -> None:
        clock = self.process_clock(task.name)
        store = WeatheredStore(self.bucket, task, self.weather, self.clock)
        try:
            answer = self._step(letter, store, clock, task)
        except Crashed:
            self.book.count(f"{letter.step} crashed")
            self._again(letter)
        except StillgoodError as error:
            self.book.count(f"{letter.step}: {type(error).__name__}")
            if isinstance(error, _PERMANENT):
                self.book.refused.add(str(letter.event.get("request_id")))
            else:
                self._again(letter)
        except Exception as error:
            self.book.fail("typed errors", f"{letter.step} raised {type(error).__name__}: {error} for {letter.event}")
        else:
            self._answered(letter, answer)
            days = (self.clock() - BEGIN) / timedelta(days=1)
            self.costs.append(Cost(letter.step, days, store.calls, store.read_bytes))

    def _again(self, letter: Letter) -> None:
        """As Lambda does: twice more; then it is a dead letter, which somebody sends again hours later."""
        if letter.attempt <= len(self.retries):
            again = Letter(letter.name, letter.step, letter.event, letter.attempt + 1, letter.redriven)
            self.send(again, self.clock() + SECOND * self.retries[letter.attempt - 1])
        elif letter.redriven < _REDRIVES:
            self.book.count("dead letters")
            again = Letter(letter.name, letter.step, letter.event, 1, letter.redriven + 1)
            self.send(again, self.clock() + timedelta(hours=6))
        else:
            self.dead.append(letter)

    def _answered(self, letter: Letter, answer: Mapping[str, Any]) -> None:
        self.book.count(f"{letter.step}: {answer.get('result', 'done')}")
        request, n = letter.event.get("request_id"), answer.get("decision")
        if n is not None and self.book.requests.get(str(request)) != n:
            known = self.book.requests.get(str(request))
            self.book.fail("one decision a request", f"{request!r} is decision {known} and was answered {n}")

    def _step(
        self, letter: Letter, store: WeatheredStore, clock: Callable[[], datetime], task: Task
    ) -> Mapping[str, Any]:
        sent = 0

        def on(step: str, event: Mapping[str, Any], delay: float) -> None:
            nonlocal sent
            sent += 1
            name = (
                f"{letter.name}>{step}"
                + (f"+{sent}" if sent > 1 else "")
                + (f"@{letter.attempt}" * (letter.attempt > 1))
            )
            self.send(Letter(name, step, event), self.clock() + SECOND * delay)

        invoker = SimulatedInvoker(store, on, self.weather.draw if not (self.calm or self.prompt) else lambda _: 0.5)
        if letter.step == "monitor":
            watching = MonitorDeps(store, invoker, clock, task.pause, POLICY, settle_seconds=SETTLE_SECONDS)
            return compact(watching) if letter.event.get("action") == COMPACT else monitor(letter.event, watching)
        if letter.step == "train":
            return train(letter.event, TrainDeps(store, invoker, clock, Tracking(None)))
        if letter.step == "batch":
            return batch(letter.event, BatchDeps(store, ChampionSource(store, clock, 0.0), clock))
        return ACTIONS.get(str(letter.event.get("action")), promote)(letter.event, PromoteDeps(store, clock))

    def process_clock(self, name: str) -> ProcessClock:
        """One process in ten has a clock that is wrong by up to two and a half minutes."""
        drawn = self.weather.draw(f"skew/{name}")
        wrong = drawn < 0.1 and not (self.calm or self.prompt)
        return ProcessClock(self.clock, SECOND * ((drawn * 20 - 1) * _SKEW_SECONDS if wrong else 0.0))

    # Clients of the API.

    def request(self, task: Task, path: str, body: bytes) -> tuple[int, Any, Instance] | None:
        """One request; None where the process died with it."""
        for idle in [
            candidate for candidate in self.instances if not candidate.busy and candidate.used_at + _IDLE < self.clock()
        ]:
            self.kill(idle)
        instance = next((candidate for candidate in self.instances if not candidate.busy), None)
        if instance is None:
            self.born += 1
            name = f"i{self.born}"
            store = WeatheredStore(self.bucket, task, self.weather, self.clock)
            machine = self.machines.pop() if self.machines else Machine()
            instance = Instance(name, store, self.process_clock(name), machine)
            self.instances.append(instance)
        instance.busy, instance.used_at = True, self.clock()
        instance.store.serve(task)
        try:
            status, answer = instance.machine.post(path, body)
        except Crashed:
            self.kill(instance)
            return None
        instance.busy = False
        if status == 500:
            self.book.fail("typed errors", f"{path} was answered 500: {str(answer)[:200]}")
        return status, answer, instance

    def kill(self, instance: Instance) -> None:
        """The process ends, and captures that it still held are lost: CaptureFailures told of them before."""
        if instance not in self.instances:
            return
        self.instances.remove(instance)
        self.machines.append(instance.machine)
        missing = {prediction for prediction in instance.answered if prediction not in self.book.captured}
        if len(missing) > (held := instance.held()):
            self.book.fail(
                "captured once", f"{len(missing)} answers of {instance.name} had no capture, and it knew of {held}"
            )
        self.book.lost |= missing

    def flush(self, task: Task) -> None:
        """The traffic is over: have every process asked for its status, which sends what it still holds."""
        for instance in list(self.instances):
            for _ in range(_FLUSHES):
                if not instance.busy:
                    instance.busy = True
                    instance.store.serve(task)
                    try:
                        pending = instance.capture.status()["pending"]
                    except Crashed:
                        self.kill(instance)
                        break
                    instance.busy = False
                    if not pending:
                        break
                task.pause(1800.0)

    def note_answers(
        self, answers: list[tuple[Mapping[str, Any], bool]], instance: Instance, sent_at: datetime
    ) -> None:
        """Predictions that a client was answered, each with what will become of its customer."""
        for answer, leaves in answers:
            identity = str(answer["prediction_id"])
            noted = Answered(
                identity,
                str(answer["entity_id"]),
                str(answer["model_version"]),
                sent_at,
                self.clock(),
                instance.name,
                leaves,
            )
            instance.answered.add(identity)
            self.book.answered[identity] = noted
            patience = timedelta(seconds=2 * _SKEW_SECONDS + 30)
            if not self.book.served_by(noted, patience) and not instance.champions.stale:
                self.book.fail("served by the champion", f"{identity} by {noted.version}, long after its time")

    def close(self) -> None:
        """Stop what still runs. Safe to call twice."""
        self.scheduler.end()
        for machine in (*self.machines, *(instance.machine for instance in self.instances)):
            machine.close()
        self.instances.clear()
        self.machines.clear()
