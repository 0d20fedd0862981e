"""What a prediction's labels come to does not depend on how many of them are heard at once."""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.outcomes.ledger import (
    CONTRADICTING,
    NEGATIVE,
    POSITIVE,
    Horizon,
    OutcomeDay,
    apply,
    blank,
    identity,
    labels_of,
)

HOUR = 3_600_000_000
TOLD = st.tuples(st.integers(1, 3), st.integers(4, 7), st.booleans())  # event and arrival in hours, positive


@dataclass(frozen=True)
class Heard:
    """``labels`` in the order of arrival, heard in runs that begin at ``starts``."""

    labels: list[tuple[int, int, bool]]
    starts: set[int]

    def outcome(self) -> int:
        records = blank(1)
        records["id"], records["time"] = identity("p"), 0
        day = OutcomeDay(date(1970, 1, 1), records, {})
        edges = sorted(self.starts | {0, len(self.labels)})
        for first, last in pairwise(edges):
            rows = [
                ("p", "", event * HOUR, arrived * HOUR, positive, 0)
                for event, arrived, positive in self.labels[first:last]
            ]
            day = apply(day, labels_of(rows), ["crm"], Horizon(10 * HOUR, 10 * HOUR)).day
        return int(day.records["outcome"][0])


@given(st.lists(TOLD, min_size=1, max_size=6), st.data())
def test_the_label_that_arrived_last_of_the_newest_event_holds_however_they_are_heard(labels, data):
    ordered = sorted(labels, key=lambda label: label[1])
    # Labels of one arrival came in one batch, which one run hears whole.
    starts = data.draw(
        st.sets(
            st.sampled_from(
                [place for place in range(len(ordered)) if not place or ordered[place][1] != ordered[place - 1][1]]
            )
        )
    )
    newest = max(event for event, _, _ in ordered)
    last = max(arrived for event, arrived, _ in ordered if event == newest)
    words = {positive for event, arrived, positive in ordered if (event, arrived) == (newest, last)}
    wanted = CONTRADICTING if len(words) > 1 else POSITIVE if words == {True} else NEGATIVE

    assert Heard(ordered, starts).outcome() == wanted


def test_what_is_said_again_stands_against_what_contradicts_it_in_the_same_run():
    said, contradicted, again = (1, 4, False), (1, 5, True), (1, 6, False)

    assert Heard([said, contradicted, again], {1}).outcome() == NEGATIVE
