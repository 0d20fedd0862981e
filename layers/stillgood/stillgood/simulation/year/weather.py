"""What goes wrong, by the seed: each call has its own draw, so leaving one fault out changes no other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal

from stillgood.domain.errors import ObjectExists, PreconditionFailed, StoreUnavailable
from stillgood.simulation.year.bucket import Bucket
from stillgood.simulation.year.tasks import Task
from stillgood.storage.objects import ObjectInfo, ObjectWriter, Stored
from stillgood.testing.faulty import Crashed

type Kind = Literal["refused", "lost", "echo", "crash before", "crash after", "stall", "late listing"]
ON_READ: tuple[Kind, ...] = ("refused", "refused", "crash before", "stall")
ON_LIST: tuple[Kind, ...] = ("refused", "late listing", "late listing", "crash before")
ON_WRITE: tuple[Kind, ...] = ("refused", "lost", "lost", "echo", "crash before", "crash after", "crash after", "stall")
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
_LATEST_LISTING = timedelta(seconds=5)
_LONGEST_STALL_SECONDS = 800.0  # a Lambda has 900
_SCALE = float(1 << 64)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What went wrong at call number ``call`` of ``attempt``, a task's name."""

    attempt: str
    call: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Trouble:
    """From ``start`` until ``end``, in seconds since the life began, a ``share`` of calls fails as ``kind`` says: those
    for keys under ``prefix``, made by the step or operation ``step``; "" is all of them.
    """

    start: float
    end: float
    kind: Kind = "refused"
    share: float = 0.9
    prefix: str = ""
    step: str = ""

    def meets(self, attempt: str, key: str, at: float) -> bool:
        if not (self.start <= at < self.end and key.startswith(self.prefix)):
            return False
        return not self.step or self.step == step_of(attempt)


