"""Labelled rows as columns: sliced by time, counted since a moment."""

from datetime import UTC, datetime, timedelta

import numpy as np
from stillgood.domain.outcomes.coverage import Span
from stillgood.domain.outcomes.evidence import LabelledRows, OutcomeEvidence, microseconds

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def rows(n):
    times = np.array([microseconds(DAY + timedelta(hours=hour)) for hour in range(n)])
    half = np.full(n, 0.5)
    return LabelledRows(times, np.arange(n, dtype=np.uint64), half, half, half > 0, np.arange(n) % 3 == 0)


def test_rows_since_a_moment_include_those_of_the_moment():
    assert rows(10).since(DAY + timedelta(hours=4)).n == 6
    assert rows(10).since(DAY + timedelta(hours=4)).positives == 2
    assert LabelledRows.empty().since(DAY).n == 0


def test_learnable_rows_are_counted_since_a_moment():
    evidence = OutcomeEvidence(learnable=rows(10).times)
    assert evidence.labelled_since(DAY) == 10
    assert evidence.labelled_since(DAY + timedelta(hours=9)) == 1
    assert evidence.labelled_since(DAY + timedelta(days=1)) == 0


def test_it_is_the_newest_labelled_span_that_says_whether_labels_are_selected():
    def span(day, labelled, selected):
        return Span(DAY + timedelta(days=day), DAY + timedelta(days=day + 1), 100, labelled, 5, selected, not selected)

    assert OutcomeEvidence(spans=(span(0, 10, False), span(1, 10, True), span(2, 0, False))).biased
    assert not OutcomeEvidence(spans=(span(0, 10, True), span(1, 10, False))).biased
    assert OutcomeEvidence(spans=(span(0, 50, False), span(1, 0, False))).coverage == 0.25
    assert OutcomeEvidence().coverage == 0.0
