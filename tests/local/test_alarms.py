"""The states of alarms in the embedded cloud, held to CloudWatch's rules."""

from typing import Any

import pytest
from stillgood.aws.metrics import line_of

from local.alarms import embedded_metrics, state_of

NOW = 1_795_478_400.0


def alarm(**changes: Any) -> dict[str, Any]:
    return {
        "Namespace": "Stillgood", "MetricName": "Alerts", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1,
        "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "ages", "state"),
    [
        ({}, [], "OK"),
        ({}, [10], "ALARM"),
        ({}, [299], "ALARM"),
        ({}, [301], "OK"),  # of the period before
        ({"EvaluationPeriods": 3}, [10, 310], "OK"),
        ({"EvaluationPeriods": 3}, [10, 310, 610], "ALARM"),
        ({"EvaluationPeriods": 3, "DatapointsToAlarm": 2}, [10, 610], "ALARM"),
        ({"TreatMissingData": "breaching", "ComparisonOperator": "LessThanThreshold"}, [], "ALARM"),
        ({"TreatMissingData": "breaching", "ComparisonOperator": "LessThanThreshold"}, [10], "OK"),
        ({"TreatMissingData": "missing"}, [], "INSUFFICIENT_DATA"),
        ({"Threshold": 3}, [10, 20], "OK"),
        ({"Threshold": 3}, [10, 20, 30], "ALARM"),
        ({"Threshold": 3, "Statistic": "Maximum"}, [10, 20, 30], "OK"),
        ({"Namespace": "AWS/ApiGateway", "MetricName": "5xx"}, [10], "INSUFFICIENT_DATA"),
    ],
)
def test_an_alarm_is_what_its_periods_say(changes: dict[str, Any], ages: list[float], state: str) -> None:
    assert state_of(alarm(**changes), [(NOW - age, 1.0) for age in ages], NOW)[0] == state


def test_a_percentile_is_of_the_points_of_its_period() -> None:
    slow = alarm(Statistic=None, ExtendedStatistic="p95", Threshold=95.5, ComparisonOperator="GreaterThanThreshold")
    points = [(NOW - 1, float(value)) for value in range(1, 101)]
    assert state_of(slow, points, NOW)[0] == "OK"  # 95
    assert state_of(slow | {"Threshold": 94.5}, points, NOW)[0] == "ALARM"


def test_what_functions_print_is_measured_under_its_dimensions() -> None:
    line = line_of("monitor", "stillgood-Monitor") % (1, 2, 0, 3, 0, 0)
    found = list(embedded_metrics(f"START\nnot json\n{line}"))
    assert ("Stillgood", "Alerts", 3.0, {"service": "monitor", "function_name": "stillgood-Monitor"}) in found
    assert len(found) == 5
