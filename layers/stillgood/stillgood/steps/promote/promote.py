"""promote: let the gate judge a candidate, and record the decision that may make it champion."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import InvalidEvent, NotEnoughData, StillgoodError, StoreUnavailable, UnknownVersion
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.promotion.approval import expiry, under_floors, waits_for_person
from stillgood.domain.promotion.by_source import agreed
from stillgood.domain.promotion.decision import Decision, Pointer, Proposal, Release
from stillgood.domain.promotion.gate import GateDecision, decide, decide_cross_fitted, refusal
from stillgood.domain.promotion.orders import Hold, Mode, Orders
from stillgood.domain.promotion.orders_after import by_hand
from stillgood.steps.ports import Clock
from stillgood.steps.promote.gather import PromotionInputs, gather
from stillgood.storage.keys import MODEL, MODELS_PREFIX, REFERENCE, artifact_key, checked_version
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso

# Attempts on one holdout are neighbours in the log; this bounds what a long log costs a promotion.
_LOOK_BACK = 100
_LISTED = 10


@dataclass(frozen=True, slots=True)
class PromoteDeps:
    """What promote and rollback work with. ``gate`` is "simple" or "guarded"; ``mode`` holds until a person says
    another.

    ``at_point``: the champion is judged under its operating point; in records of before it was not. ``approvals``:
    whether a person may have to approve; False replays a record from before anybody could.
    """

    store: ObjectStore
    clock: Clock
    gate: str = "guarded"
    at_point: bool = True
    mode: str = "automatic"
    approvals: bool = True


def promote(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Judge ``{"action": "promote", "candidate": "<version>", "request_id": "..."}``, once per request id.

    Returns ``outcome``. A refusal is a result; a duplicate gets the first answer. Where a person has to approve
    what the gate lets pass, the decision is to ask (``steps/promote/cases.py`` takes the answer). ``"force": true``
    lets a version be judged that a person rejected. Raises InvalidEvent, UnknownVersion,
    StoreUnavailable (nothing was decided, or a retry finds what was), ModelUnusable when the registry itself is
    damaged.
    """
    request_id = text(event, "request_id")
    version = checked_version(text(event, "candidate"))
    request = {"action": "promote", "version": version} | ({"force": True} if event.get("force") is True else {})
    registry = Registry(deps.store)
    decision, new = registry.decide(
        request_id, lambda head: _draft(version, request_id, request, who(event), deps, registry, head)
    )
    return outcome(registry, decision, request, new)


def _draft(
    version: str,
    request_id: str,
    request: Mapping[str, Any],
    by: Mapping[str, str],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
) -> Proposal:
    at, orders = deps.clock(), registry.orders(head)
    inputs: dict[str, dict[str, str]] = {}
    material: PromotionInputs | None = None
    waits: tuple[str, ...] = ()
    try:
        material = gather(deps.store, version, head.pointer, inputs, at_point=deps.at_point)
        stopped = _stopped(version, request_id, orders, deps, force="force" in request)
        verdict = stopped or verdict_of(material, deps.gate, registry, head, inputs)
        if verdict.promote and deps.approvals:
            mode = orders.mode_or(deps.mode)
            verdict, waits = _for_a_person(verdict, material.candidate.contract, mode, first=head.pointer is None)
    except UnknownVersion as error:
        raise UnknownVersion(f"There is no version {version}. {_known(deps.store)}", version=version) from error
    except StoreUnavailable:
        raise  # an outage says nothing about the candidate: the retry decides
    except StillgoodError as error:
        verdict = refusal(
            deps.gate, f"The candidate cannot be judged: {error.detail}", "Artifacts that can be read and verified."
        )
    figures = {**figures_of(verdict), "asked": request, "serving": head.serving, **by}
    reasons = verdict.reasons
    if waits:
        expires = iso(expiry(at))
        figures["asks"] = {"kind": "promote", "expires": expires, "because": list(waits)}
        reasons = (f"Passed the gate, and waits for a person until {expires}.", *waits, *reasons)
    return Proposal(
        at=iso(at),
        action="ask" if waits else "promote" if verdict.promote else "refuse",
        request_id=request_id,
        candidate=version,
        reasons=reasons,
        figures=figures | deployed_mode(orders, deps),
        inputs=inputs,
        release=release_of(version, material, verdict, inputs) if verdict.promote and material and not waits else None,
    )


def deployed_mode(orders: Orders, deps: PromoteDeps) -> dict[str, str]:
    """What a record keeps of the deployment's mode, so that it can be replayed: nothing where a person said another."""
    return {"mode": deps.mode} if orders.mode is None and deps.mode != "automatic" else {}


def _stopped(version: str, request_id: str, orders: Orders, deps: PromoteDeps, *, force: bool) -> GateDecision | None:
    """The refusal of what people ordered, before any figure is looked at."""
    if orders.hold is not None and not by_hand(request_id):
        return _held(orders.hold)
    if deps.approvals and version in orders.rejected and not force:
        why = f"A person rejected {version}; it is not judged again unasked."
        return refusal("rejected", why, "The same request with force, or a version trained anew.")
    return None


