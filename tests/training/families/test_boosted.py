"""Boosted pairs: scikit-learn's trees, collapsed exactly, monotone where the contract says so, chosen by evidence."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.model import Calibration, Model
from stillgood.domain.model.vectorised import contributions, logits
from stillgood.training.families import boosted
from stillgood.training.families.auto import choose, compare
from stillgood.training.families.boosted import Boosted, Boosting, screen
from stillgood.training.families.logistic import CHOSEN_ON, Logistic
from stillgood.training.families.stability import stability
from stillgood.training.fit import fit, folds
from threadpoolctl import threadpool_limits

N = 3_000


def rules(family="boosted", **monotone):
    numbers = [{"name": name, "kind": "numeric", "nullable": True} for name in "abcd"]
    for feature in numbers:
        if feature["name"] in monotone:
            feature["monotone"] = monotone[feature["name"]]
    levels = [f"level {number}" for number in range(9)]
    city = {"name": "city", "kind": "categorical", "levels": levels, "nullable": True, "unseen": "accept"}
    return read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "drawn",
            "version": "1",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [*numbers, city],
            "training": {"family": family},
        }
    )


def drawn(contract, n=N, seed=0, pair=1.5):
    """Rows in which a and b act together, c bends, the city matters, and some values are null or unseen."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=n).round(2) for name in "abcd"}
    city = rng.integers(0, 9, n).astype(np.int32)
    z = pair * columns["a"] * columns["b"] + np.abs(columns["c"]) - 0.5 * columns["d"] + 0.2 * (city % 3) - 1
    target = (rng.random(n) < expit(z)).astype(np.int8)
    for column in columns.values():
        column[rng.random(n) < 0.05] = np.nan
    city[rng.random(n) < 0.05] = -1
    city[rng.random(n) < 0.03] = -2
    return Frame(contract, n, {**columns, "city": city}), target, np.arange(n, dtype=np.uint64)


def model_of(learned, contract):
    unused = Calibration(1.0, 0.0)
    return Model("v", contract, learned.terms, learned.baseline, 0.0, unused, {}, learned.family, learned.pairs)


@pytest.fixture(scope="module")
def learnt():
    """Contract, frame, learner, its boosting before the collapse, and the collapsed model."""
    contract = rules()
    frame, target, _ = drawn(contract)
    learner = Boosted(Logistic(frame, target, 0), {"inverse_regularisation": 0.1})
    settings = {"inverse_regularisation": 0.1, "rounds": 120}
    rows = np.arange(frame.n)
    with threadpool_limits(1):
        boosting, _ = learner._start(rows, rows[:0])
        boosting.grow(120)
        return contract, frame, learner, boosting, model_of(learner.learn(rows, settings), contract)


def test_every_row_has_the_raw_score_of_scikit_learns_trees_to_1e_12(learnt):
    contract, frame, learner, boosting, model = learnt
    other, _, _ = drawn(contract, n=5_000, seed=1)
    for rows in (frame, other):
        # Beyond the training range the line ends, which is tested by itself.
        inside = Frame(contract, rows.n, {
            name: np.clip(column, np.nanmin(frame.columns[name]), np.nanmax(frame.columns[name]))
            if name != "city" else column
            for name, column in rows.columns.items()
        })  # fmt: skip
        weights, intercept = learner.base.weights(np.arange(frame.n), 0.1)
        base = Logistic(frame, boosting.target, 0)
        from stillgood.training.design import encode

        raw = encode(inside, base.columns) @ weights + intercept
        codes = learner.bins.codes(inside)
        for tree in boosting.trees:
            raw = raw + tree.predict_binned(codes, learner.bins.missing, 1)
        assert (frame.columns["city"] < 0).any()
        assert np.isnan(inside.columns["a"]).any()
        assert np.abs(logits(model, inside) - raw).max() <= 1e-12
    assert len(model.pairs) > 0


