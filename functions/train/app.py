"""train: one event in, one version out, and promote is asked to judge it. See events/train.json."""

import logging
from typing import Any

from stillgood.aws import logs, metrics
from stillgood.aws.events import json_object
from stillgood.pages.writer import write_pages
from stillgood.steps.train.train import train
from stillgood.wiring.train import training


def handler(event: object, context: object) -> dict[str, Any]:
    """Train what the labelled rows allow; raises typed errors, which Lambda retries and then hands to the failure
    queue.
    """
    deps = training()
    logs.begin(context)
    with metrics.emitted("train"):
        try:
            event = json_object(event)
            logs.bind(correlation_id=event.get("request_id"))
            result = train(event, deps)
        except Exception as error:
            metrics.count("TrainFailures")
            logs.log(logging.ERROR, "nothing was trained", error=error)
            raise
        if result["result"] == "trained":
            metrics.count("ModelsTrained")
        logs.attempt("the pages were not written", write_pages, deps.store, result)
        fields = {**result, "model_version": result["version"]}
        logs.log(logging.INFO, f"{result['result']}: {result['version']}", **fields)
    return result
