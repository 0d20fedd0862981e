"""A jump of outcomes at the threshold tells that people act; a curve without one does not."""

import numpy as np
from stillgood.domain.actions.jump import Jump, jump_at, thresholds


def seen(seed: int, saved: float, months: int = 1, returning: bool = False) -> Jump | None:
    """3,000 rows a month; the probabilities are wrong, but smoothly so. ``returning``: the same rows each month."""
    random = np.random.default_rng(seed)
    n = 3000 * months
    z = random.normal(size=n)
    if returning:
        z = np.tile(z[:3000], months)
    leaves = random.random(n) < 1 / (1 + np.exp(-(1.2 * z - 0.8 + 0.3 * np.sin(2 * z))))
    if returning:
        leaves = np.tile(leaves[:3000], months)
    p = 1 / (1 + np.exp(-(1.2 * z - 0.8)))
    distance = 1.2 * z + 0.3
    leaves &= ~((distance >= 0) & (random.random(n) < saved))
    entities = np.arange(n) % 3000 if returning else np.arange(n)
    return jump_at(distance, leaves - p, p, entities, np.arange(n) // 3000, np.arange(n) // 100)


def test_a_campaign_is_found_within_three_windows_and_mostly_within_two() -> None:
    jumps = [jump for seed in range(20) if (jump := seen(seed, 0.6, months=2)) is not None]
    assert sum(jump.detected for jump in jumps) >= 13
    assert 0.3 < np.median([jump.prevented for jump in jumps]) < 0.8
    later = [jump for seed in range(20) if (jump := seen(seed, 0.6, months=3)) is not None]
    assert sum(jump.detected for jump in later) >= 17


def test_a_curve_with_steps_where_nobody_acts_is_no_jump() -> None:
    """As a market has them: the rate falls and rises again by .2 every half logit, at the threshold, too."""
    detections = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        distance = random.uniform(-3.0, 3.0, 6000)
        steps = np.where(np.floor(2 * distance) % 2 == 0, -0.12, 0.12)
        leaves = random.random(6000) < 0.5 + steps
        jump = jump_at(
            distance,
            leaves - 0.5,
            np.full(6000, 0.5),
            np.arange(6000),
            np.zeros(6000, np.int64),
            np.arange(6000) // 100,
        )
        assert jump is not None
        detections += jump.detected
    assert detections <= 1


def test_where_nobody_acts_nothing_is_found() -> None:
    assert not any(jump.detected for seed in range(20) if (jump := seen(seed, 0.0, months=3)) is not None)


def test_the_same_customers_again_are_no_more_evidence() -> None:
    once, often = seen(3, 0.6), seen(3, 0.6, months=6, returning=True)
    assert once is not None
    assert often is not None
    assert often.standard_error > 0.7 * once.standard_error  # of 3,000 new customers a month it would be 0.4


def test_outcomes_of_a_day_that_move_together_are_no_jump() -> None:
    """As prices do: what happens to one side of the threshold on a day happens to all its rows of that day."""
    detections = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        days = np.arange(3000) // 50
        distance = random.uniform(-1.5, 1.5, 3000)
        shift = random.normal(0.0, 0.3, (60, 2))[days, (distance >= 0).astype(int)]
        leaves = random.random(3000) < np.clip(0.5 + 0.1 * distance + shift, 0, 1)
        p = np.clip(0.5 + 0.1 * distance, 0, 1)
        jump = jump_at(distance, leaves - p, p, np.arange(3000), np.zeros(3000, np.int64), days)
        assert jump is not None
        detections += jump.detected
    assert detections <= 1


def test_a_bend_of_a_model_that_lost_its_calibration_is_no_jump() -> None:
    detections = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        distance = random.uniform(-1.5, 1.5, 9000)
        leaves = random.random(9000) < 0.2 + 0.25 * np.maximum(-distance, 0.0) ** 2
        jump = jump_at(distance, leaves - 0.3, np.full(9000, 0.3), np.arange(9000), *np.zeros((2, 9000), np.int64))
        assert jump is not None
        detections += jump.detected
    assert detections <= 1


def test_too_few_rows_near_the_threshold_say_nothing() -> None:
    few = np.linspace(-1, 1, 150)
    assert jump_at(few, np.zeros(150), np.full(150, 0.5), np.arange(150), *np.zeros((2, 150), np.int64)) is None


def test_a_moved_threshold_is_found_between_days() -> None:
    logits = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0])
    flagged = np.array([False, True, True, False, False, True])
    assert thresholds(logits, flagged, np.array([0, 0, 0, 1, 1, 1])).tolist() == [0.5, 0.5, 0.5, 1.5, 1.5, 1.5]


def test_two_thresholds_in_one_day_are_no_threshold() -> None:
    by_row = thresholds(np.array([0.0, 1.0, 1.5, 2.0]), np.array([False, True, False, True]), np.zeros(4, np.int64))
    assert np.isnan(by_row).all()


def test_where_hardly_anybody_leaves_nobody_can_be_seen_to_be_kept() -> None:
    """Without outcomes near the threshold the residual is minus the probability: a curve without any noise."""
    random = np.random.default_rng(5)
    distance = random.uniform(-3.0, 3.0, 3000)
    p = np.where(distance < 0, 0.001, 0.003) * np.exp(distance / 2)
    args = (p, np.arange(3000), np.zeros(3000, np.int64), np.arange(3000) // 100)
    assert jump_at(distance, np.zeros(3000) - p, *args) is None
