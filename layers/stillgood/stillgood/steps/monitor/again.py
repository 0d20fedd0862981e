"""Look at a judged window again: the real step over what lies there today, nothing written, and what differs.

Late captures and labels are read; the summaries of hours are not, so that they count. ``--policy``, ``--model`` and
``--contract`` of the command ask what another rule, another model or other settings would have said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.settings import with_settings
from stillgood.domain.errors import ObjectNotFound
from stillgood.domain.policy.evidence import Policy
from stillgood.domain.policy.state import FORMAT
from stillgood.domain.promotion.decision import Decision, Pointer
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.storage.champion import read_model
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import (
    DECISIONS_PREFIX,
    HOURS_PREFIX,
    MODEL,
    POINTER_KEY,
    REFERENCE,
    REPORTS_PREFIX,
    STATE_KEY,
    SUMMARIES_PREFIX,
    artifact_key,
    decision_number,
    report_key,
)
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectInfo, ObjectStore, Stored
from stillgood.storage.overlay import OverlayObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso, read_report, reports, utc, write_version

_FORGOTTEN = (SUMMARIES_PREFIX, HOURS_PREFIX, STATE_KEY, POINTER_KEY)


@dataclass(frozen=True, slots=True)
class Again:
    """``stored``: the report that stands; ``made``: what would be said now; ``differences``: in sentences."""

    stored: Mapping[str, Any]
    made: Mapping[str, Any]
    differences: tuple[str, ...]


class _Nobody:
    """An invoker that invokes nothing: a dry run's decisions have no effect."""

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        return None


class _AsThen(OverlayObjectStore):
    """The bucket as it lies, without the window's own report and those after it, and without what is only a cache."""

    def __init__(self, base: ObjectStore, window: Window, last: int) -> None:
        super().__init__(base)
        self._first, self._last = report_key(window.id), last

    def get(self, key: str) -> Stored:
        if self._hidden(key):
            return MemoryObjectStore.get(self, key)
        return super().get(key)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        own = {info.key for info in MemoryObjectStore.list(self, prefix, start_after)}
        return (info for info in super().list(prefix, start_after) if info.key in own or not self._hidden(info.key))

    def _take_over(self, key: str) -> None:
        if not self._hidden(key):
            super()._take_over(key)

    def _hidden(self, key: str) -> bool:
        if key.startswith(_FORGOTTEN) or (key.startswith(REPORTS_PREFIX) and key >= self._first):
            return True
        n = decision_number(key) if key.startswith(DECISIONS_PREFIX) else None
        return n is not None and n > self._last


def look_again(
    store: ObjectStore,
    window: Window,
    policy: Policy,
    *,
    version: str | None = None,
    contract: Contract | None = None,
) -> Again:
    """Judge ``window`` again. ``version``: as if that model had served; ``contract``: under its settings.

    Raises ObjectNotFound when the window was never judged, or the version is not there; DocumentUnusable,
    StoreUnavailable.
    """
    stored = read_report(store, window)
    if stored is None:
        raise ObjectNotFound(f"There is no report of window {window.id}; `stillgood report` lists those there are.")
    decision = _in_force(store, int(stored["champion"]["generation"]))
    then = _AsThen(store, window, _last_decision(store, str(stored["made_at"])))
    pointer = decision.pointer_after
    assert pointer is not None
    MemoryObjectStore.put(then, POINTER_KEY, encode(_judged_pointer(then, pointer, version, contract).to_dict()))
    _remember(store, then, stored, window)
    hours = (window.end - window.start).total_seconds() / 3600
    deps = MonitorDeps(
        then, _Nobody(), lambda: utc(str(stored["made_at"])), lambda _: None, policy, hours, settle_seconds=0.0
    )
    monitor({"scheduled_time": str(stored["window"]["end"])}, deps)
    made = read_report(then, window)
    assert made is not None
    return Again(stored, made, tuple(_differences(stored, made)))


def judge_again(
    store: ObjectStore, window: Window, policy: Policy, *, because: str, by: str, now: datetime
) -> tuple[Again, int]:
    """Judge ``window`` again on what lies there today, and keep it as a new version of its report, whose number (from 2
    on) is returned as well. The first report stays, nothing is asked for, and what was decided stays decided.

    Raises as ``look_again``.
    """
    again = look_again(store, window, policy)
    note = {
        "at": iso(now),
        "because": because,
        "by": by,
        "first_sha256": sha256(encode(again.stored)),
        "first_decided": again.stored["decision"]["action"],
        "differences": list(again.differences),
    }
    # What came late is in it now, and was, or will be, counted once as late by the first reports.
    made = {**again.made, "made_at": iso(now), "effect": None, "standing": None, "captures": None, "again": note}
    return replace(again, made=made), write_version(store, window, made)


