"""A captured prediction explained again: the same answer, bit for bit, from its capture, its model and its point."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.contract.row_check import CheckedRow, Repair
from stillgood.domain.errors import InvalidRows, ModelUnusable, ObjectNotFound
from stillgood.domain.model.model import Model
from stillgood.domain.promotion.decision import PointRef
from stillgood.steps.predict import answer
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.champion import read_model
from stillgood.storage.codec import sha256
from stillgood.storage.keys import BATCH_CAPTURE, CAPTURE_PREFIX, MODEL, artifact_key, point_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.points import served


@dataclass(frozen=True, slots=True)
class Explained:
    """``body`` as the API answered it. ``model``: under the operating point of then. ``same``: score, probability and
    decision are, bit for bit, those that were captured.
    """

    body: Mapping[str, Any]
    model: Model
    row: CheckedRow
    time: str
    same: bool


def explain(store: ObjectStore, prediction_id: str) -> Explained | None:
    """The prediction of that id, None where no capture holds it; captures are read from the newest back.

    Of a repair the capture holds which feature was mended, not what it was before an alias. Raises InvalidRows where
    personal features, which are never captured, are missing; ModelUnusable, StoreUnavailable.
    """
    record = _find(store, prediction_id)
    if record is None:
        return None
    model = model_of(store, str(record["model"]), record.get("point"))
    missing = [feature.name for feature in model.contract.features if feature.name not in record["features"]]
    if missing:
        raise InvalidRows(
            f"{', '.join(missing)} is personal data and was not captured, so this prediction cannot be explained"
            " again.",
            [],
            1,
        )
    values = {feature.name: record["features"][feature.name] for feature in model.contract.features}
    repairs = tuple([_repair(model, name, values.get(name)) for name in record.get("repairs", ())])
    row = CheckedRow(values, repairs, (), record["entity_id"], None)
    score = model.score(values)
    body = answer(model, row, score, prediction_id, group=record.get("group"))
    same = all(body[name] == record[name] for name in ("score", "probability", "decision"))
    return Explained(body, model, row, str(record["time"]), same)


def model_of(store: ObjectStore, version: str, point: str | None) -> Model:
    """A version as it decided under the operating point of that id, None for its own. Raises ModelUnusable,
    StoreUnavailable.
    """
    model = read_model(read_artifact(store, version, MODEL), artifact_key(version, MODEL), version)
    if point is None:
        return model
    key = point_key(point)
    try:
        digest = sha256(store.get(key).data)
    except ObjectNotFound as error:
        raise ModelUnusable(f"{key}, which decided then, is missing; restore it.") from error
    if not digest.startswith(point):  # its id is the start of its hash
        raise ModelUnusable(f"{key} is not what it was: sha256 {digest[:16]}...; restore it.")
    return served(store, model, PointRef(point, digest, 0))


def _find(store: ObjectStore, prediction_id: str) -> dict[str, Any] | None:
    wanted = prediction_id.encode()
    for info in sorted(store.list(CAPTURE_PREFIX), key=lambda info: info.key, reverse=True):
        for line in _lines(store, info.key, prediction_id):
            if wanted not in line:
                continue
            record: dict[str, Any] = json.loads(line)
            if record.get("prediction_id") == prediction_id:
                return record
    return None


def _lines(store: ObjectStore, key: str, prediction_id: str) -> Iterator[bytes]:
    """The captured lines of one object; of a batch job only where the id begins with the job's own."""
    try:
        data = store.get(key).data
    except ObjectNotFound:  # expired or erased meanwhile
        return
    if not key.endswith(BATCH_CAPTURE):
        yield from data.splitlines()
        return
    from stillgood.steps.monitor.batches import captured_lines
    from stillgood.storage.batch_capture import Reference

    if prediction_id.startswith(f"{Reference.read(data, key).job}-"):
        for lines in captured_lines(store, data, key):
            yield from lines.splitlines()


def _repair(model: Model, name: str, value: Any) -> Repair:
    feature = model.contract.feature(name)
    by_alias = value in feature.aliases.values() or feature.if_missing is None
    return Repair(name, "alias" if by_alias else "if_missing", None, value)
