"""Move, keep or freeze: what overrules what, and that each decision says why."""

from dataclasses import replace

import numpy as np
import pytest
from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.model.model import Calibration
from stillgood.domain.operating_point.calibration import FittedCalibration, Labelled, sigmoid
from stillgood.domain.operating_point.correction import Correction
from stillgood.domain.operating_point.decide import (
    PointInputs,
    corrected,
    decide,
    disagreement,
    leaves_z,
    realised_figure,
)
from stillgood.domain.operating_point.placement import Population, place

LINE = FittedCalibration(Calibration(1.0, 0.0), (0.0004, 0.0, 0.0008), 4000)
NOBODY = Labelled(np.empty(0), np.empty(0, dtype=bool), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
RECALL = Objective("recall", 0.8)


def population(seed: int, n: int = 2000, mean: float = 0.0) -> Population:
    return Population(np.random.default_rng(seed).normal(mean, 1.5, n), np.arange(n))


def labelled(seed: int, threshold: float, n: int = 2000, intercept: float = 0.0, slope: float = 1.0) -> Labelled:
    rows = population(seed, n)
    y = np.random.default_rng(seed + 1000).uniform(size=n) < sigmoid(slope * rows.logits + intercept)
    return Labelled(rows.logits, y, rows.entities, rows.logits >= threshold)


def inputs(**more: object) -> PointInputs:
    """A point that stands where recall .80 is estimated on its population."""
    placed = place(RECALL, 0.8, LINE, population(1, 20_000))
    base = PointInputs(RECALL, 0.8, PointRules(), LINE, placed.threshold, Correction(), population(2), NOBODY)
    return replace(base, **more)  # type: ignore[arg-type]


def test_a_steady_population_keeps_the_point():
    decision = decide(inputs())
    assert (decision.action, decision.alert) == ("keep", False)
    assert "within" in decision.reasons[-1]
    assert decision.threshold == inputs().threshold


def test_false_moves_of_a_steady_population_are_rare():
    moves = sum(decide(inputs(population=population(seed))).action == "move" for seed in range(200))
    assert moves <= 2


def test_a_population_that_moved_moves_the_point_before_any_label():
    moved = inputs(population=population(3, mean=-1.5))
    decision = decide(moved)
    assert decision.action == "move"
    assert decision.threshold < moved.threshold
    later = population(4, 100_000, mean=-1.5)
    left = np.random.default_rng(5).uniform(size=later.n) < sigmoid(later.logits)
    assert (later.logits >= decision.threshold)[left].mean() == pytest.approx(0.8, abs=0.03)
    assert "wanted 0.800: moved" in " ".join(decision.reasons)


def test_a_jump_is_seen_in_the_newest_rows_and_placed_on_them_alone():
    both = np.concatenate([population(6, 3600).logits, population(7, 400, mean=-2.5).logits])
    decision = decide(inputs(population=Population(both, np.arange(4000))))
    assert decision.action == "move"
    assert decision.figures["rows"] <= 400


def weeks(busy: float = 1.5) -> Population:
    """Two windows of 1,000 rows; in the last fifth of each, an evening, scores are higher by ``busy``."""
    rows = population(6)
    return replace(rows, logits=rows.logits + busy * (np.arange(2000) % 1000 >= 800))


def test_an_evening_that_differs_from_the_day_is_no_change_of_the_population():
    whole = place(RECALL, 0.8, LINE, weeks()).threshold
    point = inputs(population=weeks(), threshold=whole)
    assert decide(replace(point, fresh=1000)).action == "keep"
    alone = decide(point)  # as evidence of before is decided again
    assert (alone.action, alone.figures["rows"] <= 200, alone.threshold > whole + 0.5) == ("move", True, True)


def test_a_window_that_jumped_is_placed_on_alone():
    rows = weeks()
    moved = replace(rows, logits=rows.logits - 2.0 * (np.arange(2000) >= 1000))
    decision = decide(inputs(population=moved, fresh=1000))
    assert (decision.action, decision.figures["rows"]) == ("move", 1000)


def test_a_move_beyond_ten_points_is_told_to_a_person():
    point = inputs(objective=Objective("cost"), wanted=0.3)
    assert decide(point).alert
    small = replace(point, threshold=place(Objective("cost"), 0.35, LINE, population(1, 20_000)).threshold)
    assert (decide(small).action, decide(small).alert) == ("move", False)


def test_a_fault_of_the_data_freezes_it_whatever_the_estimate_says():
    decision = decide(inputs(population=population(3, mean=-1.5), faults=("usage is missing in 100% of rows.",)))
    assert decision.action == "freeze"
    assert decision.reasons == ("Frozen: usage is missing in 100% of rows.",)
    assert decision.threshold == inputs().threshold


def test_a_lost_ranking_freezes_it_and_tells_a_person():
    point = inputs(population=population(3, mean=-1.5))
    rows = labelled(8, point.threshold, slope=-1.0)
    decision = decide(replace(point, labelled=rows))
    assert (decision.action, decision.alert) == ("freeze", True)
    assert "ranking is lost" in decision.reasons[-1]


def test_labels_that_contradict_the_estimate_win():
    """After 1,500 rows of the old world, 500 in which far fewer leave: the line is theirs alone."""
    point = inputs(rules=PointRules(margin=0.0))
    old, new = labelled(9, point.threshold, 1500), labelled(10, point.threshold, 500, intercept=-2.0)
    parts = ("logits", "y", "entities", "flagged")
    rows = Labelled(*(np.concatenate([getattr(old, part), getattr(new, part)]) for part in parts))
    conflict = disagreement(point.objective.kind, point.line, rows)
    assert conflict is not None
    assert conflict.p < 1e-3
    decision = decide(replace(point, labelled=rows))
    assert decision.alert
    assert "the labels win" in decision.reasons[0]
    assert decision.line.line.intercept < -1.0


def test_labels_that_agree_are_heard_and_nobody_is_called():
    point = inputs()
    false_alarms = sum(decide(replace(point, labelled=labelled(seed, point.threshold))).alert for seed in range(100))
    assert false_alarms <= 2


def test_a_bound_of_the_share_flagged_is_for_a_person_to_lift():
    decision = decide(inputs(population=population(3, mean=-1.5), rules=PointRules(max_flagged=0.4)))
    assert (decision.action, decision.alert) == ("freeze", True)
    assert "the bound is 40%: a person decides" in decision.reasons[-1]


def test_a_precision_that_no_threshold_reaches_is_for_a_person():
    point = inputs(objective=Objective("precision", 0.999), wanted=0.999)
    decision = decide(point)
    assert decision.action == "freeze"
    assert "no threshold reaches" in decision.reasons[-1]


def test_a_fixed_point_stays_and_still_says_where_it_stands():
    decision = decide(inputs(population=population(3, mean=-1.5), rules=PointRules(mode="fixed")))
    assert decision.action == "keep"
    assert decision.estimated is not None
    assert decision.estimated.value < 0.7


def test_too_few_predictions_keep_it():
    decision = decide(inputs(population=population(3, 99, mean=-1.5)))
    assert decision.action == "keep"
    assert "too few" in decision.reasons[0]


def test_a_file_is_placed_on_itself_without_a_margin():
    whole = population(11, 5000, mean=-0.1)
    decision = decide(inputs(population=whole, whole=True))
    assert decision.action == "move"
    p = LINE.probabilities(whole.logits)
    assert p[whole.logits >= decision.threshold].sum() / p.sum() == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(("kind", "wanted"), [("recall", 0.8), ("precision", 0.7), ("capacity", 0.2), ("cost", 0.3)])
def test_every_objective_moves_to_its_figure(kind, wanted):
    decision = decide(inputs(objective=Objective(kind, wanted), wanted=wanted, population=population(3, mean=-2.5)))
    assert decision.action == "move"
    assert decision.estimated is not None
    assert decision.estimated.value == pytest.approx(wanted, abs=0.02)


def test_a_share_is_counted_and_needs_no_margin_an_estimate_does():
    """Of 4,000 rows 2.9 standard errors of a share of .22 are .019: .02 off is beyond them, not beyond .024."""
    threshold = float(np.quantile(population(1, 4000).logits, 0.78))
    point = inputs(
        objective=Objective("capacity", 0.2), wanted=0.2, threshold=threshold, population=population(1, 4000)
    )
    assert decide(point).action == "move"
    precise = float(place(Objective("precision", 0.7), 0.7, LINE, population(1, 4000)).threshold)
    near = inputs(
        objective=Objective("precision", 0.69), wanted=0.69, threshold=precise, population=population(1, 4000)
    )
    assert decide(near).action == "keep"


def test_the_correction_is_added_to_the_aim():
    decision = decide(inputs(correction=Correction(offset=0.09), population=population(3, 4000)))
    assert decision.action == "move"
    assert decision.estimated is not None
    assert decision.estimated.value == pytest.approx(0.89, abs=0.01)


def test_only_whole_blocks_correct_and_only_figures_that_labels_show():
    rows = labelled(12, 50.0, 1200)  # nobody is flagged: recall 0
    assert corrected("recall", 0.8, Correction(), rows, 0).blocks == 2
    assert corrected("recall", 0.8, Correction(), rows, 0).offset == pytest.approx(0.032)
    assert corrected("precision", 0.8, Correction(), rows, 0).blocks == 0
    assert corrected("cost", 0.8, Correction(), rows, 0) == Correction()
    assert realised_figure("recall", NOBODY) is None


def test_false_alarms_per_row_are_alike_in_all_spans():
    assert leaves_z(100) > leaves_z(1000) > leaves_z(4000) > 2.5
