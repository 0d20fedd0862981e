"""Counts for CloudWatch in its embedded metric format (EMF): one line on standard output per invocation, and no call to
any service.

Every metric of a service stands on every line, zeros too: a graph without gaps, and a line that is one ``%`` on the
predict path. A repeated invocation counts again: an alarm that rings twice is better than one that a crash silenced.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar

NAMESPACE = "Stillgood"
METRICS: Mapping[str, tuple[str, ...]] = {
    "predict": ("Predictions", "RejectedRows", "CaptureFailures", "CaptureLost", "ChampionStale", "Failed"),
    "monitor": ("WindowsJudged", "RetrainsStarted", "Alerts", "RollbacksStarted", "AnchorFailures"),
    "train": ("TrainFailures", "ModelsTrained"),
    "promote": ("Promotions", "Refusals", "Rollbacks", "Moves", "Releases", "Asks", "ModesSet", "SettingsChanged"),
}
"""What each service counts, all of unit Count; ``ChampionStale`` is 1 for an invocation that an outdated champion
answered.
"""

_counts: ContextVar[dict[str, int]] = ContextVar("stillgood_metrics")


def line_of(service: str, function: str) -> str:
    """The line of ``function``, for ``%``: when, and how many of each. Its name keeps two stacks of one account
    apart.
    """
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    names = METRICS[service]
    declared = [{"Name": name, "Unit": "Count"} for name in names]
    block = {"Namespace": NAMESPACE, "Dimensions": [["service", "function_name"]], "Metrics": declared}
    blocks = json.dumps([block], separators=(",", ":"))
    values = "".join(f',"{name}":%d' for name in names)
    names_it = f'"service":"{service}","function_name":"{function}"'
    return f'{{"_aws":{{"Timestamp":%d,"CloudWatchMetrics":{blocks}}},{names_it}{values}}}\n'


_LINES = {service: line_of(service, os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")) for service in METRICS}


def count(name: str, by: int = 1) -> None:
    """Add to a metric of the invocation under way; outside of one, nothing is counted."""
    counts = _counts.get(None)
    if counts is not None:
        counts[name] += by


class emitted:  # noqa: N801 -- reads as the function that it could be, in half of its time
    """Write everything counted in the block when it exits, also on an error; tasks started inside count too. Raises
    KeyError for no such service.
    """

    __slots__ = ("_before", "_counts", "_service")

    def __init__(self, service: str) -> None:
        self._service, self._counts = service, dict.fromkeys(METRICS[service], 0)

    def __enter__(self) -> None:
        self._before = _counts.set(self._counts)

    def __exit__(self, *_: object) -> None:
        _counts.reset(self._before)
        # One write, so that lines of threads do not mix.
        sys.stdout.write(_LINES[self._service] % (int(time.time() * 1000), *self._counts.values()))
        sys.stdout.flush()
