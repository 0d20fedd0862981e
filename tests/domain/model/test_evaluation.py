"""Every metric carries an interval that means something, and a metric that means nothing is an error."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score
from stillgood.domain.errors import OneClassOnly
from stillgood.domain.model.evaluation import Estimate, Metrics, brier, calibration_error, evaluate, f1_estimate, wilson


def model(rows=500, seed=3):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.3).astype(int)
    logits = 2.0 * y - 1.5 + rng.normal(size=rows)
    return logits, 1 / (1 + np.exp(-logits)), y


def test_the_metrics_are_those_of_scikit_learn():
    logits, probabilities, y = model()
    decisions = logits >= 0.2

    metrics = evaluate(logits, probabilities, y, 0.2)

    assert metrics.recall.value == pytest.approx(recall_score(y, decisions))
    assert metrics.precision.value == pytest.approx(precision_score(y, decisions))
    assert metrics.f1.value == pytest.approx(f1_score(y, decisions))
    assert metrics.brier.value == pytest.approx(brier_score_loss(y, probabilities))
    assert (metrics.rows, metrics.positives, metrics.flagged) == (500, y.sum(), decisions.sum())


def test_the_metrics_survive_json_unchanged():
    metrics = evaluate(*model(), 0.0)
    assert Metrics.from_dict(json.loads(json.dumps(metrics.to_dict(), allow_nan=False))) == metrics


def test_a_row_on_the_threshold_is_flagged():
    assert evaluate([0.0, 1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], 2.0).flagged == 2


def test_flagging_nobody_has_recall_0_and_claims_nothing_about_precision():
    metrics = evaluate([0.0, 1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], 9.0)
    assert metrics.recall.value == 0.0
    assert metrics.precision == Estimate(0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_wilson_interval_is_that_of_newcombes_table_1(successes, trials, low, high):
    """R. G. Newcombe (1998), Statistics in Medicine 17, 857-872, method 3."""
    share = wilson(successes, trials)
    assert share.value == successes / trials
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_the_interval_of_f1_holds_the_f1(hits, false_alarms, misses):
    estimate = f1_estimate(hits, false_alarms, misses)
    counted = 2 * hits + false_alarms + misses
    assert estimate.value == pytest.approx(2 * hits / counted if counted else 0.0)
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0


def test_the_interval_of_the_brier_score_covers_the_truth_95_times_in_100():
    """Outcomes drawn from the stated probabilities uniform on [0, 1]: E[(p - y)^2] = E[p (1 - p)] = 1 / 6."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        p = rng.random(200)
        estimate = brier(p, rng.random(200) < p)
        covered += estimate.low <= 1 / 6 <= estimate.high
    assert 367 <= covered <= 393


def test_calibration_error_is_the_gap_between_what_was_said_and_what_happened():
    said, happened = np.repeat([0.2, 0.6], 50), np.repeat([0, 1, 0, 1], [40, 10, 25, 25])
    assert calibration_error(said, happened, bins=2) == pytest.approx((0.0 + 0.1) / 2)


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_one_outcome_only_cannot_be_evaluated(y):
    with pytest.raises(OneClassOnly, match="both outcomes"):
        evaluate([1, 2, 3], [0.1, 0.2, 0.3], y, 0.0)


@pytest.mark.parametrize(
    ("logits", "probabilities", "threshold", "says"),
    [
        ([1, math.nan, 3, 4], [0.1, 0.2, 0.3, 0.4], 2.0, "NaN"),
        ([1, 2, 3, 4], [0.1, 0.2, math.nan, 0.4], 2.0, "NaN"),
        ([1, 2, 3, 4], [0.1, 0.2, 0.3, 1.4], 2.0, "between 0 and 1"),
        ([1, 2, 3, 4], [0.1, 0.2, 0.3], 2.0, "one length"),
        ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], math.nan, "threshold must be finite"),
    ],
)
def test_a_metric_that_would_mean_nothing_is_an_error(logits, probabilities, threshold, says):
    with pytest.raises(ValueError, match=says):
        evaluate(logits, probabilities, [0, 0, 1, 1], threshold)


@pytest.mark.parametrize("parts", [(math.nan, 0, 1), (0.5, math.nan, 1), (0.5, 0, math.inf), (0.5, 0.6, 1)])
def test_an_estimate_is_finite_and_inside_its_interval(parts):
    with pytest.raises(ValueError, match="an estimate"):
        Estimate(*parts)


@pytest.mark.parametrize("name", ["roc_auc", "recall", "precision", "f1", "brier", "calibration_error"])
def test_metrics_with_a_part_missing_or_nan_cannot_be_read(name):
    data = evaluate(*model(), 0.0).to_dict()
    with pytest.raises(KeyError, match=name):
        Metrics.from_dict({key: value for key, value in data.items() if key != name})
    broken = math.nan if name == "calibration_error" else {"value": math.nan, "low": 0.0, "high": 1.0}
    with pytest.raises(ValueError, match="finite"):
        Metrics.from_dict(data | {name: broken})
