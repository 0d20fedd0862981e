"""monitor: judge one window of captured predictions, and act on what was found.

The state object is a write-ahead log of one entry: it takes the whole report by compare-and-swap, which is the one
moment at which a window is decided. Then the effect is invoked and the report written, so a report's presence means
that its effect was asked for. The next run *finishes* what a crash left half-way before it decides anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from stillgood.domain.errors import DocumentUnusable, InvalidEvent, ObjectExists, PreconditionFailed, StoreUnavailable
from stillgood.domain.formats import current_format
from stillgood.domain.policy.conclude import conclude
from stillgood.domain.policy.evidence import Evidence, Policy, PolicyDecision
from stillgood.domain.policy.policies import advance
from stillgood.domain.policy.report import build_report
from stillgood.domain.policy.state import FORMAT, MonitorState
from stillgood.domain.policy.wording import done, finding
from stillgood.steps.monitor.follow import Followed, follow
from stillgood.steps.monitor.gather import WindowInputs, gather
from stillgood.steps.monitor.late import count_captures
from stillgood.steps.monitor.outcomes import take_label_files
from stillgood.steps.performed import ingest_action_files
from stillgood.steps.ports import Clock, Invoker
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import STATE_KEY, report_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.points import write_point_status
from stillgood.storage.registry import Registry
from stillgood.storage.standing import write_standing
from stillgood.storage.whole import lacks
from stillgood.storage.windows import Window, iso, read_report, read_state, reports, utc, write_report, write_state

# Each lost round means that another monitor decided a window, so this bounds contention, not progress.
_ROUNDS = 20
_CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MonitorDeps:
    """What monitor works with. ``settle_seconds``: how long after a window's end its captures may still arrive.

    ``mode`` holds until a person says another: under "watch" nothing is invoked.
    """

    store: ObjectStore
    invoker: Invoker
    clock: Clock
    sleep: Callable[[float], object]
    policy: Policy
    window_hours: float = 24.0
    settle_seconds: float = 60.0
    mode: str = "automatic"


def monitor(event: Mapping[str, Any], deps: MonitorDeps) -> dict[str, Any]:
    """Judge the window that ends at ``{"scheduled_time": "2026-11-24T00:00:00Z"}``, once however often the event
    arrives.

    Returns the decision with its reasons and the report's key. A duplicate gets the stored report, and its effect is
    asked for again (its request id makes that harmless). Raises InvalidEvent, DocumentUnusable, StoreUnavailable,
    InvocationFailed.
    """
    window = _window(event, deps)
    report = read_report(deps.store, window)
    if report is not None:
        _invoke(report, deps)
        return _outcome(window, report, duplicate=True)
    pointer = Registry(deps.store).pointer()
    if pointer is None:
        if missing := lacks(deps.store, pointer):
            raise DocumentUnusable(missing[-1])
        return {
            "step": "monitor",
            "result": "no champion",
            "window": window.id,
            "reasons": ["nothing was promoted yet"],
        }
    take_label_files(deps.store, pointer, deps.clock)
    ingest_action_files(deps.store, deps.clock)
    settle = timedelta(seconds=deps.settle_seconds)
    if (early := (window.end + settle - deps.clock()).total_seconds()) > 0:
        deps.sleep(early)
    material = gather(deps.store, pointer, window, settled=deps.clock() - settle, now=deps.clock())
    report, duplicate = _decide(material, deps)
    return _outcome(window, report, duplicate=duplicate)


def request_id(event: Mapping[str, Any], window_hours: float) -> str:
    """The id of a window's one effect, which train and promote hand on. Raises InvalidEvent."""
    return _request_id(_ending(event, window_hours))


def _request_id(window: Window) -> str:
    return f"monitor:{window.id}"


