"""The benchmark's own arithmetic, and that what is published hangs together. No test asserts a time."""

import json
import sys

import pytest

from benchmarks.speed.measure import MeasurementFailed, Row, compare, environment, in_turns, run
from benchmarks.speed.report import DOCUMENT, SPEED


def test_a_ratio_is_the_median_of_the_turns_own_ratios_with_the_extremes():
    row = compare("slow / fast", [2.0, 9.0, 3.0], [1.0, 3.0, 2.0], ">= 2")
    assert (row.ratio, row.low, row.high, row.met) == (2.0, 1.5, 3.0, True)


@pytest.mark.parametrize(("ratio", "target", "met"), [
    (1.1, "<= 1.1", True), (1.2, "<= 1.1", False), (5.0, ">= 5", True), (4.9, ">= 5", False), (9.9, None, None),
])  # fmt: skip
def test_a_target_is_an_upper_or_a_lower_bound_or_none(ratio, target, met):
    assert Row("a / b", ratio, ratio, ratio, target).met is met


def test_contestants_take_turns_and_the_first_round_is_thrown_away():
    order = []
    results = in_turns({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2)
    assert order == ["a", "b"] * 3
    assert results == {"a": [3, 5], "b": [4, 6]}


def test_a_process_is_measured_alone():
    """Its peak is its own, not that of this large process, and its last line of JSON is what it said."""
    code = "x = bytearray(64 << 20); sum(range(10**6)); print('{\"done\": 1}')"
    used = run([sys.executable, "-I", "-S", "-c", code], environment())
    assert used.said == {"done": 1}
    assert 64 <= used.peak < 100
    assert 0 < used.cpu < 10


def test_a_contestant_that_fails_is_not_measured():
    with pytest.raises(MeasurementFailed, match="out of order"):
        run([sys.executable, "-I", "-S", "-c", "raise SystemExit('out of order')"], environment())


def test_every_published_row_is_whole_and_shown():
    rows = json.loads(SPEED.read_text(encoding="utf-8"))
    shown = DOCUMENT.read_text(encoding="utf-8")
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == ["name", "ratio", "low", "high", "target", "met"]
        assert row["low"] <= row["ratio"] <= row["high"]
        assert row["met"] is Row(row["name"], row["ratio"], row["low"], row["high"], row["target"]).met
        assert row["name"] in shown
