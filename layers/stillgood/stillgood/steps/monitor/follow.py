"""Let the operating point follow the population: estimate, decide, and ask promote for the move. Once a window, beside
its policy.

The monitor's state remembers what lasts from window to window: the slow correction, since when no fault of the data
stands, and the faulty spans. Rows of a faulty span are no population, and its labels teach nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from stillgood.domain.contract.contract import Contract
from stillgood.domain.drift.contributions import ContributionDrift, contribution_drift
from stillgood.domain.drift.jumps import Moments, jumped, same_unit
from stillgood.domain.errors import DocumentUnusable, ObjectNotFound
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits_of
from stillgood.domain.operating_point.calibration import FittedCalibration, Labelled, slope_holds
from stillgood.domain.operating_point.correction import BLOCK_ROWS, Correction
from stillgood.domain.operating_point.decide import (
    DISAGREE_P,
    PointDecision,
    PointInputs,
    corrected,
    decide,
    disagreement,
    realised_figure,
    uncertain,
)
from stillgood.domain.operating_point.evidence import to_dict, trimmed
from stillgood.domain.operating_point.objective import figure_name, objective_of
from stillgood.domain.operating_point.placement import Population, estimate
from stillgood.domain.outcomes.evidence import LabelledRows, microseconds, moment
from stillgood.domain.policy.evidence import Evidence, Policy
from stillgood.domain.policy.refusals import broken_upstream
from stillgood.domain.promotion.decision import Pointer
from stillgood.domain.statistics.intervals import wilson
from stillgood.steps.monitor.gather import WindowInputs
from stillgood.steps.monitor.sample import Sample, sample
from stillgood.storage.champion import load_model, load_served
from stillgood.storage.objects import ObjectStore
from stillgood.storage.points import read_point, write_evidence
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso, utc

_FAULTS_KEPT = 20
_JUMPED = (
    "the operating point is frozen: {} moved the mean score within one window as only a fault of the data should;"
    " labels of such rows will tell"
)


@dataclass(frozen=True, slots=True)
class Followed:
    """``section`` is the report's, ``remembered`` the state's; ``effect`` asks promote for a move, None without one.

    ``stands`` says in the same words in every window what waits for a person; empty where nothing does.
    """

    section: dict[str, Any]
    contributions: dict[str, Any] | None
    remembered: dict[str, Any]
    effect: dict[str, Any] | None
    stands: str = ""


def follow(
    store: ObjectStore,
    material: WindowInputs,
    evidence: Evidence,
    policy: Policy,
    remembered: Mapping[str, Any],
    *,
    settled: datetime,
) -> Followed:
    """Decide on the operating point after a window that is not late. Raises StoreUnavailable, DocumentUnusable."""
    pointer, contract, window = material.pointer, material.contract, material.window
    faults = _faults(evidence, policy)
    memory = Memory.of(remembered, pointer, window)
    model = load_model(store, pointer)
    served = load_served(store, pointer)
    objective, wanted = objective_of(contract)
    line = _line(store, pointer) or uncertain(served.calibration)
    kind = objective.kind
    vouched = evidence.outcomes.rows.vouched_only  # what others say places no threshold
    # A window too small to be compared does not end a suspicion: it would leave nothing to compare the next one with.
    if memory.suspects and evidence.drift and absolve(kind, line, memory, vouched):
        memory = memory.absolved()
    since = window.start if faults else memory.sound_since
    left_out = set(material.usual.left)
    seen = sample(
        store, contract, pointer.version, window, material.kept, since=since, settled=settled, without=left_out
    )
    moved = _moved(model, material, seen)
    suspected = _suspected(memory, contract, evidence, moved)
    memory = memory.after(window, bool(faults), suspected, moved)
    if suspected:
        faults = (*faults, f"{', '.join(suspected)} moved the mean score by an implausible jump within one window.")
    rows = _sound(vouched, (*memory.faults, *memory.suspects))
    labelled = _labelled(rows)
    correction, judged_until = _corrected(memory, kind, wanted, rows, evidence.rows, window)
    costs = contract.costs
    inputs = trimmed(
        PointInputs(
            objective=objective,
            wanted=wanted,
            rules=contract.operating_point,
            line=line,
            threshold=served.threshold_logit,
            correction=correction,
            population=Population(seen.logits, seen.entities),
            labelled=labelled,
            faults=(*faults, *_held(store, pointer, rows)),
            capacity=None if costs is None or costs.capacity is None else costs.capacity / 1000,
            fresh=len(seen.logits) - seen.first,
        )
    )
    decision = decide(inputs)
    effect = None
    if decision.action == "move":
        digest = write_evidence(store, {"champion": champion_of(pointer), "window": window.id, **to_dict(inputs)})
        event = {"action": "move", "request_id": f"point:{window.id}", "evidence": digest}
        effect = {"step": "promote", "event": event}
    return Followed(
        section=_section(contract, pointer, inputs, decision, rows),
        contributions=None if moved is None else moved.to_dict(),
        remembered=memory.to_dict(correction, judged_until) | _callers(material),
        effect=effect,
        stands=_JUMPED.format(", ".join(suspected)) if suspected else decision.stands,
    )


def _callers(material: WindowInputs) -> dict[str, Any]:
    """What is remembered of who calls; nothing while nobody is known."""
    return {"callers": material.usual.to_dict()} if material.usual.windows else {}


def champion_of(pointer: Pointer) -> dict[str, Any]:
    """As promote compares it with what is in force when it decides."""
    point = None if pointer.point is None else pointer.point.id
    return {"version": pointer.version, "model_sha256": pointer.model_sha256, "point": point}


@dataclass(frozen=True, slots=True)
class Memory:
    """``judged_until``: microseconds of the newest matured row that the correction has seen. ``faults``, ``suspects``:
    spans in microseconds of faults, and of a jump of ``suspected`` features that labels have not explained yet;
    ``same_unit``: all along they looked like the unit that the model learnt.

    ``moments``: of each number's contribution in the last window without either.
    """

    version: str
    correction: Correction
    judged_until: int
    sound_since: datetime
    faults: tuple[tuple[int, int], ...]
    suspects: tuple[tuple[int, int], ...] = ()
    suspected: tuple[str, ...] = ()
    same_unit: bool = False
    moments: Mapping[str, Moments] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any], pointer: Pointer, window: Window) -> "Memory":
        """Another champion starts anew, but for what is known of the data."""
        promoted = utc(pointer.promoted_at)
        earliest = max(promoted, window.start - timedelta(days=7))
        try:
            faults = _spans(raw.get("faults", []))
            sound = max(earliest, utc(raw["sound_since"])) if "sound_since" in raw else earliest
            if raw.get("version") != pointer.version:
                return cls(pointer.version, Correction(), 0, sound, faults)
            return cls(
                pointer.version,
                Correction(float(raw["offset"]), int(raw["blocks"])),
                int(raw["judged_until"]),
                sound,
                faults,
                _spans(raw.get("suspects", [])),
                tuple(map(str, raw.get("suspected", []))),
                bool(raw.get("same_unit", False)),
                {str(name): Moments(float(pair[0]), float(pair[1])) for name, pair in raw.get("moments", {}).items()},
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DocumentUnusable(f"The monitor's state of the operating point is malformed ({error}).") from error

    def after(
        self, window: Window, fault: bool, suspected: tuple[str, ...], moved: ContributionDrift | None
    ) -> "Memory":
        span = (microseconds(window.start), microseconds(window.end))
        if suspected:
            suspects = (*self.suspects, span)[-_FAULTS_KEPT:]
            alike = self.same_unit or not self.suspects
            if moved is not None:
                alike = alike and same_unit(moved.parts, suspected)
            return replace(self, sound_since=window.end, suspects=suspects, suspected=suspected, same_unit=alike)
        healed = replace(self, faults=(*self.faults, *self.suspects)[-_FAULTS_KEPT:], suspects=(), suspected=())
        if fault:
            return replace(healed, sound_since=window.end, faults=(*healed.faults, span)[-_FAULTS_KEPT:])
        if moved is None:
            return healed
        return replace(healed, moments={part.name: Moments(part.now, part.spread) for part in moved.parts})

    def absolved(self) -> "Memory":
        """Labels since the jump tell that the world changed, and its rows are a population."""
        begun = moment(self.suspects[0][0])
        return replace(self, sound_since=begun, suspects=(), suspected=(), moments={})

    def to_dict(self, correction: Correction, judged_until: int) -> dict[str, Any]:
        return {
            "version": self.version,
            "offset": correction.offset,
            "blocks": correction.blocks,
            "judged_until": judged_until,
            "sound_since": iso(self.sound_since),
            "faults": [list(span) for span in self.faults],
            "suspects": [list(span) for span in self.suspects],
            "suspected": list(self.suspected),
            "same_unit": self.same_unit,
            "moments": {name: [moments.mean, moments.spread] for name, moments in self.moments.items()},
        }


def _spans(raw: Iterable[Sequence[Any]]) -> tuple[tuple[int, int], ...]:
    return tuple((int(start), int(end)) for start, end in raw)


def _moved(model: Model, material: WindowInputs, seen: Sample) -> ContributionDrift | None:
    """What moved the mean score of the window's own rows."""
    return contribution_drift(model, material.reference, seen.frame, seen.explained)


