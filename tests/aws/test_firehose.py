"""Captures by Firehose: signed as botocore signs, packed into records, and in S3 where the stream refuses them."""

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from stillgood.aws.capture import Capture
from stillgood.aws.firehose import MAX_RECORD_BYTES, ByFirehose, Firehose, _parts, signed
from stillgood.domain.errors import NotCaptured, StoreUnavailable
from stillgood.storage.memory import MemoryObjectStore

NOW = datetime(2026, 11, 24, 9, 5, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


class Stream:
    """A Firehose that takes records, or answers with ``status``."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.status = 200
        self.connections: set[Any] = set()
        self.clients: list[Firehose] = []
        stream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stream.connections.add(self.client_address)
                if stream.status == 200:
                    stream.records.append(b64decode(body["Record"]["Data"]))
                answer = b'{"RecordId":"1"}' if stream.status == 200 else b'{"__type":"ServiceUnavailableException"}'
                self.send_response(stream.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def client(self) -> Firehose:
        self.clients.append(Firehose("captures", endpoint_url=self.url))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream()
    yield made
    made.close()


@given(st.binary(max_size=300), st.sampled_from([None, "session/token+=="]))
def test_the_signature_is_botocores(body: bytes, token: str | None) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "Host": "firehose.eu-west-1.amazonaws.com",
        "X-Amz-Target": "t",
    }
    made = signed(headers, body, ("AKID", "secret", token), "eu-west-1", NOW)
    request = AWSRequest("POST", f"https://{headers['Host']}/", headers=headers, data=body)
    signer = SigV4Auth(Credentials("AKID", "secret", token), "firehose", "eu-west-1")
    request.context["timestamp"] = "20261124T090501Z"
    for name in ("X-Amz-Date", "X-Amz-Security-Token"):
        if name in made:
            request.headers[name] = made[name]
    canonical = signer.canonical_request(request)
    wanted = signer.signature(signer.string_to_sign(request, canonical), request)
    assert made["Authorization"].endswith(f"Signature={wanted}")
    assert f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}" in made["Authorization"]


def test_a_request_is_one_record_on_one_connection_and_no_object(stream: Stream) -> None:
    store = MemoryObjectStore()
    capture = Capture(ByFirehose(stream.client(), store))
    for number in range(3):
        capture.write([{"kind": "prediction", "n": number}, {"kind": "prediction"}], NOW, f"u{number}")
    assert stream.records == [b'{"kind":"prediction","n":%d}\n{"kind":"prediction"}\n' % number for number in range(3)]
    assert len(stream.connections) == 1
    assert list(store.list("")) == []


@pytest.mark.parametrize("how", ["refused", "gone", "no credentials"])
def test_what_the_stream_does_not_take_goes_to_s3(stream: Stream, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryObjectStore()
    capture = Capture(ByFirehose(stream.client(), store))
    capture.write([{"n": 1}], NOW, "before")  # so that a connection is open
    if how == "refused":
        stream.status = 503
    elif how == "gone":
        stream.close()
    else:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    capture.write([{"n": 2}], NOW, "u", required=True)
    assert [store.get(info.key).data for info in store.list("capture/")] == [b'{"n":2}\n']
    assert capture.status()["lost"] == capture.status()["pending"] == 0


def test_when_neither_takes_it_the_caller_who_must_know_is_told(stream: Stream) -> None:
    class Down(MemoryObjectStore):
        def create(self, key: str, data: bytes) -> str:
            raise StoreUnavailable("down")

    stream.status = 500
    capture = Capture(ByFirehose(stream.client(), Down()))
    with pytest.raises(NotCaptured):
        capture.write([{"n": 1}], NOW, "u", required=True)


def test_a_large_request_is_several_records_of_whole_lines() -> None:
    lines = [b"x" * 299_999 + b"\n"] * 10
    parts = _parts(b"".join(lines))
    assert b"".join(parts) == b"".join(lines)
    assert [len(part) // 300_000 for part in parts] == [3, 3, 3, 1]
    assert all(len(part) <= MAX_RECORD_BYTES for part in parts)
    assert _parts(b"") == []
