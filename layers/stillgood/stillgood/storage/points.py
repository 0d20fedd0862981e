"""Operating points and what they were decided from: immutable objects, verified when they are read. Light: predict
reads one.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import ModelUnusable, ObjectExists, ObjectNotFound, StillgoodError
from stillgood.domain.model.model import Model
from stillgood.domain.operating_point.point import FORMAT, OperatingPoint
from stillgood.domain.promotion.decision import PointRef
from stillgood.storage.codec import decode, decode_any, encode, sha256
from stillgood.storage.keys import POINT_STATUS_KEY, point_evidence_key, point_key
from stillgood.storage.objects import ObjectStore

EVIDENCE_FORMAT = "stillgood.point-evidence"


def write_point(store: ObjectStore, point: OperatingPoint, generation: int) -> PointRef:
    """Keep ``point`` under an id that its content gives, and return its name. Idempotent."""
    data = encode(point.to_dict())
    digest = sha256(data)
    ref = PointRef(digest[:16], digest, generation)
    with contextlib.suppress(ObjectExists):
        store.create(point_key(ref.id), data)
    return ref


def read_point(store: ObjectStore, ref: PointRef) -> OperatingPoint:
    """The operating point that ``ref`` names, if its bytes are the ones that were put in force. Raises ModelUnusable,
    StoreUnavailable.
    """
    key = point_key(ref.id)
    data = _verified(store, key, ref.sha256, "which the pointer names")
    return OperatingPoint.from_dict(decode(data, format=FORMAT, what=key))


def served(store: ObjectStore, model: Model, ref: PointRef | None) -> Model:
    """``model`` as it decides under the operating point that ``ref`` names; itself where there is none. Raises
    ModelUnusable, StoreUnavailable.
    """
    return model if ref is None else read_point(store, ref).applied_to(model, ref.id)


def write_evidence(store: ObjectStore, evidence: Mapping[str, Any]) -> str:
    """Keep what a move is decided from; returns its sha256, which names it. Idempotent."""
    data = encode({"format": EVIDENCE_FORMAT, "format_version": 1, **evidence})
    digest = sha256(data)
    with contextlib.suppress(ObjectExists):
        store.create(point_evidence_key(digest), data)
    return digest


def read_evidence(store: ObjectStore, digest: str) -> dict[str, Any]:
    """Raises ModelUnusable when it is missing or not what it was."""
    key = point_evidence_key(digest)
    return decode(_verified(store, key, digest, "which a move was asked for with"), format=EVIDENCE_FORMAT, what=key)


def write_point_status(store: ObjectStore, status: Mapping[str, Any]) -> None:
    """Keep what ``GET /status`` tells of the operating point: the newest window's figures. The last writer stands."""
    store.put(POINT_STATUS_KEY, encode(status))


def read_point_status(store: ObjectStore) -> dict[str, Any] | None:
    """None before the first window, and for what cannot be read: a status must not fail."""
    try:
        return decode_any(store.get(POINT_STATUS_KEY).data, what=POINT_STATUS_KEY)
    except StillgoodError:
        return None


def _verified(store: ObjectStore, key: str, digest: str, why: str) -> bytes:
    try:
        data = store.get(key).data
    except ObjectNotFound as error:
        raise ModelUnusable(f"{key}, {why}, is missing; restore it or roll back.") from error
    if (actual := sha256(data)) != digest:
        raise ModelUnusable(f"{key} is not what it was: sha256 {actual[:12]}..., named {digest[:12]}...")
    return data
