"""One JSON object a line, through the standard library's logging, under the names that AWS Lambda Powertools gives its
fields.

Whatever is logged is chosen by name: ``fields`` hold counts, versions, keys and ids, never secrets and never feature
values. An unexpected exception is logged by type and place, without its message, since a message may quote the value
that caused it. See docs/decisions/0010. Metrics are lines of their own (``metrics.py``).
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import extract_tb
from typing import TextIO

from stillgood.domain.errors import StillgoodError

SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
)
"""Variables whose values are struck from every line, should some message quote one after all."""
_LEAST_SECRET = 8  # characters; a shorter value would strike words

_LOGGER = logging.getLogger("stillgood")
_invocation: ContextVar[Mapping[str, object]] = ContextVar("stillgood_log_invocation")
_bound: ContextVar[Mapping[str, object]] = ContextVar("stillgood_log_fields")
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
_cold = True


def configure(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> logging.Handler:
    """Send every record of the process to ``stream`` (standard output) as JSON lines naming ``service``; return the
    handler.

    Replaces the root handlers, so that the Lambda runtime's own does not print each line twice.
    Libraries are heard from WARNING on, the lifecycle from ``level`` on.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level)
    return handler


def begin(context: object, **fields: object) -> None:
    """Start an invocation: its lines tell Lambda's request id, whether it is the process's first, and ``fields`` until
    bound again.
    """
    global _cold
    _invocation.set({"cold_start": _cold, "function_request_id": getattr(context, "aws_request_id", None)})
    _cold = False
    bind(**fields)


def restored() -> None:
    """A snapshot came back to life: the next invocation is a cold start again."""
    global _cold
    _cold = True


def bind(**fields: object) -> None:
    """Make ``fields`` (correlation_id, model_version, ...) part of every line of the current context, until bound
    again.
    """
    _bound.set(fields)


def log(level: int, message: str, /, *, error: BaseException | None = None, **fields: object) -> None:
    """Write one line. ``error`` is described without its values."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, message, extra={"fields": fields, "error": error})


class JsonLines(logging.Formatter):
    """A record as one JSON object: level, message, timestamp, service, the invocation, the bound and the call's fields,
    the error.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": self._service,
            **_invocation.get({}),
            **_bound.get({}),
            **getattr(record, "fields", {}),
        }
        error = getattr(record, "error", None) or (record.exc_info[1] if record.exc_info else None)
        if error is not None:
            line.update(describe(error))
        return _struck(_encode(line))


def describe(error: BaseException) -> dict[str, object]:
    """What may be logged of an exception: its type, its place, and the detail only of our own errors, which quote no
    values.
    """
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)
    ]
    described: dict[str, object] = {"exception_name": type(error).__name__, "exception": frames[-8:]}
    if isinstance(error, StillgoodError):
        described["detail"] = error.detail
    return described


def _struck(line: str) -> str:
    for name in SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= _LEAST_SECRET and value in line:
            line = line.replace(value, f"[{name}]")
    return line


def attempt[**P](message: str, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call ``action``; when it fails, log ``message`` as a warning and go on. For what a step can do without, such as a
    page.
    """
    try:
        action(*args, **kwargs)
    except Exception as error:
        log(logging.WARNING, message, error=error)
