"""Whether labelled rows are a sample: of all customers, of those acted on, of leavers only."""

import numpy as np
import pytest
from stillgood.domain.outcomes.coverage import SELECTED_P, selection_p


def world(seed, n=1_000):
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(2, 5, n)
    return rng, probabilities, rng.random(n) < probabilities


def p_of(labelled, outcomes, probabilities):
    return selection_p(labelled, outcomes, probabilities, probabilities, probabilities >= 0.4)


def test_a_random_third_is_a_sample_in_all_but_one_of_a_thousand_spans():
    found = []
    for seed in range(400):
        rng, probabilities, outcomes = world(seed)
        found.append(p_of(rng.random(1_000) < 0.3, outcomes, probabilities) < SELECTED_P)
    assert sum(found) <= 3


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
