"""promote: one event in, one recorded decision out. See events/promote.json, events/move.json, events/rollback.json and
events/release.json.
"""

import logging
from typing import Any

from stillgood.aws import logs, metrics
from stillgood.aws.events import json_object
from stillgood.domain.errors import InvalidEvent
from stillgood.pages.writer import write_pages
from stillgood.steps.promote.actions import ACTIONS
from stillgood.wiring.announce import announce_answer
from stillgood.wiring.promote import deciding

COUNTS = {
    "promoted": "Promotions",
    "refused": "Refusals",
    "rolled back": "Rollbacks",
    "moved": "Moves",
    "released": "Releases",
    "asked": "Asks",
    "mode set": "ModesSet",
    "settings in force": "SettingsChanged",
}


def handler(event: object, context: object) -> dict[str, Any]:
    """Promote, refuse or roll back, as ``event["action"]`` says; raises typed errors, which Lambda retries."""
    deps = deciding()
    logs.begin(context)
    with metrics.emitted("promote"):
        try:
            event = json_object(event)
            logs.bind(correlation_id=event.get("request_id"))
            action = ACTIONS.get(str(event.get("action")))
            if action is None:
                name = event.get("action")
                raise InvalidEvent(f"The event's 'action' is {name!r}; it is one of {', '.join(ACTIONS)}.")
            result = action(event, deps)
        except Exception as error:
            logs.log(logging.ERROR, "nothing was decided", error=error)
            raise
        metrics.count(COUNTS[result["result"]])
        logs.attempt("the pages were not written", write_pages, deps.store, result)
        logs.attempt("nobody was told", announce_answer, deps.store, result)
        fields = {**result, "model_version": result["new_version"]}
        logs.log(logging.INFO, f"decision {result['decision']}: {result['result']}", **fields)
    return result
