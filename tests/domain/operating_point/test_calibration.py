"""A line that follows the labels, is drawn to the old one when they are few, and never turns the ranking around."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.model.model import Calibration
from stillgood.domain.operating_point.calibration import FittedCalibration, Labelled, calibrate, sigmoid


def drawn(seed: int, n: int, slope: float = 1.0, intercept: float = 0.0, rows_each: int = 1) -> Labelled:
    """``n`` rows whose outcome follows the line; a customer has ``rows_each`` rows alike."""
    random = np.random.default_rng(seed)
    logits = np.repeat(random.normal(0.0, 2.0, n // rows_each), rows_each)
    y = np.repeat(random.uniform(size=n // rows_each) < sigmoid(slope * logits[::rows_each] + intercept), rows_each)
    return Labelled(logits, y, np.repeat(np.arange(n // rows_each), rows_each), logits >= 0.0)


def test_many_labels_find_the_line_they_were_drawn_from():
    fitted = calibrate(drawn(1, 40_000, slope=0.5, intercept=-1.0), Calibration(1.0, 0.0))
    assert fitted.line.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.line.intercept == pytest.approx(-1.0, abs=0.05)


def test_no_label_leaves_the_old_line():
    assert calibrate(drawn(1, 0), Calibration(0.7, -0.2)).line == Calibration(0.7, -0.2)


def test_few_labels_move_it_less_than_many():
    moved = [abs(calibrate(drawn(3, n, intercept=-2.0), Calibration(1.0, 0.0)).line.intercept) for n in (50, 500, 5000)]
    assert moved[0] < moved[1] < moved[2] < 2.3


def test_a_reversed_ranking_is_said_to_be_lost():
    rows = drawn(2, 2000)
    assert calibrate(rows, Calibration(1.0, 0.0)).keeps_ranking
    turned = Labelled(rows.logits, ~rows.y, rows.entities, rows.flagged)
    assert not calibrate(turned, Calibration(1.0, 0.0)).keeps_ranking


def test_an_outcome_that_scores_know_nothing_of_is_a_lost_ranking():
    rows = drawn(4, 4000)
    shuffled = Labelled(rows.logits, np.random.default_rng(0).permutation(rows.y), rows.entities, rows.flagged)
    assert not calibrate(shuffled, Calibration(1.0, 0.0)).keeps_ranking


def test_a_customers_copies_are_not_so_many_customers():
    """The error of 4,000 rows of 500 customers is the error of 500 rows; without clusters it would be a third."""
    copied, single = drawn(5, 4000, rows_each=8), drawn(5, 500)
    errors = [calibrate(rows, Calibration(1.0, 0.0), prior_rows=1e-6).covariance[0] ** 0.5 for rows in (copied, single)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


def test_the_stated_error_is_the_one_that_repeats_show():
    fitted = [calibrate(drawn(seed, 1500, 0.8, -0.5), Calibration(0.8, -0.5), prior_rows=1e-6) for seed in range(300)]
    spread = np.std([fit.line.intercept for fit in fitted])
    stated = np.mean([fit.covariance[2] ** 0.5 for fit in fitted])
    assert stated == pytest.approx(spread, rel=0.12)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), n=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_any_rows_give_a_finite_line(seed: int, scale: float, n: int):
    random = np.random.default_rng(seed)
    rows = Labelled(
        random.normal(0.0, scale, n), random.uniform(size=n) < 0.5, np.arange(n) // 2, np.zeros(n, dtype=bool)
    )
    fitted = calibrate(rows, Calibration(1.0, 0.0))
    assert np.isfinite([fitted.line.slope, fitted.line.intercept, *fitted.covariance]).all()
    assert np.linalg.eigvalsh(fitted.matrix()).min() >= -1e-9


def test_it_comes_back_from_its_document():
    fitted = calibrate(drawn(1, 500), Calibration(1.0, 0.0))
    assert FittedCalibration.from_dict(fitted.to_dict()) == fitted
