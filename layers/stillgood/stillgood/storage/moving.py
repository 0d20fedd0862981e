"""One bucket's objects into another: everything but the registry first, the pointer last, each checked by its hash.

So a copy that was broken off has a log whose models are there, and no champion that was not whole. Ages and order
are in the documents, never in an object's time. Run again it goes on: what is there with the same bytes is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from stillgood.domain.errors import ObjectExists, ObjectNotFound
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.codec import sha256
from stillgood.storage.keys import DECISIONS_PREFIX, POINTER_KEY, REGISTRY_PREFIX
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.whole import lacks


@dataclass(frozen=True, slots=True)
class Moved:
    """``copied`` now and ``kept`` from before, in objects; ``bytes`` copied; ``problems``: what the checks found."""

    copied: int
    kept: int
    bytes: int
    problems: tuple[str, ...]


def copy_bucket(source: ObjectStore, target: ObjectStore, prefix: str = "") -> Moved:
    """Copy every object under ``prefix`` that ``target`` does not hold. Raises StoreUnavailable.

    An object that lies in ``target`` with other bytes is a problem and stays: two buckets are never mixed. At the end
    each copy was read back, the log's chain is verified, and so is each object that a decision was made from.
    """
    copied = kept = size = 0
    problems: list[str] = []
    for key in _in_order(source, prefix):
        try:
            data = source.get(key).data
        except ObjectNotFound:  # expired or erased meanwhile
            continue
        try:
            target.create(key, data)
            copied, size = copied + 1, size + len(data)
        except ObjectExists:
            kept += 1
        if sha256(target.get(key).data) != sha256(data):
            problems.append(f"{key} lies there with other bytes; it was left as it is")
            if key.startswith(REGISTRY_PREFIX):
                break  # another log: what would follow does not belong to it
    problems += [f"{problem.kind}: {problem.key}: {problem.detail}" for problem in verify(target)]
    if problems:  # a damaged log names no inputs
        return Moved(copied, kept, size, tuple(problems))
    for decision in Registry(target).decisions():
        problems += [f"{problem.key}: {problem.detail}" for problem in check_inputs(target, decision)]
    if not prefix:
        problems += lacks(target, Registry(target).pointer())
    return Moved(copied, kept, size, tuple(problems))


def _in_order(source: ObjectStore, prefix: str) -> Iterator[str]:
    """All else, then requests and decisions in order, the pointer last."""
    registry = []
    for info in source.list(prefix):
        if info.key.startswith(REGISTRY_PREFIX):
            registry.append(info.key)
        else:
            yield info.key
    yield from (key for key in registry if key.startswith(DECISIONS_PREFIX))
    yield from (key for key in registry if not key.startswith(DECISIONS_PREFIX) and key != POINTER_KEY)
    if POINTER_KEY in registry:
        yield POINTER_KEY
