"""One process of a simulated life: what a Lambda is made of, over a store that fails, with a clock of its own."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stillgood.api.actions import actions_router
from stillgood.api.app import create_app
from stillgood.api.labels import labels_router
from stillgood.aws.capture import Capture
from stillgood.domain.errors import InvocationFailed
from stillgood.simulation.year.weather import ON_WRITE, WeatheredStore
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.testing.faulty import Crashed

CHAMPION_TTL_SECONDS = 30.0
_MAX_ROWS, _MAX_BYTES = 1000, 1 << 20


class Machine:
    """What processes run on, one after another: an event loop and the API over the ``process`` of the moment. Building
    the API would be a tenth of a life's time, if each process built its own.
    """

    def __init__(self) -> None:
        self.process: Instance | None = None
        self._loop = asyncio.new_event_loop()
        champions: Any = _Present(lambda: self._present.champions)
        capture: Any = _Present(lambda: self._present.capture)
        store: Any = _Present(lambda: self._present.store)
        deps = PredictDeps(
            champions,
            capture,
            lambda: self._present.clock(),
            lambda: self._present.new_id(),
            _MAX_ROWS,
            _MAX_BYTES,
        )
        self._app = create_app(deps, [labels_router(deps, store), actions_router(deps, store)])

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """POST ``body``; the status and the answer. Raises Crashed."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"host", b"simulated")],
            "client": ("127.0.0.1", 1),
            "server": ("simulated", 443),
        }
        self._loop.run_until_complete(self._app(scope, receive, send))  # type: ignore[arg-type]  # plain dictionaries
        data = b"".join(message.get("body", b"") for message in sent[1:])
        return int(sent[0]["status"]), json.loads(data)

    def close(self) -> None:
        self._loop.close()

    @property
    def _present(self) -> "Instance":
        assert self.process is not None
        return self.process


class _Present:
    """Whatever ``get`` returns at the time of a look."""

    def __init__(self, get: Callable[[], Any]) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)


class Instance:
    """A warm process of predict, one request at a time. ``answered``: ids whose captures it may still hold."""

    def __init__(self, name: str, store: WeatheredStore, clock: Callable[[], datetime], machine: Machine) -> None:
        self.name, self.store, self.clock, self.machine = name, store, clock, machine
        self.busy = False
        self.answered: set[str] = set()
        self._ids = 0
        begin = self.used_at = clock()
        self.capture = Capture(store, monotonic=lambda: (clock() - begin).total_seconds())
        self.champions = ChampionSource(store, clock, CHAMPION_TTL_SECONDS)
        machine.process = self

    def held(self) -> int:
        """How many records wait in memory, as the process itself would tell: those that it dies with."""
        self.store.gone = True
        status = self.capture.status()
        return int(str(status["pending"]))

    def new_id(self) -> str:
        self._ids += 1
        return f"{self.name}-{self._ids:06d}"


@dataclass(slots=True)
class SimulatedInvoker:
    """Hands events on: late, twice, or without a word of it. ``send`` takes step, event and delay in seconds."""

    store: WeatheredStore
    send: Callable[[str, Mapping[str, Any], float], None]
    draw: Callable[[str], float]

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        task = self.store.task.name
        fault = self.store.effect(ON_WRITE)
        if fault == "crash before":
            raise Crashed(f"{task} before it invoked {step}")
        if fault in ("refused", "echo"):
            raise InvocationFailed("The invocation was refused.")
        late = self.draw(f"late/{task}")
        self.send(step, event, 0.2 + (late - 0.9) * 10 * 7200 if late > 0.9 else 0.2)
        if self.draw(f"twice/{task}") < 0.1:
            self.send(step, event, 40.0 * self.draw(f"second/{task}"))
        if fault == "crash after":
            raise Crashed(f"{task} after it invoked {step}")
        if fault == "lost":
            raise InvocationFailed("The answer of the invocation was lost.")


@dataclass(frozen=True, slots=True)
class ProcessClock:
    """The virtual clock as one process reads it: ``skew`` off."""

    clock: Callable[[], datetime]
    skew: timedelta

    def __call__(self) -> datetime:
        return self.clock() + self.skew
