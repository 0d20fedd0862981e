"""The slow correction: bounded whatever comes, stable at every delay, and right in the long run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.operating_point.correction import (
    BLOCK_ROWS,
    BOUND,
    MAX_GAIN,
    Correction,
    gain,
    monotone_limit,
    stable_limit,
)


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0, 1))
def test_whatever_is_realised_the_offset_stays_in_its_bound(figures, wanted):
    correction = Correction()
    for figure in figures:
        correction = correction.after(wanted, figure, 0)
        assert abs(correction.offset) <= BOUND
    assert correction.blocks == len(figures)


@given(st.lists(st.floats(0.75, 0.85), min_size=1, max_size=90))
def test_the_mean_error_of_k_blocks_is_what_the_offset_shows(figures):
    """The long-run bound: (mean of objective - realised) = offset / (gain k) while the clip does not act."""
    correction = Correction()
    for figure in figures:
        correction = correction.after(0.8, figure, 0)
    error = np.mean([0.8 - figure for figure in figures])
    assert error == pytest.approx(correction.offset / (MAX_GAIN * len(figures)), abs=1e-9)
    assert abs(error) <= 2 * BOUND / (MAX_GAIN * len(figures))


def errors(gain: float, delay: int, steps: int) -> np.ndarray:
    """e[t + 1] = e[t] - gain e[t - delay], from 1."""
    series = [1.0] * (delay + 1)
    for _ in range(steps):
        series.append(series[-1] - gain * series[-1 - delay])
    return np.array(series)


@pytest.mark.parametrize("delay", [0, 1, 3, 10, 20])
def test_the_limits_of_stability_are_where_they_are_said_to_be(delay: int):
    steps = 2000 * (delay + 1)
    assert abs(errors(0.9 * stable_limit(delay), delay, steps)[-1]) < 1e-3
    assert np.abs(errors(1.05 * stable_limit(delay), delay, steps)[-4 * delay - 4 :]).max() > 10
    assert errors(0.99 * monotone_limit(delay), delay, 100 * (delay + 1)).min() > -1e-12
    assert errors(1.3 * monotone_limit(delay), delay, 100 * (delay + 1)).min() < -1e-6


@given(st.integers(0, 10**7))
def test_every_gain_dies_out_without_oscillating(delay_rows):
    assert 0 < gain(delay_rows) <= min(MAX_GAIN, monotone_limit(-(-delay_rows // BLOCK_ROWS)) / 2)


def test_a_standing_bias_is_corrected_however_late_labels_come():
    """The estimate is .05 too high; labels come 20 blocks late. The mean of the last blocks is the objective."""
    correction, realised = Correction(), []
    for t in range(2000):
        realised.append(0.8 + correction.offset - 0.05)
        if t >= 20:
            correction = correction.after(0.8, realised[t - 20], 20 * BLOCK_ROWS)
    assert np.mean(realised[-500:]) == pytest.approx(0.8, abs=1e-3)
    assert max(realised) < 0.8 + 1e-9  # it comes from below and does not overshoot