def _for_a_person(
    verdict: GateDecision, contract: Contract, mode: Mode, *, first: bool
) -> tuple[GateDecision, tuple[str, ...]]:
    """The verdict, and why a person has to approve it, if so. The gate alone judges the ``first`` model by its
    floors.
    """
    under = () if first else under_floors(verdict.figures["candidate"], contract)
    if under and contract.promotion.below_floors == "refuse":
        change = 'A candidate that reaches the floors, or promotion.below_floors "ask" in the contract.'
        return replace(verdict, promote=False, reasons=under, would_change=(change,)), ()
    why = waits_for_person(mode)
    return verdict, under if why is None else (*under, why)


def verdict_of(
    material: PromotionInputs, gate: str, registry: Registry, head: LogHead, inputs: Mapping[str, Mapping[str, str]]
) -> GateDecision:
    """What the gate says of all rows, and for a promotion what it says without the largest unvouched source of them."""
    verdict = _judge(material, gate, registry, head, inputs)
    largest = material.largest_unvouched() if verdict.promote else None
    if largest is None:
        return verdict
    if not largest.others.any():
        return agreed(verdict, refusal(verdict.gate, "Nobody else told anything.", "Labels of others."), largest)
    return agreed(verdict, _judge(material.judged_by(largest.others), gate, registry, head, inputs), largest)


def _judge(
    material: PromotionInputs, gate: str, registry: Registry, head: LogHead, inputs: Mapping[str, Mapping[str, str]]
) -> GateDecision:
    """By the version of the gate that the candidate's fold models state;
    one of before those is judged as it was then.
    """
    if material.folds is None or gate == "simple":
        return decide(gate, material.case(_attempts(registry, head, inputs["holdout"]["sha256"])))
    try:
        case = material.cross_fitted(_tenure(registry, head), _promised(head))
    except NotEnoughData as error:
        name = "guarded" if head.pointer else "first-model"
        return refusal(
            name,
            f"Not enough evidence: {error.detail}.",
            "A candidate trained anew.",
            gate_version=material.folds.gate_version,
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


def _held(hold: Hold) -> GateDecision:
    why = (
        f"Held: a person rolled back to {hold.to} by decision {hold.said.decision} ({hold.said.since}), and what a"
        " person decided no schedule undoes."
    )
    change = "A release (events/release.json), or a promotion asked for by hand."
    return refusal("hold", why, change, held_by=hold.said.decision)


def figures_of(verdict: GateDecision) -> dict[str, Any]:
    """What the log keeps of a verdict."""
    return {**verdict.figures, "gate": verdict.gate, "would_change": list(verdict.would_change)}


def release_of(
    version: str, material: PromotionInputs, verdict: GateDecision, inputs: Mapping[str, Mapping[str, str]]
) -> Release:
    """The candidate as it would be put in force."""
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


def who(event: Mapping[str, Any]) -> dict[str, str]:
    """``{"by": ...}``, the name that the event gives; nothing where it gives none. Raises InvalidEvent."""
    return {"by": text(event, "by")} if event.get("by") is not None else {}


RESULTS: Mapping[str, str] = {
    "promote": "promoted",
    "refuse": "refused",
    "rollback": "rolled back",
    "release": "released",
    "move": "moved",
    "ask": "asked",
    "mode": "mode set",
    "settings": "settings in force",
}


def outcome(registry: Registry, decision: Decision, request: Mapping[str, Any], new: bool) -> dict[str, Any]:
    """The step's answer: what was decided, under which number, who served before and after, why, and what serves now.

    ``says`` is a sentence about now: a request that comes again learns what was decided then and what is in force
    today. Raises InvalidEvent when the request id was used before to ask for something else.
    """
    if decision.figures.get("asked") != request:
        before = decision.figures.get("asked")
        raise InvalidEvent(
            f"Request id {decision.request_id[:80]!r} was decision {decision.n}, which was asked {before}; use another"
            " request id."
        )
    serving = decision.figures.get("serving")
    return {
        "step": "promote",
        "result": RESULTS[decision.action],
        "decision": decision.n,
        "duplicate": not new,
        "request_id": decision.request_id,
        "candidate": decision.candidate,
        "old_version": serving,
        "new_version": decision.pointer_after.version if decision.pointer_after else serving,
        "gate": decision.figures.get("gate"),
        "reasons": list(decision.reasons),
        "would_change": list(decision.figures.get("would_change", [])),
        "says": _now(registry.pointer(), decision, new),
    }


def _now(pointer: Pointer | None, decision: Decision, new: bool) -> str:
    serves = "Nothing serves." if pointer is None else f"{pointer.version} serves since {pointer.promoted_at}."
    if new:
        return serves
    return f"Already decided: decision {decision.n} ({decision.at}, {RESULTS[decision.action]}). Now: {serves}"
