"""A label is read strictly, and which one holds does not depend on order or repetition."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.labels import Label, read_labels, resolve

TARGET = Target("churn", "Yes", "No")
GOOD = {"prediction_id": "p1", "label": "Yes", "event_time": "2026-11-20T10:00:00+01:00"}


def test_a_label_is_normalised_to_utc() -> None:
    accepted, refused = read_labels([GOOD], TARGET)
    assert accepted == [Label("2026-11-20T09:00:00Z", "p1", "", "Yes")]
    assert refused == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "maybe"}, "label"),
        ({"label": None}, "label"),
        ({"label": ["Yes"]}, "label"),
        ({"event_time": "2026-11-20"}, "event_time"),
        ({"event_time": "2026-11-20T10:00:00"}, "event_time"),
        ({"event_time": "soon"}, "event_time"),
        ({"event_time": None}, "event_time"),
        ({"entity_id": "e1"}, "prediction_id"),
        ({"prediction_id": ""}, "prediction_id"),
        ({"prediction_id": "x" * 257}, "prediction_id"),
        ({"prediction_id": True}, "prediction_id"),
        ({"prediction_id": "a\nb"}, "prediction_id"),
        ({"lable": "Yes"}, "lable"),
    ],
)
def test_a_label_that_cannot_be_used_is_refused_by_field(change: dict[str, object], field: str) -> None:
    accepted, refused = read_labels([GOOD, GOOD | change], TARGET)
    assert len(accepted) == 1
    assert [(one.row, one.field) for one in refused] == [(1, field)]


@given(st.lists(st.dictionaries(st.text(max_size=12), st.none() | st.integers() | st.text() | st.lists(st.none()))))
def test_reading_never_raises_and_loses_no_row(rows: list[dict[str, object]]) -> None:
    accepted, refused = read_labels(rows, TARGET)
    assert len(accepted) + len(refused) == len(rows)


LABELS = st.builds(
    Label,
    st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
    st.sampled_from(["p1", "p2"]),
    st.just(""),
    st.sampled_from(["Yes", "No"]),
)


@given(st.lists(LABELS, max_size=8), st.randoms(use_true_random=False))
def test_what_holds_is_independent_of_order_and_repetition(labels: list[Label], shuffle: random.Random) -> None:
    again = labels + labels[: len(labels) // 2]
    shuffle.shuffle(again)
    first, second = resolve(labels, "prediction_id"), resolve(again, "prediction_id")
    assert (first.outcome, first.conflicts, first.corrected) == (second.outcome, second.conflicts, second.corrected)


def test_the_newest_label_wins_and_a_contradiction_is_used_by_nobody() -> None:
    old, new = Label("2026-01-01T00:00:00Z", "p", "", "No"), Label("2026-01-02T00:00:00Z", "p", "", "Yes")
    against = Label("2026-01-02T00:00:00Z", "p", "", "No")
    assert resolve([new, old, old], "prediction_id").outcome == {"p": new}
    assert resolve([new, old], "prediction_id").corrected == 1
    assert resolve([new, old, old], "prediction_id").duplicates == 1
    torn = resolve([old, new, against], "prediction_id")
    assert torn.outcome == {}
    assert torn.conflicts == {"p"}
