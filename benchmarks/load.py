"""``make bench-load``: is every prediction that was answered also captured and monitored? Over real HTTP, and through
trouble.

The real template runs on the embedded cloud. Between its functions and S3 stands a proxy that can refuse captures. Each
phase has a window of its own; in it, what clients were answered, what lies under ``capture/`` and what monitor judged
must be the same, id by id. The last phase shows the limit: what only a process's memory holds while S3 refuses it dies
with that process, and no more than that.
"""

import contextlib
import http.client
import itertools
import json
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, artifact_key
from stillgood.storage.registry import Registry

from local import customers, datasets
from local import up as keep
from local.api import Api
from local.cloud import ROOT, stop
from local.deploy import Stack, bring_up
from local.fault_proxy import UNAVAILABLE, Proxy

RESULTS = ROOT / "benchmarks" / "results" / "load.json"
CLIENTS = 4  # the emulator's limit of concurrent functions
LIST_ROWS = 5  # every other request is a list
WINDOW_SECONDS = 10
TRAFFIC_SECONDS, OUTAGE_SECONDS = 6.5, 4.0
FLUSH_SECONDS = 8.0  # the longest pause between two tries, see aws/capture.py
PARAMETERS = keep.PARAMETERS | {
    "WindowHours": f"{WINDOW_SECONDS / 3600:.6f}",
    "SettleSeconds": "0",
    "ChampionTtlSeconds": "0",
    "MonitorSchedule": "rate(30 minutes)",
    "MonitorScheduleState": "DISABLED",
}


class Clients:
    """Concurrent clients that send until the block ends, and keep the id of every prediction they were answered."""

    def __init__(self, api: Api, rows: Sequence[Any]) -> None:
        self._api = api
        cycle = itertools.cycle(rows)
        kinds: list[Callable[[], Any]] = [lambda: next(cycle), lambda: [next(cycle) for _ in range(LIST_ROWS)]]
        self._requests = itertools.cycle(kinds)
        self._next, self._ended = threading.Lock(), threading.Event()
        self.gate = threading.Lock()
        self._inside = threading.Semaphore(CLIENTS)
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(CLIENTS)]
        self.ids: list[str] = []
        self.versions: set[str] = set()
        self.requests = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No request is under way in the block: Lambda never ends a process that answers one; the emulator would."""
        with self.gate:
            for _ in range(CLIENTS):
                self._inside.acquire()
            try:
                yield
            finally:
                self._inside.release(CLIENTS)

    def _send(self) -> None:
        while not self._ended.is_set():
            with self.gate, self._next:
                rows = next(self._requests)()
                self._inside.acquire()
            try:
                answer = self._api.predict(rows)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                continue
            finally:
                self._inside.release()
            if answer.status != 200:
                self.failures.append(f"{answer.status}: {answer.body}"[:200])
                continue
            predictions = answer.body.get("predictions", [answer.body])
            with self._next:
                self.requests += 1
                self.ids += [prediction["prediction_id"] for prediction in predictions]
                self.versions |= {prediction["model_version"] for prediction in predictions}


@dataclass(slots=True)
class Bench:
    """What the phases share; ``rows`` is the table that is printed and kept."""

    stack: Stack
    api: Api
    outage: threading.Event
    customers: Sequence[Any]
    first: str = ""
    second: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    def note(self, name: str, value: object, target: object = "", met: bool | None = None) -> None:
        self.rows.append({"name": name, "value": value, "target": target, "met": met})
        verdict = "" if met is None else "met" if met else "NOT MET"
        print(f"  {name:78} {value!s:>10}  {target!s:22} {verdict}", flush=True)

    def phase(self, name: str, trouble: Callable[[Clients], int | None], seconds: float = TRAFFIC_SECONDS) -> None:
        """Traffic for some seconds with ``trouble`` in it, then the three counts. ``trouble`` returns how many captures
        it must cost.
        """
        before = max((info.key for info in self.stack.store.list("capture/")), default="")
        began = math.ceil(time.time())
        time.sleep(max(0.0, began - time.time()))
        with Clients(self.api, self.customers) as clients:
            until = time.monotonic() + seconds
            time.sleep(1)
            cost = trouble(clients) or 0
            time.sleep(max(0.0, until - time.monotonic()))
        answered = set(clients.ids)
        self._flushed()
        captured = self._captured(before)
        end = began + WINDOW_SECONDS
        time.sleep(max(0.0, end + 0.2 - time.time()))
        report = self.stack.invoke(
            "monitor", {"scheduled_time": f"{datetime.fromtimestamp(end, UTC):%Y-%m-%dT%H:%M:%SZ}"}
        )
        self.note(f"{name}: requests answered, by {len(clients.versions)} model(s)", clients.requests)
        self.note(f"{name}: predictions answered", len(clients.ids))
        self.note(f"{name}: requests that failed", len(clients.failures), "0", not clients.failures)
        for failure in clients.failures[:3]:
            print("   ", failure)
        lost = len(answered - set(captured))
        self.note(f"{name}: answered, but not captured", lost, f"{cost}", lost == cost)
        extra = len(set(captured) - answered) + len(captured) - len(set(captured)) + len(clients.ids) - len(answered)
        self.note(f"{name}: captured twice, or never answered", extra, "0", extra == 0)
        monitored, target = report["rows"], len(clients.ids) - cost
        self.note(f"{name}: monitored", monitored, f"= {target} captured", monitored == target)

    def _flushed(self) -> None:
        """Until the process that answers has nothing pending; asking is what sends it."""
        deadline = time.monotonic() + FLUSH_SECONDS
        while self.api.get("/status").body["capture"]["pending"] and time.monotonic() < deadline:
            time.sleep(0.2)

    def _captured(self, after: str) -> list[str]:
        """The ids of all predictions captured since."""
        keys = [info.key for info in self.stack.store.list("capture/", after)]
        with ThreadPoolExecutor(8) as pool:
            objects = list(pool.map(lambda key: self.stack.store.get(key).data, keys))
        return [json.loads(line)["prediction_id"] for data in objects for line in data.splitlines()]


def promote(bench: Bench) -> None:
    """A second champion, put in force as promote does it; and back by the event that a person would send."""
    put_in_force(bench)
    time.sleep(3)
    event = {"action": "rollback", "to": bench.first, "request_id": f"load-{time.time()}", "reason": "bench-load"}
    assert bench.stack.invoke("promote", event)["result"] == "rolled back"


def put_in_force(bench: Bench) -> None:
    """Publish the champion's model under another version, and decide for it."""
    store = bench.stack.store
    registry = Registry(store)
    pointer = registry.pointer()
    assert pointer is not None
    model = json.loads(store.get(pointer.model_key).data)
    data = encode(model | {"version": bench.second, "baseline": model["baseline"] + 0.01})
    publish(store, bench.second, {MODEL: data})
    release = Release(
        version=bench.second,
        model_key=artifact_key(bench.second, MODEL),
        model_sha256=sha256(data),
        reference_key=pointer.reference_key,
        metrics=pointer.metrics,
        threshold=pointer.threshold,
    )
    request = f"load {bench.second}"
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    registry.decide(
        request, lambda _: Proposal(now, "promote", request, bench.second, ("bench-load",), release=release)
    )


