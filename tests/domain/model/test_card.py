"""The model card says what a person should know, and nothing of a single row."""

import dataclasses

import numpy as np
import pytest
import yaml
from stillgood.domain.contract.contract import Costs
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.card import card
from stillgood.domain.model.evaluation import evaluate
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": "7",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "x", "kind": "numeric"},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"]},
        ],
        "floors": {"recall": 0.75},
    }
)
MODEL = Model(
    "20261101-abc",
    CONTRACT,
    (NumericTerm("x", 0.0, 12.5, -0.4), CategoricalTerm("plan", {"basic": 1.0, "plus": -0.5})),
    0.0,
    0.0,
    Calibration(1.0, 0.0),
    {"data_sha256": "d" * 64, "seed": 0, "libraries": {"numpy": "2.0"}},
)
ROWS = {"accepted": 8, "refused_rows": 2, "refused": {"x: type": 2}, "repaired": {}}
FIGURES = evaluate(np.array([2.0, 1.0, -1.0, -2.0] * 2), [0.9, 0.6, 0.4, 0.1] * 2, [1, 0, 1, 0] * 2, 0.0)


@pytest.fixture
def lines():
    return card(MODEL, FIGURES, FIGURES, ROWS).split("\n---\n\n", 1)[1].splitlines()


def test_it_names_version_outcome_data_and_libraries(lines):
    assert lines[0] == "# readings 20261101-abc"
    assert lines[2].startswith("Predicts `left = yes` from 2 features.")
    assert f"Data sha256 `{'d' * 64}`, contract 7 `{CONTRACT.sha256[:12]}`, seed 0, numpy 2.0." in lines


def test_it_gives_every_figure_with_its_interval_out_of_fold_and_on_the_holdout(lines):
    assert f"| recall | {FIGURES.recall} | {FIGURES.recall} |" in lines
    assert str(FIGURES.recall).startswith("0.500 [")
    assert "| rows (positive) | 8 (4) | 8 (4) |" in lines


def test_it_says_what_weighs_most_first(lines):
    start = lines.index("## What weighs most (logits)")
    assert lines[start + 1 : start + 3] == ["- plan: 1.50 between plus and basic", "- x: -0.40 per 12.5"]


def test_it_says_what_became_of_the_rows(lines):
    assert "8 accepted, 2 refused (x: type 2), repaired: none." in lines


def test_it_says_how_the_threshold_was_chosen(lines):
    rule = (
        "A row is flagged from probability 0.5000: the highest precision with an out-of-fold recall of at least 0.75."
    )
    assert rule in lines
    priced = dataclasses.replace(MODEL, contract=dataclasses.replace(CONTRACT, costs=Costs(miss=10, offer=1)))
    assert "the cheapest threshold under the contract's costs." in card(priced, FIGURES, None, ROWS)


def test_without_a_holdout_it_says_so():
    assert f"| roc_auc | {FIGURES.roc_auc} | none |" in card(MODEL, FIGURES, None, ROWS)


def test_the_card_has_the_fields_of_the_hubs_model_cards():
    front = yaml.safe_load(card(MODEL, FIGURES, None, ROWS).split("---")[1])

    assert (front["library_name"], front["pipeline_tag"]) == ("stillgood", "tabular-classification")
    (index,) = front["model-index"]
    (result,) = index["results"]  # no holdout: no figures of it
    assert result["task"]["type"] == "tabular-classification"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]}["roc_auc"] == FIGURES.roc_auc.value
    assert set(front["metrics"]) == {metric["type"] for metric in result["metrics"]}
