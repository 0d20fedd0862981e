"""A label is read strictly, and what its sender says of the feed beside it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.labels import Label, read_labels, watermark

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
    assert [(label.row, label.field) for label in refused] == [(1, field)]


@given(st.lists(st.dictionaries(st.text(max_size=12), st.none() | st.integers() | st.text() | st.lists(st.none()))))
def test_reading_never_raises_and_loses_no_row(rows: list[dict[str, object]]) -> None:
    accepted, refused = read_labels(rows, TARGET)
    assert len(accepted) + len(refused) == len(rows)  # a watermark alone would be neither


def test_rows_that_hold_a_watermark_only_are_no_labels() -> None:
    rows = [
        GOOD,
        {"complete_until": "2026-11-21T00:00:00Z", "label": None},
        {"complete_until": "2026-11-20T00:00:00+01:00"},
    ]
    accepted, refused = read_labels(rows, TARGET)
    assert (len(accepted), refused) == (1, [])
    assert watermark(rows) == "2026-11-21T00:00:00Z"
    assert watermark([GOOD]) is None


def test_a_label_of_tomorrow_is_refused_today() -> None:
    now = datetime(2026, 11, 20, 8, 54, tzinfo=UTC)
    _, refused = read_labels([GOOD], TARGET, now=now)
    assert [label.field for label in refused] == ["event_time"]
    accepted, _ = read_labels([GOOD], TARGET, now=now + timedelta(minutes=2))  # clocks differ by some minutes
    assert len(accepted) == 1
