"""Lives of weeks in virtual time, in which everything goes wrong, against a model of what must be true."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.year.plan import MIXED
from stillgood.simulation.year.planted import PLANTED
from stillgood.simulation.year.run import calm_and_not, live
from stillgood.simulation.year.swarm import stretches
from stillgood.simulation.year.tasks import Ended, Hung, Scheduler
from stillgood.simulation.year.weather import ON_LIST, ON_WRITE, Trouble, Weather

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 14


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_nothing_is_broken_in_a_life_in_which_everything_goes_wrong(seed, count):
    lived = live(seed, DAYS)

    assert lived.broken == ()
    assert sum(lived.operations.values()) > 100
    count("operations lived", sum(lived.operations.values()), ">= 400")
    count("faults lived through", len(lived.faults), ">= 30")


def test_a_seed_is_the_same_life_each_time():
    first, again = live(7, 5), live(7, 5)

    assert first == again
    assert live(8, 5).digest != first.digest


def test_a_calm_life_and_the_same_with_faults_end_in_the_same_registry():
    calm, rough, faults = calm_and_not(3, 10)

    assert faults > 10
    assert calm == rough
    assert len(calm) > 1


@pytest.mark.parametrize("bug", [bug for bug in PLANTED if bug.seed is not None], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug):
    with bug.in_place():
        lived = live(bug.seed, bug.days)

    assert lived.broken


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_the_text_that_a_planted_bug_replaces_is_in_todays_source(bug):
    before = bug.function.__code__
    with bug.in_place():
        assert bug.function.__code__ is not before
    assert bug.function.__code__ is before

    with pytest.raises(ValueError, match="0 times"), replace(bug, old="what the code said once").in_place():
        pass


def test_the_stretches_of_a_life_follow_each_other_and_differ():
    swarm = stretches(3, 60, MIXED)

    assert [stretch.first for stretch in swarm] == [0, *(stretch.last + 1 for stretch in swarm[:-1])]
    assert swarm[-1].last == 59
    for kind in MIXED:
        assert len({stretch.times[kind] for stretch in swarm}) > 1
    assert swarm == stretches(3, 60, MIXED) != stretches(4, 60, MIXED)


def test_a_trouble_fails_the_calls_of_its_prefix_and_its_step_while_it_lasts():
    troubles = (Trouble(60.0, 120.0, "refused", 1.0, "labels/"), Trouble(200.0, 300.0, "lost", 1.0, step="train"))
    weather = Weather("1", START, 1e-9, troubles)

    def fault(attempt, seconds, key, kinds=ON_WRITE):
        return weather.at(attempt, 1, kinds, START + timedelta(seconds=seconds), key)

    assert fault("1.labels/1", 60, "labels/a") == "refused"
    assert fault("1.labels/1", 60, "data/a") is None
    assert fault("1.labels/1", 120, "labels/a") is None
    assert fault("2.monitor>train@2/1", 250, "models/a") == "lost"
    assert fault("2.monitor/1", 250, "models/a") is None
    assert fault("2.monitor>train/1", 250, "models/a", ON_LIST) is None  # a listing has no answer to lose


def test_tasks_take_turns_in_the_order_of_time():
    clock, said = VirtualClock(START), []
    scheduler = Scheduler(clock, 100)

    def work(name, seconds):
        def do(task):
            for _ in range(3):
                said.append((name, (clock() - START).total_seconds()))
                task.pause(seconds)

        return do

    scheduler.start("slow", START, work("slow", 5.0))
    scheduler.start("fast", START + timedelta(seconds=1), work("fast", 2.0))
    scheduler.run()

    assert said == [("slow", 0), ("fast", 1), ("fast", 3), ("slow", 5), ("fast", 5), ("slow", 10)]


def test_a_run_that_does_not_end_is_an_error_that_names_its_tasks():
    scheduler = Scheduler(VirtualClock(START), 50)
    ended = []

    def forever(task):
        try:
            while True:
                task.pause(1.0)
        except Ended:
            ended.append(task.name)
            raise

    scheduler.start("one", START, forever)
    scheduler.start("other", START, forever)
    with pytest.raises(Hung, match=r"waiting: .*o"):
        scheduler.run()
    scheduler.end()

    assert sorted(ended) == ["one", "other"]


def test_what_a_task_raises_ends_the_run():
    scheduler = Scheduler(VirtualClock(START), 50)

    def fail(task):
        raise ValueError("out of order")

    scheduler.start("one", START, fail)
    with pytest.raises(ValueError, match="out of order"):
        scheduler.run()
    scheduler.end()
