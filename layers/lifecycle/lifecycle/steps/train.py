"""train: the newest labelled rows become an immutable version, which promote is asked to judge."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifecycle.domain.card import card
from lifecycle.domain.contract import Contract
from lifecycle.domain.errors import (
    InvalidEvent,
    ModelUnusable,
    ObjectExists,
    ObjectNotFound,
    OneClassOnly,
    TooFewRows,
)
from lifecycle.domain.evaluation import Metrics, evaluate
from lifecycle.domain.holdout import Holdout
from lifecycle.domain.model_columns import logits, probabilities
from lifecycle.domain.reference import build_reference
from lifecycle.steps.effects import Clock, Invoker
from lifecycle.storage.artifacts import CARD, HOLDOUT, METRICS, MODEL, REFERENCE, is_whole, publish
from lifecycle.storage.codec import decode_any, encode, sha256
from lifecycle.storage.labelled_data import DATA_PREFIX
from lifecycle.storage.objects import ObjectStore
from lifecycle.storage.windows import iso
from lifecycle.training.fit import Fitted, fit
from lifecycle.training.ingest import Ingested, ingest
from lifecycle.training.split import Split, split
from lifecycle.training.tracking import Tracking, track

CONTRACT_KEY = "contract.json"
DONE_PREFIX = "training/"
QUARANTINE_PREFIX = "quarantine/train/"


@dataclass(frozen=True, slots=True)
class Training:
    """What train works with."""

    store: ObjectStore
    invoker: Invoker
    clock: Clock
    tracking: Tracking
    seed: int = 0


def train(event: Mapping[str, Any], deps: Training) -> dict[str, Any]:
    """Handle ``{"request_id": "...", "reason": "...", "window": ...}``, once per request id, however often it arrives.

    The order of writes makes every crash harmless: the version (whole or absent), what came of the request, then the call to promote.
    A duplicate finds the request done and only calls promote again, which answers duplicates itself.
    Raises InvalidEvent, ContractInvalid, TooFewRows, OneClassOnly, NotEnoughData, StoreUnavailable.
    """
    request_id, reason = _request(event)
    done_key = f"{DONE_PREFIX}{hashlib.sha256(request_id.encode(errors='backslashreplace')).hexdigest()[:32]}.json"
    done = _done(deps.store, done_key)
    new = done is None
    if done is None:
        done = {
            "format": "lifecycle.training",
            "format_version": 1,
            "request_id": request_id,
            "reason": reason,
            "window": event.get("window"),
            "at": iso(deps.clock()),
            **_learn(deps),
        }
        try:
            deps.store.create(done_key, encode(done))
        except ObjectExists:  # a duplicate was faster; its answer stands
            done = _done(deps.store, done_key) or done
    deps.invoker.invoke("promote", {"action": "promote", "candidate": done["version"], "request_id": request_id})
    return {
        "step": "train",
        "result": done["result"],
        "version": done["version"],
        "request_id": request_id,
        "duplicate": not new,
        "metrics": done["metrics"],
        "rows": done["rows"],
        "tracking": done["tracking"],
    }


def _learn(deps: Training) -> dict[str, Any]:
    """Ingest, fit and publish; rows and contract that were learnt from before give the version of before."""
    contract = read_contract(deps.store)
    ingested = ingest(contract, _labelled(deps.store))
    _quarantine(deps.store, ingested)
    parts = split(ingested.times, ingested.hashes, contract.training)
    fitted = _fit(ingested, parts, deps.seed)
    version = fitted.model.version
    counts = ingested.counts()
    known: dict[str, Any] = {"version": version, "rows": counts}
    if is_whole(deps.store, version):
        return {**known, "result": "nothing new to learn from", "metrics": None, "tracking": None}
    files, told, figures = _files(ingested, parts, fitted, deps)
    publish(deps.store, version, files)
    return {**known, "result": "trained", "metrics": figures, "tracking": told}


def _fit(ingested: Ingested, parts: Split, seed: int) -> Fitted:
    if len(parts.train) == 0:
        raise TooFewRows("Every labelled row is held out or too old to learn from; upload more, or widen the contract.")
    newest = np.datetime_as_string(ingested.times.max(), unit="D").replace("-", "")
    return fit(
        ingested.frame.take(parts.train),
        ingested.target[parts.train],
        data_sha256=ingested.sha256,
        newest=newest,
        seed=seed,
    )


def _files(
    ingested: Ingested, parts: Split, fitted: Fitted, deps: Training
) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    """A version's files, what tracking said, and the figures worth repeating."""
    model, contract = fitted.model, fitted.model.contract
    holdout = Holdout(ingested.frame.take(parts.holdout), ingested.target[parts.holdout])
    held = _holdout_metrics(fitted, holdout)
    reference = build_reference(model, ingested.frame.take(parts.train), fitted.oof_scores)
    data = encode(model.to_dict())
    counts = ingested.counts()
    files = {
        MODEL: data,
        REFERENCE: encode(reference.to_dict()),
        HOLDOUT: encode(holdout.to_dict()),
        CARD: card(model, fitted.oof_metrics, held, counts).encode(),
    }
    metrics: dict[str, Any] = {
        "format": "lifecycle.metrics",
        "format_version": 1,
        "version": model.version,
        "model_sha256": sha256(data),
        "trained_at": iso(deps.clock()),
        "threshold": model.threshold,
        "out_of_fold": fitted.oof_metrics.to_dict(),
        "fold_roc_auc": list(fitted.fold_auc),
        "holdout": held.to_dict() if held else None,
        "rows": {**counts, "train": len(parts.train), "holdout": len(parts.holdout)},
        "contract": {"name": contract.name, "version": contract.version, "sha256": contract.sha256},
        **model.training,
    }
    figures = {"roc_auc_mean": float(np.mean(fitted.fold_auc)), "roc_auc_std": float(np.std(fitted.fold_auc))}
    for where, one in (("", fitted.oof_metrics), ("holdout_", held)):
        if one is not None:
            figures |= {
                f"{where}{name}": getattr(one, name).value for name in ("roc_auc", "recall", "precision", "f1", "brier")
            }
    told = track(
        deps.tracking,
        name=model.version,
        parameters={
            "model": "LogisticRegression",
            "class_weight": "balanced",
            "C": contract.training.inverse_regularisation,
            "seed": deps.seed,
            "threshold": model.threshold,
            "train_rows": len(parts.train),
            "holdout_rows": len(parts.holdout),
            "contract": f"{contract.name} {contract.version}",
            "data_sha256": ingested.sha256,
        },
        metrics=figures,
        artifacts={**files, METRICS: encode(metrics)},
        tags={"version": model.version, "contract": contract.name},
    )
    files[METRICS] = encode({**metrics, "tracking": told})
    return files, told, figures


