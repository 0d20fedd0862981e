"""Words for a judged window: what was found, and, apart from it, what was done. Pure, from the report alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stillgood.domain.contract.times import iso

WELL, LOOK, ACT = 0, 1, 2
_FOUND = {
    "performance": "ranking lost",
    "recall": "recall lost",
    "floor": "ranking under the contract's floor",
    "calibration": "probabilities off",
    "previous": "the version before ranks better",
}
_ORDER = ("floor", "performance", "recall", "previous", "calibration")
_DONE = {
    "retrain": "a retrain was asked for",
    "recalibrate": "a new calibration and threshold were asked for",
    "roll_back": "a rollback was asked for",
}
_STANDS_IN_THE_WAY = ("no retrain:", "asked for already", "mode watch:")
_LISTED = 3
_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def finding(report: Mapping[str, Any]) -> str:
    """What the window showed, whatever was done about it.

    >>> finding({"decision": {"action": "nothing", "reasons": ["nothing drifted enough to matter"], "figures": {}}})
    'nothing'
    """
    return "; ".join(findings(report)) or "nothing"


def findings(report: Mapping[str, Any]) -> list[str]:
    """The parts of ``finding``; empty where nothing was found."""
    decision = report["decision"]
    reasons, figures = [str(reason) for reason in decision["reasons"]], decision.get("figures") or {}
    if faults := [reason for reason in reasons if reason.startswith("data fault upstream")]:
        return faults[:_LISTED]
    if reasons and reasons[0].startswith("a later window"):
        return [f"not judged: {reasons[0]}"]
    if reasons and reasons[0].startswith("not enough evidence"):
        return ["too few rows to judge (" + reasons[0].partition(": ")[2] + ")"]
    names = figures.get("streaks") or {}
    said = [_named(name, _why(name, reasons)) for name in _ORDER if name in names and _why(name, reasons)]
    drifted = [str(name) for name in figures.get("drifted") or ()]
    if drifted:
        news = set(figures.get("news") or ())
        felt = [name for name in drifted if name not in news]
        rest = f" and {len(drifted) - _LISTED} more" if len(drifted) > _LISTED else ""
        what = "drift" if felt else "drift that the scores do not feel"
        ways = figures.get("directions") or {}
        moved = [f"{name} {ways[name]}" if ways.get(name) else name for name in (felt or drifted)[:_LISTED]]
        said.append(f"{what}: {', '.join(moved)}{rest}")
    said += [reason for reason in reasons if reason.startswith("growth: ")]
    if not said and decision["action"] != "nothing":
        said = [reason for reason in reasons if not reason.startswith(("still: ", *_STANDS_IN_THE_WAY))][:_LISTED]
    return said


def done(report: Mapping[str, Any]) -> str:
    """What was done about it; where nothing was, what is waited for.

    >>> report = {"window": {"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"}, "decision": {
    ...     "action": "nothing", "reasons": ["performance: worse; seen in 1 of 2 windows"],
    ...     "figures": {"streaks": {"performance": 1}, "rules": {"persistence": 2}}}}
    >>> done(report)
    'nothing yet, the second window is due 2026-11-25 00:00 UTC'
    """
    if (note := report.get("again")) is not None:
        return f"nothing, as it was judged again; what the first report led to stays ({note['first_decided']})"
    decision, action = report["decision"], str(report["decision"]["action"])
    reasons, figures = [str(reason) for reason in decision["reasons"]], decision.get("figures") or {}
    moved = (report.get("operating_point") or {}).get("effect")
    more = ["a move of the operating point was asked for"] if moved and report.get("mode") != "watch" else []
    if action in _DONE:
        return "; ".join([_DONE[action], *more])
    in_the_way = [reason for reason in reasons if reason.startswith(_STANDS_IN_THE_WAY)]
    if action == "alert":
        return "; ".join(["a person was told", *in_the_way, *more])
    if in_the_way:
        return "; ".join(["nothing", *in_the_way, *more])
    streaks = figures.get("streaks") or {}
    needed = int((figures.get("rules") or {}).get("persistence") or 0)
    seen = max((int(count) for count in streaks.values()), default=0)
    if any("; seen in " in reason for reason in reasons) and seen < needed:
        word = _ORDINALS.get(seen + 1, f"{seen + 1}th")
        more.insert(0, f"nothing yet, the {word} window is due {minute(next_end(report['window']))}")
        return "; ".join(more)
    return "; ".join(more) or "nothing"


def came_late(report: Mapping[str, Any]) -> int:
    """How many captured objects came for windows that were judged without them, since the report before.

    >>> came_late({"captures": {"counted": {"a": 5, "b": 2}, "late": {"a": 3}}}), came_late({})
    (3, 0)
    """
    return sum(int(more) for more in ((report.get("captures") or {}).get("late") or {}).values())


def delivered_late(report: Mapping[str, Any]) -> int:
    """How many rows Firehose delivered for windows that were judged without them, since the report before.

    >>> delivered_late({"captures": {"late_rows": {"a": 3, "b": 1}}}), delivered_late({"captures": {}})
    (4, 0)
    """
    return sum(int(more) for more in ((report.get("captures") or {}).get("late_rows") or {}).values())


def labelled_late(report: Mapping[str, Any]) -> int:
    """How many labels arrived in the window of predictions that had matured before it.

    >>> labelled_late({"labels": {"late": 3}}), labelled_late({"labels": {}})
    (3, 0)
    """
    return int((report.get("labels") or {}).get("late") or 0)


def level(report: Mapping[str, Any]) -> int:
    """0 well, 1 worth a look, 2 a person has to act: what the policy alerted about, or a state that lasts."""
    if report["decision"]["action"] == "alert" or report.get("standing"):
        return ACT
    what = finding(report)
    quiet = what == "nothing" or what.startswith(("too few rows", "not judged", "drift that the scores do not feel"))
    return WELL if quiet and report["decision"]["action"] == "nothing" else LOOK


def next_end(window: Mapping[str, Any]) -> str:
    """When the next window ends, ISO 8601: a window is the schedule's interval.

    >>> next_end({"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"})
    '2026-11-25T00:00:00Z'
    """
    start, end = (datetime.fromisoformat(str(window[name])) for name in ("start", "end"))
    return iso(end + (end - start))


def minute(moment: object) -> str:
    """A time as people read it.

    >>> minute("2026-11-24T00:00:00.123Z")
    '2026-11-24 00:00 UTC'
    """
    return f"{str(moment)[:16].replace('T', ' ')} UTC"


def _why(name: str, reasons: list[str]) -> str:
    """The reason of a finding without its name; empty where none of the reasons is of it."""
    for reason in reasons:
        if reason.startswith(f"{name}: "):
            return reason.removeprefix(f"{name}: ").partition("; seen in ")[0]
    return reasons[0] if name == "previous" and reasons and reasons[0].startswith("the previous champion") else ""


def _named(name: str, why: str) -> str:
    better = name == "performance" and "(better:" in why
    return f"{'ranking better than promised' if better else _FOUND[name]} ({why})"
