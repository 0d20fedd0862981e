"""The capture log: what was asked and answered, written durably before the answer leaves.

One object per request, JSON lines. A failed write never fails a prediction: the records wait in memory, bounded in
bytes, and go out under their original keys with a later request, so an outage shorter than the process loses nothing
and a write that had succeeded after all is repeated, not doubled. Every failure is logged, counted and shown by
``/status``.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import orjson

from stillgood.aws import logs, metrics
from stillgood.domain.errors import NotCaptured, ObjectExists
from stillgood.storage.keys import capture_key

MAX_PENDING_BYTES = 8 * 1024 * 1024
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 8.0  # between tries while the store fails; doubled each time
_DRAIN_OBJECTS = 50  # of the backlog, per request once the store answers again


class Sink(Protocol):
    """An object store, or what delivers into one (``aws/firehose.py``)."""

    def create(self, key: str, data: bytes) -> str:
        """Keep ``data``, durably; raises ObjectExists where it was kept before."""


class Capture:
    """Writes records to ``store``; safe to share between threads. Counters are of this process."""

    def __init__(
        self,
        store: Sink,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._store, self._monotonic = store, monotonic
        self._max_pending_bytes = max_pending_bytes
        self._pending: deque[tuple[str, bytes, int]] = deque()
        self._pending_bytes = 0
        self._pause, self._retry_at = FIRST_PAUSE_SECONDS, float("-inf")
        self._lock = threading.Lock()
        self._written = self._failures = self._lost = 0
        self._last_error: str | None = None

    def write(
        self, records: Sequence[Mapping[str, object]], now: datetime, unique: str, *, required: bool = False
    ) -> None:
        """Write one request's records as one object under the hour of ``now``. Never raises for a failing store, unless
        they are ``required``: then NotCaptured says that they were not written, and they do not wait.

        ``unique`` is the request's own; it keeps requests of one microsecond apart.
        """
        if not records:
            return
        data = b"".join([orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records])
        with self._lock:
            self._pending.append((capture_key(now, unique), data, len(records)))
            self._pending_bytes += len(data)
            self._drain(all_of_it=required)
            if required and self._pending:
                self._pending_bytes -= len(self._pending.pop()[1])
                raise NotCaptured(
                    "The contract wants every prediction captured, and the store does not take this one; try again."
                )
            if self._pending_bytes > self._max_pending_bytes:
                self._drop()

    def status(self) -> dict[str, object]:
        """Counts of records: written, pending (waiting for the store), lost (dropped from a full backlog); failures of
        writes.

        Asking also sends what is pending, so that it need not wait for another prediction.
        """
        with self._lock:
            self._drain()
            return {
                "written": self._written,
                "pending": sum(count for _, _, count in self._pending),
                "lost": self._lost,
                "failures": self._failures,
                "last_error": self._last_error,
            }

    def _drain(self, *, all_of_it: bool = False) -> None:
        if self._monotonic() < self._retry_at:
            return
        for _ in range(len(self._pending) if all_of_it else min(len(self._pending), _DRAIN_OBJECTS)):
            key, data, count = self._pending[0]
            try:
                with suppress(ObjectExists):  # a try before whose answer got lost
                    self._store.create(key, data)
            except Exception as error:  # whatever goes wrong with the log, the caller still gets the prediction
                self._failures += 1
                # One request pays for trying; those until the next try do not.
                self._retry_at = self._monotonic() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
                self._last_error = type(error).__name__
                metrics.count("CaptureFailures")
                logs.log(
                    logging.ERROR,
                    "capture failed; the records wait in memory",
                    error=error,
                    key=key,
                    pending_bytes=self._pending_bytes,
                )
                return
            self._pending.popleft()
            self._pending_bytes -= len(data)
            self._written += count
            self._pause = FIRST_PAUSE_SECONDS

    def _drop(self) -> None:
        dropped = 0
        while self._pending_bytes > self._max_pending_bytes:
            _, data, count = self._pending.popleft()
            self._pending_bytes -= len(data)
            dropped += count
        self._lost += dropped
        metrics.count("CaptureLost", dropped)
        logs.log(logging.ERROR, "captured records were dropped: the backlog is full", records=dropped)
