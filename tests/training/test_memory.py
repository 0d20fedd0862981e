"""The newest population says where a candidate begins to flag, and a shorter memory has to be demonstrably better."""

import numpy as np
import pytest
from scipy.special import expit
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.vectorised import probabilities
from stillgood.training import memory
from stillgood.training.fit import fit
from stillgood.training.ingest import ingest
from stillgood.training.memory import fit_best
from stillgood.training.recalibrate import placed
from stillgood.training.split import Split

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "x", "kind": "numeric"}, {"name": "z", "kind": "numeric"}],
        "floors": {"recall": 0.8},
        "time": "at",
        "id": "who",
    }
)
OLD, NEW = 3_000, 1_000


def history(turned: float, shift: float, seed: int = 3):
    """``OLD`` rows whose outcome follows x and ``NEW`` ones: there x counts ``turned`` as much, and all logits are
    lower by ``shift``.
    """
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(2, OLD + NEW))
    late = np.arange(OLD + NEW) >= OLD
    logit = np.where(late, turned * x - shift, x) + 0.5 * z - 1.0
    left = random.random(OLD + NEW) < expit(1.5 * logit)
    return x, z, left


def ingested(x, z, left):
    at = np.datetime64("2026-01-01T00:00:00") + np.arange(len(x)) * np.timedelta64(10, "m")
    rows = zip(range(len(x)), at, x, z, np.where(left, "yes", "no"), strict=True)
    lines = "\n".join(f"c{who},{time}Z,{a:.6f},{b:.6f},{outcome}" for who, time, a, b, outcome in rows)
    return ingest(CONTRACT, [("data/2026-02-01/a.csv", f"who,at,x,z,left\n{lines}\n".encode())])


def chosen(turned: float, *, against: str | None = "before", shift: float = 0.0):
    rows = ingested(*history(turned, shift))
    everything = np.arange(OLD + NEW)
    parts = Split(everything, everything[OLD:], against=against, starts=(OLD,))
    return rows, *fit_best(rows, parts, "v1", 0)


def test_a_memory_of_the_newest_rows_is_taken_where_they_follow_another_rule():
    _, parts, _ = chosen(turned=-1.0)
    assert len(parts.train) == NEW


def test_memories_that_cannot_be_told_apart_leave_the_longest(monkeypatch):
    _, parts, _ = chosen(turned=0.9)
    assert len(parts.train) == OLD + NEW
    monkeypatch.setattr(memory, "MIN_GAIN", -1.0)  # the standard error decides alone
    assert len(chosen(turned=0.9)[1].train) == OLD + NEW


@pytest.mark.parametrize(("against", "kept"), [("before", True), (None, False)])
def test_a_challenger_flags_as_the_newest_population_needs_it_and_a_first_model_as_all_rows_do(against, kept):
    """All who come now score lower, so a threshold of all rows would miss most of their positives."""
    rows, parts, fitted = chosen(turned=1.0, against=against, shift=1.0)
    place = np.searchsorted(parts.train, parts.holdout)
    positive = rows.target[parts.holdout] == 1
    flagged = fitted.oof_logits[place] >= fitted.model.threshold_logit
    recall = flagged[positive].mean()
    assert (abs(recall - 0.8) < 0.03) == kept
    mean = probabilities(fitted.model, fitted.oof_logits[place]).mean()
    assert (abs(mean - positive.mean()) < 0.01) == kept
    assert {model.threshold_logit for model in fitted.fold_models} == {fitted.model.threshold_logit}


def test_newest_rows_that_do_not_say_how_scores_and_outcomes_go_together_place_nothing():
    random = np.random.default_rng(1)
    x, z = random.normal(size=(2, OLD))
    target = (random.random(OLD) < expit(1.5 * x - 1.0)).astype(np.int8)
    target[-200:] = (x[-200:] < 0).astype(np.int8)
    who = np.arange(OLD, dtype=np.uint64)
    frame = Frame(CONTRACT, OLD, {"x": x, "z": z})
    before = fit(frame, target, who, version="v1", data_sha256="0" * 64)
    assert placed(before, np.arange(OLD - 200, OLD), target, who) is before
