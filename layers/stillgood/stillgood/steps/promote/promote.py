"""promote: let the gate judge a candidate, and record the decision that may make it champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.errors import InvalidEvent, NotEnoughData, StillgoodError, StoreUnavailable, UnknownVersion
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.promotion.cross_fitted import GATE_VERSION
from stillgood.domain.promotion.decision import Decision, Proposal, Release
from stillgood.domain.promotion.gate import GateDecision, decide, decide_cross_fitted, refusal
from stillgood.steps.ports import Clock
from stillgood.steps.promote.gather import PromotionInputs, gather
from stillgood.steps.promote.hold import AUTOMATIC, held_since
from stillgood.storage.keys import MODEL, MODELS_PREFIX, REFERENCE, artifact_key, checked_version
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso

# Attempts on one holdout are neighbours in the log; this bounds what a long log costs a promotion.
_LOOK_BACK = 100
_LISTED = 10


@dataclass(frozen=True, slots=True)
class PromoteDeps:
    """What promote and rollback work with. ``gate`` is "simple" or "guarded". ``at_point``: the champion is judged
    under its operating point; in records of before it was not.
    """

    store: ObjectStore
    clock: Clock
    gate: str = "guarded"
    at_point: bool = True


def promote(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Judge ``{"action": "promote", "candidate": "<version>", "request_id": "..."}``, once per request id.

    Returns ``outcome``. A refusal is a result; a duplicate gets the first answer. Raises InvalidEvent, UnknownVersion,
    StoreUnavailable (nothing was decided, or a retry finds what was), ModelUnusable when the registry itself is
    damaged.
    """
    request_id = text(event, "request_id")
    version = checked_version(text(event, "candidate"))
    asked = {"action": "promote", "version": version}
    registry = Registry(deps.store)
    decision, new = registry.decide(request_id, lambda head: _draft(version, request_id, asked, deps, registry, head))
    return outcome(decision, asked, new)


def _draft(
    version: str, request_id: str, asked: Mapping[str, Any], deps: PromoteDeps, registry: Registry, head: LogHead
) -> Proposal:
    inputs: dict[str, dict[str, str]] = {}
    material: PromotionInputs | None = None
    held = held_since(registry, head) if request_id.startswith(AUTOMATIC) else None
    try:
        material = gather(deps.store, version, head.pointer, inputs, at_point=deps.at_point)
        verdict = _verdict(material, deps.gate, registry, head, inputs) if held is None else _held(held)
    except UnknownVersion as error:
        raise UnknownVersion(f"There is no version {version}. {_known(deps.store)}", version=version) from error
    except StoreUnavailable:
        raise  # an outage says nothing about the candidate: the retry decides
    except StillgoodError as error:
        verdict = refusal(
            deps.gate, f"The candidate cannot be judged: {error.detail}", "Artifacts that can be read and verified."
        )
    return Proposal(
        at=iso(deps.clock()),
        action="promote" if verdict.promote else "refuse",
        request_id=request_id,
        candidate=version,
        reasons=verdict.reasons,
        figures={**_figures(verdict), "asked": asked, "serving": head.pointer.version if head.pointer else None},
        inputs=inputs,
        release=_release(version, material, verdict, inputs) if verdict.promote and material else None,
    )


def _verdict(
    material: PromotionInputs, gate: str, registry: Registry, head: LogHead, inputs: Mapping[str, Mapping[str, str]]
) -> GateDecision:
    """By the second version of the gate where the candidate has fold models; a candidate of before is judged as it was
    then.
    """
    if material.folds is None or gate == "simple":
        return decide(gate, material.case(_attempts(registry, head, inputs["holdout"]["sha256"])))
    try:
        case = material.cross_fitted(_tenure(registry, head), _promised(head))
    except NotEnoughData as error:
        name = "guarded" if head.pointer else "first-model"
        return refusal(
            name, f"Not enough evidence: {error.detail}.", "A candidate trained anew.", gate_version=GATE_VERSION
        )
    return decide_cross_fitted(case)


