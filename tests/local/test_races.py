"""Conditional writes under contention, where they are atomic: on the embedded cloud, through both S3 adapters."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.errors import ObjectExists, PreconditionFailed
from stillgood.storage.objects import ObjectStore

from local import cloud

WRITERS = 8
ROUNDS = 5
BUCKET = "races"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cloud.Cloud]:
    home: Path = tmp_path_factory.mktemp("races")
    started = cloud.start(home)
    started.client("s3").create_bucket(Bucket=BUCKET)
    yield started
    cloud.stop(home)


@pytest.fixture(params=["boto3", "obstore"])
def store(request: pytest.FixtureRequest, running: cloud.Cloud, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in cloud.environment(running.home, running.port).items():
        monkeypatch.setenv(name, value)
    if request.param == "boto3":
        return Boto3ObjectStore(BUCKET, running.client("s3"))
    return ObstoreObjectStore(BUCKET, endpoint_url=running.endpoint)


def race(write: Callable[[bytes], str], lost: type[Exception]) -> list[bytes]:
    """All writers at once; returns the values of those whose write stood."""
    together = threading.Barrier(WRITERS)

    def attempt(number: int) -> bytes | None:
        value = f"writer {number}".encode()
        together.wait()
        try:
            write(value)
        except lost:
            return None
        return value

    with ThreadPoolExecutor(WRITERS) as pool:
        return [value for value in pool.map(attempt, range(WRITERS)) if value is not None]


def test_one_of_many_creators_wins(store: ObjectStore) -> None:
    for number in range(ROUNDS):
        key = f"{type(store).__name__}/decisions/{number}.json"
        won = race(lambda value, key=key: store.create(key, value), ObjectExists)
        assert len(won) == 1
        assert store.get(key).data == won[0]


def test_one_of_many_swappers_wins(store: ObjectStore) -> None:
    key = f"{type(store).__name__}/pointer.json"
    etag = store.create(key, b"first")
    for _ in range(ROUNDS):
        won = race(
            lambda value, etag=etag: store.swap(key, value + b" after " + etag.encode(), etag), PreconditionFailed
        )
        assert len(won) == 1
        stored = store.get(key)
        assert stored.data.startswith(won[0])
        etag = stored.etag
