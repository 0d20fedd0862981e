"""move: put another operating point of the champion in force, decided again from the evidence that monitor stored."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.errors import DocumentUnusable, StoreUnavailable
from stillgood.domain.operating_point.calibration import FittedCalibration
from stillgood.domain.operating_point.decide import PointDecision, PointInputs, decide
from stillgood.domain.operating_point.evidence import from_dict
from stillgood.domain.operating_point.placement import Population, estimate
from stillgood.domain.operating_point.point import OperatingPoint
from stillgood.domain.promotion.approval import expiry, waits_for_person
from stillgood.domain.promotion.decision import Pointer, Proposal, Release
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE, by_hand
from stillgood.steps.promote.promote import PromoteDeps, deployed_mode, outcome, text, who
from stillgood.storage.keys import checked_version, point_evidence_key, point_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.points import read_evidence, write_point
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import iso

_FIGURES = ("recall", "precision", "capacity")


def move(event: Mapping[str, Any], deps: PromoteDeps) -> dict[str, Any]:
    """Do ``{"action": "move", "request_id": "...", "evidence": "<sha256>"}``, once per request id.

    The decision is made here, from the evidence; monitor only asks for it. Evidence about another champion or operating
    point than the ones in force is refused. Returns ``promote.outcome``. Raises InvalidEvent, UnknownVersion (not a
    hash), StoreUnavailable, DocumentUnusable (damaged registry).
    """
    request_id, digest = text(event, "request_id"), checked_version(text(event, "evidence"))
    request = {"action": "move", "evidence": digest}
    registry = Registry(deps.store)
    decision, new = registry.decide(
        request_id, lambda head: move_proposal(digest, request_id, request, who(event), deps, registry, head)
    )
    return outcome(registry, decision, request, new)


def move_proposal(
    digest: str,
    request_id: str,
    request: Mapping[str, Any],
    extra: Mapping[str, Any],
    deps: PromoteDeps,
    registry: Registry,
    head: LogHead,
    why: str | None = None,
) -> Proposal:
    """The move that the evidence decides, asked of a person where the schedule wants it and the mode is not
    automatic.
    """
    moment, orders, pointer = deps.clock(), registry.orders(head), head.pointer
    now = iso(moment)
    inputs = {"evidence": {"key": point_evidence_key(digest), "sha256": digest}}
    figures: dict[str, Any] = {"asked": request, "serving": pointer.version if pointer else None, **extra}
    figures |= deployed_mode(orders, deps)
    waits = None if by_hand(request_id) or not deps.approvals else waits_for_person(orders.mode_or(deps.mode))
    release, reasons = None, tuple[str, ...]()
    try:
        raw = read_evidence(deps.store, digest)
        material, about = from_dict(raw), raw.get("champion", {})
        if pointer is None or about != champion_of(pointer):
            reasons = (
                (
                    f"Refused: the evidence is about {_named(about)}, and"
                    f" {_named(champion_of(pointer) if pointer else None)} serves."
                ),
            )
        else:
            verdict = decide(material)
            reasons = verdict.reasons
            figures |= {"alert": verdict.alert, "window": raw.get("window"), "wanted": material.wanted}
            if verdict.action == "move" and waits is not None:
                expires = iso(expiry(moment))
                figures["asks"] = {"kind": "move", "expires": expires, "because": [waits]}
                reasons = (f"Would move the operating point, and waits for a person until {expires}.", *reasons)
            elif verdict.action == "move":
                point = _point(pointer, material, verdict, digest, now)
                release = _release(pointer, point, deps.store)
                inputs["point"] = {"key": point_key(release.point.id), "sha256": release.point.sha256}  # type: ignore[union-attr]
                figures |= {"estimates": dict(point.estimates), "threshold": point.threshold}
    except StoreUnavailable:
        raise  # an outage says nothing about the evidence: the retry decides
    except DocumentUnusable as error:
        reasons = (f"Refused: {error.detail}",)
    return Proposal(
        at=now,
        action="ask" if "asks" in figures else "refuse" if release is None else "move",
        request_id=request_id,
        candidate=pointer.version if pointer else None,
        reasons=reasons if why is None else (*reasons, f"{ASKED_BECAUSE}{why}"),
        figures=figures,
        inputs=inputs,
        release=release,
    )


def champion_of(pointer: Release) -> dict[str, Any]:
    """What evidence says of whom it is about: a model and its operating point, None for the model's own."""
    return {
        "version": pointer.version,
        "model_sha256": pointer.model_sha256,
        "point": None if pointer.point is None else pointer.point.id,
    }


def figures_at(line: FittedCalibration, population: Population, threshold: float) -> dict[str, dict[str, float]]:
    """Recall, precision and share flagged as estimated, each value, low, high."""
    names = dict.fromkeys(_FIGURES) | {"capacity": "share"}
    return {names[kind] or kind: estimate(kind, line, population, threshold).interval().to_dict() for kind in _FIGURES}


def _point(pointer: Pointer, material: PointInputs, verdict: PointDecision, digest: str, now: str) -> OperatingPoint:
    rows = int(verdict.figures["rows"])
    return OperatingPoint(
        model_version=pointer.version,
        model_sha256=pointer.model_sha256,
        objective=material.objective.kind,
        wanted=material.wanted,
        calibration=verdict.line.line,
        threshold_logit=verdict.threshold,
        since=now,
        covariance=verdict.line.covariance,
        rows=verdict.line.rows,
        estimates=figures_at(verdict.line, material.population.newest(rows), verdict.threshold),
        evidence={
            "sha256": digest,
            "predictions": rows,
            "labelled": verdict.line.rows,
            "offset": material.correction.offset,
        },
    )


def _release(pointer: Pointer, point: OperatingPoint, store: ObjectStore) -> Release:
    return Release(
        version=pointer.version,
        model_key=pointer.model_key,
        model_sha256=pointer.model_sha256,
        reference_key=pointer.reference_key,
        metrics=pointer.metrics,
        threshold=point.threshold,
        point=write_point(store, point, pointer.generation + 1),
    )


def _named(champion: Mapping[str, Any] | None) -> str:
    if not champion:
        return "nothing"
    point = champion.get("point")
    return f"{champion.get('version')} at {'its own operating point' if point is None else f'operating point {point}'}"
