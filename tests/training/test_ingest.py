"""Many objects become rows that stand once, in one order, and nothing is lost on the way."""

import csv
import gzip
import io
import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.training.ingest import ingest, require_enough

from tests.training.conftest import HEADER, ROW, SHOP

FIRST, SECOND = "data/2026-11-01/a.csv", "data/2026-11-02/b.csv"
UNDATED = read_contract({**SHOP, "time": None})


def refusals(ingested):
    return [
        (refused.source, refused.row, [violation.rule for violation in refused.violations])
        for refused in ingested.refused
    ]


def test_rows_are_counted_by_what_became_of_them(shop, rows_as_csv):
    csv = rows_as_csv([{}, {"newsletter": ""}, {"age": "old", "left": "maybe"}, {"customer": "c1"}])
    objects = [(FIRST, csv), (SECOND, b"x,y\n1,2\n"), ("data/notes.txt", b"")]
    assert ingest(shop, objects).counts() == {
        "objects": 3,
        "accepted": 2,
        "repaired": {"(row): duplicate dropped": 1, "newsletter: if_missing": 1},
        "refused": {"(object): columns": 1, "(object): format": 1, "age: type": 1, "left: level": 1},
        "refused_rows": 1,
        "refused_objects": 2,
    }


def test_the_same_rows_are_the_same_columns_and_hash_whatever_order_they_come_in(shop, rows_as_csv):
    rows = [
        {"customer": f"c{number % 40}", "seen_at": f"2026-10-{number % 7 + 1:02d}", "age": str(number % 50)}
        for number in range(100)
    ]
    once = ingest(shop, [(FIRST, rows_as_csv(rows))])
    random.Random(1).shuffle(rows)
    again = ingest(shop, [(SECOND, rows_as_csv(rows[50:])), (FIRST, rows_as_csv(rows[:50]))])
    assert again.sha256 == once.sha256
    assert again.ids.tolist() == once.ids.tolist()
    for name, column in once.frame.columns.items():
        np.testing.assert_array_equal(again.frame.columns[name], column)


def test_rows_stand_in_order_of_time_then_of_the_ids_hash(shop, rows_as_csv):
    rows = [{"seen_at": f"2026-10-0{day}"} for day in (3, 1, 2, 1, 3, 1)]
    ingested = ingest(shop, [(FIRST, rows_as_csv(rows))])
    order = list(zip(ingested.times.tolist(), ingested.hashes.tolist(), strict=True))
    assert order == sorted(order)
    assert sorted(ingested.ids.tolist()) == ["c1", "c2", "c3", "c4", "c5", "c6"]


@pytest.mark.parametrize(
    "change",
    [{"age": "31"}, {"spend": ""}, {"plan": "plus"}, {"left": "yes"}, {"customer": "c9"}, {"seen_at": "2026-10-31"}],
)
def test_any_other_value_is_another_hash(shop, rows_as_csv, change):
    first = ingest(shop, [(FIRST, rows_as_csv([{}, {}]))])
    second = ingest(shop, [(FIRST, rows_as_csv([{}, change]))])
    assert first.sha256 != second.sha256


def test_the_same_row_again_is_dropped_and_counted_in_one_object_or_in_two(shop, rows_as_csv):
    csv = rows_as_csv([{}, {"customer": "c1"}])
    ingested = ingest(shop, [(FIRST, csv), (SECOND, csv)])
    assert ingested.ids.tolist() == ["c1"]
    assert ingested.repaired == {"(row): duplicate dropped": 3}


def test_a_customer_at_another_time_is_another_row(shop, rows_as_csv):
    rows = [{"customer": "c1"}, {"customer": "c1", "seen_at": "2026-10-05", "left": "yes"}]
    ingested = ingest(shop, [(FIRST, rows_as_csv(rows))])
    assert ingested.target.tolist() == [1, 0]
    assert refusals(ingested) == []


def test_rows_that_contradict_each_other_are_all_refused_since_nothing_says_which_is_right(shop, rows_as_csv):
    first = rows_as_csv([{}, {"customer": "c1", "left": "yes"}, {"iban": "DE1"}])
    second = rows_as_csv([{"age": "31"}])
    ingested = ingest(shop, [(FIRST, first), (SECOND, second)])
    assert ingested.ids.tolist() == ["c3"]
    assert refusals(ingested) == [(FIRST, 1, ["conflict"]), (FIRST, 2, ["conflict"]), (SECOND, 1, ["conflict"])]
    assert ingested.refused[1].raw == {**{name: text for name, text in ROW.items() if name != "iban"}, "left": "yes"}
    assert "the same customer and time" in ingested.refused[0].violations[0].message


def test_without_a_time_column_a_row_that_returns_unchanged_keeps_its_first_date(rows_as_csv):
    csv = rows_as_csv([{}])
    for objects in ([(FIRST, csv), (SECOND, csv)], [(SECOND, csv), (FIRST, csv)]):
        ingested = ingest(UNDATED, objects)
        assert ingested.times.astype("datetime64[D]").astype(str).tolist() == ["2026-11-01"]
        assert ingested.repaired == {"(row): duplicate dropped": 1}


