"""Rows of one contract read by another, as the gate does for two models of different contracts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import NULL, UNSEEN, Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.reread import read_as
from stillgood.domain.errors import ModelUnusable

PLAN = {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "nullable": True}
AGE = {"name": "age", "kind": "integer", "minimum": 0, "maximum": 120, "nullable": True}
CODE = {"name": "code", "kind": "integer", "minimum": 0, "maximum": 9}


def contract(*features: dict) -> Contract:
    raw = {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": list(features),
    }
    return read_contract(raw)


def rows(of: Contract, *values: dict, other: dict | None = None) -> Frame:
    frame = Frame.from_values(of, values)
    return Frame(of, frame.n, frame.columns, other)


def test_the_same_contract_is_the_same_frame() -> None:
    frame = rows(contract(PLAN, AGE), {"plan": "plus", "age": 30.0})
    assert read_as(contract(PLAN, AGE), frame, "v1") is frame


def test_a_level_keeps_its_name_not_its_place() -> None:
    new = {**PLAN, "levels": ["gold", "plus", "basic"]}
    frame = rows(
        contract(new), {"plan": "gold"}, {"plan": "plus"}, {"plan": "basic"}, {"plan": None}, {"plan": "none of them"}
    )
    assert read_as(contract(PLAN), frame, "v1").columns["plan"].tolist() == [UNSEEN, 1, 0, NULL, UNSEEN]


def test_a_dropped_feature_is_read_from_the_data() -> None:
    frame = rows(contract(AGE), *({"age": 30.0},) * 4, other={"plan": ["plus", "", "unheard of", "basic"]})
    assert read_as(contract(PLAN, AGE), frame, "v1").columns["plan"].tolist() == [1, NULL, NULL, 0]


def test_a_feature_that_no_row_has_is_missing_in_each() -> None:
    frame = rows(contract(AGE), {"age": 30.0}, {"age": None}, other={})
    old = read_as(contract(PLAN, CODE, AGE), frame, "v1")
    assert old.columns["plan"].tolist() == [NULL, NULL]
    assert np.isnan(old.columns["code"]).all()


def test_a_number_that_became_a_category_is_read_as_the_number_it_was() -> None:
    levels = {"name": "code", "kind": "categorical", "levels": ["1", "02", "x"]}
    frame = rows(contract(levels), {"code": "1"}, {"code": "02"}, {"code": "x"}, other={})
    old = read_as(contract(CODE), frame, "v1").columns["code"]
    assert old[:2].tolist() == [1.0, 2.0]
    assert np.isnan(old[2])


def test_a_category_that_became_a_number_is_read_as_the_level_it_was() -> None:
    levels = {"name": "code", "kind": "categorical", "levels": ["1", "2"]}
    frame = rows(contract(CODE), {"code": 1.0}, {"code": 2.0}, {"code": 7.0}, other={})
    assert read_as(contract(levels), frame, "v1").columns["code"].tolist() == [0, 1, NULL]


def test_rows_of_before_say_that_their_other_columns_were_not_kept() -> None:
    frame = rows(contract(AGE), {"age": 30.0})
    with pytest.raises(
        ModelUnusable, match="v1 reads 'plan' as categorical, which the candidate's holdout does not hold"
    ):
        read_as(contract(PLAN), frame, "v1")


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.data())
def test_other_columns_stand_beside_their_rows(texts: list[str], data: st.DataObject) -> None:
    of = contract(AGE)
    frame = rows(of, *({"age": float(place)} for place in range(len(texts))), other={"note": texts})
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=6))
    taken = frame.take(np.array(chosen, dtype=np.int64))
    assert taken.other == {"note": [texts[place] for place in chosen]}
    assert Frame.from_dict(of, frame.to_dict()).other == {"note": texts}
    mask = np.array([place in chosen for place in range(len(texts))])
    assert frame.take(mask).other == {"note": [text for text, kept in zip(texts, mask, strict=True) if kept]}


def test_other_columns_that_do_not_fit_are_refused() -> None:
    raw = rows(contract(AGE), {"age": 1.0}, other={"note": ["a"]}).to_dict()
    with pytest.raises(ModelUnusable, match="not one text a row"):
        Frame.from_dict(contract(AGE), {**raw, "other": {"note": []}})
