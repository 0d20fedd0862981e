"""Labels that say the opposite of the scores are found before they mature. A delay that depends on the outcome, other
customers, or one customer told many times are no opposite.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.outcomes.trust import MIN_LABELS, SourceOutcomes, Z, opposite, rank_z
from stillgood.domain.statistics.delong import roc_auc

type Random = np.random.Generator


def told(rng: Random, n: int, *, spread: float = 1.5, kept: tuple[float, float] = (1.0, 1.0)) -> SourceOutcomes:
    """``n`` truthful labels; of negatives and positives the shares ``kept`` have been told so far."""
    p = 1 / (1 + np.exp(-spread * rng.normal(size=4 * n)))
    y = rng.uniform(size=len(p)) < p
    early = rng.uniform(size=len(p)) < np.where(y, kept[1], kept[0])
    return SourceOutcomes(p[early][:n], y[early][:n])


def lied(rng: Random, n: int) -> SourceOutcomes:
    honest = told(rng, n)
    return SourceOutcomes(honest.probabilities, honest.probabilities < 0.5)


def test_a_day_of_fifty_opposite_labels_is_found_in_each_of_a_hundred_seeds() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = opposite("caller:x", lied(rng, MIN_LABELS), [told(rng, 200)])
        assert found is not None
        assert found.roc_auc == 0.0


@pytest.mark.parametrize("kept", [(1.0, 1.0), (0.05, 1.0), (1.0, 0.1)])
def test_yes_that_comes_sooner_than_no_or_later_is_no_opposite(kept: tuple[float, float]) -> None:
    z = [rank_z(told(np.random.default_rng((seed, 1)), 200, kept=kept)) for seed in range(300)]
    assert min(z) > -1.0


def test_labels_that_have_nothing_to_do_with_the_scores_pass_as_often_as_the_normal_law_says() -> None:
    rng = np.random.default_rng(4)
    z = np.array([rank_z(SourceOutcomes(rng.uniform(size=60), rng.uniform(size=60) < 0.3)) for _ in range(4_000)])
    assert abs(float(z.mean())) < 0.05
    assert abs(float((z < -1.645).mean()) - 0.05) < 0.012
    assert float(z.min()) > -Z


def test_one_customer_told_a_hundred_times_is_one_customer() -> None:
    rng = np.random.default_rng(5)
    several = lied(rng, 200)
    few = SourceOutcomes(several.probabilities, several.outcomes, np.arange(200, dtype=np.uint64) % 5 + 1)
    assert opposite("caller:x", few, [told(rng, 200)]) is None
    assert rank_z(several) < -Z
    nobody = SourceOutcomes(several.probabilities, several.outcomes, np.zeros(200, np.uint64))
    assert rank_z(nobody) == rank_z(several)


def test_when_those_who_are_compared_with_say_the_same_it_is_the_world_that_turned() -> None:
    rng = np.random.default_rng(6)
    newest, turned, honest, few = lied(rng, 100), lied(rng, 100), told(rng, 400), told(rng, MIN_LABELS - 1)
    assert opposite("caller:x", newest, [turned, honest]) is None
    assert opposite("caller:x", newest, [few, honest]) is not None
    assert opposite("caller:x", newest, [few]) is None
    assert opposite("caller:x", newest, []) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 80), st.booleans())
def test_z_has_the_sign_of_the_roc_auc_and_neither_order_nor_scale_matters(seed: int, n: int, named: bool) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.integers(0, 20, n) / 20, rng.uniform(size=n) < 0.5
    entities = rng.integers(0, 10, n).astype(np.uint64) if named else None
    z = rank_z(SourceOutcomes(p, y, entities))
    if 0 < y.sum() < n:
        assert np.sign(round(z, 9)) == np.sign(round(roc_auc(p, y) - 0.5, 9))
    order = rng.permutation(n)
    again = SourceOutcomes(p[order] ** 3, y[order], None if entities is None else entities[order])
    assert rank_z(again) == pytest.approx(z)
    assert rank_z(SourceOutcomes(p, ~y, entities)) == pytest.approx(-z)