def _suspected(
    memory: Memory, contract: Contract, evidence: Evidence, moved: ContributionDrift | None
) -> tuple[str, ...]:
    """Numbers whose contribution jumped since the last sound window. Windows too small to compare change nothing."""
    if evidence.drift is None or moved is None:
        return memory.suspected
    numbers = {feature.name for feature in contract.features if feature.kind not in ("categorical", "boolean")}
    return jumped(memory.moments, moved.parts, numbers & {check.subject for check in evidence.drift.drifted})


def absolve(kind: str, line: FittedCalibration, memory: "Memory", every: LabelledRows) -> bool:
    """Whether labels of rows made since a suspected jump tell that it is the world: there are enough of them, and they
    do not contradict what was estimated, or the suspected numbers look like the unit that the model learnt and the
    scores tell as much as they did (docs/decisions/0074).
    """
    labelled = _labelled(every.take(every.times >= memory.suspects[0][0]))
    contradiction = disagreement(kind, line, labelled) if labelled.n >= BLOCK_ROWS else None
    if contradiction is None:
        return False
    return contradiction.p >= DISAGREE_P or (memory.same_unit and slope_holds(labelled, line.line))


def _faults(evidence: Evidence, policy: Policy) -> tuple[str, ...]:
    """Faults of the data and refusals in numbers: while one stands, the population is not what it seems."""
    faults = []
    if broken_upstream(evidence, policy.violation_rate):
        faults.append(f"{evidence.violation_rate:.1%} of the rows were refused by the contract.")
    if evidence.drift is not None:
        faults += [f"data fault upstream, {check.name}: {check.reason}." for check in evidence.drift.faults]
    return tuple(faults)


