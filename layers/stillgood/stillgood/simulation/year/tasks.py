"""Tasks that take turns: one runs, all others stand at a pause. Virtual time says which one is next, so a run is the
same each time.

Each task is a thread, because the code under simulation is ordinary code that cannot give way by itself; its store does
it, at every call. One task at a time holds the baton, and every wait for it is bounded: a run that stops moving is an
error that names its tasks, never a hang.
"""

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from stillgood.simulation.clock import VirtualClock

TURN_SECONDS = 300.0  # of real time that a task may run between two pauses, on a machine that is very busy
_JOIN_SECONDS = 5.0


class Ended(BaseException):
    """The run is over, and with it the task. Not an Exception, so that no handler of the code under test keeps it."""


class Hung(RuntimeError):
    """A run that did not move any more, or did not end within its turns; the message names the tasks."""


class Task:
    """One process at work. ``name`` is unique in a run."""

    def __init__(self, name: str, scheduler: "Scheduler", work: Callable[["Task"], None]) -> None:
        self.name = name
        self._scheduler, self._work = scheduler, work
        self._go = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.done = self.started = False

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass; tasks that are due earlier run meanwhile. Raises Ended."""
        self._scheduler.give_way(self, seconds)

    def resume(self) -> None:
        if not self.started:
            self.started = True
            self._thread.start()
        else:
            self._go.release()

    def wait(self) -> None:
        if not self._go.acquire(timeout=TURN_SECONDS * 10) or self._scheduler.over:
            raise Ended

    def join(self) -> None:
        if self.started and not self.done:
            self._go.release()
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self._work(self)
        except Ended:
            pass
        except BaseException as error:  # whatever it is, the run ends with it
            self._scheduler.failed(error)
        finally:
            self.done = True
            self._scheduler.back()


class Scheduler:
    """Runs tasks in the order of virtual time; of those due at once, the one that was first to wait."""

    def __init__(self, clock: VirtualClock, max_turns: int) -> None:
        self._clock, self._left = clock, max_turns
        self._waiting: list[tuple[datetime, int, Task]] = []
        self._count = 0
        self._baton = threading.Semaphore(0)
        self._error: BaseException | None = None
        self.over = False
        self.running = ""  # the name of the task that has the baton

    def start(self, name: str, at: datetime, work: Callable[[Task], None]) -> None:
        """Have ``work`` begin at ``at``, or at once if that has passed."""
        self._wait(max(at, self._clock()), Task(name, self, work))

    def run(self, *, until: datetime | None = None) -> None:
        """Until no task is left, or none is due by ``until``. Raises Hung, and what a task raised."""
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            self._left -= 1
            if self._left < 0:
                raise Hung(f"The run did not end within its turns; waiting: {self._names()}")
            at, _, task = heapq.heappop(self._waiting)
            self._clock.advance(at)
            self.running = task.name
            task.resume()
            if not self._baton.acquire(timeout=TURN_SECONDS):
                raise Hung(f"{task.name} did not come back in {TURN_SECONDS:g} s; waiting: {self._names()}")
            if self._error is not None:
                raise self._error
        if until is not None:
            self._clock.advance(until)

    def end(self) -> None:
        """Stop every task that is not done. Safe to call at any time, also twice."""
        self.over = True
        for _, _, task in self._waiting:
            task.join()
        self._waiting.clear()

    def give_way(self, task: Task, seconds: float) -> None:
        wake = self._clock() + timedelta(seconds=max(seconds, 0.0))
        self._left -= 1
        if self.over:
            raise Ended
        if self._left >= 0 and (not self._waiting or self._waiting[0][0] > wake):
            self._clock.advance(wake)  # nobody is due before: the task keeps the baton
            return
        self._wait(wake, task)
        self.back()
        task.wait()

    def back(self) -> None:
        self._baton.release()

    def failed(self, error: BaseException) -> None:
        self._error = self._error or error

    def _wait(self, at: datetime, task: Task) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, task))

    def _names(self) -> str:
        return ", ".join(sorted(task.name for _, _, task in self._waiting)) or "nobody"
