"""The threshold meets its objective by the estimate, and the estimate and its error are those of a simulation with
known truth.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stillgood.domain.contract.contract import Objective
from stillgood.domain.model.model import Calibration
from stillgood.domain.operating_point.calibration import FittedCalibration, sigmoid
from stillgood.domain.operating_point.placement import Population, estimate, place

SURE = FittedCalibration(Calibration(0.8, -0.5), (0.0, 0.0, 0.0), 1000)
LOGITS = arrays(np.float64, st.integers(1, 80), elements=st.integers(-20, 20).map(lambda n: n / 4))
SHARES = st.floats(0.05, 0.95)


def of(logits: object) -> Population:
    values = np.asarray(logits, dtype=np.float64)
    return Population(values, np.arange(len(values)))


@given(LOGITS, SHARES)
def test_recall_is_reached_with_the_fewest_rows(logits, aim):
    placed = place(Objective("recall", aim), aim, SURE, of(logits))
    assert estimate("recall", SURE, of(logits), placed.threshold).value >= aim - 1e-9
    p = SURE.probabilities(logits)
    fewer = logits > logits[logits >= placed.threshold].min()
    assert p[fewer].sum() < aim * p.sum()


@given(LOGITS, SHARES)
def test_precision_is_reached_with_the_most_rows_or_nobody_is_flagged(logits, aim):
    placed = place(Objective("precision", aim), aim, SURE, of(logits))
    p = SURE.probabilities(logits)
    assert placed.reached == bool(p.max() >= aim)
    assert (p[logits >= placed.threshold].mean() >= aim - 1e-9) if placed.reached else placed.share == 0.0
    below = logits[logits < placed.threshold]
    if len(below) and placed.reached:
        assert p[logits >= below.max()].mean() < aim


@given(LOGITS, SHARES)
def test_a_capacity_is_filled_and_never_exceeded(logits, aim):
    placed = place(Objective("capacity", aim), aim, SURE, of(logits))
    assert placed.share == (logits >= placed.threshold).mean() <= aim + 1e-9
    below = logits[logits < placed.threshold]
    if len(below):
        assert (logits >= below.max()).mean() > aim - 1e-9


@given(LOGITS, SHARES)
def test_with_costs_exactly_the_rows_that_pay_are_flagged(logits, aim):
    placed = place(Objective("cost"), aim, SURE, of(logits))
    p = SURE.probabilities(logits)
    assert ((p >= aim) == (logits >= placed.threshold)).all()


def test_a_capacity_of_29_percent_of_100_rows_is_29_rows():
    """Case D24: .29 * 100 is 28.999999999999996."""
    assert place(Objective("capacity", 0.29), 0.29, SURE, of(np.arange(100.0))).share == 0.29


def test_costs_stay_within_their_capacity():
    assert place(Objective("cost"), 0.01, SURE, of(np.arange(100.0)), capacity=0.1).share == 0.1


@pytest.mark.parametrize("kind", ["recall", "precision", "capacity"])
def test_the_estimate_is_unbiased_and_its_error_is_that_of_the_truth(kind: str):
    """600 windows of 400 rows, each customer with 4 rows of like scores: the mean is the truth of 400,000 rows, and the
    stated
    error the spread. An error without clusters would be half as large."""
    random = np.random.default_rng(7)

    def window(customers: int) -> Population:
        own = random.normal(0.0, 1.5, customers)
        logits = np.repeat(own, 4) + random.normal(0.0, 0.1, 4 * customers)
        return Population(logits, np.repeat(np.arange(customers), 4))

    truth = window(100_000)
    y = random.uniform(size=truth.n) < sigmoid(0.8 * truth.logits - 0.5)
    flagged = truth.logits >= 0.4
    wanted = {"recall": flagged[y].mean(), "precision": y[flagged].mean(), "capacity": flagged.mean()}[kind]
    estimates = [estimate(kind, SURE, window(100), 0.4) for _ in range(600)]
    spread = np.std([figure.value for figure in estimates])
    assert np.mean([figure.value for figure in estimates]) == pytest.approx(wanted, abs=4 * spread / 600**0.5 + 0.004)
    assert np.mean([figure.sampling for figure in estimates]) == pytest.approx(spread, rel=0.1)


def test_an_uncertain_calibration_widens_the_interval():
    unsure = FittedCalibration(SURE.line, (0.02, 0.0, 0.0), 100)
    rows = of(np.linspace(-3, 3, 500))
    sure, wide = (estimate("recall", calibration, rows, 0.5) for calibration in (SURE, unsure))
    assert wide.value == sure.value
    moved = estimate("recall", FittedCalibration(Calibration(0.8 + 1e-6, -0.5), (0.0,) * 3, 1), rows, 0.5)
    assert wide.calibration == pytest.approx(abs(moved.value - sure.value) / 1e-6 * 0.02**0.5, rel=1e-4)


def test_without_rows_there_is_no_estimate():
    with pytest.raises(ValueError, match="needs rows"):
        estimate("recall", SURE, of([]), 0.0)
