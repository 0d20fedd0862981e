"""The gate promotes only what it can show to be better, and says why not in every other case."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Floors
from stillgood.domain.promotion.checks import alpha_for
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.gate import GateInputs, decide

FLOORS = Floors(roc_auc=0.75, recall=0.8, precision=0.3)


def scored(version, logits, threshold=0.0):
    logits = np.asarray(logits, dtype=float)
    return HoldoutScores(version, logits, 1 / (1 + np.exp(-logits)), threshold)


def case(*, rows=1400, noise=(0.8, 1.6), thresholds=(-0.9, -0.9), seed=5, **more):
    """A candidate and a champion that read one signal, each with its own noise; by default the candidate reads it
    better.
    """
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < 0.3
    signal = 2.0 * y - 1.0
    models = [
        scored(version, signal + rng.normal(scale=sd, size=rows), threshold)
        for version, sd, threshold in zip(("candidate", "champion"), noise, thresholds, strict=True)
    ]
    return GateInputs(models[0], models[1], y.astype(int), FLOORS, **more)


def swapped(judged):
    return replace(judged, candidate=judged.champion, champion=judged.candidate)


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_a_better_candidate_is_promoted_with_the_figures_that_speak_for_it(gate):
    decision = decide(gate, case())
    assert decision.promote
    assert decision.gate == gate
    assert any("ROC-AUC 0.9" in reason for reason in decision.reasons)
    assert decision.would_change == ()
    assert decision.figures["candidate"]["rows"] == 1400


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_a_worse_candidate_is_refused_with_what_would_have_changed_it(gate):
    decision = decide(gate, swapped(case()))
    assert not decision.promote
    assert "ROC-AUC" in decision.reasons[0]
    assert "ROC-AUC" in decision.would_change[0]


def test_the_seed_gate_takes_luck_for_progress_and_the_guarded_gate_does_not():
    lucky = next(c for seed in range(99) if decide("simple", c := case(noise=(1.2, 1.2), seed=seed)).promote)
    decision = decide("guarded", lucky)
    assert not decision.promote
    assert "p = " in decision.reasons[0]


def test_recall_bought_with_precision_is_refused():
    decision = decide("guarded", case(thresholds=(-2.5, -0.9)))
    assert not decision.promote
    assert [reason.split()[0] for reason in decision.reasons] == ["Precision"]


def test_a_better_ranking_that_loses_recall_is_refused():
    decision = decide("guarded", case(thresholds=(0.6, -0.9)))
    assert not decision.promote
    assert [reason.split()[0] for reason in decision.reasons] == ["Recall"]


def at_recall(logits, y, recall):
    """The threshold that flags this share of the positives."""
    ordered = np.sort(logits[y == 1])
    return float(ordered[round((1 - recall) * len(ordered))])


def with_recalls(judged, candidate, champion):
    """The same case with thresholds that give these recalls."""
    models = {"candidate": (judged.candidate, candidate), "champion": (judged.champion, champion)}
    return replace(
        judged,
        **{who: replace(m, threshold_logit=at_recall(m.logits, judged.y, r)) for who, (m, r) in models.items()},
    )


def test_a_small_loss_of_recall_is_refused_once_many_rows_show_it():
    assert decide("guarded", with_recalls(case(rows=700), 0.86, 0.895)).promote
    decision = decide("guarded", with_recalls(case(rows=40_000), 0.86, 0.895))
    assert [reason.split()[0] for reason in decision.reasons] == ["Recall"]


def test_a_large_loss_of_recall_is_refused_however_few_rows_show_it():
    few = with_recalls(case(rows=120, noise=(0.4, 2.0)), 0.82, 0.90)
    decision = decide("guarded", few)
    assert decision.figures["paired"]["recall"]["high"] > -0.02
    assert [reason.split()[0] for reason in decision.reasons] == ["Recall"]


def test_a_gain_too_small_to_matter_is_refused_however_sure():
    good = case(rows=5000)
    decision = decide(
        "guarded", replace(good, candidate=scored("candidate", good.champion.logits + 0.005 * good.y, -0.9))
    )
    auc = decision.figures["paired"]["roc_auc"]
    assert auc["p"] < 1e-6
    assert 0 < auc["difference"] < 0.002
    assert not decision.promote


def test_the_seed_gate_refuses_a_better_ranking_that_loses_any_recall():
    decision = decide("simple", with_recalls(case(), 0.895, 0.90))
    assert [reason.split()[0] for reason in decision.reasons] == ["Recall"]


def test_many_slices_raise_the_bar_for_blaming_one():
    good = case()
    positives = np.flatnonzero(good.y)
    slice_ = np.isin(np.arange(1400), positives[:40])
    spared = np.isin(np.arange(1400), positives[40:])
    logits, champion = good.candidate.logits.copy(), good.champion.logits.copy()
    logits[positives[:40]], champion[positives[:40]] = 3.0, 3.0
    logits[positives[:8]] = -0.91
    judged = replace(good, candidate=scored("candidate", logits, -0.9), champion=scored("champion", champion, -0.9))
    others = {f"other {k}": spared for k in range(39)}

    assert not decide("guarded", replace(judged, segments={"one": slice_})).promote
    assert decide("guarded", replace(judged, segments={"one": slice_, **others})).promote


def test_a_better_ranking_with_spoilt_probabilities_is_refused():
    good = case()
    spoilt = replace(good.candidate, probabilities=np.sqrt(good.candidate.probabilities))
    decision = decide("guarded", replace(good, candidate=spoilt))
    assert not decision.promote
    assert [reason.split()[0] for reason in decision.reasons] == ["Brier"]


def test_a_slice_that_loses_recall_is_named():
    good = case()
    elderly = np.arange(1400) < 300
    worse = np.where(elderly & (good.y == 1), good.candidate.logits - 2.0, good.candidate.logits)
    segments = {"senior_citizen = 1": elderly, "senior_citizen = 0": ~elderly, "contract = rare": np.arange(1400) < 20}

    decision = decide("guarded", replace(good, candidate=scored("candidate", worse, -0.9), segments=segments))

    assert not decision.promote
    assert any("Recall among senior_citizen = 1 is -" in reason for reason in decision.reasons)
    assert any("1 of 2 slices (1 more have fewer than 30 positives)" in c["says"] for c in decision.figures["checks"])


def test_a_slice_that_keeps_its_recall_stands_in_nobodys_way():
    good = case()
    assert decide("guarded", replace(good, segments={"all": np.ones(1400, dtype=bool)})).promote


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_the_champion_is_no_candidate_for_its_own_place(gate):
    good = case()
    again = replace(good, candidate=good.champion)
    assert not decide(gate, again).promote
    renamed = replace(good, candidate=replace(good.champion, version="candidate"))
    assert not decide(gate, renamed).promote


def test_the_guarded_gate_says_that_the_candidate_is_the_champion():
    good = case()
    assert decide("guarded", replace(good, candidate=good.champion)).reasons == ("champion is the champion already.",)
    renamed = replace(good, candidate=replace(good.champion, version="candidate"))
    assert "every row the champion's score" in decide("guarded", renamed).reasons[0]


@pytest.mark.parametrize("gate", ["simple", "guarded"])
@pytest.mark.parametrize("who", ["candidate", "champion"])
@pytest.mark.parametrize("what", ["logits", "probabilities"])
@pytest.mark.parametrize("how", ["nan", "short"])
def test_scores_that_cannot_be_trusted_are_refused(gate, who, what, how):
    good = case()
    model = getattr(good, who)
    column = getattr(model, what).copy()
    column[7] = math.nan
    broken = replace(model, **{what: column if how == "nan" else column[1:]})

    decision = decide(gate, replace(good, **{who: broken}))

    assert not decision.promote
    assert decision.reasons[0].startswith("The gate could not judge: ValueError")


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_outcomes_or_a_threshold_that_are_not_numbers_are_refused(gate):
    good = case()
    unknown = good.y.astype(float)
    unknown[3] = math.nan
    assert not decide(gate, replace(good, y=unknown)).promote
    assert not decide(gate, replace(good, candidate=replace(good.candidate, threshold_logit=math.nan))).promote


def test_a_gate_that_does_not_exist_promotes_nothing():
    decision = decide("lenient", case())
    assert not decision.promote
    assert "KeyError: 'lenient'" in decision.reasons[0]


def test_too_few_rows_are_not_enough_evidence():
    decision = decide("guarded", case(rows=80))
    assert not decision.promote
    assert decision.reasons[0].startswith("Not enough evidence: the holdout has ")
    assert decision.would_change == ("More labelled holdout rows.",)


def test_one_outcome_only_is_not_enough_evidence():
    good = case()
    for gate in ("simple", "guarded"):
        decision = decide(gate, replace(good, y=np.zeros(1400, dtype=int)))
        assert not decision.promote
        assert decision.reasons[0].startswith("Not enough evidence: ")


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_the_first_model_is_held_against_the_floors_whatever_the_gate(gate):
    first = replace(case(), champion=None)
    decision = decide(gate, first)
    assert decision.promote
    assert decision.gate == "first-model"

    under = decide(gate, replace(first, floors=Floors(roc_auc=0.99, recall=0.8, precision=0.3)))
    assert not under.promote
    assert "demonstrably under the floor 0.990" in under.reasons[0]


def test_a_first_model_a_hair_under_its_floor_passes_because_that_may_be_chance():
    first = replace(case(), champion=None)
    recall = decide("guarded", first).figures["candidate"]["recall"]
    near = decide("guarded", replace(first, floors=replace(FLOORS, recall=recall["value"] + 0.005)))
    assert near.promote
    assert "is within chance of the floor" in near.reasons[1]
    assert not decide("guarded", replace(first, floors=replace(FLOORS, recall=recall["high"] + 0.001))).promote


def test_attempts_on_one_holdout_share_one_error_budget():
    assert sum(alpha_for(earlier) for earlier in range(10_000)) == pytest.approx(0.05, abs=1e-5)


def test_a_repeated_attempt_needs_stronger_evidence():
    def p(c):
        return decide("guarded", c).figures["paired"]["roc_auc"]["p"]

    close = next(
        c
        for seed in range(999)
        if 0.009 < p(c := case(noise=(1.1, 1.25), seed=seed)) < 0.02 and decide("guarded", c).promote
    )
    second = decide("guarded", replace(close, attempts=1))
    assert not second.promote
    assert "not under 0.0083, corrected for 1 earlier attempt on this holdout" in second.reasons[0]


def test_the_figures_are_json():
    for gate in ("simple", "guarded"):
        json.dumps(decide(gate, case()).figures, allow_nan=False)


cases = st.builds(
    case,
    rows=st.integers(20, 300),
    noise=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
    thresholds=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    seed=st.integers(0, 2**32 - 1),
)


@given(cases, st.sampled_from(["simple", "guarded"]))
def test_no_pair_of_models_is_promoted_both_ways(judged, gate):
    assert not (decide(gate, judged).promote and decide(gate, swapped(judged)).promote)


@given(cases, st.integers(0, 20), st.integers(1, 20))
def test_more_attempts_never_turn_a_refusal_into_a_promotion(judged, attempts, more):
    fewer = decide("guarded", replace(judged, attempts=attempts)).promote
    assert fewer or not decide("guarded", replace(judged, attempts=attempts + more)).promote


@given(cases, st.sampled_from(["simple", "guarded"]), st.data())
def test_nothing_is_ever_promoted_on_a_nan(judged, gate, data):
    who = data.draw(st.sampled_from(["candidate", "champion"]))
    what = data.draw(st.sampled_from(["logits", "probabilities"]))
    model = getattr(judged, who)
    column = getattr(model, what).copy()
    column[data.draw(st.integers(0, len(column) - 1))] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    assert not decide(gate, replace(judged, **{who: replace(model, **{what: column})})).promote


@given(cases, st.sampled_from(["simple", "guarded"]))
def test_every_refusal_has_a_reason_and_what_would_have_changed_it(judged, gate):
    decision = decide(gate, judged)
    assert all(decision.reasons)
    assert bool(decision.would_change) != decision.promote
