"""As much of Lambda as takes an asynchronous invocation, and keeps what it was asked for: the hand-over from one step
to the next.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class RecordingServer(ThreadingHTTPServer):
    """``events`` has the path of each invocation, which names the function, and its event."""

    def __init__(self, host: str) -> None:
        self.events: list[tuple[str, Any]] = []
        super().__init__((host, 0), Handler)
        self.url = f"http://{host}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: RecordingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.events.append((self.path, json.loads(body)))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def recording_server(host: str) -> Iterator[RecordingServer]:
    """The server while the block runs."""
    server = RecordingServer(host)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
