"""What lasts, as monitor saw it in its newest window and ``/status`` tells it. Light: predict reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

from stillgood.domain.errors import StillgoodError
from stillgood.storage.codec import decode, encode
from stillgood.storage.keys import STANDING_KEY
from stillgood.storage.objects import ObjectStore

FORMAT = "stillgood.standing"


def write_standing(store: ObjectStore, window: str, standing: Sequence[Mapping[str, Any]]) -> None:
    """``window``: the id of the window that says so."""
    document = {"format": FORMAT, "format_version": 1, "window": window, "standing": list(standing)}
    store.put(STANDING_KEY, encode(document))


def read_standing(store: ObjectStore) -> dict[str, Any] | None:
    """``window`` and ``standing``; None before the first window, or while nothing can be read: a status must not
    fail.
    """
    try:
        document = decode(store.get(STANDING_KEY).data, format=FORMAT, what=STANDING_KEY)
        return {"window": document["window"], "standing": document["standing"]}
    except (StillgoodError, KeyError):
        return None
