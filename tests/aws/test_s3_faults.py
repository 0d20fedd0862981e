"""Both S3 adapters against a small S3 that fails on purpose: busy, throttled, slow, gone, or deaf after the write was
done.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.config import Config
from stillgood.aws.retries import RetryPolicy, TransientError
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.errors import ObjectExists, ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.storage.objects import ObjectStore


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. ``status`` 0 cuts the connection. ``applied``: after the write was done."""

    status: int
    code: str = ""
    applied: bool = False
    seconds: float = 0.0
    before: Callable[[], None] = lambda: None


@dataclass
class FaultyS3:
    """Objects with conditional reads and writes over HTTP; ``faults`` are used up one a request."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _listed(objects: dict[str, bytes], query: dict[str, str]) -> bytes:
    """Two keys a page."""
    after = query.get("continuation-token") or query.get("start-after", "")
    keys = sorted(key for key in objects if key.startswith(query.get("prefix", "")) and key > after)
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag><LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>"
        for key in keys[:2]
    )
    more = (
        f"<IsTruncated>true</IsTruncated><NextContinuationToken>{keys[1]}</NextContinuationToken>" if keys[2:] else ""
    )
    return f"<ListBucketResult>{rows}{more}</ListBucketResult>".encode()


def _handler(s3: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.serve()

        def do_PUT(self) -> None:
            self.serve()

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with s3.lock:
                s3.requests.append(self.command)
                fault = s3.faults.pop(0) if s3.faults else None
            if fault is None:
                return self.answer(*self.apply(body))
            fault.before()
            if fault.applied:
                self.apply(body)
            time.sleep(fault.seconds)
            if fault.status:
                return self.answer(
                    fault.status, b"<Error><Code>%s</Code><Message>no</Message></Error>" % fault.code.encode()
                )
            self.close_connection = True
            return None

        def apply(self, body: bytes) -> tuple[int, bytes]:
            key, _, query = self.path.removeprefix("/bucket").removeprefix("/").partition("?")
            with s3.lock:
                if not key:
                    return 200, _listed(s3.objects, dict(parse_qsl(query)))
                there = s3.objects.get(key)
                if self.command == "GET":
                    if there is None:
                        return 404, b"<Error><Code>NoSuchKey</Code></Error>"
                    return (304, b"") if self.headers.get("If-None-Match") == _etag(there) else (200, there)
                if (self.headers.get("If-None-Match") == "*" and there is not None) or (
                    "If-Match" in self.headers and (there is None or self.headers["If-Match"] != _etag(there))
                ):
                    return 412, b"<Error><Code>PreconditionFailed</Code></Error>"
                s3.objects[key] = body
                return 200, b""

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
            data = s3.objects.get(self.path.removeprefix("/bucket/"))
            if status in (200, 304) and data is not None:
                self.send_header("ETag", _etag(data))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def s3() -> Iterator[FaultyS3]:
    faulty = FaultyS3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(faulty))
    server.daemon_threads = True
    faulty.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield faulty
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["boto3", "obstore"])
def store(request: pytest.FixtureRequest, s3: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    attempts = RetryPolicy(max_attempts=4, base_delay_seconds=0.001, budget_seconds=2.0)
    if request.param == "boto3":
        client = boto3.client(
            "s3",
            endpoint_url=s3.url,
            config=Config(
                connect_timeout=1, read_timeout=0.3, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
            ),
        )
        return Boto3ObjectStore("bucket", client, attempts)
    return ObstoreObjectStore("bucket", endpoint_url=s3.url, timeout_seconds=0.3, attempts=attempts)


CONFLICT = Fault(409, "ConditionalRequestConflict")
SLOW_DOWN = Fault(503, "SlowDown")
CUT = Fault(0)


@pytest.mark.parametrize(
    "fault", [CONFLICT, SLOW_DOWN, Fault(500, "InternalError"), Fault(429, "TooManyRequests"), CUT]
)
def test_a_passing_fault_is_tried_again(store: ObjectStore, s3: FaultyS3, fault: Fault) -> None:
    s3.faults += [fault, fault]
    etag = store.create("k", b"1")
    assert s3.requests == ["PUT", "PUT", "PUT"]
    s3.faults += [fault]
    store.swap("k", b"2", etag)
    s3.faults += [fault]
    assert store.get("k").data == b"2"
    assert s3.objects == {"k": b"2"}


def test_a_lasting_fault_gives_up_after_a_bound(store: ObjectStore, s3: FaultyS3) -> None:
    for fault in (CONFLICT, SLOW_DOWN, CUT):
        s3.requests.clear()
        s3.faults[:] = [fault] * 20
        with pytest.raises(StoreUnavailable, match="tried 4 times"):
            store.create("k", b"1")
        assert len(s3.requests) == 4
    assert s3.objects == {}


@pytest.mark.parametrize(
    "fault", [Fault(0, applied=True), Fault(500, "InternalError", applied=True), Fault(503, "SlowDown", applied=True)]
)
def test_a_write_that_happened_unheard_is_recognised_as_ours(store: ObjectStore, s3: FaultyS3, fault: Fault) -> None:
    s3.faults += [fault]
    etag = store.create("k", b"1")
    assert etag == store.get("k").etag
    s3.faults += [fault]
    assert store.swap("k", b"2", etag) == store.get("k").etag
    assert s3.objects == {"k": b"2"}


def test_a_doubt_lasts_through_later_tries(store: ObjectStore, s3: FaultyS3) -> None:
    s3.faults += [Fault(0, applied=True), CONFLICT]
    store.create("k", b"1")
    assert s3.requests == ["PUT", "PUT", "PUT", "GET"]


def test_a_slow_answer_to_a_write_that_happened_is_recognised_too(store: ObjectStore, s3: FaultyS3) -> None:
    s3.faults += [Fault(200, applied=True, seconds=0.6)]
    store.create("k", b"1")
    assert s3.requests == ["PUT", "PUT", "GET"]


def test_an_unheard_write_that_lost_is_still_a_loss(store: ObjectStore, s3: FaultyS3) -> None:
    """The first try was cut off before it happened, and somebody else wrote meanwhile."""
    s3.faults += [Fault(0, before=lambda: s3.objects.update(k=b"theirs"))]
    with pytest.raises(ObjectExists):
        store.create("k", b"ours")
    s3.faults += [Fault(0, before=lambda: s3.objects.update(k=b"newer"))]
    with pytest.raises(PreconditionFailed):
        store.swap("k", b"ours", _etag(b"theirs"))
    assert s3.objects == {"k": b"newer"}


def test_equal_bytes_of_somebody_else_are_a_loss_when_every_try_was_heard(store: ObjectStore, s3: FaultyS3) -> None:
    s3.objects["k"] = b"1"
    s3.faults += [CONFLICT]
    with pytest.raises(ObjectExists):
        store.create("k", b"1")
    assert s3.requests == ["PUT", "PUT"]


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId"])
def test_no_access_is_said_at_once(store: ObjectStore, s3: FaultyS3, code: str) -> None:
    s3.faults += [Fault(403, code)] * 2
    with pytest.raises(StoreUnavailable, match="denied"):
        store.get("k")
    with pytest.raises(StoreUnavailable, match="denied"):
        store.create("k", b"")
    assert len(s3.requests) == 2


def test_a_missing_bucket_is_not_a_missing_object(store: ObjectStore, s3: FaultyS3) -> None:
    for act in (
        lambda: store.get("k"),
        lambda: store.create("k", b""),
        lambda: store.swap("k", b"", '"x"'),
        lambda: list(store.list("")),
    ):
        s3.faults[:] = [Fault(404, "NoSuchBucket")]
        with pytest.raises(StoreUnavailable, match="STILLGOOD_BUCKET"):
            act()
    with pytest.raises(ObjectNotFound):
        store.get("k")


@pytest.mark.parametrize("fault", [SLOW_DOWN, CUT])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_listing_that_fails_half_way_loses_and_repeats_nothing(
    store: ObjectStore, s3: FaultyS3, fault: Fault, failing: int
) -> None:
    """A monitor that sees half of the captures would take the window for a small one."""
    s3.objects.update({f"k/{number}": b"1" for number in range(6)})
    listed: list[str] = []
    for info in store.list("k/"):
        if len(listed) == 2 * failing:
            s3.faults += [fault]
        listed.append(info.key)
    assert listed == [f"k/{number}" for number in range(6)]


def test_a_slow_store_costs_a_bounded_time(store: ObjectStore, s3: FaultyS3) -> None:
    """Time-out 0.3 s a try, budget 2 s; nobody waits for the answer that comes after 5 s."""
    s3.objects["k"] = b"1"
    s3.faults += [Fault(200, seconds=5.0)] * 10
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.get("k")
    assert time.monotonic() - start < 2.5


def test_nobody_listening_is_unavailable(store: ObjectStore, s3: FaultyS3) -> None:
    s3.faults += [CUT] * 20
    with pytest.raises(StoreUnavailable):
        store.get("k")
    with pytest.raises(StoreUnavailable):
        list(store.list("k"))


@dataclass
class Time:
    """A clock that sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def _always_busy() -> None:
    raise TransientError("busy", unsure=False)


def test_pauses_double_and_the_jitter_scales_them() -> None:
    time = Time()
    attempts = RetryPolicy(
        max_attempts=4,
        base_delay_seconds=0.1,
        budget_seconds=60,
        sleep=time.sleep,
        monotonic=time.monotonic,
        jitter=lambda: 0.5,
    )
    with pytest.raises(StoreUnavailable, match=r"busy \(tried 4 times\)"):
        attempts.run(_always_busy)
    assert time.slept == [0.05, 0.1, 0.2]


def test_no_try_starts_after_the_budget() -> None:
    time = Time()
    attempts = RetryPolicy(
        max_attempts=99,
        base_delay_seconds=1.0,
        budget_seconds=10.0,
        sleep=time.sleep,
        monotonic=time.monotonic,
        jitter=lambda: 1.0,
    )
    with pytest.raises(StoreUnavailable):
        attempts.run(_always_busy)
    assert time.slept == [1.0, 2.0, 4.0]  # the next pause, 8 s, would end after 15 s
