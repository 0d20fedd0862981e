"""batch: the champion over an object of rows in S3, with the same decisions as the API, and every row accounted for."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus

import numpy as np

from stillgood.domain.contract.column_check import ColumnCheck
from stillgood.domain.contract.contract import Contract, Extra
from stillgood.domain.errors import InvalidEvent, ObjectExists, ObjectNotFound, PreconditionFailed, TableUnreadable
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits
from stillgood.domain.operating_point.decide import aim, uncertain
from stillgood.domain.operating_point.objective import objective_of
from stillgood.domain.operating_point.placement import Population, place
from stillgood.domain.promotion.decision import PointRef
from stillgood.steps.batch.score import Reasons, Scorer
from stillgood.steps.ports import Clock
from stillgood.storage.batch_capture import COLUMNS, Reference
from stillgood.storage.champion import ChampionSource, load_verified
from stillgood.storage.codec import decode_any, encode
from stillgood.storage.keys import BATCH_PREFIX, MODEL, OUTPUT_PREFIX, artifact_key, scored_key
from stillgood.storage.objects import ObjectInfo, ObjectStore, checked_key
from stillgood.storage.points import served
from stillgood.storage.tables.opening import SUFFIXES, is_table, open_for
from stillgood.storage.windows import iso, utc

FORMATS = SUFFIXES


@dataclass(frozen=True, slots=True)
class BatchDeps:
    """What batch works with."""

    store: ObjectStore
    champions: ChampionSource
    clock: Clock


def batch(event: Mapping[str, Any], deps: BatchDeps) -> dict[str, Any]:
    """Score ``{"input": "batch/<name>.csv", "reasons": false}``; the events of S3 and EventBridge about a new object
    will do, too.

    ``"model": {"version": ..., "sha256": ...}`` names another model than the champion: that of the job which the object
    is a shard of, with its operating point under ``point``. ``"population": "file"`` places the threshold on the file's
    own rows.

    Writes ``predictions.jsonl``, ``rejected.jsonl``, ``columns.bin`` and then ``summary.json`` under
    ``batch/output/<name>-<job>/<model version>/``, names them among the captures, and returns the summary. Each
    appears whole or not at all. The same input and champion give the same bytes, so a retry repeats nothing, and
    work that is done is only looked up.

    Raises InvalidEvent, ObjectNotFound, PreconditionFailed (the input changed while it was read: try again),
    NoChampion, ModelUnusable, StoreUnavailable.
    """
    key, reasons = _scored_key(event)
    info = _input(deps.store, key)
    model = _model(event, deps)
    if _whole_file(event):
        model = place_on_file(info, model, deps)
    output = output_of(key, info.etag, model.version, reasons, model.operating_point)
    done = read_summary(deps.store, output)
    return captured(deps.store, done) if done is not None else _run(info, model, reasons, output, deps)


def output_of(key: str, etag: str, version: str, reasons: Reasons, point: str | None = None) -> str:
    """Where the output of scoring an object goes: the same object under the same model is the same work, whoever asks
    and how often.
    """
    name = key.rpartition("/")[2].rpartition(".")[0]
    return checked_key(f"{OUTPUT_PREFIX}{name}-{_job(key, etag, version, reasons, point)}/{version}")


def read_summary(store: ObjectStore, output: str) -> dict[str, Any] | None:
    """The summary of work that is done, marked as repeated; None if it is not."""
    try:
        summary = decode_any(store.get(f"{output}/summary.json").data, what=f"{output}/summary.json")
    except ObjectNotFound:
        return None
    return {**summary, "repeated": True}


def _job(key: str, etag: str, version: str, reasons: Reasons, point: str | None) -> str:
    named = {"input": key, "etag": etag, "model": version, "reasons": reasons}
    if point is not None:
        named["operating_point"] = point
    return hashlib.sha256(encode(named)).hexdigest()[:16]


def _model(event: Mapping[str, Any], deps: BatchDeps) -> Model:
    """Raises InvalidEvent, UnknownVersion, NoChampion, ModelUnusable, StoreUnavailable."""
    named = event.get("model")
    if named is None:
        return deps.champions.current().model
    if not isinstance(named, Mapping) or not all(isinstance(named.get(name), str) for name in ("version", "sha256")):
        raise InvalidEvent(
            'The model of an event is {"version": "...", "sha256": "..."}; without it the champion scores.'
        )
    model = load_verified(deps.store, named["version"], artifact_key(named["version"], MODEL), named["sha256"])
    try:
        ref = None if named.get("point") is None else PointRef.from_dict(named["point"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidEvent("The point of an event's model is that of a plan: its id, sha256 and generation.") from error
    return served(deps.store, model, ref)


def _whole_file(event: Mapping[str, Any]) -> bool:
    """Raises InvalidEvent."""
    population = event.get("population", "serving")
    if population not in ("serving", "file"):
        raise InvalidEvent("The population that the threshold is placed on is 'serving' or 'file'.")
    return bool(population == "file")


def place_on_file(info: ObjectInfo, model: Model, deps: BatchDeps) -> Model:
    """``model`` with the threshold at which its contract's objective is met among the rows of this very file.

    The slow correction by matured labels, as monitor knew it after its newest window, counts here as it does online.
    The file is read once more for it. Calibration and reasons stay. A file without a row that can be scored, an
    objective that no threshold reaches, and a share flagged outside of the contract's bounds leave the threshold in
    force. Raises InvalidEvent.
    """
    contract = model.contract
    try:
        table = open_for(contract, info.key, deps.store.stream(info.key), needed=_needed(contract))
        extra: Extra = "ignore" if table.names is not None else contract.extra
        check = ColumnCheck(contract, text=table.text, extra=extra)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [logits(model, check(chunk).frame) for chunk in table.chunks]
    except TableUnreadable as error:
        raise _refused(info.key, error) from error
    scores = np.concatenate([np.empty(0), *parts])
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return model
    objective, wanted = objective_of(contract)
    costs, rules = contract.costs, contract.operating_point
    placed = place(
        objective,
        aim(wanted, _correction(deps, model)),
        uncertain(model.calibration),
        Population(scores, np.arange(len(scores))),
        capacity=None if costs is None or costs.capacity is None else costs.capacity / 1000,
    )
    if not placed.reached or not rules.min_flagged <= placed.share <= rules.max_flagged:
        return model
    named = hashlib.sha256(f"{info.etag} {placed.threshold!r} {model.operating_point}".encode()).hexdigest()[:16]
    return replace(model, threshold_logit=placed.threshold, operating_point=f"file-{named}")


def _correction(deps: BatchDeps, model: Model) -> float:
    """What labels have added to the objective of ``model``; 0 where monitor has not judged it."""
    status = deps.champions.point_status() or {}
    champion, offset = status.get("champion"), status.get("correction")
    own = isinstance(champion, Mapping) and champion.get("version") == model.version
    return float(offset) if own and isinstance(offset, int | float) else 0.0


def _run(info: ObjectInfo, model: Model, reasons: Reasons, output: str, deps: BatchDeps) -> dict[str, Any]:
    job = _job(info.key, info.etag, model.version, reasons, model.operating_point)
    started, store = deps.clock(), deps.store
    data = HashingReader(store.stream(info.key))
    try:
        table = open_for(model.contract, info.key, data, needed=_needed(model.contract))
    except TableUnreadable as error:
        raise _refused(info.key, error) from error
    # A table may have columns of its own; an object of JSON is held to what the API takes, where an unknown name is a
    # misspelling.
    extra: Extra = "ignore" if table.names is not None else model.contract.extra
    check = ColumnCheck(model.contract, text=table.text, extra=extra)
    scorer = Scorer(model, job, check, reasons=reasons, at=info.modified)
    with (
        store.writer(f"{output}/predictions.jsonl") as predictions,
        store.writer(f"{output}/rejected.jsonl") as rejected,
        store.writer(f"{output}/{COLUMNS}") as columns,
    ):
        try:
            for chunk in table.chunks:
                good, bad, features = scorer.score(chunk)
                predictions.write(good)
                rejected.write(bad)
                columns.write(features)
        except TableUnreadable as error:
            raise _refused(info.key, error) from error
        if _input(store, info.key).etag != info.etag:
            raise PreconditionFailed(f"{info.key} was replaced while it was read; score it again.", key=info.key)
    summary = {
        "format": "stillgood.batch",
        "format_version": 1,
        "step": "batch",
        "input": {"key": info.key, "etag": info.etag, "sha256": data.sha256.hexdigest(), "bytes": data.size},
        "output": {
            "predictions": f"{output}/predictions.jsonl",
            "rejected": f"{output}/rejected.jsonl",
            "columns": f"{output}/{COLUMNS}",
        },
        "model_version": model.version,
        "threshold": model.threshold,
        **({} if model.operating_point is None else {"operating_point": model.operating_point}),
        "job": job,
        **scorer.totals.to_dict(),
        **({"notes": [note.message for note in table.notes]} if table.notes else {}),
        "started_at": iso(started),
        "finished_at": iso(deps.clock()),
    }
    try:
        store.create(f"{output}/summary.json", encode(summary))
    except ObjectExists:  # a duplicate event was faster; its outputs are byte for byte these
        return captured(store, read_summary(store, output) or summary)
    return captured(store, {**summary, "repeated": False})


def captured(store: ObjectStore, summary: dict[str, Any]) -> dict[str, Any]:
    """``summary``, once its output is named among the captures: from then on its rows are predictions of their day.

    Done again for work that was done, since a crash may have come between. Raises StoreUnavailable.
    """
    at, output = summary["finished_at"], summary["output"]["predictions"].rpartition("/")[0]
    made = Reference(summary["job"], output, at, summary["model_version"], summary.get("operating_point"))
    if "columns" in summary["output"]:
        with suppress(ObjectExists):
            store.create(made.key(utc(at)), made.encoded())
        with suppress(ObjectExists):
            store.create(scored_key(summary["input"]["key"], summary["input"]["etag"]), made.encoded())
    return summary


def _scored_key(event: Mapping[str, Any]) -> tuple[str, Reasons]:
    """The key and whether reasons are wanted. Raises InvalidEvent."""
    key: object = event.get("input")
    reasons: object = event.get("reasons", False)
    try:
        if "Records" in event:  # S3 quotes the keys in its own events, EventBridge does not
            (record,) = event["Records"]
            key = unquote_plus(record["s3"]["object"]["key"], errors="strict")
        elif "detail" in event:
            key = event["detail"]["object"]["key"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidEvent(f"The event is not one of S3 about one object ({type(error).__name__}).") from error
    if not isinstance(key, str):
        raise InvalidEvent(
            'batch takes {"input": "batch/input/customers.csv"}, and "reasons": true for the reasons of each row.'
        )
    if not checked_key(key).startswith(BATCH_PREFIX) or key.startswith(OUTPUT_PREFIX):
        raise InvalidEvent(
            f"The input lies under {BATCH_PREFIX}, and not under {OUTPUT_PREFIX}; {key[:80]!r} does not."
        )
    if not is_table(key):
        raise InvalidEvent(f"The input is one of {', '.join(FORMATS)}; {key[-80:]!r} is not.")
    return key, checked_reasons(reasons)


def checked_reasons(value: object) -> Reasons:
    """What ``"reasons"`` of an event asks for. Raises InvalidEvent."""
    if value == "features":
        return "features"
    if not isinstance(value, bool):
        raise InvalidEvent(
            '"reasons" is true or false, or "features": a pair of features is then split evenly between the two.'
        )
    return value


def _input(store: ObjectStore, key: str) -> ObjectInfo:
    """Raises ObjectNotFound."""
    info = next(store.list(key, key[:-1]), None)
    if info is None or info.key != key:
        raise ObjectNotFound(f"{key} does not exist; upload the input first.", key=key)
    return info


def _needed(contract: Contract) -> list[str]:
    """An absent column would be blank in every row, and an absent id leave every prediction without one: both are
    refused by name.
    """
    return [*(feature.name for feature in contract.features), *([contract.id_column] if contract.id_column else [])]


def _refused(key: str, error: TableUnreadable) -> TableUnreadable:
    return TableUnreadable(f"{key[-120:]} cannot be scored: {error.detail}", rule=error.rule, key=key)


class HashingReader:
    """``pieces``, with the sha256 and the size in bytes of what has passed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.sha256, self.size = hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.sha256.update(piece)
            self.size += len(piece)
            yield piece
