"""batch: the champion over a CSV, JSON Lines or Parquet object in S3. See events/batch.json.

For a job of many objects the state machine asks it, too, what is to be done, and in the end what became of it.
"""

import gc

# Imports create almost no garbage; collecting during them costs a tenth of the cold start.
gc.disable()

import logging  # noqa: E402  # after gc.disable() on purpose
from typing import Any  # noqa: E402

from stillgood.aws import logs  # noqa: E402
from stillgood.aws.events import json_object  # noqa: E402
from stillgood.steps.batch.batch import batch  # noqa: E402
from stillgood.steps.batch.job import plan, report  # noqa: E402
from stillgood.wiring.batch import scoring  # noqa: E402

gc.freeze()
gc.enable()

LOG_MESSAGES = {"batch": "scored", "plan": "planned", "report": "reported"}
STEPS = {"plan": plan, "report": report}
LOG_FIELDS = ("job", "folder", "model_version", "done", "failed", "rows", "predicted", "rejected", "repeated")


def handler(event: object, context: object) -> dict[str, Any]:
    """Score one object, or plan or report a job; raises typed errors, which Lambda or the state machine retries."""
    deps = scoring()
    logs.begin(context, correlation_id=getattr(context, "aws_request_id", None))
    try:
        request = json_object(event)
        result = STEPS.get(str(request.get("step")), batch)(request, deps)
    except Exception as error:
        logs.log(logging.ERROR, "nothing was scored", error=error)
        raise
    logs.log(
        logging.INFO, LOG_MESSAGES[result["step"]], **{name: result[name] for name in LOG_FIELDS if name in result}
    )
    return result
