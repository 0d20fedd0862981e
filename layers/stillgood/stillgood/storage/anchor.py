"""What anchors the logs outside of the bucket: the hashes of their newest records, kept where the bucket's owner cannot
write.

Whoever may write everything in a bucket can also write its decision log anew, hashes and all, or the reports of its
windows. An anchor of a day says what both ended with; records that were written over since do not fit it any more.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stillgood.domain.errors import DocumentUnusable, ObjectExists, ObjectNotFound
from stillgood.storage.codec import decode, encode, sha256
from stillgood.storage.keys import DECISIONS_PREFIX, REPORTS_PREFIX, aware, decision_key, report_key
from stillgood.storage.objects import ObjectStore

FORMAT = "stillgood.anchor"
ANCHORS_PREFIX = "stillgood-anchors/"
"""Below it one folder a bucket that is anchored, so that one bucket may hold the anchors of many."""


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
        outside.create(f"{ANCHORS_PREFIX}{bucket}/{aware(now):%Y-%m-%d}.json", encode(value))
        return True
    return False


def misfits(store: ObjectStore, outside: ObjectStore, bucket: str = "") -> tuple[int, list[Misfit]]:
    """How many anchors ``outside`` has of ``bucket`` (empty: of any), and every record that does not fit one, oldest
    anchor first.
    """
    wrong, count, seen = [], 0, set()
    for info in outside.list(f"{ANCHORS_PREFIX}{bucket}/" if bucket else ANCHORS_PREFIX):
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
