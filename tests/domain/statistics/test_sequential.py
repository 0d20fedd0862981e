"""One may look after every window: the chance of ever being wrong stays below alpha, and a difference is still
found.
"""

import numpy as np
import pytest
from stillgood.domain.statistics.intervals import normal_sf
from stillgood.domain.statistics.sequential import always_valid_p, confidence_sequence, e_value, one_sided_e_value

LOOKS, YEARS, ALPHA, SCALE = 200, 400, 0.05, 0.05


def years(seed, truth=0.0, promise_error=0.01, each=0.05):
    """Running means of LOOKS windows, each with standard error ``each``, against one promise that has an error of its
    own.
    """
    rng = np.random.default_rng(seed)
    means = np.cumsum(truth + each * rng.normal(size=(YEARS, LOOKS)), axis=1) / np.arange(1, LOOKS + 1)
    variance = each**2 / np.arange(1, LOOKS + 1) + promise_error**2
    return means - promise_error * rng.normal(size=(YEARS, 1)), variance


def ever(differences, variance, evidence):
    return np.mean(
        [
            any(always_valid_p(evidence(d, v, SCALE)) < ALPHA for d, v in zip(row, variance, strict=True))
            for row in differences
        ]
    )


@pytest.mark.parametrize("evidence", [e_value, one_sided_e_value])
def test_looking_two_hundred_times_errs_no_more_often_than_looking_once(evidence):
    assert ever(*years(1), evidence) <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / YEARS) ** 0.5


def test_a_test_that_is_repeated_errs_in_every_third_year():
    """Not a promise but the reason for it."""
    differences, variance = years(1, promise_error=1e-9)
    naive = np.mean(
        [any(2 * normal_sf(abs(d) / v**0.5) < ALPHA for d, v in zip(row, variance, strict=True)) for row in differences]
    )
    assert naive > 0.3


def test_a_difference_of_the_scale_is_found():
    assert ever(*years(2, truth=0.05), e_value) >= 0.95


def test_better_is_no_evidence_of_worse():
    assert ever(*years(3, truth=-0.05), one_sided_e_value) == 0.0


def test_the_interval_holds_what_the_evidence_does_not_refute():
    low, high = confidence_sequence(0.08, 0.0004, SCALE, ALPHA)
    for edge in (low, high):
        assert always_valid_p(e_value(0.08 - edge, 0.0004, SCALE)) == pytest.approx(ALPHA)


def test_overwhelming_evidence_does_not_overflow():
    assert always_valid_p(e_value(5.0, 1e-8, SCALE)) == pytest.approx(0.0, abs=1e-12)