def _window(event: Mapping[str, Any], deps: MonitorDeps) -> Window:
    window = _ending(event, deps.window_hours)
    if window.end > deps.clock() + _CLOCK_SKEW:
        raise InvalidEvent(f"The window ends at {iso(window.end)}, which is still to come; send the event then.")
    return window


def _ending(event: Mapping[str, Any], hours: float) -> Window:
    scheduled = event.get("scheduled_time") if isinstance(event, Mapping) else None
    if not isinstance(scheduled, str):
        raise InvalidEvent("The event needs 'scheduled_time', the end of the window to judge; see events/monitor.json.")
    return Window.ending(utc(scheduled), hours)


def _decide(material: WindowInputs, deps: MonitorDeps) -> tuple[dict[str, Any], bool]:
    """The report that stands for the window, and whether somebody else decided it."""
    watching = _mode(deps) == "watch"
    for _ in range(_ROUNDS):
        raw, etag = read_state(deps.store)
        state, pending = _read(raw)
        if pending is not None:
            _finish(pending, deps)
        if (standing := read_report(deps.store, material.window)) is not None:
            return standing, True
        settled = deps.clock() - timedelta(seconds=deps.settle_seconds)
        pooled = material.weighed(deps.store, state, settled).pooled(deps.store, state, settled)
        evidence = pooled.evidence(deps.policy, state)
        followed = None
        captures = None
        if not evidence.late:
            captures = count_captures(deps.store, material.window, material.profile, pending, settled)
        if not evidence.late:
            followed = follow(deps.store, pooled, evidence, deps.policy, state.point, settled=settled)
        stands = "" if followed is None else followed.stands
        decision, after_all = conclude(deps.policy, evidence, state, point=stands, watching=watching)
        standing_now = None if evidence.late else [lasting.to_dict() for lasting in after_all if lasting.announced]
        if watching and followed is not None and followed.effect is not None:
            followed = replace(followed, effect=None)
        report = _report(pooled, evidence, decision, state, followed, deps) | {
            "standing": standing_now,
            "point_stands": stands,
            "before": _before(deps.store, pending),
            "captures": None if captures is None else captures.to_dict(),
        }
        if watching:
            report |= {"mode": "watch", "effect": None}
        if followed is None:  # the state is about later windows already; the report alone is this one's record
            return _finish(report, deps), False
        after = replace(
            advance(deps.policy, evidence, decision, state),
            standing=tuple(lasting.to_dict() for lasting in after_all),
            point=followed.remembered,
        )
        entry = {"format": FORMAT, "format_version": 1, **after.to_dict(), "report": report}
        try:
            write_state(deps.store, entry, etag)
        except (PreconditionFailed, ObjectExists):
            continue
        return _finish(report, deps), False
    raise StoreUnavailable(f"Other monitors changed {STATE_KEY} {_ROUNDS} times in a row; try again later.")