def test_without_a_time_column_a_customer_who_changed_is_two_rows(rows_as_csv):
    ingested = ingest(UNDATED, [(FIRST, rows_as_csv([{}])), (SECOND, rows_as_csv([{"left": "yes"}]))])
    assert ingested.target.tolist() == [0, 1]


def test_rows_from_the_future_are_refused(shop, rows_as_csv):
    csv = rows_as_csv([{}, {"seen_at": "2062-11-01"}])
    assert refusals(ingest(shop, [(FIRST, csv)], latest=datetime(2026, 11, 3, tzinfo=UTC))) == [(FIRST, 2, ["future"])]


def test_nothing_at_all_is_no_rows(shop):
    ingested = ingest(shop, [])
    assert (ingested.frame.n, ingested.counts()["objects"]) == (0, 0)
    assert ingested.frame.columns["plan"].dtype == np.int32


words = st.sampled_from(["c1", "c2", "c3", "", "no", "yes", "30", "31", "2026-10-01", "old"])
rows = st.fixed_dictionaries(
    {}, optional={"customer": words, "seen_at": words, "age": words, "left": words, "plan": words}
)


@given(st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), rows), max_size=20))
def test_every_row_is_accepted_dropped_as_a_duplicate_or_refused_and_none_is_lost(placed):
    objects = []
    for key in (FIRST, SECOND):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(ROW))
        writer.writeheader()
        writer.writerows({**ROW, **row} for where, row in placed if where == key)
        objects.append((key, text.getvalue().encode()))
    ingested = ingest(read_contract(SHOP), objects)
    dropped = ingested.repaired["(row): duplicate dropped"]
    assert ingested.frame.n + dropped + len(ingested.refused) == len(placed)
    assert len({(refused.source, refused.row) for refused in ingested.refused}) == len(ingested.refused)
    # Rows without an id may look alike; the others are one a customer and time.
    places = zip(ingested.ids.tolist(), ingested.times.tolist(), strict=True)
    named = [place for place in places if not place[0].startswith("row:")]
    assert len(set(named)) == len(named)


def test_too_few_rows_says_how_many_there_are_and_what_was_refused_most(shop, rows_as_csv):
    csv = rows_as_csv([{}] * 3 + [{"age": "old"}] * 5 + [{"plan": "gold"}])
    with pytest.raises(TooFewRows) as raised:
        require_enough(ingest(shop, [(FIRST, csv)]), "quarantine/x.jsonl")
    assert (
        raised.value.detail
        == "3 usable labelled rows in 1 objects under data/; the contract asks for 20. Upload CSV objects to"
        " data/<date>/. Refused: 5 by age: type, 1 by plan: level; see quarantine/x.jsonl."
    )


@pytest.mark.parametrize("only", ["yes", "no"])
def test_one_outcome_only_says_which(shop, rows_as_csv, only):
    with pytest.raises(OneClassOnly, match=f"All 20 labelled rows have left = {only}; a model needs rows of both"):
        require_enough(ingest(shop, [(FIRST, rows_as_csv([{"left": only}] * 20))]))


def test_enough_rows_of_both_outcomes_are_enough(shop, rows_as_csv):
    require_enough(ingest(shop, [(FIRST, rows_as_csv([{"left": "yes"}] + [{}] * 19))]))


JOINED = "data/2026-11-01/labels-{0:032x}.csv"


def joined(rows, *, contract=UNDATED):
    """As monitor writes them: (prediction id, when, when the label arrived, changes)."""
    names = ["prediction_id", "predicted_at", "label_arrived_at", *(name for name in ROW if name != "iban")]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    for made, at, heard, change in rows:
        writer.writerow({**ROW, "prediction_id": made, "predicted_at": at, "label_arrived_at": heard, **change})
    return text.getvalue().encode()


def test_each_prediction_is_a_row_at_its_own_time_though_the_contract_names_none_and_all_look_alike():
    nameless = read_contract({**SHOP, "id": None, "time": None})
    times = [f"2026-10-0{day}T06:00:00Z" for day in (1, 2, 2)]
    data = joined([(f"p{number}", at, "2026-11-01T00:00:00Z", {}) for number, at in enumerate(times)])
    ingested = ingest(nameless, [(JOINED.format(1), data)])
    assert ingested.times.astype(str).tolist() == [at.replace("Z", ".000000") for at in times]
    assert sorted(ingested.ids.tolist()) == ["prediction:p0", "prediction:p1", "prediction:p2"]


def test_a_customer_scored_twice_at_one_time_is_two_rows_of_one_entity():
    data = joined([("p1", "2026-10-01T06:00:00Z", "t", {}), ("p2", "2026-10-01T06:00:00Z", "t", {"age": "31"})])
    ingested = ingest(UNDATED, [(JOINED.format(1), data)])
    assert ingested.ids.tolist() == ["c1", "c1"]
    assert ingested.refused == ()
    assert len(set(ingested.hashes.tolist())) == 1


