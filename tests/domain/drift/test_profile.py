"""Profiles are exact counts, and those of parts add up to that of the whole."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.histograms import PROBABILITY_BINS, Histogram
from stillgood.domain.drift.profile import Profile, Reference, build_reference, profile
from stillgood.domain.drift.reference import Distribution
from stillgood.domain.drift.two_sample import kolmogorov_smirnov

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "price", "kind": "numeric", "nullable": True},
            {"name": "visits", "kind": "integer", "minimum": 0},
            {"name": "member", "kind": "boolean", "nullable": True},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "nullable": True, "unseen": "accept"},
            {"name": "postcode", "kind": "categorical", "levels": ["1010", "1020"], "pii": True},
        ],
    }
)
MODEL = SimpleNamespace(version="v1", contract=CONTRACT, pairs=())  # a reference needs no more of a model

row = st.fixed_dictionaries(
    {
        "price": st.one_of(st.none(), st.integers(-3, 12).map(lambda tenth: tenth / 10)),
        "visits": st.integers(0, 5).map(float),
        "member": st.sampled_from([None, 0.0, 1.0]),
        "plan": st.sampled_from([None, "basic", "plus", "gold"]),
        "postcode": st.just("1010"),
    }
)
rows = st.lists(row, max_size=30)


def reference():
    rng = np.random.default_rng(1)
    values = [
        {"price": price, "visits": float(visits), "member": 1.0, "plan": "basic", "postcode": "1010"}
        for price, visits in zip(rng.integers(0, 10, 50) / 10, rng.integers(0, 4, 50), strict=True)
    ]
    return build_reference(MODEL, Frame.from_values(CONTRACT, values), rng.random(50).round(2))


def window(values, seed=0):
    """The profile of ``values`` with made-up scores that depend on the row only."""
    scores = np.array([abs(hash((v["price"], v["visits"], seed))) % 101 / 100 for v in values])
    return profile(
        reference(),
        Frame.from_values(CONTRACT, values),
        scores,
        scores / 2,
        scores >= 0.5,
        models={"v1": len(values)} if values else {},
    )


def same(first: Profile, second: Profile) -> bool:
    """Counts to the last one, sums to 1e-9: adding floats in another order may round otherwise."""
    mine, theirs = first.to_dict(), second.to_dict()
    sums = [part["scores"].pop("confidence") for part in (mine, theirs)]
    bins = [
        dict(zip(part["scores"]["bins"]["i"], part["scores"]["bins"].pop("n"), strict=True)) for part in (mine, theirs)
    ]
    return (
        mine == theirs and sums[0] == pytest.approx(sums[1], abs=1e-9) and bins[0] == pytest.approx(bins[1], abs=1e-9)
    )


@settings(max_examples=60, deadline=None)
@given(first=rows, second=rows)
def test_profiles_of_two_parts_add_up_to_that_of_the_whole(first, second):
    assert same(window(first) + window(second), window([*first, *second]))


def test_refusals_and_models_add_up_by_name():
    nobody = Frame.from_values(CONTRACT, [])
    first = profile(reference(), nobody, models={"v1": 2}, refused=2, violations={("price", "range"): 2}, unreadable=1)
    second = profile(reference(), nobody, models={"v0": 1, "v1": 1}, refused=1, violations={("plan", "level"): 1})

    both = first + second

    assert both.models == {"v0": 1, "v1": 3}
    assert (both.refused, both.unreadable) == (3, 1)
    assert both.violations == {("plan", "level"): 1, ("price", "range"): 2}


@settings(max_examples=60, deadline=None)
@given(values=rows)
def test_a_profile_survives_json(values):
    made = window(values)

    assert same(Profile.from_dict(json.loads(json.dumps(made.to_dict())), reference()), made)


@settings(max_examples=30, deadline=None)
@given(values=rows)
def test_no_rows_change_nothing(values):
    assert same(window(values) + Profile.empty(reference()), window(values))


def test_what_lies_outside_the_reference_is_counted_on_both_sides():
    placed = Histogram.of(Distribution.of([1.0, 2.0]), [0.0, 1.0, 1.5, 3.0, 4.0, math.nan])

    assert (placed.n, placed.outside, placed.nulls) == (5, 3, 1)
    assert placed.between.tolist() == [1, 1, 2]


def test_a_feature_that_was_always_null_has_no_values_and_everything_outside():
    always_null = Distribution.of([math.nan, math.nan])

    placed = Histogram.of(always_null, [1.0, math.nan])

    assert (always_null.n, placed.n, placed.outside) == (0, 1, 1)
    assert kolmogorov_smirnov(always_null, placed).p == 1.0


def test_unseen_levels_and_nulls_are_counted_apart():
    values = [
        {"price": None, "visits": 1.0, "member": None, "plan": plan, "postcode": "1010"}
        for plan in ["gold", None, "plus", "gold"]
    ]

    made = window(values)

    assert made.categorical["plan"].counts.tolist() == [0, 1, 2, 1]  # basic, plus, unseen, null
    assert made.numeric["price"].nulls == 4


def test_a_boolean_is_a_category_of_two_levels():
    values = [
        {"price": 0.0, "visits": 1.0, "member": member, "plan": None, "postcode": "1010"}
        for member in [1.0, 0.0, 1.0, None]
    ]

    assert window(values).categorical["member"].counts.tolist() == [1, 2, 0, 1]


def test_personal_data_is_in_no_reference():
    assert "postcode" not in reference().to_dict()["categorical"]
    assert "1010" not in json.dumps(reference().to_dict())


def test_probabilities_land_in_their_bin_by_decision():
    made = profile(reference(), Frame.from_values(CONTRACT, []), [0.5, 0.9, 0.9], [0.0, 0.5, 1.0], [False, True, True])

    left, acted = made.scores.bins
    assert left[0, 0] == 1
    assert (acted[0, PROBABILITY_BINS // 2], acted[1, PROBABILITY_BINS // 2]) == (1, 0.5)
    assert (acted[0, -1], acted[1, -1]) == (1, 1.0)


def test_confidence_of_the_reference_is_that_of_its_scores():
    scores = [0.1, 0.4, 0.4, 0.95]
    made = Reference("v1", 4, {}, {}, Distribution.of(scores))
    distance = np.abs(np.array(scores) - 0.5)

    assert made.confidence == pytest.approx((distance.mean(), distance.var(ddof=1)), abs=1e-15)


def test_a_large_training_set_is_sampled_the_same_way_each_time():
    n = 500
    values = [{"price": i / 7, "visits": 1.0, "member": 1.0, "plan": "plus", "postcode": "1010"} for i in range(n)]
    frame, scores = Frame.from_values(CONTRACT, values), np.linspace(0, 1, n)

    made = [build_reference(MODEL, frame, scores, max_rows=100) for _ in range(2)]

    assert made[0].to_dict() == made[1].to_dict()
    assert (made[0].rows, made[0].numeric["price"].n, made[0].score.n) == (100, 100, 100)


def test_a_reference_survives_json():
    made = reference()

    assert Reference.from_dict(json.loads(json.dumps(made.to_dict()))).to_dict() == made.to_dict()


@pytest.mark.parametrize(
    "broken",
    [
        {"values": [1.0, 1.0], "counts": [1, 1], "nulls": 0},
        {"values": [2.0, 1.0], "counts": [1, 1], "nulls": 0},
        {"values": [1.0, None], "counts": [1, 1], "nulls": 0},
        {"values": [1.0], "counts": [0], "nulls": 0},
        {"values": [1.0], "counts": [1, 1], "nulls": 0},
        {"values": [1.0], "counts": [1], "nulls": -1},
    ],
)
def test_a_damaged_distribution_is_refused(broken):
    with pytest.raises((ValueError, TypeError)):
        Distribution.from_dict(broken)


def test_a_profile_against_another_reference_is_refused():
    made = window([{"price": 0.5, "visits": 1.0, "member": 1.0, "plan": "plus", "postcode": "1010"}]).to_dict()
    made["numeric"]["price"]["at"] = {"i": [999], "n": [1]}

    with pytest.raises(IndexError):
        Profile.from_dict(made, reference())

    made["numeric"]["price"]["at"] = {"i": [-1], "n": [1]}
    with pytest.raises(ValueError, match="counted from 0"):
        Profile.from_dict(made, reference())


def test_profiles_of_different_features_do_not_add_up():
    other = Reference("v2", 1, {}, {}, Distribution.of([0.5]))

    with pytest.raises(ValueError, match="different references"):
        Profile.empty(reference()) + Profile.empty(other)


def test_one_score_per_row_is_needed_for_a_reference():
    with pytest.raises(ValueError, match="one score per row"):
        build_reference(MODEL, Frame.from_values(CONTRACT, []), [0.5])
