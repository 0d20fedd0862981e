"""Changes an object that others may write meanwhile: read, change, swap, and again on what they wrote."""

from collections.abc import Callable
from dataclasses import dataclass

from stillgood.domain.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.storage.objects import ObjectStore

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``data`` takes the place of what was read under ``etag``; empty: nothing is left of it."""

    data: bytes
    etag: str


def rewrite(
    store: ObjectStore, key: str, change: Callable[[bytes], bytes | None], first: Rewritten | None = None
) -> None:
    """Replace the object by what ``change`` makes of its bytes: empty deletes it, None leaves it, as does a key under
    which nothing is. ``first``: what ``change`` made of an earlier reading, tried before the object is read again.

    Raises StoreUnavailable, also when others were faster each time, and what ``change`` raises.
    """
    made = first
    for _ in range(_ROUNDS):
        if made is None:
            try:
                stored = store.get(key)
            except ObjectNotFound:
                return
            data = change(stored.data)
            if data is None:
                return
            made = Rewritten(data, stored.etag)
        if not made.data:
            return store.delete(key)
        try:
            store.swap(key, made.data, made.etag)
            return None
        except PreconditionFailed:
            made = None
    raise StoreUnavailable(f"Others changed {key} {_ROUNDS} times in a row; run it again.")