def last_windows(store: ObjectStore, count: int) -> list[Window]:
    """The newest judged windows, oldest first."""
    return list(reports(store))[-count:]


def _judged_pointer(then: ObjectStore, pointer: Pointer, version: str | None, contract: Contract | None) -> Pointer:
    """The pointer of then, naming another model or the same one under other settings."""
    version = version or pointer.version
    key = artifact_key(version, MODEL)
    data = then.get(key).data
    if contract is not None:
        model = read_model(data, key, version)
        data = encode(replace(model, contract=with_settings(model.contract, contract)).to_dict())
        MemoryObjectStore.put(then, key, data)  # type: ignore[arg-type]  # it is one
    if version == pointer.version and contract is None:
        return pointer
    other = version != pointer.version
    return replace(
        pointer,
        version=version,
        model_key=key,
        model_sha256=sha256(data),
        reference_key=artifact_key(version, REFERENCE),
        point=None if other else pointer.point,
    )


def _remember(store: ObjectStore, then: _AsThen, stored: Mapping[str, Any], window: Window) -> None:
    """The state as it was before the window, with the report of the window before."""
    state = stored.get("state_before") or {}
    last = state.get("last_window")
    before = read_report(store, Window.from_id(str(last))) if last else None
    if before is not None:
        entry = {"format": FORMAT, "format_version": 1, **state, "report": before}
        MemoryObjectStore.put(then, STATE_KEY, encode(entry))


def _in_force(store: ObjectStore, generation: int) -> Decision:
    """The decision that put a generation of the pointer in force. Raises ObjectNotFound."""
    for decision in Registry(store).decisions():
        if decision.pointer_after is not None and decision.pointer_after.generation == generation:
            return decision
    raise ObjectNotFound(f"The log has no generation {generation} of the pointer; run the audit.")


def _last_decision(store: ObjectStore, moment: str) -> int:
    """The number of the newest decision at ``moment`` (ISO 8601)."""
    numbers = [n for info in store.list(DECISIONS_PREFIX) if (n := decision_number(info.key)) is not None]
    registry = Registry(store)
    for n in sorted(numbers, reverse=True):
        if registry.decision(n).at <= moment:
            return n
    return 0


def _differences(stored: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[str]:
    if (more := made["rows"] - stored["rows"]) != 0:
        what = "came late" if more > 0 else "are gone"
        yield f"{abs(more)} predictions {what}: {stored['rows']} then, {made['rows']} now"
    before, after = stored["contract"]["refused"], made["contract"]["refused"]
    if before != after:
        yield f"refused rows: {before} then, {after} now"
    if (was := stored["champion"]["version"]) != (now := made["champion"]["version"]):
        yield f"judged as if {now} had served in place of {was}"
    was_drifted, drifted = _drifted(stored), _drifted(made)
    if was_drifted != drifted:
        yield f"drifted: {', '.join(was_drifted) or 'nothing'} then, {', '.join(drifted) or 'nothing'} now"
    for section, words in (("estimated_performance", "estimated"), ("realised_performance", "realised")):
        before, after = _auc(stored.get(section)), _auc(made.get(section))
        if before != after:
            yield f"{words} ROC-AUC: {before} then, {after} now"
    if stored["decision"]["action"] != made["decision"]["action"]:
        yield f"decision: {stored['decision']['action']} then, {made['decision']['action']} now"
    if list(stored["decision"]["reasons"]) != list(made["decision"]["reasons"]):
        yield f"reasons now: {'; '.join(map(str, made['decision']['reasons'][:3]))}"


def _drifted(report: Mapping[str, Any]) -> list[str]:
    return list((report.get("drift") or {}).get("drifted", ()))


def _auc(section: Any) -> str:
    figure = (section or {}).get("roc_auc") or ((section or {}).get("metrics") or {}).get("roc_auc")
    if isinstance(figure, Mapping):
        figure = figure.get("value")
    return f"{figure:.4f}" if isinstance(figure, float) else "none"
