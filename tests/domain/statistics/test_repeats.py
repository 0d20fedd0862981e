"""How many independent rows there are: the same from whole rows, from parts added up, and from a sample of the
entities.
"""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.statistics.repeats import EntitySample


def test_rows_of_one_customer_count_once():
    assert EntitySample.of_ids([f"c{i % 125}" for i in range(1000)]).repeats == 8.0


def test_rows_without_a_customer_stand_for_themselves():
    assert EntitySample.of_ids([None] * 50).repeats == 1.0
    assert EntitySample.of_ids([None] * 50 + ["a"] * 50).repeats == pytest.approx((50 * 50 + 50) / 100)
    assert EntitySample.empty().repeats == 1.0


@given(st.lists(st.integers(0, 9), max_size=40), st.lists(st.integers(0, 9), max_size=40))
def test_parts_add_up_to_the_whole(first, second):
    both = EntitySample.of_ids(map(str, first)) + EntitySample.of_ids(map(str, second))
    assert both.to_dict() == EntitySample.of_ids(map(str, first + second)).to_dict()


def test_large_parts_add_up_to_the_sample_of_the_whole():
    ids = [str(i) for i in np.random.default_rng(1).integers(0, 6000, 20_000)]
    parts = sum((EntitySample.of_ids(ids[i : i + 5000]) for i in range(0, 20_000, 5000)), EntitySample.empty())
    whole = EntitySample.of_ids(ids)
    assert len(whole.hashes) == EntitySample.SIZE
    common = np.isin(whole.hashes, parts.hashes)
    assert parts.counts.tolist() == whole.counts[common].tolist()
    assert parts.repeats == pytest.approx(whole.repeats, rel=0.1)


def test_a_sample_is_stored_and_read_back():
    sample = EntitySample.of_ids(["a", "b", "a", None])
    assert EntitySample.from_dict(json.loads(json.dumps(sample.to_dict()))).to_dict() == sample.to_dict()
    with pytest.raises(ValueError, match="one count"):
        EntitySample.from_dict({"hashes": ["1"], "counts": [0], "rows": 1, "single": 0})