@dataclass(slots=True)
class Weather:
    """``rate``: faults per call. ``begin``: of the life, aware.

    ``only``: where given, no other fault happens. ``kinds``: of which operations' attempts, None for all. ``fired``:
    what went wrong so far.
    """

    seed: str
    begin: datetime
    rate: float = 0.0
    troubles: tuple[Trouble, ...] = ()
    only: frozenset[tuple[str, int]] | None = None
    kinds: frozenset[str] | None = None
    fired: list[Fault] = field(default_factory=list)
    _by_day: dict[int, list[Trouble]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for trouble in self.troubles:
            for day in range(int(trouble.start // DAY), int(trouble.end // DAY) + 1):
                self._by_day.setdefault(day, []).append(trouble)

    def latency(self, attempt: str, call: int) -> float:
        """Seconds that a call takes: 5 to 100 milliseconds."""
        return 0.005 + 0.095 * self.draw(f"latency/{attempt}/{call}") ** 3

    def at(self, attempt: str, call: int, kinds: tuple[Kind, ...], now: datetime, key: str = "") -> Kind | None:
        """What goes wrong at a call about ``key``, None for nothing."""
        if not self.rate or (self.only is not None and (attempt, call) not in self.only):
            return None
        if self.kinds is not None and operation_of(attempt) not in self.kinds:
            return None
        drawn = self.draw(f"fault/{attempt}/{call}")
        kind = self._trouble(attempt, kinds, now, key, drawn)
        if kind is None:
            if drawn >= self.rate:
                return None
            kind = kinds[int(drawn / self.rate * len(kinds))]
        self.fired.append(Fault(attempt, call, kind))
        return kind

    def _trouble(self, attempt: str, kinds: tuple[Kind, ...], now: datetime, key: str, drawn: float) -> Kind | None:
        at = (now - self.begin).total_seconds()
        for trouble in self._by_day.get(int(at // DAY), ()):
            if drawn < trouble.share and trouble.kind in kinds and trouble.meets(attempt, key, at):
                return trouble.kind
        return None

    def stall(self, attempt: str, call: int) -> float:
        """Seconds that a process stands still."""
        return _LONGEST_STALL_SECONDS * self.draw(f"stall/{attempt}/{call}")

    def draw(self, what: str) -> float:
        """In [0, 1)."""
        return int.from_bytes(blake2b(f"{self.seed}/{what}".encode(), digest_size=8).digest()) / _SCALE


def operation_of(attempt: str) -> str:
    """The kind of operation that an attempt began with.

    >>> operation_of("12.monitor>train+2@2/21")
    'monitor'
    """
    return attempt.partition("/")[0].partition(".")[2].partition(">")[0]


def step_of(attempt: str) -> str:
    """The step that an attempt runs, or the kind of operation where it is none.

    >>> step_of("12.monitor>train+2@2/21"), step_of("3.labels/1")
    ('train', 'labels')
    """
    last = attempt.partition("/")[0].partition(".")[2].rpartition(">")[2]
    return last.partition("@")[0].partition("+")[0]


class WeatheredStore:
    """``bucket`` as one attempt of one process meets it: every call takes time, gives way to others, and may fail."""

    answers_at_once = True  # threads would make the order of calls, and so of faults, their own

    def __init__(self, bucket: Bucket, task: Task, weather: Weather, clock: Callable[[], datetime]) -> None:
        self._bucket, self.task, self._weather, self._clock = bucket, task, weather, clock
        self._calls = 0
        self.gone = False  # no call is answered any more, and none takes time
        self.read_bytes = 0

    def get(self, key: str) -> Stored:
        stored = self._call(key, ON_READ, lambda: self._bucket.get(key))
        self.read_bytes += len(stored.data)
        return stored

    def get_if_changed(self, key: str, etag: str) -> Stored | None:
        return self._call(key, ON_READ, lambda: self._bucket.get_if_changed(key, etag))

    def put(self, key: str, data: bytes) -> str:
        return self._call(key, ON_WRITE, lambda: self._bucket.put(key, data))

    def create(self, key: str, data: bytes) -> str:
        return self._call(
            key, ON_WRITE, lambda: self._bucket.create(key, data), ObjectExists(f"{key} exists.", key=key)
        )

    def swap(self, key: str, data: bytes, etag: str) -> str:
        error = PreconditionFailed(f"{key} was changed by another writer.", key=key)
        return self._call(key, ON_WRITE, lambda: self._bucket.swap(key, data, etag), error)

    def delete(self, key: str) -> None:
        self._call(key, ON_WRITE, lambda: self._bucket.delete(key))

    def purge(self, key: str) -> int:
        """Remove the versions of ``key`` but the present one."""
        return self._call(key, ON_WRITE, lambda: self._bucket.purge(key))

    def former(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """What was overwritten or deleted under ``prefix``."""
        yield from self._call(prefix, ON_READ, lambda: [*self._bucket.former(prefix)])

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        fault = self._before(prefix, ON_LIST)
        since = self._clock() - _LATEST_LISTING if fault == "late listing" else None
        listed = self._bucket.list(prefix, start_after)
        yield from [info for info in listed if since is None or info.modified <= since]

    def stream(self, key: str) -> Iterator[bytes]:
        yield self.get(key).data

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        with self._bucket.buffered(key) as buffer:
            yield buffer
        self.put(key, bytes(buffer.data))

    @property
    def calls(self) -> int:
        """How many were made for the present task."""
        return self._calls

    def serve(self, task: Task) -> None:
        """Have ``task`` make the calls from now on: a process outlives its requests."""
        self.task, self._calls = task, 0

    def effect(self, kinds: tuple[Kind, ...]) -> Kind | None:
        """What goes wrong with an effect that is no call of the store; the caller does it."""
        self._calls += 1
        self.task.pause(self._weather.latency(self.task.name, self._calls))
        return self._weather.at(self.task.name, self._calls, kinds, self._clock())

    def _before(self, key: str, kinds: tuple[Kind, ...]) -> Kind | None:
        """Time passes, others run, and what goes wrong before a call does."""
        if self.gone:
            raise StoreUnavailable("The process has ended.")
        self._calls += 1
        name = self.task.name
        self.task.pause(self._weather.latency(name, self._calls))
        fault = self._weather.at(name, self._calls, kinds, self._clock(), key)
        if fault == "crash before":
            raise Crashed(f"{name}, call {self._calls}")
        if fault == "refused":
            raise StoreUnavailable("SlowDown: reduce your request rate.")
        if fault == "stall":
            self.task.pause(self._weather.stall(name, self._calls))
        return fault

    def _call[T](self, key: str, kinds: tuple[Kind, ...], do: Callable[[], T], echo: Exception | None = None) -> T:
        """``echo``: what a conditional write is told whose answer was lost and that the adapter sent again."""
        fault = self._before(key, kinds)
        done = do()
        if fault == "crash after":
            raise Crashed(f"{self.task.name}, call {self._calls}")
        if fault == "lost":
            raise StoreUnavailable("The answer was lost on its way.")
        if fault == "echo" and echo is not None:
            raise echo
        return done
