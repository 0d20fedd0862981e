"""Counts of one name add up, and only their sum is held to the target."""

import pytest

from benchmarks.safety import met, rows


def counted(name, value, target=""):
    return {"name": name, "value": value, "target": target, "test": "t"}


def test_counts_of_one_name_add_up_against_their_target():
    lines = [
        counted("rounds", 150, ">= 200"),
        counted("cases", 7),
        counted("rounds", 50, ">= 200"),
        counted("lost", 1, "== 0"),
    ]
    assert rows(lines) == [
        {"name": "cases", "value": 7, "target": "", "met": None},
        {"name": "lost", "value": 1, "target": "== 0", "met": False},
        {"name": "rounds", "value": 200, "target": ">= 200", "met": True},
    ]
    assert rows(lines[:1])[0]["met"] is False


def test_a_target_that_cannot_be_read_is_an_error():
    with pytest.raises((KeyError, ValueError)):
        met(1, "many")
