"""A version is whole or absent, and never changes."""

import pytest
from stillgood.domain.errors import ObjectExists, StoreUnavailable, UnknownVersion
from stillgood.storage.artifacts import is_whole, publish, read_artifact
from stillgood.storage.keys import CARD, HOLDOUT, METRICS, MODEL, REFERENCE, artifact_key, checked_version
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.testing.faulty import Crashed, FaultyObjectStore

FILES = {MODEL: b"m", METRICS: b"t", REFERENCE: b"r", HOLDOUT: b"h", CARD: b"c"}


def test_a_version_is_published_once(store: ObjectStore) -> None:
    assert not is_whole(store, "v1")
    assert publish(store, "v1", FILES) is True
    assert is_whole(store, "v1")
    assert publish(store, "v1", FILES) is False
    assert {name: read_artifact(store, "v1", name) for name in FILES} == FILES


def test_a_version_whose_name_begins_alike_is_another(store: ObjectStore) -> None:
    publish(store, "v10", FILES)
    assert not is_whole(store, "v1")


def test_the_model_is_written_last() -> None:
    store = FaultyObjectStore(MemoryObjectStore())
    publish(store, "v1", FILES)
    assert len(store.writes) == 5
    assert store.writes[-1] == f"create {artifact_key('v1', MODEL)}"


@pytest.mark.parametrize("how", ["crash", "error"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_publication_that_broke_anywhere_is_finished_by_a_retry(at: int, when: str, how: str) -> None:
    """The retry is another run: its metrics and card tell so, and those of the first run stand."""
    store = MemoryObjectStore()
    with pytest.raises((Crashed, StoreUnavailable)):
        publish(FaultyObjectStore(store, at, when, how), "v1", FILES)  # type: ignore[arg-type]  # literals
    assert is_whole(store, "v1") == (at == 5 and when == "after")
    publish(store, "v1", FILES | {METRICS: b"t2", CARD: b"c2"})
    assert is_whole(store, "v1")
    assert [read_artifact(store, "v1", name) for name in (MODEL, REFERENCE, HOLDOUT)] == [b"m", b"r", b"h"]
    assert read_artifact(store, "v1", METRICS) in (b"t", b"t2")


@pytest.mark.parametrize("name", [MODEL, REFERENCE, HOLDOUT])
def test_other_content_under_a_published_version_is_refused(store: ObjectStore, name: str) -> None:
    publish(store, "v1", FILES)
    if name != MODEL:
        store.delete(artifact_key("v1", MODEL))
    with pytest.raises(ObjectExists, match="never changes"):
        publish(store, "v1", FILES | {name: b"other"})
    assert read_artifact(store, "v1", name) == FILES[name]


def test_a_version_without_a_model_is_none() -> None:
    with pytest.raises(ValueError, match=r"model\.json"):
        publish(MemoryObjectStore(), "v1", {METRICS: b""})


def test_a_missing_file_names_the_version(store: ObjectStore) -> None:
    with pytest.raises(UnknownVersion, match=r"v1 has no model\.json"):
        read_artifact(store, "v1", MODEL)


@pytest.mark.parametrize("version", ["20261124-0123456789ab", "A", "a.b_c-d", "x" * 128])
def test_versions_are_plain_names(version: str) -> None:
    assert checked_version(version) == version


@pytest.mark.parametrize(
    "version", ["", ".", "..", "a..b", "../registry", "a/b", "a\\b", "-a", ".a", "a b", "a\n", "é", "x" * 129, None, 3]
)
def test_a_version_that_tricks_a_path_is_unknown(version: str) -> None:
    with pytest.raises(UnknownVersion):
        artifact_key(version, MODEL)
