"""Makes the decision of each window again from its report alone, and says which reports do not fit.

A report carries the policy's evidence, the state before it, and the hash of the report that it continues. A changed
figure therefore shows twice: in the report after it, and in a decision that comes out differently. Somebody who
rewrites all later reports and ``monitoring/state.json`` as well is not found this way; the anchor finds that
(docs/operations.md). No report continues that of a late window, so its decision alone vouches for it. A version with
which a person had a window judged again has a hash beside it, and names the first report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from stillgood.domain.drift.detect import Thresholds
from stillgood.domain.errors import ObjectNotFound, StillgoodError
from stillgood.domain.policy.conclude import conclude
from stillgood.domain.policy.evidence import Policy
from stillgood.domain.policy.policies import POLICIES, Guarded, Simple, advance
from stillgood.domain.policy.standing import Standing
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.policy.stored import evidence_of
from stillgood.steps.monitor.monitor import effect_of
from stillgood.steps.promote.agreement import agrees
from stillgood.storage.audit import replaced_by_forgetting
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.keys import DECISIONS_PREFIX, MODEL, again_key, artifact_key, report_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.records import read_decision
from stillgood.storage.windows import Window, read_state, read_version_hash, reports, versions_judged_again

FORGED, GONE = "was changed: its hash is of other bytes", "was removed: its hash is there"
UNFINISHED = "was never finished: it has no hash; the next `stillgood replay --again` of the window writes it"
# Rules that were added later, as they were before: reports of then do not state them.
_LATER_RULES: Mapping[str, Mapping[str, Any]] = {"guarded": {"at_once_p": 0.0}}
_HOURS = {"cooldown_hours": ("cooldown", timedelta(hours=1)), "period_days": ("period", timedelta(days=1))}


@dataclass(frozen=True, slots=True)
class ReplayedWindow:
    """What came of judging ``window`` again; ``detail`` says how it differs, or what is wrong with its report.

    ``old``: it was written before reports told what replay needs, and nothing is known to be wrong. ``version``: 1, the
    report that was acted on, or a later one, which a person asked for.
    """

    window: str
    same: bool
    detail: str
    old: bool = False
    version: int = 1


@dataclass(slots=True)
class _Seen:
    """A report that was read. ``after``: digest of the state that it left, None where that cannot be told."""

    sha256: str
    before: Mapping[str, Any] | None = None
    late: bool = False
    began: str | None = None
    after: str | None = None


def replay_windows(store: ObjectStore) -> Iterator[ReplayedWindow]:
    """Every report, oldest window first, then what does not fit between them. Nothing is written.

    Raises StoreUnavailable.
    """
    champions, replaced = _Champions(store), replaced_by_forgetting(store)
    seen: dict[str, _Seen] = {}
    for window in reports(store):
        data = store.get(report_key(window.id)).data
        seen[window.id] = _Seen(sha256(data))
        problems, old = _replay(data, window, seen[window.id], champions, replaced)
        if problems:
            yield ReplayedWindow(window.id, False, "; ".join(problems))
        elif old:
            yield ReplayedWindow(window.id, False, "was written before reports told what replay needs", old=True)
        else:
            yield ReplayedWindow(window.id, True, "the same decision")
    yield from _links(seen)
    yield from _newest(store, seen)
    yield from _judged_again(store, seen, champions, replaced)


def _replay(
    data: bytes, window: Window, seen: "_Seen", champions: "_Champions", replaced: set[tuple[str, str, str]]
) -> tuple[list[str], bool]:
    """What is wrong with the report in ``data``, and whether it is too old to tell."""
    try:
        report = decode_any(data, what=report_key(window.id))
        problems, old = _judge(report, window, seen)
        return problems if old else problems + champions.problems(report["champion"], replaced), old
    except (StillgoodError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = error.detail if isinstance(error, StillgoodError) else f"{type(error).__name__}: {error}"
        return [f"cannot be replayed: {said[:200]}"], False


def _judged_again(
    store: ObjectStore, seen: Mapping[str, _Seen], champions: "_Champions", replaced: set[tuple[str, str, str]]
) -> Iterator[ReplayedWindow]:
    """The versions with which windows were judged again on purpose, each against its hash and the first report."""
    written, hashed = versions_judged_again(store)
    for name, version in sorted(written | hashed):
        problems = [] if (name, version) in hashed else [UNFINISHED]
        if (name, version) in written:
            data = store.get(again_key(name, version)).data
            try:
                window = Window.from_id(name)
                if not problems and read_version_hash(store, name, version) != sha256(data):
                    problems.append(FORGED)
                first = seen.get(name)
                problems += _replay(data, window, _Seen(""), champions, replaced)[0]
                note = decode_any(data)["again"]
                if first is None or note["first_sha256"] != first.sha256:
                    problems.append(f"was made beside another first report than {report_key(name)}")
            except (StillgoodError, KeyError, TypeError) as error:
                problems.append(f"cannot be verified: {error}"[:200])
        else:
            problems.append(GONE)
        detail = "; ".join(problems) or "the same decision"
        yield ReplayedWindow(name, not problems, detail, version=version)


def _judge(report: Mapping[str, Any], window: Window, seen: _Seen) -> tuple[list[str], bool]:
    """What is wrong with one report, and whether it is too old to tell."""
    problems = []
    named = str(report["window"]["id"])
    if named != window.id:
        problems.append(f"is the report of window {named}: moved, or put in its place")
    if "evidence" not in report:
        return problems, not problems
    state = MonitorState.from_dict(report["state_before"])
    evidence = evidence_of(report)
    policy = _policy(report)
    watching, again = report.get("mode") == "watch", "again" in report
    decision, standing = conclude(policy, evidence, state, point=str(report["point_stands"]), watching=watching)
    made = {
        "decision": decision.to_dict(),
        "effect": None if watching or again else effect_of(window, decision),
        "standing": None if evidence.late or again else [state.to_dict() for state in standing if state.announced],
        "realised_performance": evidence.realised.to_dict() if evidence.realised else None,
        "window": {**report["window"], "id": evidence.window},
    }
    # Through the codec, so that a tuple compares as the list that was stored.
    stored = decode_any(encode({name: report[name] for name in made}))
    parts = [name for name, value in decode_any(encode(made)).items() if not agrees(value, stored[name])]
    if parts:
        problems.append(f"differs in {', '.join(parts)}")
    seen.before, seen.late, seen.began = report["before"], evidence.late, _digest(state)
    if not evidence.late:
        after = advance(policy, evidence, decision, state)
        seen.after = _digest(replace(after, standing=tuple(state.to_dict() for state in standing)))
    return problems, False


def _policy(report: Mapping[str, Any]) -> Policy:
    """The policy under the rules of then, as its decision states them."""
    decision, drift = report["decision"], report["drift"]
    policy = POLICIES[decision["policy"]]
    rules = {**_LATER_RULES.get(decision["policy"], {}), **decision["figures"]["rules"]}
    for name, (field, unit) in _HOURS.items():
        if name in rules:
            rules[field] = float(rules.pop(name)) * unit
    thresholds = Thresholds(**drift["thresholds"]) if drift else policy.thresholds
    assert isinstance(policy, Guarded | Simple)
    return replace(policy, thresholds=thresholds, **rules)


def _digest(state: MonitorState) -> str:
    """Of what one window leaves to the next, but for sentences, and the operating point, whose moves have records."""
    standing = [Standing.from_dict(raw_state) for raw_state in state.standing]
    raw = replace(state, standing=(), point={}).to_dict()
    return sha256(encode({**raw, "standing": [[kept.name, kept.since, kept.windows] for kept in standing]}))


def _links(seen: Mapping[str, _Seen]) -> Iterator[ReplayedWindow]:
    """What does not fit between the reports."""
    continued: dict[str, str] = {}
    for name, report in seen.items():
        if report.before is None:
            continue
        before = str(report.before["window"])
        last = seen.get(before)
        if last is None:
            yield ReplayedWindow(before, False, f"was removed: {report_key(name)} continues it")
        elif last.sha256 != report.before["sha256"]:
            yield ReplayedWindow(before, False, f"was changed: {report_key(name)} continues other bytes")
        elif not report.late and report.began != last.after and last.after and report.began != _FRESH:
            yield ReplayedWindow(name, False, f"begins with another state than {report_key(before)} left")
        if report.late:
            continue
        if (twin := continued.setdefault(before, name)) != name:
            yield ReplayedWindow(name, False, f"was inserted: {report_key(twin)} continues {before} too")


_FRESH = _digest(MonitorState())  # the state was lost or deleted; the reports go on


def _newest(store: ObjectStore, seen: Mapping[str, _Seen]) -> Iterator[ReplayedWindow]:
    """The last report must be the one that the state holds; without it the next run writes it."""
    report = read_state(store)[0].get("report")
    if not isinstance(report, Mapping):
        return
    name = str(report["window"]["id"])
    if (stored := seen.get(name)) is not None and stored.sha256 != sha256(encode(report)):
        yield ReplayedWindow(name, False, "was changed: monitoring/state.json holds other bytes")
    first = [
        other
        for other, report_seen in seen.items()
        if not report_seen.late and report_seen.before is None and report_seen.began
    ]
    for other in first[1:]:
        yield ReplayedWindow(other, False, "was inserted: it continues no report, and it is not the first")


class _Champions:
    """Which model each generation of the pointer names, by the log, and whether it is still that one."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._named: dict[int, tuple[str, str]] = {}
        self._found: dict[str, str | None] = {}
        for info in store.list(DECISIONS_PREFIX):
            try:
                after = read_decision(store.get(info.key).data, info.key).pointer_after
            except StillgoodError:
                continue  # the audit of the log names it
            if after is not None:
                self._named[after.generation] = (after.version, after.model_sha256)

    def problems(self, champion: Mapping[str, Any], replaced: set[tuple[str, str, str]]) -> list[str]:
        """What is wrong with the champion that a report names."""
        version, digest = str(champion["version"]), str(champion["model_sha256"])
        problems = []
        if self._named and self._named.get(champion["generation"]) != (version, digest):
            problems.append(f"names a champion, {version}, that the decision log does not")
        key, actual = artifact_key(version, MODEL), self._model(version)
        if actual is None:
            problems.append(f"{key} is gone")
        elif actual != digest and (key, digest, actual) not in replaced:
            problems.append(f"{key} was rewritten")
        return problems

    def _model(self, version: str) -> str | None:
        if version not in self._found:
            try:
                self._found[version] = sha256(self._store.get(artifact_key(version, MODEL)).data)
            except ObjectNotFound:
                self._found[version] = None
        return self._found[version]
