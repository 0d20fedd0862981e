"""Stands between the deployed functions and the embedded cloud on loopback, and answers some of their requests itself:
an S3 with faults.
"""

import contextlib
import http.client
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Refusal(NamedTuple):
    """An answer of S3: the HTTP status and the error's code."""

    status: int
    code: str


UNAVAILABLE = Refusal(503, "ServiceUnavailable")
CHANGED = Refusal(412, "PreconditionFailed")


class Proxy:
    """Forwards to ``target``, a port on loopback, what ``refuse(method, path)`` does not answer. Deploy with
    ``EndpointUrl`` = ``url``.
    """

    def __init__(self, refuse: Callable[[str, str], Refusal | None]) -> None:
        self.target = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if (refusal := refuse(self.command, self.path)) is not None:
                    return self.answer(refusal.status, [], f"<Error><Code>{refusal.code}</Code></Error>".encode())
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.target, timeout=120)) as cloud:
                    cloud.request(self.command, self.path, body, headers)
                    answer = cloud.getresponse()
                    self.answer(answer.status, answer.getheaders(), answer.read())

            def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = next((value for name, value in headers if name.lower() == "content-length"), str(len(body)))
                self.send_header("content-length", length if self.command == "HEAD" else str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 -- the names of the library

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
