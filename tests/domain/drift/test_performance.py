"""Performance is estimated from probabilities before the labels come, and compared with the promise once they have."""

from dataclasses import replace

import numpy as np
import pytest
from stillgood.domain.drift.histograms import ScoreHistogram
from stillgood.domain.drift.performance import EstimatedPerformance, estimate_performance, realise_performance
from stillgood.domain.drift.reference import Distribution
from stillgood.domain.errors import OneClassOnly
from stillgood.domain.model.evaluation import Estimate, evaluate, roc_auc


def customers(seed, rows, *, risk=0.0):
    """Calibrated probabilities, the decisions on them, and outcomes that obey them."""
    rng = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-(rng.normal(-1 + risk, 1.5, rows))))
    return probability, probability >= 0.4, rng.random(rows) < probability


def scored(probability, decision):
    return ScoreHistogram.of(Distribution.of([0.5]), probability, probability, decision)


def test_the_estimate_is_the_expectation_over_pairs():
    estimated = estimate_performance(scored([0.1, 0.6, 0.9], [False, True, True]))
    p = [0.1, 0.6, 0.9]
    pairs = [(i, j, 1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0) for i in range(3) for j in range(3)]
    auc = sum(p[i] * (1 - p[j]) * wins for i, j, wins in pairs) / (sum(p) * sum(1 - q for q in p))

    assert estimated.roc_auc == pytest.approx(auc)
    assert estimated.recall == pytest.approx(1.5 / 1.6)
    assert estimated.precision == pytest.approx(0.75)
    assert estimated.positive_share == pytest.approx(1.6 / 3)


@pytest.mark.parametrize("risk", [-0.5, 0.0, 1.0])
def test_the_estimate_follows_a_change_in_who_is_scored(risk):
    probability, decision, outcome = customers(1, 20_000, risk=risk)

    estimated = estimate_performance(scored(probability, decision))

    assert estimated.roc_auc == pytest.approx(roc_auc(probability, outcome), abs=0.01)
    assert estimated.recall == pytest.approx(decision[outcome].mean(), abs=0.015)
    assert estimated.precision == pytest.approx(outcome[decision].mean(), abs=0.015)


def test_the_estimate_is_blind_to_concept_drift_and_says_so():
    probability, decision, outcome = customers(1, 5_000)

    estimated = estimate_performance(scored(probability, decision))

    assert estimated.roc_auc > 0.75
    assert roc_auc(probability, ~outcome) < 0.25
    assert "blind to concept drift" in estimated.to_dict()["caveat"]


def test_what_no_row_defines_is_none():
    assert estimate_performance(scored([], [])) == EstimatedPerformance(0, None, None, None, None)
    assert estimate_performance(scored([0.2], [False])).precision is None
    assert estimate_performance(scored([0.0, 0.0], [False, False])).roc_auc is None


def promised(seed=3):
    probability, _, outcome = customers(seed, 4_000)
    return evaluate(probability, probability, outcome, 0.4)


def test_realised_performance_as_promised_is_no_drop():
    probability, decision, outcome = customers(4, 2_000)

    realised = realise_performance(probability, probability, decision, outcome, promised=promised(), coverage=0.8)

    assert realised.metrics.recall.value == pytest.approx(decision[outcome].mean())
    assert realised.metrics.flagged == decision.sum()
    assert realised.drop_p > 0.01
    assert realised.calibration_p > 0.01
    assert realised.coverage == 0.8


def test_customers_who_changed_their_behaviour_show_as_a_drop():
    probability, decision, outcome = customers(4, 2_000)
    flipped = np.where(np.random.default_rng(5).random(2_000) < 0.2, ~outcome, outcome)

    realised = realise_performance(probability, probability, decision, flipped, promised=promised())

    assert realised.drop > 0.05
    assert realised.drop_p < 0.001


