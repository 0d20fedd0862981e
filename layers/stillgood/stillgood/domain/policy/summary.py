"""The one answer to "is anything wrong?": the same lines in the same order for the command line, ``GET /status`` and
the overview page. Pure, from what the overview keeps of windows and orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.policy.usage import sentence, usage
from stillgood.domain.policy.wording import ACT, LOOK, WELL, minute, next_end

WORDS = {WELL: "well", LOOK: "have a look", ACT: "act"}
_NOW = {"recall": "recall", "roc_auc": "ROC-AUC"}


@dataclass(frozen=True, slots=True)
class Line:
    """``topic``: serving, finding, monitor, labels, waits, orders or usage. ``level``: 0 well, 1 look, 2 act."""

    topic: str
    level: int
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {"topic": self.topic, "level": self.level, "text": self.text}


def summarise(
    history: Mapping[str, Any],
    *,
    serving: Mapping[str, Any] | None,
    now: datetime,
    troubles: Sequence[tuple[int, str]] = (),
    waits: Sequence[str] = (),
    scheduled: bool = True,
) -> tuple[Line, ...]:
    """What serves and since when; the findings, the worst first; monitor's last run and the next; labels that are
    missing; what waits for whom; mode and holds; calls and cost of the last day.

    ``history``: ``windows`` and ``orders`` as pages/overview.json holds them. ``serving``: as of ``put_in_force``, None
    where nothing serves. ``troubles``: further findings, (level, text). ``waits``: further sentences
    on what waits. ``scheduled``: whether monitor is expected to run by itself, so that a missed run is a finding.
    """
    windows: Sequence[Mapping[str, Any]] = history.get("windows") or ()
    last = windows[-1] if windows else None
    lines = [_serving(serving)]
    findings = [Line("finding", level, text) for level, text in troubles]
    if last is not None:
        findings += _findings(last)
    run, late = _monitor(last, now, scheduled)
    lines += sorted([*findings, *late], key=lambda line: -line.level)
    lines.append(run)
    if last is not None:
        lines += _labels(last)
    orders = history.get("orders") or {}
    lines += [Line("waits", LOOK, _case(case)) for case in orders.get("waiting") or ()]
    lines += [Line("waits", WELL, text) for text in waits]
    lines += _orders(orders)
    if (used := usage(windows)) is not None:
        lines.append(Line("usage", WELL, sentence(used)))
    return tuple(lines)


def worst(lines: Sequence[Line]) -> int:
    """The exit code: 0 well, 1 look, 2 act.

    >>> worst([Line("finding", 1, "drift"), Line("waits", 0, "labels")])
    1
    """
    return max((line.level for line in lines), default=WELL)


def put_in_force(version: str, since: str, decision: int, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What serves: ``version``, ``since`` when, ``decision`` that made it champion and ``moved``, that which moved its
    operating point since; each None where it is not known, or nothing moved.

    ``decision``: the newest that changed the pointer; ``decisions``: rows of the overview, or of the log, with ``n``,
    ``at`` and ``version``.

    >>> rows = [{"n": 2, "at": "2026-11-01T00:00:00Z", "version": "v1"}]
    >>> put_in_force("v1", "2026-11-01T00:00:00Z", 5, rows)
    {'version': 'v1', 'since': '2026-11-01T00:00:00Z', 'decision': 2, 'moved': 5}
    """
    by = next((int(row["n"]) for row in decisions if row["at"] == since and row["version"] == version), None)
    return {
        "version": version,
        "since": since,
        "decision": by,
        "moved": decision if by not in (None, decision) else None,
    }


def _serving(serving: Mapping[str, Any] | None) -> Line:
    if serving is None:
        return Line("serving", ACT, "nothing serves: POST /predict answers 503")
    since = f" since {minute(serving['since'])}" if serving.get("since") else ""
    by = f", by decision {serving['decision']}" if serving.get("decision") else ""
    by += f", its operating point by decision {serving['moved']}" if serving.get("moved") else ""
    dated = f"; {dates}" if (dates := made(serving)) else ""
    return Line("serving", WELL, f"{serving['version']}{since}{by}{dated}")


