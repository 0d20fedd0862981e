"""Alarms as CloudWatch evaluates them, for the embedded cloud, whose emulator mixes functions up and knows neither
embedded metrics nor missing data.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

MEASURED = {
    "AWS/Lambda": {"Invocations", "Errors", "Duration", "Throttles"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
}
_OF: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
}
_BREACHES = {
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}


def embedded_metrics(log: str) -> Iterator[tuple[str, str, float, dict[str, str]]]:
    """Namespace, name, value and dimensions of every metric that stands in the lines of a log, in CloudWatch's embedded
    format.
    """
    for line in log.splitlines():
        if '"CloudWatchMetrics"' not in line:
            continue
        try:
            record = json.loads(line)
            for block in record["_aws"]["CloudWatchMetrics"]:
                for names in block["Dimensions"]:
                    dimensions = {str(name): str(record[name]) for name in names}
                    for metric in block["Metrics"]:
                        yield str(block["Namespace"]), str(metric["Name"]), float(record[metric["Name"]]), dimensions
        except (ValueError, KeyError, TypeError):
            continue


def state_of(alarm: Mapping[str, Any], points: Iterable[tuple[float, float]], now: float) -> tuple[str, str]:
    """The state of ``alarm`` and why. ``points``: (epoch seconds, value) of its metric under its dimensions.

    A period is breaching by its statistic; one without points as ``TreatMissingData`` says. Of ``EvaluationPeriods``
    at least ``DatapointsToAlarm`` must breach.
    """
    namespace, name = str(alarm["Namespace"]), str(alarm["MetricName"])
    if namespace.startswith("AWS/") and name not in MEASURED.get(namespace, set()):
        return "INSUFFICIENT_DATA", f"The embedded cloud does not measure {namespace} {name}."
    period, count = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1)
    needed = int(alarm.get("DatapointsToAlarm") or count)
    by_period: list[list[float]] = [[] for _ in range(count)]
    for at, value in points:
        if 0 <= (index := int((now - at) // period)) < count:
            by_period[index].append(value)
    missing = str(alarm.get("TreatMissingData") or "missing")
    figures = [_figure(alarm, values) for values in by_period if values]
    breaching = sum(_BREACHES[alarm["ComparisonOperator"]](figure, float(alarm["Threshold"])) for figure in figures)
    absent = count - len(figures)
    if missing == "breaching":
        breaching += absent
    elif not figures and missing == "missing":
        return "INSUFFICIENT_DATA", f"No points in {count} periods of {period} s."
    seen = ", ".join(f"{figure:g}" for figure in figures) or "none"
    why = (
        f"{breaching} of {count} periods of {period} s breach {alarm['Threshold']:g} (seen: {seen}; missing: {absent})."
    )
    return ("ALARM" if breaching >= needed else "OK"), why


def _figure(alarm: Mapping[str, Any], values: Sequence[float]) -> float:
    percentile = str(alarm.get("ExtendedStatistic") or "")
    if percentile:
        ordered = sorted(values)
        return ordered[math.ceil(float(percentile.removeprefix("p")) / 100 * len(ordered)) - 1]
    return float(_OF[str(alarm["Statistic"])](values))
