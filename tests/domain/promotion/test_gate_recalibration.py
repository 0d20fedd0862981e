"""The champion's own ranking may come back with better probabilities or a mended recall, and with nothing else."""

from dataclasses import replace

import numpy as np
from stillgood.domain.contract.contract import Costs, Floors
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.gate import GateInputs, decide

FLOORS = Floors(roc_auc=0.75, recall=0.8, precision=0.3)


def case(*, champion=(0.0, 0.0), candidate=(0.0, 0.0), share=0.3, rows=3000, **more):
    """One ranking twice; each model has (what its probabilities are off by, its threshold), both in logits."""
    rng = np.random.default_rng(7)
    x = rng.normal(scale=2.0, size=rows) + np.log(share / (1 - share))
    y = rng.random(rows) < 1 / (1 + np.exp(-x))
    models = [
        HoldoutScores(version, x, 1 / (1 + np.exp(-(x + off))), threshold)
        for version, (off, threshold) in (("candidate", candidate), ("champion", champion))
    ]
    return GateInputs(models[0], models[1], y.astype(int), FLOORS, **more)


SURE = -1.5  # a threshold that keeps recall above its floor here
BLIND = 1.0  # one that does not


def test_better_probabilities_are_promoted():
    decision = decide("guarded", case(champion=(0.8, SURE), candidate=(0.0, SURE)))

    assert decision.promote
    assert decision.figures["recalibration"] is True
    assert decision.reasons[0].startswith("Brier score -0.")


def test_worse_probabilities_are_refused():
    decision = decide("guarded", case(champion=(0.0, SURE), candidate=(0.8, SURE)))

    assert not decision.promote
    assert "A Brier score lower" in decision.would_change[0]


def test_probabilities_that_differ_by_a_hair_are_refused():
    assert not decide("guarded", case(champion=(0.02, SURE), candidate=(0.0, SURE))).promote


def test_a_recall_under_its_floor_may_be_mended_at_the_cost_of_precision():
    mended = case(champion=(0.0, BLIND), candidate=(0.0, SURE))
    decision = decide("guarded", mended)

    assert decision.promote
    figures = decision.figures
    assert figures["champion"]["recall"]["high"] < 0.8 <= figures["candidate"]["recall"]["value"]
    assert figures["paired"]["precision"]["difference"] < -0.02


def test_a_mended_recall_does_not_excuse_a_precision_under_its_floor():
    everybody = case(champion=(0.0, BLIND), candidate=(0.0, -99.0), share=0.1)

    assert not decide("guarded", everybody).promote


def test_a_recall_that_is_above_its_floor_buys_no_precision():
    assert not decide("guarded", case(champion=(0.0, SURE), candidate=(0.0, SURE - 1.0))).promote


def test_where_costs_set_the_threshold_there_is_no_floor_to_mend():
    costly = case(champion=(0.0, BLIND), candidate=(0.0, SURE), costs=Costs(miss=5.0, offer=1.0, capacity=None))

    assert not decide("guarded", costly).promote


def test_better_probabilities_do_not_excuse_a_lost_recall():
    assert not decide("guarded", case(champion=(0.8, SURE), candidate=(0.0, BLIND))).promote


def test_earlier_attempts_on_the_same_rows_raise_the_bar():
    close = next(
        inputs
        for off in np.arange(0.02, 0.6, 0.02)
        if decide("guarded", inputs := case(champion=(float(off), SURE), candidate=(0.0, SURE))).promote
    )

    assert not decide("guarded", replace(close, attempts=50)).promote


def test_the_seed_gate_promotes_no_recalibration():
    assert not decide("simple", case(champion=(0.8, SURE), candidate=(0.0, SURE))).promote


def test_the_same_model_under_another_name_has_nothing_to_gain():
    decision = decide("guarded", case(champion=(0.0, SURE), candidate=(0.0, SURE)))

    assert not decision.promote
    assert "nothing to gain" in decision.reasons[0]