def test_the_trees_are_those_of_scikit_learns_classifier(learnt):
    contract = rules()
    frame, target, _ = drawn(contract)
    matrix = np.column_stack([np.nan_to_num(frame.columns[name]).round() for name in "abcd"])
    target = np.concatenate([target, 1 - target])  # balanced, so that both start from 0
    matrix = np.concatenate([matrix, matrix[::-1]])
    theirs = HistGradientBoostingClassifier(
        learning_rate=0.1, max_iter=60, max_leaf_nodes=6, min_samples_leaf=20, l2_regularization=1.0,
        early_stopping=False, interaction_cst="pairwise",
    ).fit(matrix, target)  # fmt: skip
    numbers = read_contract(contract.to_dict() | {"features": [{"name": name, "kind": "numeric"} for name in "abcd"]})
    ours = Frame(numbers, len(target), dict(zip("abcd", matrix.T, strict=True)))
    bins = boosted.bin_columns(ours)
    pairs = [{first, second} for first in range(4) for second in range(first)]
    boosting = Boosting(bins, bins.codes(ours), target.astype(np.int8), np.zeros(len(target)), pairs)
    boosting.grow(60)
    assert np.abs(boosting.raw - theirs.decision_function(matrix)).max() <= 1e-10


def test_reasons_are_centred_on_the_average_training_row_and_pairs_on_each_feature_alone(learnt):
    _, frame, _, _, model = learnt
    shares = contributions(model, frame)
    assert np.abs(shares.mean(axis=0)).max() < 1e-12
    pair, share = model.pairs[0], shares[:, len(model.terms)]
    column = frame.columns[pair.first.feature]
    for low, high in zip((-np.inf, *pair.first.cuts), (*pair.first.cuts, np.inf), strict=True):
        rows = (column > low) & (column <= high)
        assert not rows.any() or abs(share[rows].mean()) < 1e-3


def test_it_finds_the_pair_that_acts(learnt):
    _, frame, learner, boosting, _ = learnt
    weights, intercept = learner.base.weights(np.arange(frame.n), 0.1)
    _, pairs = screen(learner.bins, boosting.codes, boosting.target, learner.base.matrix @ weights + intercept)
    assert pairs[0] == (0, 1)
    assert len(pairs) <= boosted.MAX_PAIRS


@pytest.mark.parametrize("family", ["logistic", "boosted"])
def test_a_monotone_feature_never_turns_around_whatever_the_other_values(family):
    """c falls and then rises in the data, and d falls; the contract forbids both."""
    contract = rules(family, c="increasing", d="increasing")
    frame, target, entities = drawn(contract)
    model = fit(frame, target, entities, version="v", data_sha256="0" * 64).model
    assert model.family == family
    rng = np.random.default_rng(5)
    for name in "cd":
        sweep = np.unique(
            np.concatenate([np.linspace(-6, 6, 400), frame.columns[name][~np.isnan(frame.columns[name])]])
        )
        for row in rng.integers(0, frame.n, 60):
            others = {other: np.repeat(column[row], len(sweep)) for other, column in frame.columns.items()}
            values = logits(model, Frame(contract, len(sweep), others | {name: sweep}))
            assert (np.diff(values) >= 0).all()


def test_models_of_folds_are_those_that_scored_out_of_fold():
    contract = rules()
    frame, target, entities = drawn(contract, n=1_500)
    learner = Boosted(Logistic(frame, target, 0), {"inverse_regularisation": 0.1})
    with threadpool_limits(1):
        split = folds(target, entities)
        out_of_fold = learner.out_of_fold(split)
        assert 0 < out_of_fold.settings["rounds"] < boosted.MAX_ROUNDS
        for train, _ in split:
            kept = learner.learn(train, out_of_fold.settings)
            assert kept == learner.learn(train.copy(), out_of_fold.settings)  # a copy is fitted anew


def test_the_same_rows_and_seed_give_the_same_boosted_model():
    frame, target, entities = drawn(rules(), n=1_000)
    once, again = (fit(frame, target, entities, version="v", data_sha256="0" * 64).model.to_dict() for _ in range(2))
    assert once == again


