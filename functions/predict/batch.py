"""batch: the champion over a CSV, JSON Lines or Parquet object in S3. See events/batch.json."""

import logging
from typing import Any

from lifecycle.aws import logs
from lifecycle.aws.events import json_object
from lifecycle.aws.wiring.batch import scoring
from lifecycle.steps.batch import batch


def handler(event: object, context: object) -> dict[str, Any]:
    """Score one object; raises typed errors, which Lambda retries."""
    deps = scoring()
    logs.begin(context, correlation_id=getattr(context, "aws_request_id", None))
    try:
        result = batch(json_object(event), deps)
    except Exception as error:
        logs.log(logging.ERROR, "nothing was scored", error=error)
        raise
    told = ("job", "model_version", "rows", "predicted", "rejected", "repeated")
    logs.log(logging.INFO, "scored", **{name: result[name] for name in told})
    return result
