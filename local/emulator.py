"""MiniStack as this project runs it: ``python -P local/emulator.py HOME`` (``cloud.start`` does it).

MiniStack 1.4.21 fires EventBridge schedules but hands the context attributes of their input
(``<aws.scheduler.scheduled-time>`` and its siblings) through unfilled. AWS fills them, and the template relies on
that: the scheduled time is the end of monitor's window. This fills them in, and changes nothing else.
Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any


def fill_context(text: str, event: Mapping[str, Any], expression: str = "") -> str:
    """Replace the scheduler's context attributes in a target's input.

    ``event`` is MiniStack's own record of the firing; its ``Time`` is the moment of its ten-second sweep, in epoch
    seconds. ``at(...)`` names its time; the others have a resolution of one minute, the one the sweep fell in.

    >>> fill_context('{"at": "<aws.scheduler.scheduled-time>"}', {"Time": 1795478469.2}, "rate(1 minute)")
    '{"at": "2026-11-24T00:01:00Z"}'
    >>> fill_context("<aws.scheduler.scheduled-time>", {"Time": 1795478469.2}, "at(2026-11-24T00:01:05)")
    '2026-11-24T00:01:05Z'
    """
    named = re.fullmatch(r"\s*at\((.+)\)\s*", expression)
    minute = datetime.fromtimestamp(event["Time"] // 60 * 60, tz=UTC)
    for name, value in (
        ("scheduled-time", f"{named[1]}Z" if named else f"{minute:%Y-%m-%dT%H:%M:%SZ}"),
        ("execution-id", str(event.get("EventId", ""))),
        ("schedule-arn", str(next(iter(event.get("Resources", [])), ""))),
        ("attempt-number", "1"),
    ):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def main() -> None:
    # Imported here: the module reads its settings from the environment when it is imported.
    from ministack import app
    from ministack.services import eventbridge

    deliver: Callable[..., None] = eventbridge._invoke_target

    def deliver_filled(
        target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any], *rest: Any
    ) -> None:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            target = {**target, "Input": fill_context(target["Input"], event, rule.get("ScheduleExpression", ""))}
        deliver(target, event, rule, *rest)

    eventbridge._invoke_target = deliver_filled
    app.main()


if __name__ == "__main__":
    import sys

    # HOME is there for `ps`, so that a pid can be told from a stranger's; MiniStack itself takes no arguments.
    del sys.argv[1:]
    main()