def test_auto_takes_boosted_pairs_where_two_features_act_together():
    contract = rules("auto")
    frame, target, entities = drawn(contract)
    fitted = fit(frame, target, entities, version="v", data_sha256="0" * 64)
    assert fitted.model.family == "boosted"
    assert fitted.comparison.figures["difference"]["low"] > 0.005
    assert set(fitted.stability) == {"logistic", "boosted"}
    assert fitted.oof_metrics.roc_auc.value == fitted.comparison.figures["boosted_roc_auc"]["value"]


def test_auto_stays_logistic_where_every_effect_is_a_line():
    contract = rules("auto")
    frame, _, entities = drawn(contract)
    rng = np.random.default_rng(3)
    z = np.nan_to_num(frame.columns["a"]) - np.nan_to_num(frame.columns["d"])
    target = (rng.random(frame.n) < expit(z)).astype(np.int8)
    fitted = fit(frame, target, entities, version="v", data_sha256="0" * 64)
    assert fitted.model.family == "logistic"
    assert "bent" not in fitted.model.training["settings"]
    assert "gain less than 0.003 of ROC-AUC" in fitted.comparison.why


def test_auto_lets_a_number_bend_before_it_takes_another_family():
    contract = rules("auto")
    frame, _, entities = drawn(contract)
    rng = np.random.default_rng(3)
    z = 2 * np.abs(np.nan_to_num(frame.columns["c"])) - 1.5
    target = (rng.random(frame.n) < expit(z)).astype(np.int8)
    straight = Logistic(frame, target, 0)
    with threadpool_limits(1):
        choice = choose(straight, folds(target, entities))
    assert choice.learner.name == "logistic"
    assert "c" in choice.out_of_fold.settings["bent"]


@pytest.mark.parametrize("bends", [True, False])
def test_of_many_rows_bends_are_fitted_where_they_help_on_a_sample(bends, monkeypatch):
    features = [{"name": name, "kind": "numeric"} for name in "ab"]
    contract = read_contract(rules("auto").to_dict() | {"features": features})
    rng = np.random.default_rng(3)
    rows = CHOSEN_ON + 1_000
    a, b = rng.normal(size=(2, rows))
    target = (rng.random(rows) < expit(2 * np.abs(a) - 1.5 + b if bends else a + b)).astype(np.int8)
    fitted, out_of_fold = [], Logistic.out_of_fold
    monkeypatch.setattr(Logistic, "out_of_fold", lambda of, *given: fitted.append(of) or out_of_fold(of, *given))
    with threadpool_limits(1):
        straight = Logistic(Frame(contract, rows, {"a": a, "b": b}), target, 0)
        choice = choose(straight, folds(target, np.arange(rows, dtype=np.uint64)))
    bent = [learner for learner in fitted if learner.bends and learner.frame.n == rows]
    assert len(bent) == bends
    logistic = choice.learner if choice.learner.name == "logistic" else choice.others[0][0]
    assert bool(logistic.bends) == bends


def test_a_gain_that_chance_explains_or_that_is_too_small_chooses_nothing():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 100).astype(np.int8)
    noise = rng.normal(size=200)
    assert compare(y + noise, y + noise + 0.3 * rng.normal(size=200), y).chosen == "logistic"
    big = np.tile([0, 1], 50_000).astype(np.int8)
    noise = rng.normal(size=100_000)
    small = compare(big + 1.01 * noise, big + noise, big)
    assert small.figures["p"] < 0.05
    assert small.figures["loss"]["lower_by"] > small.figures["loss"]["standard_error"]
    assert small.chosen == "logistic"
    assert "which does not matter" in small.why


def test_reasons_of_a_firm_effect_stay_and_those_of_collinear_columns_move():
    frame, target, _ = drawn(rules())
    firm = stability(Logistic(frame, target, 0), frame, target, {"inverse_regularisation": 0.1}, 0)
    twin = np.nan_to_num(frame.columns["d"]) + 1e-3 * np.random.default_rng(1).normal(size=frame.n)
    alike = Frame(frame.contract, frame.n, {**frame.columns, "a": twin, "b": -twin})
    shaky = stability(Logistic(alike, target, 0), alike, target, {"inverse_regularisation": 1e4}, 0)
    assert 0 <= firm.movement < shaky.movement
    assert shaky.movement > 1
    assert firm.rows == frame.n