def _before(store: ObjectStore, pending: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The report that this one continues, by its hash: the last one decided, or the newest there is where the state was
    lost; None for the first.
    """
    if pending is not None:
        return {"window": str(pending["window"]["id"]), "sha256": sha256(encode(pending))}
    newest = max((window.id for window in reports(store)), default=None)
    return None if newest is None else {"window": newest, "sha256": sha256(store.get(report_key(newest)).data)}


def _mode(deps: MonitorDeps) -> str:
    """The mode in force: what a person said last, else the deployment's."""
    return Registry(deps.store).orders_now().mode_or(deps.mode)


def _finish(report: Mapping[str, Any], deps: MonitorDeps) -> dict[str, Any]:
    """Ask for the report's effect, then write it, unless that was done before; returns the report that stands."""
    window = Window.from_id(report["window"]["id"])
    if (standing := read_report(deps.store, window)) is not None:
        return standing
    _invoke(report, deps)
    # Before the report, whose presence says that all is done. A window of the past says nothing of now.
    if (lasting := report.get("standing")) is not None:
        write_standing(deps.store, window.id, lasting)
    if (point := report.get("operating_point")) is not None:
        write_point_status(deps.store, {**point, "window": window.id, "champion": report["champion"]})
    return write_report(deps.store, window, report)


def _invoke(report: Mapping[str, Any], deps: MonitorDeps) -> None:
    effect = report["effect"]
    if effect:
        deps.invoker.invoke(effect["step"], effect["event"])
    move = (report.get("operating_point") or {}).get("effect")
    if move and not (effect and effect["step"] == "promote"):  # a champion that is rolled back is not moved
        deps.invoker.invoke(move["step"], move["event"])


def effect_of(window: Window, decision: PolicyDecision) -> dict[str, Any] | None:
    """The event a decision leads to; its request id is the window's, so a window has one effect however often it is
    asked for.
    """
    identifier, why = _request_id(window), "; ".join(decision.reasons)[:500]
    match decision.action:
        case "retrain":
            return {"step": "train", "event": {"request_id": identifier, "reason": why, "window": window.id}}
        case "recalibrate":
            request = {"request_id": identifier, "reason": why, "window": window.id, "action": "recalibrate"}
            return {"step": "train", "event": request}
        case "roll_back":
            event = {"action": "rollback", "request_id": identifier, "to": None, "reason": why}
            return {"step": "promote", "event": event}
        case _:
            return None


def _report(
    material: WindowInputs,
    evidence: Evidence,
    decision: PolicyDecision,
    state: MonitorState,
    followed: Followed | None,
    deps: MonitorDeps,
) -> dict[str, Any]:
    window, pointer = material.window, material.pointer
    return build_report(
        evidence,
        decision,
        state,
        material.profile,
        material.own or material.profile,
        material.reference,
        span={"id": window.id, "start": iso(window.start), "end": iso(window.end)},
        made_at=iso(deps.clock()),
        champion={
            "version": pointer.version,
            "generation": pointer.generation,
            "model_sha256": pointer.model_sha256,
            "reference_key": pointer.reference_key,
        },
        effect=effect_of(window, decision),
        season=material.season[0].id if material.season else None,
        costs=material.contract.costs,
        operating_point=None if followed is None else {**followed.section, "effect": followed.effect},
        contributions=None if followed is None else followed.contributions,
    )


def _read(raw: Mapping[str, Any]) -> tuple[MonitorState, Mapping[str, Any] | None]:
    """The state and the report of its last window; a fresh one before the first window."""
    if not raw:
        return MonitorState(), None
    if current_format(raw.get("format")) != FORMAT or raw.get("format_version") != 1:
        raise DocumentUnusable(
            f"{STATE_KEY} is not of {FORMAT} 1; deploy the code that wrote it, or delete it to start anew."
        )
    try:
        Window.from_id(raw["report"]["window"]["id"])
        return MonitorState.from_dict(raw), raw["report"]
    except (KeyError, TypeError, ValueError, AttributeError, InvalidEvent) as error:
        raise DocumentUnusable(
            f"{STATE_KEY} is malformed ({type(error).__name__}: {error}); delete it to start anew."
        ) from error


def _outcome(window: Window, report: Mapping[str, Any], *, duplicate: bool) -> dict[str, Any]:
    decision = report["decision"]
    return {
        "step": "monitor",
        "result": decision["action"],
        "window": window.id,
        "duplicate": duplicate,
        "report": report_key(window.id),
        "policy": decision["policy"],
        "champion": report["champion"]["version"],
        "found": finding(report),
        "done": done(report),
        "rows": report["rows"],
        "refused": report["contract"]["refused"],
        "drifted": decision["figures"]["drifted"],
        "reasons": decision["reasons"],
        "would_change": decision["would_change"],
        "operating_point": _of_point(report),
    }


def _of_point(report: Mapping[str, Any]) -> dict[str, Any] | None:
    point = report.get("operating_point")
    return None if point is None else {name: point[name] for name in ("action", "sentence", "reasons", "alert")}
