"""Evidence becomes an action by a named policy, with reasons; nothing is retrained without a lasting reason and
something to learn.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from stillgood.domain.drift.confidence import Confidence
from stillgood.domain.drift.detect import DriftCheck, DriftReport, Thresholds
from stillgood.domain.drift.performance import RealisedPerformance
from stillgood.domain.drift.two_sample import NOTHING
from stillgood.domain.model.evaluation import Estimate, Metrics
from stillgood.domain.outcomes.evidence import OutcomeEvidence, microseconds
from stillgood.domain.policy.policies import POLICIES, Evidence, Guarded, Simple, advance
from stillgood.domain.policy.state import MonitorState, Retrain

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GUARDED, SEED = POLICIES["guarded"], POLICIES["simple"]


def check(subject="price", test="ks", *, p=0.4, effect=0.01, drifted=False):
    reason = "the distribution moved" if drifted else "as in the reference"
    return DriftCheck(subject, test, effect, p, p, effect, 0.01, 0.05, 500, 7_000, None, None, drifted, reason)


QUIET = check()
DRIFTED = check(p=1e-9, effect=0.1, drifted=True)
FAULT = check("price", "missing", p=1e-9, effect=0.2, drifted=True)


def report(*checks, mean=0.3):
    return DriftReport(checks or (QUIET,), Confidence(mean, 0.3, 500, 7_000, NOTHING), Thresholds())


def evidence(drift=None, **change):
    fields = {
        "window": "w2",
        "at": NOON,
        "version": "v1",
        "rows": 500,
        "min_rows": 200,
        "new_labelled_rows": 1_000,
        "data_sha256": "new",
    }
    return Evidence(**(fields | {"drift": drift or report()} | change))


def seen_before(*names, version="v1", **change):
    return replace(MonitorState("w1", version, dict.fromkeys(names, 1)), **change)


def around(value, reach=0.02):
    return Estimate(value, value - reach, value + reach)


def metrics(auc=0.84, recall=0.85, reach=0.02):
    shares = around(0.5)
    return Metrics(around(auc, reach), around(recall, reach), shares, shares, shares, 0.01, 500, 130, 200)


def realised(auc=0.84, *, drop_p=0.5, recall=0.85, recall_p=0.5, gap=0.0, gap_p=0.5, biased=False, reach=0.02):
    figures = metrics(auc, recall, reach)
    return RealisedPerformance(figures, metrics(), drop_p, recall_p, gap, gap_p, 1.0, biased)


def reasons(decision):
    return " | ".join(decision.reasons)


class TestSeed:
    def test_retrains_on_any_uncorrected_p_below_a_twentieth(self):
        decision = SEED.decide(evidence(report(QUIET, check("tenure", p=0.049))), MonitorState())

        assert decision.action == "retrain"
        assert decision.reasons == ("tenure:ks: p 0.049 is below 0.05",)

    def test_looks_at_chi_square_too_but_not_at_the_newer_checks(self):
        chi = SEED.decide(evidence(report(check("plan", "chi_square", p=0.01))), MonitorState())
        newer = SEED.decide(
            evidence(report(check(test="missing", p=0.01), check("score", "score", p=0.01))), MonitorState()
        )

        assert (chi.action, newer.action) == ("retrain", "nothing")

    @pytest.mark.parametrize(("mean", "action"), [(0.28, "retrain"), (0.286, "nothing"), (0.4, "nothing")])
    def test_retrains_when_the_model_is_less_sure_by_more_than_the_tolerance(self, mean, action):
        assert SEED.decide(evidence(report(mean=mean)), MonitorState()).action == action

    def test_says_what_was_closest_when_nothing_happened(self):
        decision = SEED.decide(evidence(report(QUIET, check("tenure", p=0.06))), MonitorState())

        assert decision.action == "nothing"
        assert decision.would_change[0] == "any p below 0.05; the least was 0.06 (tenure:ks)"

    def test_remembers_nothing_and_asks_for_no_labels(self):
        state = seen_before(retrains=tuple(Retrain("w", NOON, "new") for _ in range(50)))

        assert SEED.decide(evidence(report(DRIFTED), new_labelled_rows=0), state).action == "retrain"


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
class TestEveryPolicy:
    @pytest.mark.parametrize("rows", [0, 1, 199])
    def test_needs_enough_rows(self, policy, rows):
        decision = policy.decide(evidence(None, rows=rows), MonitorState())

        assert decision.action == "nothing"
        assert decision.reasons == (f"not enough evidence: {rows} rows, 200 are needed",)
        assert decision.would_change == (
            f"{200 - rows} more predictions: the next windows are judged together with this one",
        )

    def test_answers_in_json_with_reasons_figures_and_what_would_change(self, policy):
        document = json.loads(json.dumps(policy.decide(evidence(), MonitorState()).to_dict(), allow_nan=False))

        assert document["policy"] == policy.name
        assert document["reasons"]
        assert document["would_change"]
        assert document["figures"]["rows"] == 500
        assert document["figures"]["rules"]

    def test_decides_the_same_again(self, policy):
        state = seen_before("price:ks")

        assert policy.decide(evidence(report(DRIFTED)), state) == policy.decide(evidence(report(DRIFTED)), state)


class TestContractFirst:
    def test_a_violated_contract_alerts_names_the_fault_and_suppresses_the_rest(self):
        window = evidence(
            report(DRIFTED),
            refused=125,
            violations={("price", "range"): 120, ("plan", "level"): 5},
            realised=realised(0.5, drop_p=0.0),
        )

        decision = GUARDED.decide(window, seen_before("price:ks", "performance"))

        assert decision.action == "alert"
        assert "20.0% of 625 rows break the contract" in decision.reasons[0]
        assert decision.reasons[1] == "field 'price' breaks rule 'range' in 19.2% of the rows"
        assert len(decision.reasons) == 3

    def test_a_few_refused_rows_are_everyday(self):
        assert GUARDED.decide(evidence(refused=26), MonitorState()).action == "nothing"
        assert GUARDED.decide(evidence(refused=27), MonitorState()).action == "alert"

    def test_everything_refused_is_evidence_though_no_row_was_accepted(self):
        window = evidence(None, rows=0, refused=200, violations={("price", "type"): 200})

        assert GUARDED.decide(replace(window, drift=None), MonitorState()).action == "alert"

    def test_a_handful_refused_is_not_enough_evidence(self):
        window = replace(evidence(rows=3, refused=100), drift=None)

        assert "not enough evidence" in reasons(GUARDED.decide(window, MonitorState()))

    def test_missing_values_are_a_fault_upstream_and_never_a_reason_to_retrain(self):
        decision = GUARDED.decide(evidence(report(DRIFTED, FAULT)), seen_before("price:ks"))

        assert decision.action == "alert"
        assert "data fault upstream, price:missing" in decision.reasons[0]

    def test_rows_that_are_too_few_without_the_refused_ones_decide_nothing(self):
        window = evidence(report(DRIFTED), rows=195, refused=8)

        decision = GUARDED.decide(window, seen_before("price:ks"))

        assert decision.action == "nothing"
        assert decision.reasons == ("not enough evidence: 195 rows, 200 are needed",)


class TestLearning:
    def test_drift_must_last(self):
        first = GUARDED.decide(evidence(report(DRIFTED)), MonitorState())
        second = GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks"))

        assert (first.action, second.action) == ("nothing", "retrain")
        assert first.reasons == ("price:ks: the distribution moved; seen in 1 of 2 windows",)
        assert first.would_change == ("the same finding in the next window",)

    def test_drift_of_another_feature_is_another_finding(self):
        assert GUARDED.decide(evidence(report(DRIFTED)), seen_before("tenure:ks")).action == "nothing"

    def test_drift_from_another_champions_reference_is_another_finding(self):
        assert GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks", version="v0")).action == "nothing"

    def test_persistence_is_a_knob(self):
        assert Guarded(persistence=1).decide(evidence(report(DRIFTED)), MonitorState()).action == "retrain"

    def test_labels_find_what_no_distribution_shows(self):
        worse = evidence(realised=realised(0.75, drop_p=0.001))

        decision = GUARDED.decide(worse, seen_before("performance"))

        assert decision.action == "retrain"
        assert "realised ROC-AUC 0.750" in decision.reasons[0]

    @pytest.mark.parametrize(
        ("auc", "reach"), [(0.825, 0.001), (0.75, 0.1)], ids=["too small", "maybe chance, if looked at in every window"]
    )
    def test_a_drop_must_be_large_and_certain(self, auc, reach):
        drop = realised(auc, drop_p=0.001, reach=reach)
        assert GUARDED.decide(evidence(realised=drop), seen_before("performance")).action == "nothing"

    @pytest.mark.parametrize(
        ("change", "state", "why"),
        [
            ({"new_labelled_rows": 199}, {}, "199 new labelled rows, at least 200 are needed"),
            (
                {"data_sha256": "old"},
                {"retrains": (Retrain("w0", NOON - timedelta(days=9), "old"),)},
                "what the last one learned from",
            ),
            (
                {},
                {"retrains": tuple(Retrain("w0", NOON - timedelta(days=days), "old") for days in (29, 20, 10, 4))},
                "4 within 30 days, the budget is 4",
            ),
        ],
        ids=["too few labels", "unchanged data", "budget"],
    )
    def test_a_retrain_in_vain_becomes_an_alert_that_names_what_stands_in_the_way(self, change, state, why):
        window = evidence(report(DRIFTED), **change)

        decision = GUARDED.decide(window, seen_before("price:ks", **state))

        assert decision.action == "alert"
        assert why in decision.reasons[-1]
        assert len(decision.reasons) == 2
        assert len(decision.would_change) == 1

    def test_within_the_cooldown_nothing_is_asked_for_again(self):
        retrains = (Retrain("w0", NOON - timedelta(hours=71), "old"),)

        decision = GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks", retrains=retrains))

        assert decision.action == "nothing"
        assert decision.reasons[-1] == "asked for already; the next retrain is due from 2026-11-24 13:00 UTC"

    @pytest.mark.parametrize(("withstood", "days"), [(1, 3), (2, 6), (3, 12), (6, 96), (9, 96)])
    def test_each_retrain_that_the_champion_withstands_doubles_the_cooldown_up_to_a_bound(self, withstood, days):
        def after(wait):
            # The last one counts; those before it are long past, so that no budget is in the way.
            old = tuple(Retrain("w", NOON - timedelta(days=999), "old", "v1") for _ in range(withstood - 1))
            retrains = (*old, Retrain("w", NOON - wait, "old", "v1"))
            return GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks", retrains=retrains)).action

        assert after(timedelta(days=days)) == "retrain"
        assert after(timedelta(days=days) - timedelta(seconds=1)) == "nothing"

    def test_a_new_champion_starts_with_the_shortest_cooldown(self):
        before = tuple(Retrain("w", NOON - timedelta(days=days), "old", "v0") for days in (99, 90, 80, 3))

        assert GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks", retrains=before)).action == "retrain"

    def test_a_champion_that_does_better_than_promised_was_promised_on_other_rows(self):
        better = evidence(realised=realised(0.9, drop_p=0.9999))

        assert GUARDED.decide(better, seen_before("performance")).action == "retrain"

    def test_the_budget_and_the_cooldown_run_out_in_time(self):
        before = tuple(Retrain("w0", NOON - timedelta(days=days), "old") for days in (30, 20, 10, 3))

        assert GUARDED.decide(evidence(report(DRIFTED)), seen_before("price:ks", retrains=before)).action == "retrain"

    def test_a_window_that_comes_late_is_only_reported(self):
        decision = GUARDED.decide(evidence(report(DRIFTED), late=True), seen_before("price:ks", last_window="w9"))

        assert decision.action == "nothing"
        assert "a later window (w9) has been decided" in decision.reasons[0]


class TestOtherActions:
    def test_a_better_predecessor_is_rolled_back_to(self):
        better = evidence(previous_gain=Estimate(0.03, 0.01, 0.05))
        perhaps = evidence(previous_gain=Estimate(0.03, -0.01, 0.07))
        hardly = evidence(previous_gain=Estimate(0.015, 0.01, 0.02))

        assert GUARDED.decide(better, MonitorState()).action == "nothing"
        assert GUARDED.decide(better, seen_before("previous")).action == "roll_back"
        assert GUARDED.decide(perhaps, seen_before("previous")).action == "nothing"
        assert GUARDED.decide(hardly, seen_before("previous")).action == "nothing"

    def test_rolling_back_goes_before_learning(self):
        both = evidence(report(DRIFTED), previous_gain=Estimate(0.03, 0.01, 0.05))

        assert GUARDED.decide(both, seen_before("previous", "price:ks")).action == "roll_back"
        assert GUARDED.decide(both, seen_before("price:ks")).action == "retrain"

    def test_probabilities_that_are_off_under_a_ranking_that_holds_are_recalibrated(self):
        off = evidence(realised=realised(gap=0.06, gap_p=1e-6))

        assert GUARDED.decide(off, MonitorState()).action == "nothing"
        decision = GUARDED.decide(off, seen_before("calibration"))
        assert decision.action == "recalibrate"
        assert decision.reasons == (
            "calibration: +0.060 between the share of positives and the mean probability, p 1e-06",
        )

    def test_a_recall_under_the_floor_is_recalibrated_where_there_is_a_floor(self):
        short = realised(recall=0.7, recall_p=1e-6)

        with_floor = evidence(realised=short, recall_floor=0.8)
        assert GUARDED.decide(with_floor, seen_before("recall")).action == "recalibrate"
        assert GUARDED.decide(evidence(realised=short), seen_before("recall")).action == "nothing"
        by_chance, kept = realised(recall=0.7, recall_p=0.001, reach=0.15), realised(recall=0.81, recall_p=1e-6)
        for harmless in (by_chance, kept):
            decision = GUARDED.decide(evidence(realised=harmless, recall_floor=0.8), seen_before("recall"))
            assert decision.action == "nothing"

    def test_learning_again_goes_before_recalibrating(self):
        both = evidence(report(DRIFTED), realised=realised(gap=0.06, gap_p=1e-6))

        assert GUARDED.decide(both, seen_before("price:ks", "calibration")).action == "retrain"

    def test_a_recalibration_needs_labels_that_are_news_and_counts_against_the_budget(self):
        off = evidence(realised=realised(gap=0.06, gap_p=1e-6))
        blocked = GUARDED.decide(replace(off, new_labelled_rows=0), seen_before("calibration"))
        after = advance(GUARDED, off, GUARDED.decide(off, seen_before("calibration")), seen_before("calibration"))

        assert blocked.action == "alert"
        assert "0 new labelled rows" in blocked.reasons[-1]
        assert after.streaks == {}
        assert [retrain.window for retrain in after.retrains] == [off.window]

    @pytest.mark.parametrize(("gap", "gap_p"), [(0.02, 1e-9), (0.06, 0.02)], ids=["too small", "maybe chance"])
    def test_a_gap_must_be_large_and_certain(self, gap, gap_p):
        assert GUARDED.decide(evidence(realised=realised(gap=gap, gap_p=gap_p)), MonitorState()).action == "nothing"

    def test_nothing_names_the_checks_that_came_closest(self):
        decision = GUARDED.decide(evidence(report(QUIET, check("tenure", effect=0.04))), MonitorState())

        assert decision.would_change[0].startswith("tenure:ks: effect above 0.050 (now 0.040)")

    def test_labels_of_selected_customers_are_no_evidence(self):
        picked = evidence(realised=realised(0.6, drop_p=1e-9, gap=0.2, gap_p=1e-9, biased=True))

        decision = GUARDED.decide(picked, seen_before("performance"))

        assert decision.action == "nothing"
        assert decision.figures["realised_trusted"] is False


class TestState:
    def test_streaks_grow_while_a_finding_lasts_and_end_with_it(self):
        state = MonitorState()
        for drift, expected in [(report(DRIFTED), 1), (report(DRIFTED), 2), (report(), None), (report(DRIFTED), 1)]:
            window = evidence(drift, new_labelled_rows=0)
            state = advance(GUARDED, window, GUARDED.decide(window, state), state)
            assert state.streaks.get("price:ks") == expected

    @pytest.mark.parametrize(
        "blind",
        [replace(evidence(rows=10), drift=None), evidence(report(DRIFTED), refused=500), evidence(report(FAULT))],
        ids=["too few rows", "contract violated", "fault"],
    )
    def test_a_window_that_cannot_be_judged_neither_confirms_nor_clears(self, blind):
        state = seen_before("price:ks")

        assert advance(GUARDED, blind, GUARDED.decide(blind, state), state).streaks == {"price:ks": 1}

    def test_a_retrain_is_remembered_with_its_data_and_ends_the_streaks(self):
        window = evidence(report(DRIFTED))
        before = seen_before("price:ks")

        after = advance(GUARDED, window, GUARDED.decide(window, before), before)

        assert after == MonitorState("w2", "v1", {}, (Retrain("w2", NOON, "new", "v1"),), repairs={"": 500})

    def test_the_same_drift_does_not_retrain_twice_in_a_row(self):
        window, state, actions = evidence(report(DRIFTED)), MonitorState(), []
        for day in range(20):
            today = replace(window, window=f"w{day}", at=NOON + timedelta(days=day), data_sha256=str(day))
            decision = GUARDED.decide(today, state)
            state = advance(GUARDED, today, decision, state)
            actions.append(decision.action)

        assert [day for day, action in enumerate(actions) if action == "retrain"] == [1, 4, 10]
        assert set(actions) == {"nothing", "retrain"}

    def test_a_state_survives_json(self):
        state = seen_before("price:ks", retrains=(Retrain("w0", NOON, "old"),))

        assert MonitorState.from_dict(json.loads(json.dumps(state.to_dict()))) == state

    def test_the_seed_keeps_a_state_too(self):
        window = evidence(report(DRIFTED))

        after = advance(Simple(), window, SEED.decide(window, MonitorState()), MonitorState())

        assert (after.last_window, len(after.retrains)) == ("w2", 1)


def stamped(day, length=1, **change):
    """Evidence of a window of ``length`` days that ends on day ``day`` of November."""
    end = datetime(2026, 11, day, tzinfo=UTC)
    start = end - timedelta(days=length)
    return replace(evidence(report(DRIFTED)), window=f"{start:%Y%m%dT%H%M%SZ}_{end:%Y%m%dT%H%M%SZ}", at=end, **change)


class TestPersistence:
    def test_the_same_rows_looked_at_again_are_one_piece_of_evidence(self):
        """D17: monitor was asked for 00:00 and for 00:01, on the same 150 rows, and retrained."""
        first = stamped(10)
        state = advance(GUARDED, first, GUARDED.decide(first, MonitorState()), MonitorState())
        again = replace(first, window="20261109T000100Z_20261110T000100Z")

        decision = GUARDED.decide(again, state)

        assert (decision.action, decision.figures["streaks"]["price:ks"]) == ("nothing", 1)

    def test_windows_three_weeks_apart_are_not_consecutive(self):
        first = stamped(1)
        state = advance(GUARDED, first, GUARDED.decide(first, MonitorState()), MonitorState())
        assert GUARDED.decide(stamped(22), state).action == "nothing"
        assert GUARDED.decide(stamped(2), state).action == "retrain"
        assert GUARDED.decide(stamped(3), state).action == "retrain"  # one window without enough rows lies between


class TestWhatDriftDoes:
    def test_drift_that_moves_no_score_is_news_and_no_reason(self):
        """D26: fifteen features drifted in every window while the ranking stayed what it was."""
        calm = [check("score", "score", p=0.3), check("score", "confidence", p=0.4)]
        decision = GUARDED.decide(evidence(report(DRIFTED, *calm)), seen_before("price:ks"))
        assert decision.action == "nothing"
        assert decision.reasons == ("news, not a reason: price:ks drifted, and the scores did not",)
        assert decision.figures["news"] == ["price:ks"]

    @pytest.mark.parametrize("test", ["score", "confidence"])
    def test_drift_that_the_model_feels_is_a_reason(self, test):
        felt = check("score", test, p=1e-6, effect=0.03)
        assert GUARDED.decide(evidence(report(DRIFTED, felt)), seen_before("price:ks")).action == "retrain"


class TestGraveFindings:
    LATER = NOON - timedelta(days=1)

    def test_a_retrain_for_drift_does_not_keep_a_failed_champion_waiting(self):
        """D4: realised ROC-AUC .46 against .824 promised, and 63 days of "asked for already"."""
        retrains = tuple(Retrain(f"w{day}", NOON - timedelta(days=day), "old", "v1") for day in (60, 40, 20, 1))
        state = seen_before("performance", retrains=retrains)
        failed = evidence(realised=realised(0.5))
        assert GUARDED.decide(failed, state).action == "retrain"
        assert GUARDED.decide(evidence(report(DRIFTED)), replace(state, streaks={"price:ks": 1})).action == "nothing"

    def test_its_own_cooldown_alerts_when_it_begins_and_doubles_twice_at_most(self):
        failed = evidence(realised=realised(0.5))
        state = seen_before("performance", retrains=(Retrain("w0", self.LATER, "old", "v1", grave=True),))
        assert GUARDED.decide(failed, state).action == "alert"
        assert GUARDED.decide(failed, replace(state, streaks={"performance": 5})).action == "nothing"
        many = tuple(Retrain(f"w{n}", NOON - timedelta(days=13), "old", "v1", grave=True) for n in range(9))
        assert replace(GUARDED, budget=99).decide(failed, replace(state, retrains=many)).action == "retrain"

    def test_the_state_remembers_what_a_retrain_was_asked_for(self):
        failed, state = evidence(realised=realised(0.5)), seen_before("performance")
        after = advance(GUARDED, failed, GUARDED.decide(failed, state), state)
        assert after.retrains[-1].grave
        assert MonitorState.from_dict(json.loads(json.dumps(after.to_dict()))) == after
        drifted = evidence(report(DRIFTED))
        after = advance(GUARDED, drifted, GUARDED.decide(drifted, seen_before("price:ks")), seen_before("price:ks"))
        assert not after.retrains[-1].grave


class TestLabelsSinceTheDrift:
    def test_drift_waits_for_labels_of_predictions_since_it_began(self):
        """D5: four of four retrains learnt no row from after the drift, and each doubled the cooldown."""
        began = datetime(2026, 11, 8, tzinfo=UTC)
        old = np.sort([microseconds(began - timedelta(minutes=n)) for n in range(1, 900)])
        new = np.array([microseconds(began + timedelta(minutes=n)) for n in range(200)])
        state = replace(seen_before("price:ks"), last_window="20261108T000000Z_20261109T000000Z")
        for learnable, action in ((old, "alert"), (np.concatenate([old, new]), "retrain")):
            window = stamped(10, outcomes=replace(OutcomeEvidence(), learnable=learnable))
            assert GUARDED.decide(window, state).action == action


class TestGrowth:
    def grown(self, new, learnt=1_000, tried=(), **change):
        past = tuple(
            Retrain(f"w{n}", NOON - timedelta(days=9), "old", "v1", False, rows) for n, rows in enumerate(tried)
        )
        window = evidence(learnt_rows=learnt, unlearnt_rows=new, weights=30, **change)
        return GUARDED.decide(window, MonitorState("w1", "v1", {}, past))

    def test_a_small_beginning_is_learnt_anew_when_it_pays(self):
        """15 (1 / 1000 - 1 / 1250) = .003."""
        assert self.grown(249).action == "nothing"
        decision = self.grown(251)
        assert (decision.action, decision.reasons[0].split(":")[0]) == ("retrain", "growth")

    def test_what_an_attempt_could_learn_does_not_count_again(self):
        assert self.grown(600, tried=(500,)).action == "nothing"
        assert self.grown(1_200, tried=(500,)).action == "retrain"

    def test_a_recalibration_is_no_attempt_to_learn(self):
        off = evidence(realised=realised(gap=0.06, gap_p=1e-6), unlearnt_rows=600, learnt_rows=1_000, weights=30)
        state = seen_before("calibration")
        decision = GUARDED.decide(off, state)
        assert decision.action == "recalibrate"
        assert advance(GUARDED, off, decision, state).retrains[-1].unlearnt_rows == 0

    def test_a_champion_that_has_learnt_from_much_is_left_alone(self):
        assert self.grown(1_000_000, learnt=5_000).action == "nothing"

    def test_growth_waits_for_the_cooldown_and_keeps_the_budget(self):
        soon = evidence(learnt_rows=1_000, unlearnt_rows=900, weights=30)
        retrains = (Retrain("w0", NOON - timedelta(hours=71), "old", "v1"),)
        assert GUARDED.decide(soon, MonitorState("w1", "v1", {}, retrains)).action == "nothing"
        spent = tuple(Retrain(f"w{n}", NOON - timedelta(days=20 - n), "old", "v0") for n in range(4))
        assert GUARDED.decide(soon, MonitorState("w1", "v1", {}, spent)).action == "nothing"


def test_a_champion_under_the_contracts_floor_is_learnt_anew_whatever_it_promised():
    low = realised(0.6, reach=0.02)
    window = evidence(realised=replace(low, promised=low.metrics), roc_auc_floor=0.7)
    assert GUARDED.decide(window, MonitorState("w1", "v1", {})).action == "nothing"
    decision = GUARDED.decide(window, MonitorState("w1", "v1", {"floor": 1}))
    assert decision.action == "retrain"
    assert "under the contract's floor" in reasons(decision)
    assert advance(GUARDED, window, decision, MonitorState("w1", "v1", {"floor": 1})).streaks == {"floor": 2}


class TestBeyondDoubt:
    """One window's labels may say as much as two windows at alpha together."""

    @pytest.mark.parametrize(
        ("found", "name", "action"),
        [
            ({"previous_gain": Estimate(0.2, 0.14, 0.26)}, "previous", "roll_back"),
            ({"realised": realised(0.6)}, "performance", "retrain"),
        ],
    )
    def test_a_loss_that_labels_show_beyond_doubt_needs_no_second_window(self, found, name, action):
        decision = GUARDED.decide(evidence(**found), MonitorState("w1", "v1", {}))
        assert decision.action == action
        assert decision.figures["streaks"][name] == GUARDED.persistence

    def test_a_probable_loss_still_does(self):
        for found in ({"previous_gain": Estimate(0.06, 0.01, 0.11)}, {"realised": realised(0.78)}):
            assert GUARDED.decide(evidence(**found), MonitorState("w1", "v1", {})).action == "nothing"

    def test_drift_alone_and_better_figures_than_promised_always_wait(self):
        clear = evidence(report(check(p=1e-200, effect=0.9, drifted=True)))
        assert GUARDED.decide(clear, MonitorState("w1", "v1", {})).action == "nothing"
        assert GUARDED.decide(evidence(realised=realised(0.99)), MonitorState("w1", "v1", {})).action == "nothing"

    def test_a_figure_under_the_floor_waits_as_rows_of_one_bad_day_are_alike(self):
        low = realised(0.6)
        window = evidence(realised=replace(low, promised=low.metrics), roc_auc_floor=0.7)
        assert GUARDED.decide(window, MonitorState("w1", "v1", {})).action == "nothing"

    def test_selected_labels_say_nothing_beyond_doubt(self):
        picked = evidence(realised=realised(0.5, biased=True), roc_auc_floor=0.7)
        assert GUARDED.decide(picked, MonitorState("w1", "v1", {})).action == "nothing"

    def test_a_report_from_before_the_rule_is_judged_as_it_was_then(self):
        waits = replace(GUARDED, at_once_p=0.0)
        decision = waits.decide(evidence(realised=realised(0.6)), MonitorState("w1", "v1", {}))
        assert decision.action == "nothing"
        assert "at_once_p" not in decision.figures["rules"]  # so that it is the same document
