"""monitor: one scheduled time in, one judged window out; or, between windows, what is over compacted. See
events/monitor.json, events/compact.json.
"""

import logging
from typing import Any

from stillgood.aws import logs, metrics
from stillgood.aws.events import json_object
from stillgood.pages.writer import write_pages
from stillgood.steps.monitor.compact import COMPACT, compact
from stillgood.steps.monitor.monitor import monitor, request_id
from stillgood.wiring.announce import announce_answer
from stillgood.wiring.monitor import anchor, monitoring

STARTED = {
    "retrain": "RetrainsStarted",
    "recalibrate": "RetrainsStarted",
    "alert": "Alerts",
    "roll_back": "RollbacksStarted",
}


def handler(event: object, context: object) -> dict[str, Any]:
    """Judge the window that ends at ``event["scheduled_time"]``, or compact. Raises typed errors, which Lambda
    retries.
    """
    deps = monitoring()
    logs.begin(context)
    with metrics.emitted("monitor"):
        try:
            event = json_object(event)
            if event.get("action") == COMPACT:
                compacted = compact(deps)
                logs.log(logging.INFO, f"compacted: {compacted['result']}", **compacted)
                return compacted
            # The id that train and promote are handed: one search finds what became of a window.
            correlation = request_id(event, deps.window_hours)
            logs.bind(correlation_id=correlation)
            result = monitor(event, deps)
        except Exception as error:
            logs.log(logging.ERROR, "the window was not judged", error=error)
            raise
        if (champion := result.get("champion")) is not None:
            metrics.count("WindowsJudged")
            logs.bind(correlation_id=correlation, model_version=champion)
        if result["result"] in STARTED:
            metrics.count(STARTED[result["result"]])
        if (point := result.get("operating_point")) and point["alert"] and result["result"] != "alert":
            metrics.count("Alerts")
        try:
            anchor(deps.store, result)
        except Exception as error:
            metrics.count("AnchorFailures")
            logs.log(logging.WARNING, "the logs were not anchored", error=error)
        logs.attempt("the pages were not written", write_pages, deps.store, result)
        logs.attempt("nobody was told", announce_answer, deps.store, result)
        level = logging.WARNING if result["result"] in ("alert", "recalibrate") else logging.INFO
        logs.log(level, f"window judged: {result['result']}", **result)
    return result
