"""A batch of many objects: what is to be scored, by one model; and afterwards what became of each. A state machine
scores in between.

``plan`` lists the objects under a prefix and names the champion; each object then is an event of ``batch``; ``report``
adds up.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stillgood.domain.errors import InvalidEvent, ObjectExists
from stillgood.steps.batch.batch import FORMATS, BatchDeps, checked_reasons, output_of, read_summary
from stillgood.steps.batch.score import Reasons
from stillgood.storage.codec import decode, encode
from stillgood.storage.keys import BATCH_PREFIX, JOBS_PREFIX, OUTPUT_PREFIX, SCORED_PREFIX, scored_key
from stillgood.storage.objects import checked_key
from stillgood.storage.tables.opening import is_table

# What the state machine carries from state to state has to stay below 256 KiB: the keys first, then a line for each
# shard.
MAX_SHARDS, MAX_KEY_BYTES = 400, 200_000
_MESSAGE = re.compile(r'"errorMessage":\s*("(?:[^"\\]|\\.)*")')


def plan(event: Mapping[str, Any], deps: BatchDeps) -> dict[str, Any]:
    """Which objects ``{"prefix": "batch/input/2026-11/", "reasons": false}`` means: each CSV, JSON Lines or Parquet
    object is a shard.

    All of them are scored by the champion of this moment, whatever is promoted meanwhile. Writes ``plan.json`` under
    ``batch/output/jobs/<name>-<job>/``; the same objects and champion are the same job. Hidden objects ("_SUCCESS",
    ".x") and empty ones that stand for a folder are left out. ``"new": true``, as the schedule asks: only objects that
    no model has scored yet, and none is well, too.

    Raises InvalidEvent, also when there is nothing to score, something that is not rows, or more than ``MAX_SHARDS``
    objects; NoChampion, ModelUnusable, StoreUnavailable.
    """
    prefix, reasons = _job_request(event)
    listed = [info for info in deps.store.list(prefix) if not _is_left_out(info.key, info.size)]
    only_new = event.get("new") is True
    if only_new:
        scored = {info.key for info in deps.store.list(SCORED_PREFIX)}
        listed = [info for info in listed if scored_key(info.key, info.etag) not in scored][:MAX_SHARDS]
    if not listed and not only_new:
        raise InvalidEvent(f"There is nothing under {prefix}; upload the objects to score first.")
    if len(listed) > MAX_SHARDS or sum(len(info.key.encode()) for info in listed) > MAX_KEY_BYTES:
        raise InvalidEvent(
            f"{len(listed)} objects lie under {prefix}; one job takes {MAX_SHARDS}, with {MAX_KEY_BYTES:,} bytes of"
            " names. Start a job for each of several prefixes."
        )
    for info in listed:
        if not is_table(info.key):
            raise InvalidEvent(
                f"{info.key[-80:]!r} is not one of {', '.join(FORMATS)}; take it away, or let its name begin with '_'."
            )
    champion = deps.champions.current().pointer
    model: dict[str, Any] = {"version": champion.version, "sha256": champion.model_sha256}
    if champion.point is not None:
        model["point"] = champion.point.to_dict()
    shards = [
        {
            "input": info.key,
            "etag": info.etag,
            "output": output_of(
                info.key, info.etag, champion.version, reasons, champion.point.id if champion.point else None
            ),
        }
        for info in listed
    ]
    named = {"prefix": prefix, "model": model, "reasons": reasons, "shards": shards}
    job = hashlib.sha256(encode(named)).hexdigest()[:16]
    folder = checked_key(f"{JOBS_PREFIX}{prefix.rstrip('/').rpartition('/')[2]}-{job}")
    try:
        document = {"format": "stillgood.batch_plan", "format_version": 1, "step": "plan", "job": job, **named}
        deps.store.create(f"{folder}/plan.json", encode(document))
    except ObjectExists:  # asked for before: the same job, byte for byte
        pass
    return {
        "step": "plan",
        "job": job,
        "folder": folder,
        "model": model,
        "reasons": reasons,
        "shards": [shard["input"] for shard in shards],
    }


def report(event: Mapping[str, Any], deps: BatchDeps) -> dict[str, Any]:
    """Add up the job in ``{"folder": ..., "shards": [{"shard": 0}, {"shard": 1, "error": ..., "cause": ...}, ...]}``.

    A shard is done if its summary is there, whatever else was said of it; of one that is not, the error is told. Writes
    ``report.json`` beside the plan and returns it, with at most 20 of the failed shards.

    Raises InvalidEvent, ObjectNotFound when there is no such plan, StoreUnavailable.
    """
    folder, said = _shard_results(event)
    planned = decode(
        deps.store.get(f"{folder}/plan.json").data, format="stillgood.batch_plan", what=f"{folder}/plan.json"
    )
    counts: Counter[str] = Counter()
    failed: list[dict[str, Any]] = []
    for number, shard in enumerate(planned["shards"]):
        summary = read_summary(deps.store, shard["output"])
        if summary is None:
            failed.append({"input": shard["input"], **_failure(said.get(number, {}))})
            continue
        counts.update({name: summary[name] for name in ("rows", "predicted", "positive", "rejected")})
    document = {
        "format": "stillgood.batch_report",
        "format_version": 1,
        "step": "report",
        "job": planned["job"],
        "plan": f"{folder}/plan.json",
        "model_version": planned["model"]["version"],
        "shards": len(planned["shards"]),
        "done": len(planned["shards"]) - len(failed),
        "failed": len(failed),
        **{name: counts[name] for name in ("rows", "predicted", "positive", "rejected")},
    }
    deps.store.put(f"{folder}/report.json", encode({**document, "failures": failed}))
    return {**document, "report": f"{folder}/report.json", "failures": failed[:20]}


def _job_request(event: Mapping[str, Any]) -> tuple[str, Reasons]:
    prefix, reasons = event.get("prefix"), checked_reasons(event.get("reasons", False))
    if not isinstance(prefix, str):
        raise InvalidEvent(
            'A batch job takes {"prefix": "batch/input/2026-11/"}, and "reasons": true for the reasons of each row.'
        )
    checked_key(prefix.removesuffix("/"))
    if not prefix.startswith(BATCH_PREFIX) or prefix == BATCH_PREFIX or prefix.startswith(OUTPUT_PREFIX):
        raise InvalidEvent(
            f"The prefix lies under {BATCH_PREFIX}, and not under {OUTPUT_PREFIX}; {prefix[:80]!r} does not."
        )
    if OUTPUT_PREFIX.startswith(prefix):
        raise InvalidEvent(
            f"The prefix {prefix[:80]!r} covers {OUTPUT_PREFIX}, where outputs are; name one that does not."
        )
    return prefix, reasons


def _is_left_out(key: str, size: int) -> bool:
    name = key.rpartition("/")[2]
    return name.startswith(("_", ".")) or (name == "" and size == 0)


def _shard_results(event: Mapping[str, Any]) -> tuple[str, dict[int, Mapping[str, Any]]]:
    folder, shards = event.get("folder"), event.get("shards")
    if not isinstance(folder, str) or not folder.startswith(JOBS_PREFIX) or not isinstance(shards, Sequence):
        raise InvalidEvent("A report takes the folder of a plan, and a list of what was said of its shards.")
    return checked_key(folder), {
        shard["shard"]: shard for shard in shards if isinstance(shard, Mapping) and "shard" in shard
    }


def _failure(failure: Mapping[str, Any]) -> dict[str, str]:
    """The error's name and message out of what Lambda or Step Functions gave as the cause, which may be cut off."""
    cause = str(
        failure.get("cause") or "It was not scored, or was replaced after the job was planned; start the job again."
    )
    message = _MESSAGE.search(cause)
    return {"error": str(failure.get("error") or "NotScored"), "detail": json.loads(message[1]) if message else cause}