def restart(bench: Bench, clients: Clients) -> None:
    """End predict's process by SIGTERM between two requests, as Lambda ends one that a deployment replaced; twice."""
    for _ in range(2):
        with clients.held():
            assert end(bench, signal.SIGTERM)
        time.sleep(2)


def capture_outage(bench: Bench) -> None:
    """S3 refuses captures, and takes them again: the process that answered keeps them meanwhile."""
    bench.outage.set()
    time.sleep(OUTAGE_SECONDS)
    waiting = bench.api.get("/status").body["capture"]["pending"]
    bench.outage.clear()
    bench.note("capture outage: predictions waiting in memory when S3 came back", waiting, "> 0", waiting > 0)


def kill(bench: Bench, clients: Clients) -> int:
    """End predict's process by SIGKILL while it holds captures that S3 refuses: they are lost, and /status had told how
    many.
    """
    bench.outage.set()
    time.sleep(OUTAGE_SECONDS / 2)
    with clients.held():
        waiting = bench.api.get("/status").body["capture"]["pending"]
        assert end(bench, signal.SIGKILL)
        bench.outage.clear()
    bench.note("kill -9 in an outage: captures that /status said were only in memory", waiting, "> 0", waiting > 0)
    return int(waiting)


def end(bench: Bench, how: signal.Signals) -> set[int]:
    """End every process that runs predict, and wait until they are gone; returns their pids."""
    before = workers(bench)
    for pid in before:
        os.kill(pid, how)
    while before & workers(bench):
        time.sleep(0.01)
    return before


def workers(bench: Bench) -> set[int]:
    """The processes that run predict, children of the emulator."""
    function = bench.stack.functions["predict"].rpartition("function:")[2].partition(":")[0]
    name = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
    pids = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, parent = int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])
            if parent == bench.stack.cloud.pid and name in (path.parent / "environ").read_bytes().split(b"\0"):
                pids.add(pid)
    return pids


def run(home: Path) -> list[dict[str, Any]]:
    outage = threading.Event()
    with Proxy(
        lambda method, path: UNAVAILABLE if outage.is_set() and method == "PUT" and "/capture/" in path else None
    ) as proxy:
        stack = bring_up(home, PARAMETERS | {"EndpointUrl": proxy.url})
        proxy.target = stack.cloud.port
        first, others = customers.split(datasets.telco())
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        keep.seed(
            stack, f"data/{day}/customers.csv", first.to_csv(index=False).encode(), datasets.contract_text("telco")
        )
        decision = keep.train_first(stack)
        requests = customers.as_requests(others, datasets.contract("telco"))
        bench = Bench(stack, Api(stack.api_url), outage, requests, decision.candidate or "", f"{decision.candidate}-b")
        bench.api.predict(requests[0])
        print(f"Champion {bench.first}; {CLIENTS} clients, every other request a list of {LIST_ROWS} rows.", flush=True)
        bench.phase("steady", lambda _: None)
        bench.phase("promotion and rollback", lambda _: promote(bench))
        bench.phase("two restarts", lambda clients: restart(bench, clients))
        bench.phase("capture outage", lambda _: capture_outage(bench), seconds=TRAFFIC_SECONDS + 2)
        bench.phase("kill -9 in an outage", lambda clients: kill(bench, clients), seconds=TRAFFIC_SECONDS - 2)
        return bench.rows


def main() -> int:
    """Exit status 1 when a target is missed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "load"
        try:
            rows = run(home)
        finally:
            stop(home)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    missed = [row["name"] for row in rows if row["met"] is False]
    print(
        f"{len(rows)} rows in {time.monotonic() - began:.0f} s;"
        f" {'every target met' if not missed else f'MISSED: {missed}'}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
