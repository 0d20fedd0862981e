"""A bucket under Object Lock takes no object without a checksum: each store sends one when the template says so."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.storage.objects import ObjectStore

type Headers = list[dict[str, str]]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Iterator[Headers]:
    """The headers of what an S3 took that takes anything; AWS_ENDPOINT_URL is its address."""
    taken: Headers = []

    class S3(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.append({name.lower(): value for name, value in self.headers.items()})
            if taken[-1].get("expect"):
                self.send_response_only(100)
                self.end_headers()
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("etag", '"x"')
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield taken
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("make", [ObstoreObjectStore, Boto3ObjectStore])
def test_an_object_comes_with_a_checksum_where_the_bucket_is_locked(
    make: Callable[..., ObjectStore], put: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLGOOD_BUCKET_CHECKSUM", "SHA256")  # as template.yaml sets it
    make("bucket").create("registry/decisions/00000001.json", b"{}")
    assert any(name.startswith(("x-amz-checksum-", "x-amz-trailer")) for name in put[-1])


def test_obstore_sends_none_of_its_own(put: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLGOOD_BUCKET_CHECKSUM", "")  # as template.yaml sets it where nothing is locked
    ObstoreObjectStore("bucket").create("capture/a", b"{}")
    assert not any(name.startswith("x-amz-checksum-") for name in put[-1])
