"""The design matrix, and the way back from weights to terms."""

import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid
from stillgood.domain.model.model import Calibration, Model
from stillgood.domain.model.vectorised import contributions, logits
from stillgood.training.design import design, encode, terms_of

from tests.training.conftest import SHOP

CONTRACT = read_contract(SHOP)


def frame(ages, spends, plans, cities):
    n = len(ages)
    return Frame(
        CONTRACT,
        n,
        {
            "age": np.array(ages, dtype=np.float64),
            "spend": np.array(spends, dtype=np.float64),
            "plan": np.array(plans, dtype=np.int32),
            "newsletter": np.zeros(n),
            "city": np.array(cities, dtype=np.int32),
            "iban": np.zeros(n, dtype=np.int32),
        },
    )


ROWS = frame([20, 40, 20, 40], [1, 3, np.nan, np.nan], [0, 1, 1, 1], [0, -1, -2, 1])


def test_numbers_are_standardised_levels_and_nulls_have_a_column_each_and_unseen_levels_none():
    # age | spend, null | basic, plus | newsletter | Ulm, Bonn, null | DE1, DE2
    assert encode(ROWS, design(ROWS)).toarray().tolist() == [
        [-1, -1, 0, 1, 0, 0, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0],
        [-1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0],
        [1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0],
    ]


def test_the_matrix_holds_one_value_per_row_and_feature_however_many_levels_there_are():
    assert encode(ROWS, design(ROWS)).nnz == 4 * len(CONTRACT.features)


def test_the_terms_add_up_to_what_the_weights_say_also_for_null_and_unseen():
    columns = design(ROWS)
    weights = np.random.default_rng(1).normal(size=11)
    terms, baseline = terms_of(ROWS, columns, weights, 0.25)
    model = Model("v", CONTRACT, terms, baseline, 0.0, Calibration(1.0, 0.0))
    np.testing.assert_allclose(logits(model, ROWS), encode(ROWS, columns) @ weights + 0.25, rtol=0, atol=1e-15)


def test_a_categorical_feature_adds_nothing_on_average_so_reasons_are_against_the_average_row():
    terms, baseline = terms_of(ROWS, design(ROWS), np.random.default_rng(1).normal(size=11), 0.25)
    model = Model("v", CONTRACT, terms, baseline, 0.0, Calibration(1.0, 0.0))
    mean = dict(zip([term.name for term in terms], contributions(model, ROWS).mean(axis=0), strict=True))
    assert [mean[name] for name in ("age", "plan", "city", "iban")] == pytest.approx([0, 0, 0, 0], abs=1e-15)


def test_a_constant_is_not_divided_by_its_rounding_error():
    n = 7
    assert np.full(n, 0.1).std() > 0
    age = design(frame([0.1] * n, [0.0] * n, [0] * n, [0] * n))[0]
    assert (age.center, age.scale) == (0.1, 1.0)


def test_a_feature_that_is_null_throughout_is_only_its_null_column():
    null = frame([1, 2], [np.nan, np.nan], [0, 1], [-1, -1])
    assert encode(null, design(null)).toarray()[:, 1:3].tolist() == [[0, 1], [0, 1]]


def test_values_too_far_apart_to_standardise_name_the_feature_and_what_to_do():
    with pytest.raises(
        ContractInvalid, match=r"The values of spend are too far apart to standardise; give it a minimum"
    ):
        design(frame([1, 2], [1e300, 1.0], [0, 1], [0, 1]))
