"""Every object store behind one fixture, and decisions that need no trained model."""

import itertools
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.codec import sha256
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import MODEL, REFERENCE, artifact_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.overlay import OverlayObjectStore

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "overlay", "folder", "boto3", "obstore"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """One empty bucket, in each of the stores."""
    if request.param == "memory":
        yield MemoryObjectStore()
        return
    if request.param == "overlay":
        yield OverlayObjectStore(MemoryObjectStore())
        return
    if request.param == "folder":
        yield FolderObjectStore(request.getfixturevalue("tmp_path") / "store")
        return
    request.getfixturevalue("aws_environment")
    bucket = f"bucket-{next(_numbers)}"
    if request.param == "boto3":
        with mock_aws():
            boto3.client("s3").create_bucket(Bucket=bucket)
            yield Boto3ObjectStore(bucket)
    else:
        url = request.getfixturevalue("moto_url")
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
        yield ObstoreObjectStore(bucket, endpoint_url=url)


@pytest.fixture
def release() -> Callable[[str], Release]:
    """A release of a version that nobody trained."""

    def make(version: str) -> Release:
        return Release(
            version=version,
            model_key=artifact_key(version, MODEL),
            model_sha256=sha256(version.encode()),
            reference_key=artifact_key(version, REFERENCE),
            metrics={"roc_auc": 0.84},
            threshold=0.5,
        )

    return make


@pytest.fixture
def promotion(release: Callable[[str], Release]) -> Callable[[str, str], Proposal]:
    """A draft that promotes a version, for a request."""

    def make(version: str, request_id: str) -> Proposal:
        return Proposal(
            at="2026-11-24T00:00:00Z",
            action="promote",
            request_id=request_id,
            candidate=version,
            reasons=("ROC-AUC improves",),
            figures={"gain": 0.01},
            release=release(version),
        )

    return make


@pytest.fixture
def refusal() -> Callable[[str, str], Proposal]:
    """A draft that refuses a version, for a request."""

    def make(version: str, request_id: str) -> Proposal:
        return Proposal("2026-11-24T00:00:00Z", "refuse", request_id, version, ("ROC-AUC does not improve",))

    return make
