"""train: the newest labelled rows become an immutable version, which promote is asked to judge.

Asked to recalibrate, it keeps the champion's weights and fits calibration and threshold only.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from stillgood.domain.actions.groups import stand_in
from stillgood.domain.drift.reference import build_reference
from stillgood.domain.errors import (
    InvalidEvent,
    ModelUnusable,
    ObjectExists,
    ObjectNotFound,
)
from stillgood.domain.promotion.decision import Pointer
from stillgood.steps.ports import Clock, Invoker
from stillgood.steps.train.against import newest_since, unseen_by
from stillgood.steps.train.publish import candidate
from stillgood.steps.train.recalibrate import recalibrate, recalibrated
from stillgood.storage.artifacts import is_whole, publish
from stillgood.storage.champion import load_model
from stillgood.storage.codec import decode_any, encode
from stillgood.storage.contract import contract_in_force
from stillgood.storage.keys import DATA_PREFIX, REFUSED_ROWS_PREFIX, SOURCES, TRAINING_PREFIX
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.training_data import source_name, sources
from stillgood.storage.windows import iso
from stillgood.training.fit import Fitted, version_of
from stillgood.training.ingest import Ingested, ingest, require_enough
from stillgood.training.judged import judged
from stillgood.training.memory import NO_FITS, Fits, fit_best
from stillgood.training.reach import Reach
from stillgood.training.split import Split, window
from stillgood.training.tracking import Tracking

RECALIBRATE = "recalibrate"
# A row dated later than this after now is a mistake.
CLOCKS_DIFFER = timedelta(days=1)
NOTHING_NEW = "nothing new to learn from: this version has learnt from these very rows"
RESPONSE_FIELDS = (
    "result",
    "why",
    "version",
    "request_id",
    "figures",
    "rows",
    "quarantine",
    "tracking",
    "family",
    "learnt_until",
)


@dataclass(frozen=True, slots=True)
class TrainDeps:
    """What train works with."""

    store: ObjectStore
    invoker: Invoker
    clock: Clock
    tracking: Tracking
    seed: int = 0
    fits: Fits = NO_FITS


def train(event: Mapping[str, Any], deps: TrainDeps) -> dict[str, Any]:
    """Handle ``{"request_id": "...", "reason": "...", "window": ..., "action": "train"}``, once per request id, however
    often it arrives.

    ``action`` may be left out, or be "recalibrate".

    The order of writes makes every crash harmless: the version (whole or absent), what came of the request, then the
    call to promote. A duplicate finds the request done and only calls promote again, which answers duplicates itself.
    When rows, contract and seed are those of an earlier version, the result is "skipped" and promote is asked about
    that version. Raises InvalidEvent, ContractInvalid, TooFewRows, OneClassOnly, NotEnoughData, StoreUnavailable,
    InvocationFailed; and NoChampion, ModelUnusable when there is nothing to recalibrate.
    """
    request_id, reason, action = _request(event)
    name = hashlib.sha256(request_id.encode(errors="backslashreplace")).hexdigest()[:32]
    done_key = f"{TRAINING_PREFIX}{name}.json"
    done = _done(deps.store, done_key)
    new = done is None
    if done is None:
        done = {
            "format": "stillgood.training",
            "format_version": 1,
            "request_id": request_id,
            "reason": reason,
            "window": event.get("window"),
            "at": iso(deps.clock()),
            "action": action,
            **_fit_and_publish(deps, f"{REFUSED_ROWS_PREFIX}{name}/refused.jsonl", action),
        }
        try:
            deps.store.create(done_key, encode(done))
        except ObjectExists:  # a duplicate was faster; its answer stands
            done = _done(deps.store, done_key) or done
    deps.invoker.invoke("promote", {"action": "promote", "candidate": done["version"], "request_id": request_id})
    return {"step": "train", "duplicate": not new} | {name: done.get(name) for name in RESPONSE_FIELDS}


def _fit_and_publish(deps: TrainDeps, quarantine_key: str, action: str) -> dict[str, Any]:
    """Ingest, fit and publish; rows and contract that were learnt from before give the version of before."""
    contract = contract_in_force(deps.store)
    infos = labelled_objects(deps.store)
    # Also those that are too old to be read: they are not news that the next window should retrain for.
    read = [source_name(info) for info in infos]
    reach = Reach.of(contract, infos)
    objects = ((key, partial(deps.store.stream, key)) for key in reach.newest_first())
    ingested = ingest(contract, objects, latest=deps.clock() + CLOCKS_DIFFER, reach=reach)
    kept = _quarantine(deps.store, ingested, quarantine_key)
    require_enough(ingested, kept)
    newest = np.datetime_as_string(ingested.times.max(), unit="D").replace("-", "")
    serving = Registry(deps.store).pointer()
    champion = recalibrated(deps.store, contract) if action == RECALIBRATE else None
    if champion is None and serving is not None and _learnt_these(deps.store, serving, ingested):
        known = {"version": serving.version, "rows": ingested.counts(), "quarantine": kept}
        return {**known, "result": "skipped", "why": NOTHING_NEW, "figures": None, "tracking": None, "family": None}
    version = version_of(
        contract,
        ingested.sha256,
        newest=newest,
        seed=deps.seed,
        recalibrates=champion.model_sha256 if champion else None,
        against=serving.version if serving else None,
    )
    known = {"version": version, "rows": ingested.counts(), "quarantine": kept}
    if is_whole(deps.store, version):
        return {**known, "result": "skipped", "why": NOTHING_NEW, "figures": None, "tracking": None, "family": None}
    parts = _split(deps.store, ingested, serving)
    if champion is None:
        parts, fitted = fit_best(ingested, parts, version, deps.seed, deps.fits)
        reference = build_reference(
            fitted.model,
            ingested.frame.take(parts.train),
            fitted.oof_scores,
            entities=ingested.hashes[parts.train] if contract.id_column else None,
        )
    else:
        parts, fitted, reference = recalibrate(deps.store, champion, ingested, parts, version)
    made = candidate(ingested, parts, fitted, reference, deps.tracking, quarantine=kept, trained_at=iso(deps.clock()))
    publish(deps.store, version, {**made.files, SOURCES: sources(version, read)})
    trained = {"result": "trained", "why": None, "figures": made.figures, "tracking": made.tracking}
    until = f"{np.datetime_as_string(ingested.times.max(), unit='s')}Z"
    return {**known, **trained, "family": _family(fitted), "learnt_until": until}


def _family(fitted: Fitted) -> dict[str, str | None]:
    """The family of the candidate, and what the comparison of both said, if evidence chose."""
    return {"name": fitted.model.family, "why": fitted.comparison.why if fitted.comparison else None}


def _split(store: ObjectStore, ingested: Ingested, serving: Pointer | None) -> Split:
    """All rows of the contract's window are learnt from; those of the newest population that ``serving`` has not learnt
    judge. A shorter memory may begin where the champion's own does, where that population does, or between the two.
    """
    rules = ingested.frame.contract.training
    rows = window(ingested.times, rules)
    rows = rows[stand_in(ingested.groups[rows]).index]  # who was left alone, as often as others were acted on
    if serving is None:
        judging, none_seen = judged(rows, ingested.target, None, rules)
        return Split(rows, judging, none_seen)
    unseen = unseen_by(store, serving, ingested)
    since = newest_since(store, serving, ingested, rows[unseen[rows]])
    judging, none_seen = judged(rows, ingested.target, unseen, rules, since)
    known = np.flatnonzero(~unseen)
    own = int(known[0]) if len(known) else 0
    starts = (own, (own + since) // 2, since) if since > own else (own,)
    return Split(rows, judging, none_seen, serving.version, starts)


def _learnt_these(store: ObjectStore, serving: Pointer, ingested: Ingested) -> bool:
    """Whether the champion is what these very rows and this contract give."""
    try:
        model = load_model(store, serving)
    except ModelUnusable:  # promote will say so
        return False
    same = model.training.get("data_sha256") == ingested.sha256 and "recalibrates" not in model.training
    return same and model.contract.sha256 == ingested.frame.contract.sha256


def labelled_objects(store: ObjectStore) -> list[ObjectInfo]:
    """Every object under data/; consoles make an empty object stand for a folder."""
    return [info for info in store.list(DATA_PREFIX) if info.size or not info.key.endswith("/")]


def _quarantine(store: ObjectStore, ingested: Ingested, key: str) -> str | None:
    """Keep the refused rows as they stood, so that they can be found, mended and uploaded again. Returns the key, None
    without any.
    """
    if not ingested.refused:
        return None
    store.put(key, b"".join(encode(row.to_dict()) for row in ingested.refused))
    return key


def _done(store: ObjectStore, key: str) -> dict[str, Any] | None:
    try:
        return decode_any(store.get(key).data, what=key)
    except ObjectNotFound:
        return None


def _request(event: Mapping[str, Any]) -> tuple[str, str, str]:
    request_id = event.get("request_id") if isinstance(event, Mapping) else None
    if not isinstance(request_id, str) or not 0 < len(request_id.strip()) <= len(request_id) <= 512:
        raise InvalidEvent("The event needs 'request_id', a text of 1 to 512 characters; see events/train.json.")
    action = event.get("action", "train")
    if action not in ("train", RECALIBRATE):
        raise InvalidEvent(
            f'\'action\' is "train" (or left out) or "{RECALIBRATE}", not {str(action)[:40]!r}; see'
            " events/recalibrate.json."
        )
    return request_id, str(event.get("reason") or "asked by hand")[:2000], action
