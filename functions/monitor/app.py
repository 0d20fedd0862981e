"""monitor: one scheduled time in, one judged window out. See events/monitor.json."""

import logging
from typing import Any

from lifecycle.aws import logs
from lifecycle.aws.events import json_object
from lifecycle.aws.wiring.monitor import monitoring
from lifecycle.steps.monitor import monitor


def handler(event: object, context: object) -> dict[str, Any]:
    """Judge the window that ends at ``event["scheduled_time"]``; raises typed errors, which Lambda retries."""
    deps = monitoring()
    event = json_object(event)
    logs.bind(correlation_id=event.get("scheduled_time"))
    try:
        result = monitor(event, deps)
    except Exception as error:
        logs.log(logging.ERROR, "the window was not judged", error=error)
        raise
    level = logging.WARNING if result["result"] in ("alert", "recalibrate") else logging.INFO
    # A count per action: what an alarm on "alert" listens to.
    logs.log(level, f"window judged: {result['result']}", metrics={_metric(result["result"]): 1}, **result)
    return result


def _metric(action: str) -> str:
    """``roll_back`` as CloudWatch shows it: ``MonitorRollBack``."""
    return "Monitor" + action.replace("_", " ").title().replace(" ", "")