def _held(store: ObjectStore, pointer: Pointer, rows: LabelledRows) -> tuple[str, ...]:
    """A person who went back to an operating point holds it until labels of predictions made since then can speak."""
    try:
        decision = Registry(store).decision(pointer.decision)
    except ObjectNotFound:
        return ()
    if decision.action != "rollback" or "point" not in decision.figures.get("asked", {}):
        return ()
    since = int((rows.times > microseconds(utc(decision.at))).sum())
    if since >= BLOCK_ROWS:
        return ()
    return (
        (
            f"a person went back to this operating point (decision {decision.n}); {since} of {BLOCK_ROWS} labels since"
            " then."
        ),
    )


def _line(store: ObjectStore, pointer: Pointer) -> FittedCalibration | None:
    if pointer.point is None:
        return None
    point = read_point(store, pointer.point)
    return FittedCalibration(point.calibration, point.covariance, point.rows)


def _sound(rows: LabelledRows, faults: tuple[tuple[int, int], ...]) -> LabelledRows:
    keep = np.ones(rows.n, dtype=bool)
    for start, end in faults:
        keep &= (rows.times < start) | (rows.times >= end)
    return rows.take(keep)


def _labelled(rows: LabelledRows) -> Labelled:
    return Labelled(logits_of(rows.scores), rows.outcomes, rows.entities.view(np.int64), rows.decisions)