def test_more_positives_than_predicted_show_as_a_gap():
    probability, decision, _ = customers(4, 2_000)
    outcome = np.random.default_rng(6).random(2_000) < np.minimum(probability + 0.1, 1)

    realised = realise_performance(probability, probability, decision, outcome, promised=promised())

    assert realised.calibration_gap == pytest.approx(0.09, abs=0.03)
    assert realised.calibration_p < 1e-6


def test_nobody_flagged_is_a_recall_of_nothing():
    probability, _, outcome = customers(4, 500)

    realised = realise_performance(probability, probability, [False] * 500, outcome, promised=promised())

    assert (realised.metrics.recall.value, realised.metrics.flagged) == (0.0, 0)


def test_a_recall_below_the_promise_shows_with_its_p():
    probability, _, outcome = customers(4, 2_000)

    realised = realise_performance(probability, probability, probability >= 0.6, outcome, promised=promised())

    assert realised.recall_drop == pytest.approx(
        promised().recall.value - outcome[probability >= 0.6].sum() / outcome.sum()
    )
    assert realised.recall_drop_p < 1e-6


def test_the_fewer_rows_a_promise_rests_on_the_less_a_gap_proves():
    probability, decision, _ = customers(4, 2_000)
    outcome = np.random.default_rng(6).random(2_000) < np.minimum(probability + 0.04, 1)
    few = replace(promised(), rows=100)

    assert realise_performance(probability, probability, decision, outcome, promised=promised()).calibration_p < 0.01
    assert realise_performance(probability, probability, decision, outcome, promised=few).calibration_p > 0.2


def test_labels_of_one_kind_only_are_an_error():
    with pytest.raises(OneClassOnly):
        realise_performance([0.1, 0.2], [0.1, 0.2], [False, True], [0, 0], promised=promised())


def test_outcomes_of_the_same_few_customers_are_fewer_outcomes():
    rng = np.random.default_rng(4)
    probability = rng.beta(2, 4, 300)
    outcome, who = rng.random(300) < probability, np.arange(300)
    once = realise_performance(probability, probability, probability > 0.3, outcome, promised=promised())
    copies = [np.tile(column, 12) for column in (probability, probability, probability > 0.3, outcome)]

    naive = realise_performance(*copies, promised=promised())
    clustered = realise_performance(*copies, promised=promised(), entities=np.tile(who, 12))

    def width(performance):
        return performance.metrics.roc_auc.high - performance.metrics.roc_auc.low

    assert width(clustered) == pytest.approx(width(once), rel=0.05)
    assert width(naive) < width(once) / 3
    assert clustered.calibration_variance == pytest.approx(once.calibration_variance, rel=0.15)


def test_a_promise_is_kept_in_every_look_of_nineteen_years_out_of_twenty():
    """150 champions, their outcomes added up and looked at after each of 20 windows: at 5% one in twenty is ever
    doubted.
    """
    rng = np.random.default_rng(5)
    doubted = 0
    for _ in range(150):
        probability = rng.beta(2, 4, 6_400)
        outcome = rng.random(6_400) < probability
        said = evaluate(probability[:2400], probability[:2400], outcome[:2400], 0.3)
        looks = [
            realise_performance(p, p, p > 0.3, y, promised=said)
            for p, y in ((probability[2400 : 2400 + n], outcome[2400 : 2400 + n]) for n in range(200, 4001, 200))
        ]
        doubted += any(look.drop_always_p < 0.05 for look in looks)
    assert doubted / 150 <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_a_promise_from_few_rows_is_no_yardstick_for_a_small_drop():
    rng = np.random.default_rng(6)
    probability = rng.beta(2, 4, 20_000)
    outcome = rng.random(20_000) < probability * 0.6 + 0.1
    performance = realise_performance(probability, probability, probability > 0.3, outcome, promised=promised())
    few = replace(
        performance.promised,
        roc_auc=Estimate(*(performance.promised.roc_auc.value + reach for reach in (0, -0.2, 0.2))),
    )

    assert performance.drop_always_p < 0.01
    assert replace(performance, promised=few).drop_always_p > 0.3
