"""train: one event in, one version out, and promote is asked to judge it. See events/train.json."""

import logging
from typing import Any

from lifecycle.aws import logs
from lifecycle.aws.events import json_object
from lifecycle.aws.wiring.train import training
from lifecycle.steps.train import train


def handler(event: object, context: object) -> dict[str, Any]:
    """Train what the labelled rows allow; raises typed errors, which Lambda retries and then hands to the failure queue."""
    deps = training()
    event = json_object(event)
    logs.bind(correlation_id=event.get("request_id"))
    try:
        result = train(event, deps)
    except Exception as error:
        logs.log(logging.ERROR, "nothing was trained", error=error)
        raise
    # A count per result: what shows that retraining leads to models.
    count = "TrainTrained" if result["result"] == "trained" else "TrainSkipped"
    logs.log(logging.INFO, f"{result['result']}: {result['version']}", metrics={count: 1}, **result)
    return result
