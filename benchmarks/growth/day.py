"""O29: a day of single predictions, 30% of them labelled one a request, judged by one run of monitor. Run in a process
of its own, for its memory, with the variables that the template sets: ``python -m benchmarks.strangers day``.

The captures and labels are made when they are asked for, so that only monitor takes memory; each request is answered
after 15 ms, in threads as with S3. What obstore's own work adds a request is measured apart.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from stillgood.domain.errors import ObjectNotFound
from stillgood.domain.policy.policies import POLICIES
from stillgood.steps.monitor.compact import compact
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.objects import ObjectInfo, Stored
from stillgood.storage.windows import iso
from stillgood.testing.counting import CountingObjectStore
from stillgood.testing.fakes import FakeInvoker

from benchmarks.growth.life import BEGIN, DAY, HOUR, Life

LATENCY = 0.015
_ODD, _WRAP = 0x9E3779B97F4A7C15, 1 << 64  # an odd factor has an inverse: names look random and can be read back
_CAPTURE = (
    '{"kind":"prediction","prediction_id":"p-%d","time":"%s","entity_id":"c-%d","features":{"first":%r,"second":%r},'
    '"score":%r,"probability":%r,"decision":%s,"model":"%s"}\n'
)
_LABEL = (
    '{"arrived":"%s","complete_until":null,"format":"stillgood.label-batch","format_version":1,"source":"crm"}\n'
    '{"event_time":"%s","label":"%s","prediction_id":"p-%d"}\n'
)
_INVERSE = pow(_ODD, -1, _WRAP)


class OneDay(FolderObjectStore):
    """A bucket whose captures and labels of day 1 are made on demand. ``n`` predictions; every labelled one has a batch
    of its own. What monitor writes lies in ``folder``.
    """

    def __init__(self, folder: Path, n: int, labelled: float, version: str) -> None:
        super().__init__(folder)
        self.now = BEGIN + 2 * DAY + timedelta(minutes=5)
        self._n, self._labels, self._version = n, int(n * labelled), version

    def get(self, key: str) -> Stored:
        if key.startswith("capture/"):
            return Stored(self._capture(int(key.rpartition("-")[2].removesuffix(".jsonl"))), key)
        if key.startswith("labels/dt="):
            return Stored(self._label(int(key.rpartition("/")[2][:16], 16) * _INVERSE % _WRAP), key)
        return super().get(key)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        if prefix.startswith("capture/"):
            return self._captures(prefix, start_after)
        if prefix.startswith("labels/dt="):
            return self._batches(start_after)
        return super().list(prefix, start_after)

    def _captures(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        hour, _, name = prefix.partition("hour=")[2].partition("/")
        if name:  # nothing was delivered by Firehose
            return
        first, last = (0, 24) if not hour else (int(hour), int(hour) + 1)
        if "dt=" in prefix and f"dt={BEGIN + DAY:%Y-%m-%d}" not in prefix:
            return
        for number in range(-(-first * self._n // 24), -(-last * self._n // 24)):
            at = self._at(number)
            key = f"capture/dt={at:%Y-%m-%d}/hour={at:%H}/{at:%H%M%S%f}-{number}.jsonl"
            if at > self.now:
                return
            if key > start_after:
                yield ObjectInfo(key, 420, key, at)

    def _batches(self, start_after: str) -> Iterator[ObjectInfo]:
        folder, passed = f"labels/dt={BEGIN + DAY:%Y-%m-%d}/", (self.now - BEGIN - DAY) / DAY
        here = min(self._labels, max(0, int(self._labels * passed)))
        for name in sorted(number * _ODD % _WRAP for number in range(here)):
            if (key := f"{folder}{name:016x}{'0' * 48}.jsonl") > start_after:
                yield ObjectInfo(key, 330, key, BEGIN + DAY)

    def _at(self, number: int) -> datetime:
        return BEGIN + DAY + number * DAY / self._n

    def _capture(self, number: int) -> bytes:
        mixed = number * _ODD % _WRAP
        first, second = (mixed & 0xFFFF) / 13107 - 2.5, (mixed >> 16 & 0xFFFF) / 13107 - 2.5
        score = 1 / (1 + 2.718281828 ** (1.0 - first - second))
        shown = (number, iso(self._at(number)), number, first, second, score, score, "true" if score > 0.4 else "false")
        return (_CAPTURE % (*shown, self._version)).encode()

    def _label(self, number: int) -> bytes:
        if number >= self._labels:
            raise ObjectNotFound("There is no such batch.")
        arrived = BEGIN + DAY + number * DAY / self._labels
        event = iso(self._at(number) + timedelta(seconds=1))
        return (_LABEL % (arrived.isoformat(), event, "yes" if number % 3 else "no", number)).encode()


def run(n: int, labelled: float = 0.3, latency: float = LATENCY, *, compacting: bool = True) -> dict[str, Any]:
    """What monitor's run took, wall and CPU seconds, peak memory in MB and calls by kind; and the longest of the runs
    that compacted before it, each hour, and all of their calls.
    """
    life = Life()
    version = json.loads(life.inner.get("registry/production_metrics.json").data)["version"]
    day = OneDay(Path(tempfile.mkdtemp(prefix="growth-")), n, labelled, version)
    for info in life.inner.list(""):
        day.put(info.key, life.inner.get(info.key).data)
    store = CountingObjectStore(day, latency, keep_keys=False)
    deps = MonitorDeps(store, FakeInvoker(), lambda: day.now, lambda _: None, POLICIES["guarded"], settle_seconds=0.0)
    hourly = []
    for hour in range(24 if compacting else 0):
        day.now = BEGIN + DAY + hour * HOUR + timedelta(minutes=30)
        begun = time.perf_counter()
        compact(deps)
        hourly.append(time.perf_counter() - begun)
        print(f"compacted {hour}: {hourly[-1]:.1f} s, {_peak():.0f} MB", file=sys.stderr, flush=True)
    before = store.restart()
    day.now = BEGIN + 2 * DAY + timedelta(minutes=5)
    begun, cpu = time.perf_counter(), time.process_time()
    answer = monitor({"scheduled_time": iso(BEGIN + 2 * DAY)}, deps)
    return {
        "rows": answer["rows"],
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - cpu,
        "longest_hour_seconds": max(hourly, default=0.0),
        "peak_mb": _peak(),
        "calls": dict(store.counts.calls),
        "calls_before": dict(before.calls),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
