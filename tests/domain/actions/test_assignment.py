"""Who is left alone: the draw is sticky, rotates, is fair, and can be drawn again by anybody."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from stillgood.domain.actions.assignment import acts, assign, in_control
from stillgood.domain.contract.contract import Actions

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Actions(0.05, rotate_days=90)


def drawn(rules: Actions, at: datetime, n: int = 20_000) -> np.ndarray:
    return np.array([in_control(rules, f"C-{place}", at) for place in range(n)])


def test_the_share_of_the_contract_is_left_alone() -> None:
    share = drawn(RULES, START).mean()
    assert share == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 20_000) ** 0.5)


def test_a_group_is_kept_within_its_period_and_drawn_anew_after_it() -> None:
    period = timedelta(days=90)
    begin = datetime.fromtimestamp((START.timestamp() // period.total_seconds()) * period.total_seconds(), UTC)
    first, last, after = (
        drawn(RULES, begin + elapsed) for elapsed in (timedelta(0), period - timedelta(seconds=1), period)
    )
    assert (first == last).all()
    # Independent: of those who were left alone one in twenty is left alone again, as of the others.
    again = after[first].mean()
    assert again == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / first.sum()) ** 0.5)


def test_nobody_is_left_alone_for_ever() -> None:
    years = np.array([drawn(RULES, START + timedelta(days=90 * n), 2_000) for n in range(40)])
    assert years.sum(axis=0).max() < 12


def test_a_larger_share_keeps_who_was_drawn_already() -> None:
    small, large = drawn(Actions(0.05), START), drawn(Actions(0.1), START)
    assert (large | ~small).all()


@pytest.mark.parametrize(
    ("flagged", "exempt", "share", "group", "act"),
    [
        (False, False, 0.5, "none", False),
        (True, False, 0.0, "treated", True),
        (True, True, 0.5, "exempt", True),
        (False, True, 0.5, "exempt", False),
    ],
)
def test_groups(flagged: bool, exempt: bool, share: float, group: str, act: bool) -> None:
    groups = {assign(Actions(share), f"C-{n}", flagged, exempt, START) for n in range(50)}
    assert groups == {group}
    assert acts(group, flagged) is act