def _holdout_metrics(fitted: Fitted, holdout: Holdout) -> Metrics | None:
    """None when the holdout cannot be judged yet; promote then says what is missing."""
    values = logits(fitted.model, holdout.frame)
    try:
        return evaluate(values, probabilities(fitted.model, values), holdout.target, fitted.model.threshold_logit)
    except (OneClassOnly, TooFewRows, ValueError):
        return None


def read_contract(store: ObjectStore) -> Contract:
    """The contract in force. Raises InvalidEvent when there is none, ContractInvalid when it breaks a rule."""
    try:
        raw = decode_any(store.get(CONTRACT_KEY).data, what=CONTRACT_KEY)
    except ObjectNotFound as error:
        raise InvalidEvent(
            f"There is no {CONTRACT_KEY} in the bucket. Draft one with `python -m lifecycle contract draft` and upload it."
        ) from error
    except ModelUnusable as error:
        raise InvalidEvent(error.detail) from error
    return Contract.from_dict(raw)


def _labelled(store: ObjectStore) -> Iterator[tuple[str, bytes]]:
    for info in store.list(DATA_PREFIX):
        if info.key.endswith(".csv"):
            yield info.key, store.get(info.key).data


def _quarantine(store: ObjectStore, ingested: Ingested) -> None:
    """Keep the refused rows as they stood, so that they can be found, mended and uploaded again. Same rows, same object."""
    if not ingested.refused:
        return
    data = b"".join(encode(one.to_dict()) for one in ingested.refused)
    try:
        store.create(f"{QUARANTINE_PREFIX}{sha256(data)[:32]}.jsonl", data)
    except ObjectExists:
        return


def _done(store: ObjectStore, key: str) -> dict[str, Any] | None:
    try:
        return decode_any(store.get(key).data, what=key)
    except ObjectNotFound:
        return None


def _request(event: Mapping[str, Any]) -> tuple[str, str]:
    request_id = event.get("request_id") if isinstance(event, Mapping) else None
    if not isinstance(request_id, str) or not 0 < len(request_id.strip()) <= len(request_id) <= 512:
        raise InvalidEvent("The event needs 'request_id', a text of 1 to 512 characters; see events/train.json.")
    return request_id, str(event.get("reason") or "asked by hand")[:2000]
