"""Columns are judged exactly as single rows are."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.chunk import Chunk
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.training.validate import BLANK_TIME, LabelledCheck

from tests.training.conftest import HEADER, ROW, SHOP

CONTRACT = read_contract(SHOP)
KEY = "data/dt=2026-11-02/shop.csv"


def judged(rows, contract=CONTRACT, key=KEY, latest=None):
    check = LabelledCheck(contract, key, text=True, latest=latest)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row[name] for row in rows] for name in names}
    part = check(Chunk(list(range(1, len(rows) + 1)), columns=columns))
    return part, check.refused, check.repaired


def row(**texts):
    return {**ROW, **texts}


cells = st.one_of(
    st.sampled_from(
        ["", " ", "\t", "0", "1", " 1 ", "30", "121", "-1", "1.0", "1.5", "+7", ".5", "5.", "1e2", "1e999", "nan", "-inf",  # noqa: E501
         "1_000", "1,5", "0x10", "٣", "yes", "No", "TRUE", "false", "0.0", "basic", " plus ", "Basic", "Ulm", "Paris", "DE1",  # noqa: E501
         "DE9", "é" * 300, "x" * 256, "x" * 257, "2026-11-01"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
)  # fmt: skip
# A blank id would be named by the row's content, which Contract.check knows nothing of.
ids = cells.filter(lambda text: text[:256].strip())
wild = st.fixed_dictionaries(
    {**dict.fromkeys(HEADER, cells), "customer": ids, "seen_at": st.just(""), "left": st.just("yes")}
)
# Most of the fields good, or else no row ever would be.
rows = st.builds(
    lambda base, names: {**base, **{name: ROW[name] for name in names if name != "customer"}},
    wild,
    st.sets(st.sampled_from(HEADER)),
)


@given(st.lists(rows, min_size=1, max_size=12))
def test_every_row_is_accepted_repaired_or_refused_exactly_as_a_single_row_would_be(raw_rows):
    part, refused, repaired = judged(raw_rows)

    checked = [RowChecker(CONTRACT).check(raw, text=True, extra="ignore") for raw in raw_rows]
    good = [number for number, checked_row in enumerate(checked) if not checked_row.violations]
    assert part.numbers.tolist() == [number + 1 for number in good]
    expected = Frame.from_values(CONTRACT, [checked[number].values for number in good])
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(part.columns[name], column)
        assert part.columns[name].dtype == column.dtype
    assert part.ids == [checked[number].entity_id for number in good]
    assert [(refusal.row, refusal.violations) for refusal in refused] == [
        (number + 1, checked_row.violations) for number, checked_row in enumerate(checked) if checked_row.violations
    ]
    blank = [f"seen_at: {BLANK_TIME}" for number in good if not raw_rows[number]["seen_at"]]
    repairs = [f"{repair.field}: {repair.rule}" for number in good for repair in checked[number].repairs]
    assert repaired == Counter([*blank, *repairs])


def test_a_blank_is_repaired_by_the_stated_rule_and_counted_however_it_is_blank():
    part, refused, repaired = judged(
        [row(newsletter=""), row(newsletter=" "), row(newsletter="\t"), row(newsletter="no")]
    )
    assert part.columns["newsletter"].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert (repaired, refused) == ({"newsletter: if_missing": 3}, [])


def test_a_repair_in_a_refused_row_is_not_counted():
    _, refused, repaired = judged([row(newsletter="", age="old")])
    assert len(refused) == 1
    assert not repaired


def test_a_column_that_is_absent_reads_as_blank_where_blanks_may_be():
    raw_rows = [{name: text for name, text in ROW.items() if name not in ("spend", "newsletter", "city")}]
    part, refused, repaired = judged(raw_rows)
    assert np.isnan(part.columns["spend"]).all()
    assert part.columns["city"].tolist() == [-1]
    assert (repaired, refused) == ({"newsletter: if_missing": 1}, [])


def test_a_refused_row_names_all_its_fields_at_once_and_is_kept_without_personal_data():
    _, refused, _ = judged([row(), row(age="-3", plan="gold", iban="DE7", left="maybe")])
    assert [refusal.to_dict() for refusal in refused] == [
        {
            "source": KEY,
            "row": 2,
            "line": None,
            "violations": [
                {"field": "age", "rule": "range", "value": "-3", "message": "age must be within 0 and 120, not '-3'."},
                {
                    "field": "plan",
                    "rule": "level",
                    "value": "gold",
                    "message": "plan must be one of basic, plus, not 'gold'.",
                },
                {"field": "iban", "rule": "level", "value": None, "message": "iban must be one of DE1, DE2."},
                {"field": "left", "rule": "level", "value": "maybe", "message": "left must be yes or no, not 'maybe'."},
            ],
            "raw": {name: text for name, text in row(age="-3", plan="gold", left="maybe").items() if name != "iban"},
        }
    ]


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_row_without_an_outcome_is_refused(blank):
    part, refused, _ = judged([row(left=blank), row(left=" yes "), row(left="no")])
    assert part.target.tolist() == [1, 0]
    assert [(refusal.row, refusal.violations[0].field, refusal.violations[0].rule) for refusal in refused] == [
        (1, "left", "required")
    ]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-01T12:30:00Z", "2026-11-01T12:30:00"),
        ("2026-11-01T12:30:00+02:00", "2026-11-01T10:30:00"),
        ("2026-11-01 12:30", "2026-11-01T12:30:00"),
        ("2026-11-01", "2026-11-01T00:00:00"),
        ("", "2026-11-02T00:00:00"),
    ],
)
def test_a_time_is_read_in_utc_and_a_blank_one_is_the_date_in_the_key(text, means):
    part, refused, _ = judged([row(seen_at=text)])
    assert part.times.tolist() == [datetime.fromisoformat(means)]
    assert refused == []


@given(st.lists(st.tuples(st.sampled_from(["", " ", "2026-11-02", "2026-11-01"]), st.booleans())))
def test_accepted_rows_without_a_time_of_their_own_are_counted(drawn):
    raw_rows = [row(seen_at=text, left="yes" if fine else "perhaps") for text, fine in drawn]
    _, _, repaired = judged(raw_rows)
    blank = sum(fine and not text.strip() for text, fine in drawn)
    assert repaired.get(f"seen_at: {BLANK_TIME}", 0) == blank


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "1700000000", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_is_refused(text):
    _, refused, _ = judged([row(seen_at=text)])
    assert [(refusal.violations[0].field, refusal.violations[0].rule) for refusal in refused] == [("seen_at", "time")]


def test_a_row_from_the_future_is_refused_since_it_would_be_the_newest_for_good():
    latest = datetime(2026, 11, 2, tzinfo=UTC)
    part, refused, _ = judged(
        [row(), row(seen_at="2206-11-01"), row(seen_at="2026-11-02T01:00:00+01:00")], latest=latest
    )
    assert part.numbers.tolist() == [1, 3]
    assert refused[0].violations[0].message == "seen_at 2206-11-01T00:00:00.000000 lies in the future."


@pytest.mark.parametrize(
    ("key", "date"),
    [
        ("data/2026-11-02/a.csv", "2026-11-02"),
        ("data/dt=2026-11-02/a.csv", "2026-11-02"),
        ("data/2026-11-02/more/a.csv", "2026-11-02"),
        ("data/a.csv", "1970-01-01"),
        ("data/2026-02-31/a.csv", "1970-01-01"),
        ("data/2026-11-02.csv", "1970-01-01"),
    ],
)
def test_the_date_in_the_key_is_that_of_its_folder(key, date):
    part, _, _ = judged([row(seen_at="")], key=key)
    assert part.times.astype("datetime64[D]").astype(str).tolist() == [date]


def test_a_folder_of_the_future_refuses_its_rows_by_the_date():
    _, refused, _ = judged([row(seen_at="")], key="data/2206-01-01/a.csv", latest=datetime(2026, 11, 2, tzinfo=UTC))
    assert [(refusal.violations[0].field, refusal.violations[0].rule) for refusal in refused] == [("(date)", "future")]


def test_a_row_without_an_id_is_named_by_its_content():
    part, _, _ = judged([row(customer=""), row(customer=" "), row(customer="", age="31"), row(customer=" c9 ")])
    first, second, third, fourth = part.ids
    assert first == second
    assert first.startswith("row:")
    assert third not in (first, fourth)
    assert fourth == "c9"


def test_an_id_is_taken_or_refused_as_a_prediction_does_so_that_both_name_the_customer_alike():
    longest = "é" * 256
    part, _, _ = judged([row(customer=longest)])
    assert part.ids == [RowChecker(CONTRACT).check({"customer": longest}).entity_id] == [longest]
    for odd in (longest + "é", "c\t9", "c\x859"):
        part, (refused,), _ = judged([row(customer=odd), row(customer="c9")])
        (predicted,) = [
            violation
            for violation in RowChecker(CONTRACT).check({"customer": odd}).violations
            if violation.rule == "id"
        ]
        assert part.ids == ["c9"]
        assert refused.violations == (predicted,)


def test_a_hundred_thousand_different_mistakes_are_found_in_one_pass():
    columns = {name: ["1"] * 100_000 for name in HEADER} | {"age": [f"old {n}" for n in range(100_000)]}
    check = LabelledCheck(CONTRACT, KEY, text=True, latest=None)
    check(Chunk(list(range(1, 100_001)), columns=columns))
    refused = check.refused
    assert len(refused) == 100_000
    assert refused[-1].violations[0].value == "old 99999"


DATED = read_contract(
    {
        **SHOP,
        "features": [
            {"name": "joined", "kind": "date", "as": "days_before", "minimum": 0},
            {"name": "called", "kind": "date", "as": "weekday", "nullable": True},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "aliases": {"B": "basic"}},
        ],
        "slices": [],
    }
)
dates = st.sampled_from(
    ["", "2026-10-01", "2026-11-02T06:00:00+01:00", "2027-01-01", "2026-02-30", "12", "-1", "Mon", "x"]
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "customer": st.just("c"),
                "seen_at": st.sampled_from(["2026-11-02T12:00:00Z", "2026-11-03", "2026-11-03T12:00:00+01:00"]),
                "joined": dates,
                "called": dates,
                "plan": st.sampled_from(["basic", "B", "b"]),
                "left": st.just("yes"),
            }
        ),
        min_size=1,
        max_size=12,
    )
)
def test_dates_and_aliases_are_read_in_columns_as_in_single_rows(raw_rows):
    part, refused, repaired = judged(raw_rows, DATED)

    checked = [RowChecker(DATED).check(raw, text=True, extra="ignore") for raw in raw_rows]
    good = [number for number, checked_row in enumerate(checked) if not checked_row.violations]
    expected = Frame.from_values(DATED, [checked[number].values for number in good])
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(part.columns[name], column)
    assert [refusal.violations for refusal in refused] == [
        checked_row.violations for checked_row in checked if checked_row.violations
    ]
    assert repaired == Counter(
        f"{repair.field}: {repair.rule}" for number in good for repair in checked[number].repairs
    )
