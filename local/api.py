"""A client of the deployed HTTP API, and live traffic in the background that counts what it gets."""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

type Row = Mapping[str, Any]

ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: status and decoded JSON body."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Api:
    """The API at ``url``, with or without a path."""

    url: str

    def get(self, path: str) -> Answer:
        return self._call("GET", path, None)

    def predict(self, rows: Row | Sequence[Row]) -> Answer:
        """POST /predict with one row, or a list of rows."""
        return self._call("POST", "/predict", json.dumps(rows).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Answer:
        parts = urlsplit(self.url)
        # http.client knows no proxies, which the shell may set for everything.
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, parts.path + path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read()))


class LiveTraffic:
    """Sends one customer after the other until it is stopped, and counts the answers by model version.

    A context manager: it sends while the block runs. An answer other than 200, or none, is a failure.
    """

    def __init__(self, api: Api, rows: Sequence[Row], *, pause_seconds: float = 0.02) -> None:
        self._api = api
        self._rows = itertools.cycle(rows)
        self._pause = pause_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, name="live-traffic", daemon=True)
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest_seconds = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def sent(self) -> int:
        return self.versions.total() + len(self.failures)

    def _send(self) -> None:
        while not self._ended.wait(self._pause):
            began = time.monotonic()
            try:
                answer = self._api.predict(next(self._rows))
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                continue
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            if answer.status == 200:
                self.versions[version_of(answer.body)] += 1
            else:
                self.failures.append(f"{answer.status}: {answer.body}")


def version_of(body: Any) -> str:
    """The model version that answered, of an answer for one row or for a list."""
    first = body["predictions"][0] if "predictions" in body else body
    return str(first["model_version"])
