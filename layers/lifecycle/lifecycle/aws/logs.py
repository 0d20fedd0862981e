"""One JSON object a line, through the standard library's logging; metrics ride along in CloudWatch's embedded format.

Whatever is logged is chosen by name: ``fields`` hold counts, versions, keys and ids, never secrets and never feature values.
An unexpected exception is logged by type and place, without its message, since a message may quote the value that caused it.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import extract_tb
from typing import TextIO

from lifecycle.domain.errors import LifecycleError

NAMESPACE = "Lifecycle"
_LOGGER = logging.getLogger("lifecycle")
_bound: ContextVar[Mapping[str, object]] = ContextVar("lifecycle_log_fields")
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def configure(step: str, *, level: str = "INFO", stream: TextIO | None = None) -> logging.Handler:
    """Send every record of the process to ``stream`` (standard output) as JSON lines naming ``step``; return the handler.

    Replaces the root handlers, so that the Lambda runtime's own does not print each line twice.
    Libraries are heard from WARNING on, the lifecycle from ``level`` on.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(step))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level)
    return handler


def bind(**fields: object) -> None:
    """Make ``fields`` (correlation_id, model_version, ...) part of every line of the current context, until bound again."""
    _bound.set(fields)


def log(
    level: int,
    message: str,
    /,
    *,
    metrics: Mapping[str, float] | None = None,
    error: BaseException | None = None,
    **fields: object,
) -> None:
    """Write one line. ``metrics`` become CloudWatch counts by step; ``error`` is described without its values."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, message, extra={"fields": fields, "metrics": metrics, "error": error})


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, step, message, the bound fields, the call's own fields, metrics, error."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "step": self._step,
            "message": record.getMessage(),
            **_bound.get({}),
            **getattr(record, "fields", {}),
        }
        error = getattr(record, "error", None) or (record.exc_info[1] if record.exc_info else None)
        if error is not None:
            line.update(describe(error))
        if metrics := getattr(record, "metrics", None):
            line.update(_embedded(metrics, record.created))
        return _encode(line)


def describe(error: BaseException) -> dict[str, object]:
    """What may be logged of an exception: its type, its place, and the detail only of our own errors, which quote no values."""
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)
    ]
    described: dict[str, object] = {"error": type(error).__name__, "where": frames[-8:]}
    if isinstance(error, LifecycleError):
        described["detail"] = error.detail
    return described


def _embedded(metrics: Mapping[str, float], created: float) -> dict[str, object]:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    declared = [{"Name": name, "Unit": "Count"} for name in metrics]
    block = {"Namespace": NAMESPACE, "Dimensions": [["step"]], "Metrics": declared}
    return {"_aws": {"Timestamp": int(created * 1000), "CloudWatchMetrics": [block]}, **metrics}
