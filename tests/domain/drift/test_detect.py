"""Drift is what survives the correction over all checks and is large enough to matter; every verdict has a reason."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from stillgood.domain.drift.detect import Thresholds, detect_drift
from stillgood.domain.drift.histograms import Histogram, ScoreHistogram
from stillgood.domain.drift.profile import Profile, Reference
from stillgood.domain.drift.reference import Distribution, Levels
from stillgood.domain.statistics.repeats import EntitySample

LEVELS = ("month", "year", "two")


def draw(seed, rows, *, shift=0.0, mix=(0.5, 0.3, 0.2), missing=0.0, unseen=0.0, score_shift=0.0):
    """Rows of two numbers, one category and a score, as columns."""
    rng = np.random.default_rng(seed)
    price = rng.normal(70, 30, rows).round(2) + shift
    price[rng.random(rows) < missing] = math.nan
    tenure = rng.integers(0, 73, rows).astype(float)
    plan = rng.choice(3, rows, p=mix)
    plan[rng.random(rows) < unseen] = -2
    return price, tenure, plan, np.clip(rng.beta(2, 2, rows) + score_shift, 0, 1)


def reference(seed=0, rows=5_000):
    price, tenure, plan, score = draw(seed, rows)
    numeric = {"price": Distribution.of(price), "tenure": Distribution.of(tenure)}
    return Reference("v1", rows, numeric, {"plan": Levels.of(LEVELS, plan)}, Distribution.of(score))


REFERENCE = reference()


def window(seed=1, rows=2_000, **change):
    price, tenure, plan, score = draw(seed, rows, **change)
    return Profile(
        rows=rows,
        numeric={
            "price": Histogram.of(REFERENCE.numeric["price"], price),
            "tenure": Histogram.of(REFERENCE.numeric["tenure"], tenure),
        },
        categorical={"plan": Levels.of(LEVELS, plan)},
        scores=ScoreHistogram.of(REFERENCE.score, score, score, score >= 0.5),
    )


def drifted(report):
    return [check.name for check in report.drifted]


def check_of(report, name):
    return next(check for check in report.checks if check.name == name)


def test_a_window_like_the_reference_has_not_drifted():
    report = detect_drift(REFERENCE, window())

    assert (drifted(report), report.faults, report.share) == ([], (), 0.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"shift": 6.0}, "price:ks"),
        ({"mix": (0.4, 0.4, 0.2)}, "plan:chi_square"),
        ({"score_shift": 0.08}, "score:score"),
    ],
)
def test_what_moved_is_named_alone(change, name):
    assert drifted(detect_drift(REFERENCE, window(**change))) == [name]


def test_a_model_that_is_more_sure_drifts_as_one_that_is_less_sure():
    surer = detect_drift(REFERENCE, _with_scores(window(), np.tile([0.02, 0.98], 1_000)))
    unsure = detect_drift(REFERENCE, _with_scores(window(), np.tile([0.48, 0.52], 1_000)))

    assert "score:confidence" in drifted(surer)
    assert "score:confidence" in drifted(unsure)
    assert surer.confidence.change > 0 > unsure.confidence.change
    assert [report.confidence.degraded(0.05) for report in (surer, unsure)] == [False, True]


def test_missing_and_unseen_values_are_faults_not_drift():
    report = detect_drift(REFERENCE, window(missing=0.2, unseen=0.1))

    assert [check.name for check in report.faults] == ["price:missing", "plan:unseen"]
    assert check_of(report, "price:missing").effect == pytest.approx(0.2, abs=0.02)
    assert "price:ks" not in drifted(report)


def test_levels_that_the_contract_accepts_are_drift_and_no_fault():
    """D3: a feature with ``unseen: accept`` got new levels for good, and 89 of 101 weeks said "data fault upstream"."""
    report = detect_drift(REFERENCE, window(unseen=0.1), accepted=["plan"])
    assert report.faults == ()
    assert "plan:unseen" in drifted(report)
    assert [check.name for check in detect_drift(REFERENCE, window(missing=0.2), accepted=["price"]).faults] == [
        "price:missing"
    ]


def test_fewer_missing_values_are_no_fault():
    holes = Reference("v1", 100, {"x": Distribution.of([math.nan] * 50 + [1.0] * 50)}, {}, Distribution.of([0.5]))
    now = Profile(2_000, {"x": Histogram.of(holes.numeric["x"], [1.0] * 2_000)}, {}, ScoreHistogram.empty(holes.score))

    report = detect_drift(holes, now)

    assert report.faults == ()
    assert check_of(report, "x:missing").p < 1e-12


def test_a_column_that_went_missing_altogether_is_a_fault_and_its_distribution_unknown():
    report = detect_drift(REFERENCE, window(missing=1.0))

    assert [check.name for check in report.faults] == ["price:missing"]
    assert check_of(report, "price:ks").reason == "no values in the window to compare"


def test_many_rows_make_a_tiny_shift_significant_but_not_drift():
    report = detect_drift(REFERENCE, window(rows=400_000, shift=1.5))
    price = check_of(report, "price:ks")

    assert price.p_adjusted < 0.01
    assert (price.drifted, price.reason.split(":")[0]) == (False, "real but too small to matter")


def test_few_rows_make_a_large_effect_chance():
    price = check_of(detect_drift(REFERENCE, window(rows=30)), "price:ks")

    assert price.effect > 0.05
    assert (price.drifted, price.reason.split(":")[0]) == (False, "too few rows to tell from chance")


def test_the_correction_is_over_all_checks_together():
    report = detect_drift(REFERENCE, window())
    p = sorted(check.p for check in report.checks)

    assert min(check.p_adjusted for check in report.checks) == pytest.approx(min(len(p) * p[0], 1.0))
    assert len(p) == 2 + 1 + 3 + 1 + 2  # ks, chi-square, missing, unseen, score and confidence


def test_false_alarms_are_as_rare_as_promised():
    """100 windows of the same world: p < .05 somewhere cries wolf often, the report (alpha .01 and an effect) at most
    twice.
    """
    reports = [detect_drift(REFERENCE, window(seed=seed, rows=500)) for seed in range(100, 200)]

    naive = sum(any(check.p < 0.05 for check in report.checks) for report in reports)

    assert naive >= 15
    assert sum(bool(report.drifted or report.faults) for report in reports) <= 2


def test_hysteresis_keeps_what_drifted_before_drifting_at_a_smaller_effect():
    thresholds = Thresholds(effect=0.05, leave_effect=0.04)
    smaller = window(rows=50_000, shift=2.8)
    assert 0.04 < check_of(detect_drift(REFERENCE, smaller, thresholds), "price:ks").effect < 0.05

    assert drifted(detect_drift(REFERENCE, smaller, thresholds)) == []
    assert drifted(detect_drift(REFERENCE, smaller, thresholds, standing={"price:ks"})) == ["price:ks"]


def test_what_moved_as_it_did_a_season_ago_is_the_season():
    summer = detect_drift(REFERENCE, window(seed=5, shift=10.0), season=window(seed=6, shift=10.0))
    heat = detect_drift(REFERENCE, window(seed=5, shift=20.0), season=window(seed=6, shift=10.0))

    assert drifted(summer) == []
    assert check_of(summer, "price:ks").reason.startswith("moved from the reference as it did a season ago")
    assert drifted(heat) == ["price:ks"]


def test_a_season_that_had_no_values_excuses_nothing():
    report = detect_drift(REFERENCE, window(shift=10.0), season=window(seed=6, missing=1.0))

    assert drifted(report) == ["price:ks"]


def test_values_outside_the_reference_are_pointed_out():
    report = detect_drift(REFERENCE, window(shift=500.0))

    assert check_of(report, "price:ks").outside == 1.0
    assert "100.0% of the values lie outside" in check_of(report, "price:ks").reason


def test_the_confidence_test_is_welchs():
    now = draw(7, 3_000, score_shift=0.02)[3]
    before = draw(0, 5_000)[3]
    expected = stats.ttest_ind(np.abs(now - 0.5), np.abs(before - 0.5), equal_var=False)

    confidence = detect_drift(REFERENCE, window(seed=7, rows=3_000, score_shift=0.02)).confidence

    assert confidence.test.value == pytest.approx(expected.statistic, rel=1e-9)
    assert confidence.test.p == pytest.approx(expected.pvalue, rel=1e-9)


def test_constant_scores_are_compared_without_dividing_by_nothing():
    constant = Reference("v1", 30, {}, {}, Distribution.of([0.7] * 30))

    def p(scores):
        now = Profile(len(scores), {}, {}, ScoreHistogram.of(constant.score, scores, scores, [False] * len(scores)))
        return detect_drift(constant, now).confidence.test.p

    assert (p([0.7] * 50), p([0.9] * 50), p([])) == (1.0, 0.0, 1.0)


def test_an_empty_window_compares_nothing():
    report = detect_drift(REFERENCE, Profile.empty(REFERENCE))

    assert all(check.p == 1.0 and not check.drifted for check in report.checks)


def test_the_report_is_json_with_every_threshold_and_reason():
    document = json.loads(
        json.dumps(detect_drift(REFERENCE, window(shift=6.0), season=window(seed=9)).to_dict(), allow_nan=False)
    )

    assert document["drifted"] == ["price:ks"]
    assert document["thresholds"]["alpha"] == 0.01
    assert all(check["reason"] and check["least_effect"] > 0 and check["alpha"] == 0.01 for check in document["checks"])


@pytest.mark.parametrize(("customers", "each"), [(500, 1), (250, 2), (150, 4), (125, 8)])
def test_customers_that_return_raise_no_more_alarms_than_new_ones(customers, each):
    """D9: counted row by row, a null window of 150 customers with four rows each is called drifted in 93 of 100."""
    fired = 0
    for seed in range(60):
        columns = [np.repeat(column, each) for column in draw(1_000 + seed, customers)]
        fired += bool(detect_drift(REFERENCE, window_of(columns, np.repeat(np.arange(customers), each))).drifted)
    assert fired <= 3


def test_customers_that_return_are_no_excuse_for_a_shift():
    columns = [np.repeat(column, 4) for column in draw(1, 500, shift=12.0)]
    assert drifted(detect_drift(REFERENCE, window_of(columns, np.repeat(np.arange(500), 4)))) == ["price:ks"]


def test_few_rows_of_the_champions_own_say_nothing_of_its_confidence():
    """D20: one score among 500 rows of the version before gave p 5.5e-141."""
    scores = ScoreHistogram.of(REFERENCE.score, [0.99], [0.9], [True])
    some = window()
    report = detect_drift(REFERENCE, Profile(some.rows, some.numeric, some.categorical, scores))
    assert (report.confidence.test.p, check_of(report, "score:confidence").drifted) == (1.0, False)


def window_of(columns, who):
    price, tenure, plan, score = columns
    return Profile(
        rows=len(price),
        numeric={
            "price": Histogram.of(REFERENCE.numeric["price"], price),
            "tenure": Histogram.of(REFERENCE.numeric["tenure"], tenure),
        },
        categorical={"plan": Levels.of(LEVELS, plan)},
        scores=ScoreHistogram.of(REFERENCE.score, score, score, score >= 0.5),
        entities=EntitySample.of_ids(map(str, who)),
    )


def _with_scores(profile, scores):
    placed = ScoreHistogram.of(REFERENCE.score, scores, scores, scores >= 0.5)
    return Profile(profile.rows, profile.numeric, profile.categorical, placed)


def test_a_drifted_check_says_which_way_and_by_how_much_in_the_features_unit():
    moved = window(shift=20.0, mix=(0.7, 0.2, 0.1), missing=0.1)
    report = detect_drift(REFERENCE, moved, units={"price": "euros"})
    price, plan, missing = (check_of(report, name) for name in ("price:ks", "plan:chi_square", "price:missing"))
    before = float(np.nanmedian(draw(0, 5_000)[0]))
    now = float(np.nanmedian(draw(1, 2_000, shift=20.0)[0]))
    by = float(price.direction.removeprefix("higher by ").partition(" euros")[0])
    assert by == pytest.approx(now - before, abs=1.5)  # values are missing at random in the window
    assert plan.direction.startswith("more of 'month' (")
    assert missing.direction.startswith("0.0% to ")
    assert price.direction in price.reason
    lower = detect_drift(REFERENCE, window(shift=-20.0))
    assert check_of(lower, "price:ks").direction.startswith("lower by ")