def _promised(head: LogHead) -> Metrics | None:
    try:
        return None if head.pointer is None else Metrics.from_dict(head.pointer.metrics)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _tenure(registry: Registry, head: LogHead) -> int:
    """Earlier decisions that compared a candidate with the champion, since it came into force."""
    if head.pointer is None:
        return 0
    count = 0
    for earlier in registry.decisions(start_after=max(0, head.n - _LOOK_BACK)):
        after = earlier.pointer_after
        # A moved operating point is the same model, and so the same tenure.
        if after is not None and after.version != earlier.figures.get("serving"):
            count = 0
        elif "alpha" in earlier.figures:
            count += 1
    return count


def _held(rollback: Decision) -> GateDecision:
    why = (
        f"Held: a person rolled back to {rollback.candidate} by decision {rollback.n} ({rollback.at}), and what a"
        " person decided no schedule undoes."
    )
    return refusal(
        "hold", why, "A release (events/release.json), or a promotion asked for by hand.", held_by=rollback.n
    )


def _figures(verdict: GateDecision) -> dict[str, Any]:
    return {**verdict.figures, "gate": verdict.gate, "would_change": list(verdict.would_change)}


def _release(
    version: str, material: PromotionInputs, verdict: GateDecision, inputs: Mapping[str, Mapping[str, str]]
) -> Release:
    return Release(
        version=version,
        model_key=artifact_key(version, MODEL),
        model_sha256=inputs["candidate"]["sha256"],
        reference_key=artifact_key(version, REFERENCE),
        metrics=verdict.figures["candidate"],
        threshold=material.candidate.threshold,
    )


def _attempts(registry: Registry, head: LogHead, holdout_sha256: str) -> int:
    """Earlier decisions that compared a candidate on the same holdout rows."""
    return sum(
        "champion" in earlier.figures and earlier.inputs.get("holdout", {}).get("sha256") == holdout_sha256
        for earlier in registry.decisions(start_after=max(0, head.n - _LOOK_BACK))
    )


def _known(store: ObjectStore) -> str:
    versions = [info.key.split("/")[1] for info in store.list(MODELS_PREFIX) if info.key.endswith(f"/{MODEL}")]
    if not versions:
        return "No version was published yet; run train first."
    return f"{len(versions)} exist, the newest: {', '.join(versions[-_LISTED:][::-1])}."


def text(event: Mapping[str, Any], name: str) -> str:
    """The text under ``name``, 1 to 512 characters. Raises InvalidEvent."""
    value = event.get(name) if isinstance(event, Mapping) else None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= 512:
        raise InvalidEvent(
            f"The event needs {name!r}, a text of 1 to 512 characters; see events/promote.json and"
            " events/rollback.json."
        )
    return value


def outcome(decision: Decision, asked: Mapping[str, Any], new: bool) -> dict[str, Any]:
    """The step's answer: what was decided, under which number, who served before and who serves after, and why.

    Raises InvalidEvent when the request id was used before to ask for something else.
    """
    if decision.figures.get("asked") != asked:
        before = decision.figures.get("asked")
        raise InvalidEvent(
            f"Request id {decision.request_id[:80]!r} was decision {decision.n}, which was asked {before}; use another"
            " request id."
        )
    serving = decision.figures.get("serving")
    return {
        "step": "promote",
        "result": {
            "promote": "promoted",
            "refuse": "refused",
            "rollback": "rolled back",
            "release": "released",
            "move": "moved",
        }[decision.action],
        "decision": decision.n,
        "duplicate": not new,
        "request_id": decision.request_id,
        "candidate": decision.candidate,
        "old_version": serving,
        "new_version": decision.pointer_after.version if decision.pointer_after else serving,
        "gate": decision.figures.get("gate"),
        "reasons": list(decision.reasons),
        "would_change": list(decision.figures.get("would_change", [])),
    }