def _corrected(
    memory: Memory, kind: str, wanted: float, rows: LabelledRows, window_rows: int, window: Window
) -> tuple[Correction, int]:
    """The correction after every whole block of rows that it has not seen, and until when it has seen them."""
    fresh = rows.take(rows.times > memory.judged_until)
    whole = fresh.n // BLOCK_ROWS * BLOCK_ROWS
    if not whole:
        return memory.correction, memory.judged_until
    used = fresh.take(slice(0, whole))
    newest = int(used.times[-1])
    seconds = (microseconds(window.end) - newest) / 1e6
    delay = round(max(seconds, 0.0) * window_rows / (window.end - window.start).total_seconds())
    return corrected(kind, wanted, memory.correction, _labelled(used), delay), newest


def _section(
    contract: Contract, pointer: Pointer, inputs: PointInputs, decision: PointDecision, rows: LabelledRows
) -> dict[str, Any]:
    name, population = figure_name(inputs.objective), inputs.population
    estimated = estimate(inputs.objective.kind, decision.line, population, inputs.threshold) if population.n else None
    newest = rows.take(slice(max(0, rows.n - BLOCK_ROWS), None))
    truth = realised_figure(inputs.objective.kind, _labelled(newest)) if newest.n else None
    realised = None
    if truth is not None:
        over = {"recall": newest.positives, "precision": int(newest.decisions.sum())}.get(
            inputs.objective.kind, newest.n
        )
        until = iso(moment(int(newest.times[-1])).replace(microsecond=0))
        realised = {**wilson(round(truth * over), over).to_dict(), "until": until, "rows": newest.n}
    interval = None if estimated is None else estimated.interval().to_dict()
    return {
        "objective": name,
        "mode": contract.operating_point.mode,
        "wanted": inputs.wanted,
        "estimated": interval,
        "realised": realised,
        "sentence": sentence(name, inputs.wanted, interval, realised),
        "action": decision.action,
        "reasons": list(decision.reasons),
        "alert": decision.alert,
        "correction": inputs.correction.offset,
        "population": inputs.population.n,
        "labelled": inputs.labelled.n,
        "point": None if pointer.point is None else pointer.point.id,
        "threshold": pointer.threshold,
        "flagged": float((inputs.population.logits >= inputs.threshold).mean()) if inputs.population.n else None,
    }


def sentence(
    name: str, wanted: float, estimated: Mapping[str, float] | None, realised: Mapping[str, Any] | None
) -> str:
    """Objective, estimate and truth side by side; all of the point that served in the window.

    >>> estimated = {"value": 0.79, "low": 0.76, "high": 0.82}
    >>> sentence("recall", 0.8, estimated, {"value": 0.78, "until": "2026-06-12T10:00:00Z"})
    'recall: wanted 0.80, estimated 0.79 [0.76, 0.82], realised to 2026-06-12 0.78'
    """
    parts = [f"{name}: wanted {wanted:.2f}"]
    if estimated is not None:
        parts.append(f"estimated {estimated['value']:.2f} [{estimated['low']:.2f}, {estimated['high']:.2f}]")
    if realised is not None:
        parts.append(f"realised to {realised['until'][:10]} {realised['value']:.2f}")
    return ", ".join(parts)
