"""promote: one event in, one recorded decision out. See events/promote.json and events/rollback.json."""

import logging
from typing import Any

from lifecycle.aws import logs
from lifecycle.aws.events import json_object
from lifecycle.aws.wiring.promote import deciding
from lifecycle.domain.errors import InvalidEvent
from lifecycle.steps.promote import promote
from lifecycle.steps.rollback import roll_back

ACTIONS = {"promote": promote, "rollback": roll_back}


def handler(event: object, context: object) -> dict[str, Any]:
    """Promote, refuse or roll back, as ``event["action"]`` says; raises typed errors, which Lambda retries."""
    deps = deciding()
    event = json_object(event)
    logs.bind(correlation_id=event.get("request_id"))
    action = ACTIONS.get(str(event.get("action")))
    if action is None:
        raise InvalidEvent(f"The event's 'action' is {event.get('action')!r}; it is one of {', '.join(ACTIONS)}.")
    try:
        result = action(event, deps)
    except Exception as error:
        logs.log(logging.ERROR, "nothing was decided", error=error)
        raise
    logs.log(logging.INFO, f"decision {result['decision']}: {result['result']}", **result)
    return result
