"""Whether labelled rows are a sample: of all customers, of those acted on, of leavers only."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from stillgood.domain.outcomes.coverage import SELECTED_P, Sample, judge_span, selection_p

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def world(seed, n=1_000):
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(2, 5, n)
    return rng, probabilities, rng.random(n) < probabilities


def sample(labelled, outcomes, probabilities, stratum=None):
    strata = np.zeros(len(labelled), int) if stratum is None else stratum
    return Sample(strata, labelled, outcomes, probabilities, probabilities, probabilities >= 0.4)


def p_of(*arrays):
    return selection_p(sample(*arrays))


def test_a_random_third_is_a_sample_in_all_but_one_of_a_thousand_spans():
    selected = []
    for seed in range(400):
        rng, probabilities, outcomes = world(seed)
        selected.append(p_of(rng.random(1_000) < 0.3, outcomes, probabilities) < SELECTED_P)
    assert sum(selected) <= 3


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_labels_of_leavers_only_are_selected_even_when_few(share):
    rng, probabilities, outcomes = world(1)
    assert p_of(outcomes & (rng.random(1_000) < share), outcomes, probabilities) < SELECTED_P


def test_labels_of_those_acted_on_are_selected():
    _, probabilities, outcomes = world(2)
    assert p_of(probabilities >= 0.4, outcomes, probabilities) < SELECTED_P


def test_where_every_row_has_a_label_nothing_was_selected():
    _, probabilities, outcomes = world(3)
    assert p_of(np.ones(1_000, bool), outcomes, probabilities) == 1.0
    assert p_of(np.ones(1_000, bool), np.ones(1_000, bool), probabilities) == 1.0


def test_three_positive_labels_of_likely_leavers_prove_nothing():
    labelled = np.zeros(300, bool)
    labelled[:3] = True
    assert p_of(labelled, labelled, np.full(300, 0.8)) > 0.5


def test_fewer_labels_and_riskier_customers_of_late_are_no_choice_within_their_days():
    selected, naive = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        day = np.repeat([0, 1], 500)
        probabilities = rng.beta(2, 5, 1_000) * np.where(day == 0, 0.5, 1.0)
        labelled = rng.random(1_000) < np.where(day == 0, 0.9, 0.2)
        outcomes = rng.random(1_000) < probabilities
        selected.append(p_of(labelled, outcomes, probabilities, day) < SELECTED_P)
        naive.append(p_of(labelled, outcomes, probabilities) < SELECTED_P)
    assert sum(selected) <= 1
    assert sum(naive) == 100


def test_small_shares_of_picked_rows_add_up_over_days():
    parts = []
    for seed in range(20):
        rng, probabilities, outcomes = world(seed, 150)
        parts.append(sample(rng.random(150) < 0.1 + 0.3 * probabilities, outcomes, probabilities))
    assert min(map(selection_p, parts)) > SELECTED_P / 100
    assert selection_p(Sample.together(parts)) < SELECTED_P


@pytest.mark.parametrize(
    ("rows", "share", "min_coverage", "trusted"),
    [(1_000, 0.3, 0.0, True), (1_000, 0.3, 0.5, False), (100, 0.3, 0.0, False), (100, 1.0, 0.5, True), (100, 0, 0, False)],  # noqa: E501
    ids=["a sample", "under the contract's floor", "too small to tell", "small but whole", "no label"],
)  # fmt: skip
def test_a_span_is_trusted_when_it_is_covered_and_large_enough_to_tell(rows, share, min_coverage, trusted):
    rng, probabilities, outcomes = world(4, rows)
    span = judge_span(
        DAY,
        DAY + timedelta(days=1),
        sample(rng.random(rows) < share, outcomes, probabilities),
        min_rows=200,
        min_coverage=min_coverage,
    )
    assert span.trusted is trusted
    assert not span.selected
