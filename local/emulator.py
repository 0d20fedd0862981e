"""MiniStack as this project runs it: ``python -P local/emulator.py HOME`` (``cloud.start`` does it).

MiniStack 1.4.21 fires EventBridge schedules but hands the context attributes of their input
(``<aws.scheduler.scheduled-time>`` and its siblings) through unfilled. AWS fills them, and the template relies on
that: the scheduled time is the end of monitor's window. This fills them in. It also measures what functions print in
the embedded metric format, and evaluates alarms as CloudWatch does (``local/alarms.py``).
Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
"""

import re
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
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
    _watch_alarms()
    app.main()


def _watch_alarms() -> None:
    """Have alarms evaluated after each invocation, and whenever somebody asks for their states."""
    from ministack.services import cloudwatch, lambda_svc, sqs

    sys.path.append(str(Path(__file__).resolve().parent.parent))  # last, so that nothing of it hides another's
    from local.alarms import embedded_metrics, state_of

    write_logs, describe, count = (
        lambda_svc._emit_lambda_logs,
        cloudwatch._describe_alarms,
        lambda_svc._emit_lambda_metrics,
    )

    def write_and_measure(func: Any, request_id: str, log_text: str, *rest: Any, **options: Any) -> None:
        write_logs(func, request_id, log_text, *rest, **options)
        for namespace, name, value, dimensions in embedded_metrics(log_text):
            cloudwatch.record_metric(namespace, name, value, "Count", dimensions)

    def count_and_evaluate(*arguments: Any, **options: Any) -> None:
        count(*arguments, **options)
        cloudwatch._evaluate_all_alarms()

    def describe_as_it_is(*arguments: Any, **options: Any) -> Any:
        cloudwatch._evaluate_all_alarms()
        return describe(*arguments, **options)

    def evaluate(alarm: dict[str, Any]) -> None:
        if not alarm.get("MetricName"):
            return
        wanted = {entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions") or []}
        if alarm["Namespace"] == "AWS/SQS":
            _measure_queue(sqs, cloudwatch, wanted)
        points = [
            (point["Timestamp"], point["Value"])
            for (namespace, name, _), bucket in cloudwatch._metrics.items()
            if (namespace, name) == (alarm["Namespace"], alarm["MetricName"])
            for point in bucket
            if point["Dimensions"] == wanted
        ]
        before, (state, why) = alarm["StateValue"], state_of(alarm, points, time.time())
        alarm["StateReason"] = why
        if state != before:
            alarm |= {"StateValue": state, "StateUpdatedTimestamp": int(time.time())}
            cloudwatch._record_history(alarm["AlarmName"], before, state, why)
            cloudwatch._dispatch_alarm_actions(alarm, before, state, why)

    lambda_svc._emit_lambda_logs, lambda_svc._emit_lambda_metrics = write_and_measure, count_and_evaluate
    cloudwatch._describe_alarms, cloudwatch._evaluate_alarm = describe_as_it_is, evaluate


def _measure_queue(sqs: Any, cloudwatch: Any, dimensions: Mapping[str, str]) -> None:
    """How many messages wait in the queue of ``dimensions`` now."""
    now = time.time()
    for queue in list(sqs._queues.values()):
        if queue["name"] == dimensions.get("QueueName"):
            waiting = sum(message["visible_at"] <= now for message in queue["messages"])
            name = "ApproximateNumberOfMessagesVisible"
            cloudwatch.record_metric("AWS/SQS", name, waiting, "Count", dict(dimensions))


if __name__ == "__main__":
    # HOME is there for `ps`, so that a pid can be told from a stranger's; MiniStack itself takes no arguments.
    del sys.argv[1:]
    main()
