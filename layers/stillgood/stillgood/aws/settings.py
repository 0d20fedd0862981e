"""The environment, read once, into one frozen value. The fields below are the one table of variables; README's is
tested against it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from stillgood.domain.errors import SettingsInvalid
from stillgood.domain.formats import FORMER_RULES


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable. ``default`` is as it would be written in the environment; None: none, "" stands for
    unset.
    """

    name: str
    default: str | None
    meaning: str
    parse: Callable[[str], Any]


def _text(value: str) -> str:
    return value


def _optional(value: str) -> str | None:
    return value or None


def _one_of(*names: str, former: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """One of ``names``; a ``former`` name of one is accepted, too."""

    def parse(value: str) -> str:
        value = (former or {}).get(value, value)
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return value

    return parse


def _count(minimum: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 12 and int(value) >= minimum):
            raise ValueError(f"a whole number from {minimum}")
        return int(value)

    return parse


def _number(above: float, maximum: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not above < number <= maximum:  # also refuses NaN
            raise ValueError(f"a number above {above:g} and at most {maximum:g}")
        return number

    return parse


def _variable(name: str, parse: Callable[[str], Any], meaning: str, default: str | None = None) -> Any:
    return field(metadata={"variable": Variable(name, default, meaning, parse)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment may choose. ``Settings.from_env()`` is called by ``wiring`` only, never at import."""

    bucket: str = _variable(
        "STILLGOOD_BUCKET", _text, "The bucket that holds everything; the only variable without a default."
    )
    policy: str = _variable(
        "STILLGOOD_POLICY",
        _one_of("simple", "guarded", former=FORMER_RULES),
        "What the monitor makes of its evidence.",
        "guarded",
    )
    gate: str = _variable(
        "STILLGOOD_GATE",
        _one_of("simple", "guarded", former=FORMER_RULES),
        "What a candidate must show to replace the champion.",
        "guarded",
    )
    mode: str = _variable(
        "STILLGOOD_MODE",
        _one_of("watch", "ask", "automatic"),
        "What the stack may do by itself, until a person says another mode.",
        "automatic",
    )
    window_hours: float = _variable(
        "STILLGOOD_WINDOW_HOURS", _number(0, 8784), "Length of the analysis window, in hours.", "24"
    )
    settle_seconds: float = _variable(
        "STILLGOOD_SETTLE_SECONDS",
        _number(-1, 86400),
        "How long after an hour's end captures of it may still arrive, in seconds.",
        "60",
    )
    train_function: str | None = _variable(
        "STILLGOOD_TRAIN_FUNCTION", _optional, "Name or ARN of the train function; monitor needs it.", ""
    )
    promote_function: str | None = _variable(
        "STILLGOOD_PROMOTE_FUNCTION", _optional, "Name or ARN of the promote function; train needs it.", ""
    )
    event_bus: str | None = _variable(
        "STILLGOOD_EVENT_BUS",
        _optional,
        "EventBridge bus that is told of decisions, alerts and states; unset: nobody is.",
        "",
    )
    anchor_bucket: str | None = _variable(
        "STILLGOOD_ANCHOR_BUCKET",
        _optional,
        "Bucket, best of another account, that each day's hashes of the logs are written to; unset: none is.",
        "",
    )
    capture_stream: str | None = _variable(
        "STILLGOOD_CAPTURE_STREAM",
        _optional,
        "Firehose stream that captures go to; unset: each request is an object of its own.",
        "",
    )
    champion_ttl_seconds: float = _variable(
        "STILLGOOD_CHAMPION_TTL_SECONDS",
        _number(-1, 86400),
        "How long predict serves before it looks for a new champion, in seconds.",
        "10",
    )
    max_rows: int = _variable("STILLGOOD_MAX_ROWS", _count(1), "Rows one request to predict may carry.", "1000")
    max_bytes: int = _variable("STILLGOOD_MAX_BYTES", _count(1), "Bytes one request to predict may carry.", "2097152")
    log_level: str = _variable(
        "STILLGOOD_LOG_LEVEL",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "Least severe log line that is written.",
        "INFO",
    )
    mlflow_tracking_uri: str | None = _variable(
        "MLFLOW_TRACKING_URI",
        _optional,
        "Where train logs its runs: https, or an ARN of SageMaker MLflow; unset: nothing is tracked.",
        "",
    )
    mlflow_experiment_name: str = _variable(
        "MLFLOW_EXPERIMENT_NAME", _text, "The MLflow experiment of those runs.", "stillgood"
    )
    endpoint_url: str | None = _variable(
        "AWS_ENDPOINT_URL", _optional, "Another AWS, such as the embedded cloud; plain http is allowed then.", ""
    )

    lambda_endpoint_url: str | None = _variable(
        "AWS_ENDPOINT_URL_LAMBDA",
        _optional,
        "Another Lambda, such as sam local start-lambda; boto3 reads it itself.",
        "",
    )

    @classmethod
    def variables(cls) -> Mapping[str, Variable]:
        """The variables by field name."""
        return {item.name: item.metadata["variable"] for item in fields(cls)}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read ``environ`` (the process's by default). Raises SettingsInvalid naming every bad variable and what to
        set.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, variable in cls.variables().items():
            text = environ.get(variable.name, "").strip()
            if not text and variable.default is None:
                problems.append(f"{variable.name} is not set. {variable.meaning}")
                continue
            try:
                values[name] = variable.parse(text or variable.default or "")
            except ValueError as error:
                problems.append(f"{variable.name} is {text[:80]!r}; set it to {error}. {variable.meaning}")
        if problems:
            raise SettingsInvalid(" ".join(problems))
        return cls(**values)
