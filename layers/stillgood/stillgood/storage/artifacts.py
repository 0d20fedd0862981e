"""The immutable files of a version under ``models/<version>/`` and publishing them so that a version is whole or
absent.
"""

from collections.abc import Mapping

from stillgood.domain.errors import ObjectExists, ObjectNotFound, StillgoodError, UnknownVersion
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import CARD, METRICS, MODEL, SOURCES, artifact_key
from stillgood.storage.objects import ObjectStore

# They tell of one run (tracking id, duration), so two trainings of one version differ in them; the first one's stand.
_OF_THE_RUN = frozenset({METRICS, CARD, SOURCES})


def publish(store: ObjectStore, version: str, files: Mapping[str, bytes]) -> bool:
    """Write a version's files create-only, ``model.json`` last, so that its presence means the version is whole.

    Returns False when the version was published before. After a crash half-way a retry goes on where it stopped.
    Raises ObjectExists when a file is there with other content; the version is then left as it was found.
    """
    if MODEL not in files:
        raise ValueError(f"a version needs {MODEL}")
    if _same_or_absent(store, artifact_key(version, MODEL), files[MODEL]):
        return False
    for name in sorted(set(files) - {MODEL}):
        try:
            store.create(artifact_key(version, name), files[name])
        except ObjectExists:
            if name not in _OF_THE_RUN:
                _same_or_absent(store, artifact_key(version, name), files[name])
    try:
        store.create(artifact_key(version, MODEL), files[MODEL])
    except ObjectExists:
        return not _same_or_absent(store, artifact_key(version, MODEL), files[MODEL])
    return True


def is_whole(store: ObjectStore, version: str) -> bool:
    """Whether a version is published to its last file."""
    key = artifact_key(version, MODEL)
    return any(info.key == key for info in store.list(key))


def read_artifact(store: ObjectStore, version: str, name: str) -> bytes:
    """The bytes of one file. Raises UnknownVersion when it is not there."""
    try:
        return store.get(artifact_key(version, name)).data
    except ObjectNotFound as error:
        raise UnknownVersion(
            f"Version {version} has no {name}. Train it, or name a version under models/.", version=version
        ) from error


def dates_of(store: ObjectStore, version: str) -> dict[str, str]:
    """When a version was ``trained``, and ``learnt_until``: the time of the newest row that it was made from, ISO 8601.
    Its name begins with the day of the latter. Empty for a version that does not say, or is not there.
    """
    key = artifact_key(version, METRICS)
    try:
        raw = decode_any(store.get(key).data, what=key)
    except StillgoodError:
        return {}
    named = {"trained": raw.get("trained_at"), "learnt_until": raw.get("learnt_until")}
    return {name: str(moment) for name, moment in named.items() if moment}


def _same_or_absent(store: ObjectStore, key: str, data: bytes) -> bool:
    """True if ``key`` holds ``data``, False if it holds nothing. Raises ObjectExists if it holds anything else."""
    try:
        present = store.get(key).data
    except ObjectNotFound:
        return False
    if present != data:
        raise ObjectExists(f"{key} exists with other content; a published version never changes.", key=key)
    return True
