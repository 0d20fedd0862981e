"""Live traffic counts what it gets, and takes nothing but a 200 for an answer."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.api import Api, LiveTraffic


class Server(ThreadingHTTPServer):
    answers: list[tuple[int, object]]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Server)
        status, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def api(server: Server) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}/_aws/execute-api/11fec7c1")


def run(traffic: LiveTraffic, requests: int) -> None:
    with traffic:
        deadline = time.monotonic() + 60
        while traffic.sent < requests and time.monotonic() < deadline:
            time.sleep(0.01)


def test_it_counts_the_answers_by_model_version(server: Server) -> None:
    server.answers = [(200, {"model_version": "old"}), (200, {"model_version": "old"}), (200, {"model_version": "new"})]
    traffic = LiveTraffic(api(server), [{"tenure": 1}], pause_seconds=0.001)
    run(traffic, 4)
    assert traffic.versions["old"] == 2
    assert traffic.versions["new"] >= 2
    assert traffic.failures == []


def test_a_refusal_is_a_failure(server: Server) -> None:
    server.answers = [(503, {"title": "No model has been promoted yet"}), (200, {"model_version": "a"})]
    traffic = LiveTraffic(api(server), [{"tenure": 1}], pause_seconds=0.001)
    run(traffic, 2)
    assert traffic.failures == ["503: {'title': 'No model has been promoted yet'}"]


def test_no_answer_is_a_failure_and_not_the_end(server: Server) -> None:
    traffic = LiveTraffic(Api("http://127.0.0.1:1"), [{"tenure": 1}], pause_seconds=0.001)
    run(traffic, 2)
    assert len(traffic.failures) >= 2
    assert traffic.versions == {}