def made(dates: Mapping[str, Any]) -> str:
    """When a version was trained, and until when its rows reach: two dates, of which its name has the latter.

    >>> made({"trained": "2026-11-24T10:00:00Z", "learnt_until": "2026-08-30T00:00:00Z"})
    'trained 2026-11-24 10:00 UTC on rows until 2026-08-30 00:00 UTC'
    """
    trained, until = dates.get("trained"), dates.get("learnt_until")
    said = [f"trained {minute(trained)}"] if trained else []
    said += [f"on rows until {minute(until)}"] if until else []
    return " ".join(said)


def _findings(last: Mapping[str, Any]) -> list[Line]:
    stands = [Line("finding", ACT, _standing(state, last)) for state in last.get("stands") or ()]
    if "found" not in last:  # a window of older code
        stands = stands or [Line("finding", ACT, str(state)) for state in last.get("standing") or ()]
        level = {"nothing": WELL, "alert": ACT}.get(str(last["action"]), LOOK)
        text = f"{last['action']}: {'; '.join(map(str, last['reasons']))}"
        return stands + ([Line("finding", level, text)] if level else [])
    if not last["level"] or (last["found"] == "nothing" and stands):
        return stands
    text = f"found: {last['found']}; done: {last['done']} (window until {minute(last['end'])})"
    return [*stands, Line("finding", int(last["level"]), text)]


def _standing(kept: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """A state that lasts, with its figure of now where it is about one."""
    name = str(kept.get("name", ""))
    figure = (last.get("realised") or {}).get(name) if name in _NOW else None
    value = figure.get("value") if isinstance(figure, Mapping) else figure
    now = f", {_NOW[name]} now {value:.3f}" if isinstance(value, float) else ""
    since = (
        f" (since {str(kept['since'])[:10]})" if kept.get("since") and "since" not in str(kept["message"])[:12] else ""
    )
    return f"{kept['message']}{since}{now}; it waits for {kept['waits_for']}"


def _monitor(last: Mapping[str, Any] | None, now: datetime, scheduled: bool) -> tuple[Line, list[Line]]:
    if last is None:
        return Line("monitor", WELL, "no window was judged yet; `stillgood monitor` judges the one that ends now"), []
    due = next_end(last)
    ran = f"last run {minute(last.get('made_at') or last['end'])}, {last['rows']:,} predictions"
    length = datetime.fromisoformat(due) - datetime.fromisoformat(str(last["end"]))
    if not scheduled:
        return Line("monitor", WELL, f"{ran}; the next when somebody runs it"), []
    late = []
    if now > datetime.fromisoformat(due) + length + timedelta(minutes=5):
        missed = int((now - datetime.fromisoformat(str(last["end"]))) / length)
        late = [Line("finding", LOOK, f"monitor has missed {missed:,} runs since {minute(last['end'])}")]
    return Line("monitor", WELL, f"{ran}; the next is due {minute(due)}"), late


def _labels(last: Mapping[str, Any]) -> list[Line]:
    labels = last.get("labels") or {}
    missing = int(labels.get("predictions") or 0) - int(labels.get("labelled") or 0)
    if missing <= 0:
        return []
    since = f", the oldest from {str(labels['since'])[:10]}" if labels.get("since") else ""
    return [Line("labels", WELL, f"{missing:,} of {labels['predictions']:,} matured predictions have no label{since}")]


def _case(case: Mapping[str, Any]) -> str:
    n = case["n"]
    return (
        f"decision {n} asks a person whether to {case['kind']} {case['candidate']}: `stillgood approve {n}` or"
        f" `stillgood refuse {n}` until {minute(case['expires'])}"
    )


def _orders(orders: Mapping[str, Any]) -> list[Line]:
    if not orders.get("mode") and not orders.get("hold"):
        return [Line("orders", WELL, "the mode is the deployment's; nothing is held")]
    lines = []
    if mode := orders.get("mode"):
        lines.append(Line("orders", WELL, f"mode {mode['mode']} {_said(mode)}"))
    if held := orders.get("hold"):
        text = f"automatic promotions are held {_said(held)}; `stillgood release` lets them go on"
        lines.append(Line("orders", WELL, text))
    return lines


def _said(by_hand: Mapping[str, Any]) -> str:
    by = f" by {by_hand['by']}" if by_hand.get("by") else ""
    return (
        f"since {minute(by_hand['since'])}{by} (decision {by_hand['decision']}): {str(by_hand['because']).rstrip('.')}"
    )