def test_a_later_label_of_a_prediction_corrects_the_row_whatever_the_order_of_files():
    first = joined([("p1", "2026-10-01T06:00:00Z", "2026-11-01T00:00:00Z", {"left": "no"})])
    later = joined([("p1", "2026-10-01T06:00:00Z", "2026-11-09T00:00:00Z", {"left": "yes"})])
    for keys in ((1, 2), (2, 1)):
        ingested = ingest(UNDATED, [(JOINED.format(keys[0]), first), (JOINED.format(keys[1]), later)])
        assert ingested.target.tolist() == [1]
        assert ingested.repaired["(row): corrected by a later label"] == 1


def test_joined_rows_are_plain_csv_whatever_dialect_the_contract_names_for_uploads():
    german = read_contract({**SHOP, "time": None, "source": {"delimiter": ";", "decimalChar": ","}})
    data = joined([("p1", "2026-10-01T06:00:00Z", "t", {"spend": "1.5"})])
    assert ingest(german, [(JOINED.format(1), data)]).frame.columns["spend"].tolist() == [1.5]


NO_ID = read_contract({**SHOP, "id": None, "time": None})
SAME = {"age": "30", "left": "no"}


def uploaded(*counts: int, rows_as_csv):
    """Objects of so many rows that are all the same, by the contract without an id."""
    names = [name for name in HEADER if name not in ("customer", "seen_at")]
    return [(f"data/2026-11-0{day}/a.csv", rows_as_csv([SAME] * count, names)) for day, count in enumerate(counts, 1)]


@pytest.mark.parametrize(
    ("counts", "kept"), [((5,), 5), ((5, 5), 5), ((3, 5), 5), ((5, 3), 5), ((1, 1, 1), 1), ((2, 4, 3), 4)]
)
def test_rows_without_an_id_may_look_alike_and_only_uploads_repeat_each_other(counts, kept, rows_as_csv):
    ingested = ingest(NO_ID, uploaded(*counts, rows_as_csv=rows_as_csv))
    assert ingested.frame.n == kept
    assert ingested.repaired["(row): duplicate dropped"] == sum(counts) - kept
    assert ingested.refused == ()
    assert (
        len(set(ingested.hashes.tolist())) == 1
    )  # one side of every split: they are the same customer, for all anybody knows


def test_rows_that_look_alike_do_not_depend_on_the_order_of_uploads(rows_as_csv):
    objects = uploaded(2, 4, 3, rows_as_csv=rows_as_csv)
    assert len({ingest(NO_ID, order).sha256 for order in (objects, objects[::-1], objects[1:] + objects[:1])}) == 1


def test_an_object_that_breaks_off_is_refused_whole_and_the_others_are_learnt_from(shop, rows_as_csv):
    good = rows_as_csv([{"age": str(20 + n % 50)} for n in range(500)])
    objects = [("data/2026-11-01/a.csv", good), ("data/2026-11-02/b.csv.gz", gzip.compress(good)[:-30])]
    ingested = ingest(shop, objects)
    assert ingested.frame.n == 500
    assert [(refused.source, refused.row, refused.violations[0].rule) for refused in ingested.refused] == [
        (objects[1][0], None, "gzip")
    ]


def test_every_object_is_read_or_refused_by_name(shop, rows_as_csv):
    rows = rows_as_csv([{}])
    keys = ["data//odd key (1).CSV", "data/2026/11/01/a.csv", "data/x.xls", "data/2026-11-01/a.txt"]
    ingested = ingest(shop, [(key, rows) for key in keys])
    assert ingested.frame.n + ingested.repaired["(row): duplicate dropped"] == 2
    assert [(refused.source, refused.violations[0].rule) for refused in ingested.refused] == [
        (key, "format") for key in sorted(keys[2:])
    ]


def test_what_this_project_wrote_is_plain_whatever_the_files_of_people_are_like(rows_as_csv):
    german = read_contract({**SHOP, "source": {"delimiter": ";", "decimalChar": ",", "dateFormat": "%d.%m.%Y"}})
    theirs = (
        rows_as_csv([{"spend": "9,5", "seen_at": "01.11.2026"}])
        .replace(b'"9,5"', b"9;5")
        .replace(b",", b";")
        .replace(b"9;5", b"9,5")
    )
    ours = rows_as_csv([{"spend": "9.5", "customer": "c2"}])
    objects = [("data/2026-11-01/a.csv", theirs), (f"data/2026-11-01/mended-{'0' * 32}.csv", ours)]
    ingested = ingest(german, objects)
    assert ingested.refused == ()
    assert ingested.frame.columns["spend"].tolist() == [9.5, 9.5]
    assert len(set(ingested.times.tolist())) == 1
