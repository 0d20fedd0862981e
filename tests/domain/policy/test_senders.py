"""Callers that jump are left out, and nobody else is: laws of the comparison, and what an honest year brings about."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.policy.senders import LEFT_OUT, CallerWindow, Usual, jumps

FIRST = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
callers = st.builds(CallerWindow, st.integers(1, 5_000), st.integers(1, 5_000), st.floats(-4, 4), st.floats(0.1, 3))
windows = st.dictionaries(st.sampled_from("abcdefg"), callers, min_size=1, max_size=6)


def calm(**rows: int) -> dict[str, CallerWindow]:
    return {name: CallerWindow(count, count, -1.0, 1.5) for name, count in rows.items()}


def after(usual: Usual, *days: dict[str, CallerWindow], begins: int = 0, vouched: tuple[str, ...] = ()) -> Usual:
    for at, now in enumerate(days, begins):
        usual = usual.weighed(now, vouched, FIRST + at * DAY)
    return usual


USUAL = after(Usual(), *[calm(app=400, web=100)] * 30)


@settings(max_examples=100, deadline=None)
@given(st.lists(windows, max_size=6), callers)
def test_one_caller_alone_is_never_left_out(before: list[dict[str, CallerWindow]], only: CallerWindow) -> None:
    usual = after(Usual(), *before)
    assert jumps({"a": only}, usual, ()) == ()
    single = after(Usual(), *[{"a": now["a"]} for now in before if "a" in now])
    assert single.weighed({"a": only}, (), FIRST + 10 * DAY).left == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(windows, min_size=1, max_size=5), windows, st.randoms(use_true_random=False))
def test_the_order_of_callers_does_not_matter(
    before: list[dict[str, CallerWindow]], now: dict[str, CallerWindow], random: object
) -> None:
    def shuffled(window: dict[str, CallerWindow]) -> dict[str, CallerWindow]:
        names = list(window)
        random.shuffle(names)  # type: ignore[attr-defined]
        return {name: window[name] for name in names}

    one = after(after(Usual(), *before), now, begins=9)
    other = after(after(Usual(), *map(shuffled, before)), shuffled(now), begins=9)
    assert one == other
    assert list(one.left) == list(other.left)


@settings(max_examples=100, deadline=None)
@given(st.lists(windows, min_size=1, max_size=5), windows)
def test_what_is_remembered_is_stored_whole_and_the_vouched_for_and_enough_rows_stay(
    before: list[dict[str, CallerWindow]], now: dict[str, CallerWindow]
) -> None:
    usual = after(Usual(), *before)
    assert Usual.from_dict(usual.to_dict()) == usual
    assert all(0.0 < share <= 1.0 for share in usual.shares.values())
    assert set(usual.shares) == set(usual.callers)
    left = {jump.caller for jump in jumps(now, usual, ())}
    assert left < set(now)
    assert jumps(now, usual, tuple(now)) == ()
    rest = [caller.rows for name, caller in now.items() if name not in left]
    assert not left or usual.enough(rest)


def test_a_stranger_is_left_out_from_its_first_window_and_five_weeks_after_its_last() -> None:
    flood = {**calm(app=400, web=100), "mallory": CallerWindow(1_000, 1_000, 2.0, 0.4)}
    usual = USUAL
    for at in range(90):
        usual = after(usual, flood, begins=40 + at)
        assert [str(jump) for jump in usual.left.values()] == ["caller mallory (67% of the rows, usually 0%)"]
    for at in range(130, 170):
        usual = after(usual, calm(app=400, web=100, mallory=25), begins=at)
        assert bool(usual.left) is (at <= 129 + LEFT_OUT / DAY)


def test_a_known_callers_scores_that_jump_alone_are_left_out_and_with_everybody_elses_are_not() -> None:
    odd = {**calm(app=400), "web": CallerWindow(100, 100, 1.0, 1.5)}
    (jump,) = after(USUAL, odd, begins=40).left.values()
    assert str(jump) == "caller web (mean score +1.00 logits, usually -1.00)"
    world = {"app": CallerWindow(400, 400, 1.0, 1.5), "web": CallerWindow(100, 100, 1.0, 1.5)}
    assert after(USUAL, world, begins=40).left == {}
    few = {**calm(app=400), "web": CallerWindow(100, 2, 1.0, 1.5)}  # two customers told fifty times
    assert after(USUAL, few, begins=40).left == {}
    assert after(USUAL.of_another_model(), odd, begins=40).left == {}


def test_whoever_sends_most_who_is_vouched_for_and_a_batch_are_never_left_out() -> None:
    most = {**calm(web=100), "app": CallerWindow(4_000, 4_000, 3.0, 1.5)}
    assert after(USUAL, most, begins=40).left == {}
    flood = calm(app=400, web=100, new=1_000)
    assert list(after(USUAL, flood, begins=40).left) == ["new"]
    for vouched in ("new", "caller:new"):
        assert after(USUAL, flood, begins=40, vouched=(vouched,)).left == {}
        assert after(after(USUAL, flood, begins=40), flood, begins=41, vouched=(vouched,)).left == {}
    assert after(USUAL, {**calm(app=400, web=100), "": CallerWindow(9_000, 9_000, 3.0, 0.4)}, begins=40).left == {}


def test_nobody_jumps_because_others_are_silent_or_got_other_names() -> None:
    assert after(USUAL, calm(web=100, app=1), begins=40).left == {}
    assert after(USUAL, calm(app2=400, test=30), begins=40).left == {}
    renamed = after(USUAL, *[calm(app=200, app2=200, web=100), *[calm(app2=400, web=100)] * 60], begins=40)
    assert list(renamed.left) == ["app2"]  # told, until somebody vouches for it


@pytest.mark.parametrize("seed", range(5))
def test_in_an_honest_year_with_weekends_growth_and_a_change_for_everybody_nobody_jumps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual, seen = Usual(), set()
    for at in range(365):
        weekend = 0.5 if at % 7 > 4 else 1.0
        growth = {"app": 1.0, "web": 1.0 + at / 365, "shop": max(at - 100, 1) / 300}
        shift = 1.2 if at > 180 else 0.0
        now = {}
        for place, (name, grown) in enumerate(growth.items()):
            rows = int(rng.poisson((400, 150, 150)[place] * grown * (weekend if name == "app" else 1.0)))
            if rows:
                logits = rng.normal(shift - place / 2, 1.5, rows)
                now[name] = CallerWindow(rows, rows, float(logits.mean()), float(logits.std()))
        usual = after(usual, now, begins=at)
        seen |= set(usual.left)
    assert seen == set()
