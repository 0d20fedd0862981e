"""Anchors: the hashes of the logs' newest records, kept outside of the bucket, where its owner cannot write.

The owner of a bucket can write its decision log and its reports anew, hashes included. An anchor holds what both logs
ended with on a day, so that a record that was rewritten later does not fit it.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stillgood.domain.errors import DocumentUnusable, ObjectExists, ObjectNotFound
from stillgood.storage.codec import decode, encode, sha256
from stillgood.storage.keys import (
    ANCHORS_PREFIX,
    DECISIONS_PREFIX,
    REPORTS_PREFIX,
    anchor_key,
    anchors_of,
    aware,
    decision_key,
    report_key,
)
from stillgood.storage.objects import ObjectStore

FORMAT = "stillgood.anchor"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A record that is not what the anchor ``anchor`` says that it was."""

    anchor: str
    key: str
    detail: str


def heads(store: ObjectStore, *, champion_decision: int, window: str) -> dict[str, Any]:
    """The newest record of either log: its key and sha256. ``champion_decision``: the number of a decision that is
    there (the search begins at it); ``window``: id of the newest report's window. Raises ObjectNotFound.
    """
    first = decision_key(champion_decision)
    newest = max((info.key for info in store.list(DECISIONS_PREFIX, first[:-1])), default=first)
    return {key: sha256(store.get(key).data) for key in (newest, report_key(window))}


def write_anchor(outside: ObjectStore, bucket: str, hashes: dict[str, Any], now: datetime) -> bool:
    """Keep ``hashes`` of ``bucket`` as the anchor of the day of ``now``; False where the day has one."""
    value = {"format": FORMAT, "format_version": 1, "bucket": bucket, "at": aware(now).isoformat(), "sha256": hashes}
    with suppress(ObjectExists):
        outside.create(anchor_key(bucket, now), encode(value))
        return True
    return False


def misfits(store: ObjectStore, outside: ObjectStore, bucket: str = "") -> tuple[int, list[Misfit]]:
    """How many anchors ``outside`` has of ``bucket`` (empty: of any), and every record that does not fit one, oldest
    anchor first.
    """
    wrong, count, seen = [], 0, set()
    for info in outside.list(anchors_of(bucket) if bucket else ANCHORS_PREFIX):
        count += 1
        try:
            hashes = decode(outside.get(info.key).data, format=FORMAT, what=info.key)["sha256"]
            wanted = [(str(key), str(digest)) for key, digest in hashes.items()]
        except (DocumentUnusable, KeyError, AttributeError) as error:
            wrong.append(Misfit(info.key, info.key, f"The anchor cannot be read: {error}"))
            continue
        for key, digest in wanted:
            if (key, digest) in seen or not key.startswith((DECISIONS_PREFIX, REPORTS_PREFIX)):
                continue
            seen.add((key, digest))
            if (why := _differs(store, key, digest)) is not None:
                wrong.append(Misfit(info.key, key, why))
    return count, wrong


def _differs(store: ObjectStore, key: str, digest: str) -> str | None:
    try:
        same = sha256(store.get(key).data) == digest
    except ObjectNotFound:
        return "It was there, and is gone."
    return None if same else "It was written over since."
