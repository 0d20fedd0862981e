"""Files as they come: one table, written in every way that was met, is drafted, checked and learnt from as the same
rows.
"""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.dialect import NUMBER
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.source_text import plain_number
from stillgood.domain.errors import ContractInvalid, TableUnreadable
from stillgood.training.drafting import check_file, draft_file
from stillgood.training.ingest import ingest
from stillgood.training.validate import BLANK_TIME

type Rows = list[dict[str, str]]
N = 240
NAMES = ("customer", "tenure", "plan", "charges", "partner", "left")


def customers(n: int = N) -> Rows:
    """Customers of whom short tenures leave more often, with an id of leading zeros and a category of three levels."""
    draw = random.Random(7)
    rows = []
    for number in range(n):
        tenure = draw.randint(1, 72)
        rows.append(
            {
                "customer": f"{number:07d}",
                "tenure": str(tenure),
                "plan": draw.choice(["monthly", "one year", "two years"]),
                "charges": f"{draw.uniform(19, 119):.2f}",
                "partner": draw.choice(["Yes", "No"]),
                "left": "Yes" if draw.random() < (0.6 if tenure < 24 else 0.15) else "No",
            }
        )
    return rows


def text_of(rows: Sequence[Mapping[str, str]], delimiter: str = ",", header: Sequence[str] | None = None) -> str:
    out = io.StringIO(newline="")
    names = list(rows[0])
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header or names)
    writer.writerows([row[name] for name in names] for row in rows)
    return out.getvalue()


def changed(column: str, change: Callable[[str], str]) -> Rows:
    return [{**row, column: change(row[column])} for row in customers()]


def grouped(mark: str, point: str) -> Callable[[str], str]:
    """1019.5 as "1,019.50" or "1.019,50"."""
    return lambda text: f"{float(text) * 100:,.2f}".replace(",", "G").replace(".", point).replace("G", mark)


def drafted(path: Path, **named: Any) -> tuple[dict[str, Any], str]:
    made = draft_file(path, "left", "Yes", **named)
    return made.contract, "\n".join(map(str, made.notes))


def as_json_lines(rows: Rows) -> bytes:
    return "".join(
        json.dumps(
            {**row, "tenure": int(row["tenure"]), "charges": float(row["charges"]), "partner": row["partner"] == "Yes"}
        )
        + "\n"
        for row in rows
    ).encode()


def as_parquet(rows: Rows) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in NAMES}
    columns["tenure"] = [int(text) for text in columns["tenure"]]
    columns["charges"] = [float(text) for text in columns["charges"]]
    columns["partner"] = [text == "Yes" for text in columns["partner"]]
    columns["plan"] = [text.encode() for text in columns["plan"]]  # Impala writes text as bytes
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


PLAIN = text_of(customers())
# By name: the file's name, its bytes, and what the draft must say of it.
WRITTEN: dict[str, tuple[str, bytes, str]] = {
    "plain": ("a.csv", PLAIN.encode(), ""),
    "byte order mark": ("a.csv", PLAIN.encode("utf-8-sig"), ""),
    "windows line ends": ("a.csv", PLAIN.replace("\n", "\r\n").encode(), ""),
    "old mac line ends": ("a.csv", PLAIN.replace("\n", "\r").encode(), ""),
    "every cell quoted": ("a.csv", "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()).encode(), ""),
    "utf-16": ("a.csv", PLAIN.encode("utf-16"), "utf-16"),
    "utf-16 without a mark": ("a.csv", PLAIN.encode("utf-16-le"), "utf-16"),
    "semicolons": ("a.csv", PLAIN.replace(",", ";").encode(), "delimited by ';'"),
    "pipes": ("a.csv", PLAIN.replace(",", "|").encode(), "delimited by '|'"),
    "tabs called csv": ("a.csv", PLAIN.replace(",", "\t").encode(), "delimited by '\\t'"),
    "tabs": ("a.TSV", PLAIN.replace(",", "\t").encode(), ""),
    "excel's separator line": ("a.csv", b"sep=;\n" + PLAIN.replace(",", ";").encode(), "delimit"),
    "gzip": ("a.csv.gz", gzip.compress(PLAIN.encode()), ""),
    "gzip of two parts": ("a.csv.gz", gzip.compress(PLAIN[:900].encode()) + gzip.compress(PLAIN[900:].encode()), ""),
    "gzip of tabs": ("a.tsv.gz", gzip.compress(PLAIN.replace(",", "\t").encode()), ""),
    "comment first": ("a.csv", b"# exported 2026-11-01, by billing\n" + PLAIN.encode(), "passed over"),
    "a title above": ("a.csv", b"Customers of November\n\n" + PLAIN.encode(), "passed over"),
    "blanks in the header": ("a.csv", PLAIN.replace("customer,tenure", " customer,tenure ", 1).encode(), "'tenure ' is read as 'tenure'"),
    "blank lines": ("a.csv", PLAIN.replace("\n", "\n\n").encode(), ""),
    "trailing delimiter": ("a.csv", PLAIN.replace("\n", ",\n").encode(), "Column 7 has no name"),
    "index without a name": ("a.csv", text_of([{"": str(n), **row} for n, row in enumerate(customers())]).encode(), "Column 1 has no name"),
    "index with a name": ("a.csv", text_of([{"nr": str(n + 1), **row} for n, row in enumerate(customers())]).encode(), "nr: it counts the rows; it is left out"),
    "a column twice": ("a.csv", text_of([{**row, "again": row["tenure"]} for row in customers()], header=[*NAMES, "tenure"]).encode(), "tenure stands 2 times"),
    "decimal comma": ("a.csv", text_of(changed("charges", lambda text: text.replace(".", ",")), ";").encode(), "decimal comma"),
    "dollars": ("a.csv", text_of(changed("charges", lambda text: f"${text}")).encode(), "numbers of charges have $ beside them"),
    "euros behind": ("a.csv", text_of(changed("charges", lambda text: f"{text} €")).encode(), "numbers of charges have € beside them"),
    "percent": ("a.csv", text_of(changed("charges", lambda text: f"{text}%")).encode(), "% beside them"),
    "true in five spellings": ("a.csv", text_of(changed("partner", lambda text: {"Yes": "Y", "No": "n"}[text])).encode(), "partner: it is spelt 'Y', 'n'"),
    "json lines": ("a.jsonl", as_json_lines(customers()), ""),
    "json lines in gzip": ("a.ndjson.gz", gzip.compress(as_json_lines(customers())), ""),
    "parquet": ("a.parquet", as_parquet(customers()), ""),
}  # fmt: skip


def as_numbers(path: Path, data: bytes, contract: dict[str, Any]) -> dict[str, list[Any]]:
    read = read_contract(contract)
    done = ingest(read, [(f"data/2026-11-01/{path.name}", data)])
    assert done.refused == ()
    levels = {feature.name: feature.levels for feature in read.features}
    return {
        name: [levels[name][code] for code in column] if levels[name] else column.tolist()
        for name, column in done.frame.columns.items()
    } | {"left": done.target.tolist(), "id": done.ids.tolist()}


@pytest.mark.parametrize("case", WRITTEN)
def test_however_a_file_was_written_its_rows_are_the_same(case: str, tmp_path: Path) -> None:
    name, data, says = WRITTEN[case]
    path = tmp_path / name
    path.write_bytes(data)
    contract, notes = drafted(path)
    assert says in notes
    kinds = {feature["name"]: feature["kind"] for feature in contract["features"]}
    assert kinds == {"tenure": "integer", "plan": "categorical", "charges": "numeric", "partner": "boolean"}
    assert contract["id"] == "customer"
    report = check_file(path, read_contract(contract))
    assert (report.accepted, report.refused, report.problem) == (N, 0, None)
    plain = tmp_path / "plain.csv"
    plain.write_text(PLAIN)
    assert as_numbers(path, data, contract) == as_numbers(plain, PLAIN.encode(), drafted(plain)[0])


@pytest.mark.parametrize(
    ("mark", "point"), [(",", "."), (".", ","), (" ", ","), ("'", "."), ("\N{NO-BREAK SPACE}", ",")]
)
def test_grouped_thousands_are_numbers(mark: str, point: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(changed("charges", grouped(mark, point)), ";"), encoding="utf-8")
    contract, notes = drafted(path)
    numbers = as_numbers(path, path.read_bytes(), contract)["charges"]
    plain = tmp_path / "plain.csv"
    plain.write_text(text_of(changed("charges", lambda text: f"{float(text) * 100:.2f}")))
    assert numbers == as_numbers(plain, plain.read_bytes(), drafted(plain)[0])["charges"]
    assert "grouped by" in notes


def test_one_encoding_of_windows_is_found_and_its_levels_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        text_of(changed("plan", lambda text: text.replace("one year", "un an \N{EN DASH} annuel"))).encode("cp1252")
    )
    contract, notes = drafted(path)
    assert contract["source"] == {"encoding": "cp1252"}
    assert "cp1252" in notes
    assert next(f["levels"] for f in contract["features"] if f["name"] == "plan") == [
        "monthly",
        "two years",
        "un an \N{EN DASH} annuel",
    ]
    assert check_file(path, read_contract(contract)).accepted == N


@pytest.mark.parametrize("words", [["NA"], ["n/a", "-"], ["null", "NaN", "?"], ["#N/A", "NONE"]])
def test_words_for_nothing_are_missing_in_a_column_of_numbers(words: list[str], tmp_path: Path) -> None:
    rows = customers()
    for place, row in enumerate(rows[::9]):
        row["charges"] = words[place % len(words)]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    charges = next(feature for feature in contract["features"] if feature["name"] == "charges")
    assert (charges["kind"], charges["nullable"]) == ("numeric", True)
    assert contract["source"]["missingValues"] == ["", *sorted(words)]
    assert "stands for nothing" in notes
    assert sum(value != value for value in as_numbers(path, path.read_bytes(), contract)["charges"]) == len(rows[::9])


def test_a_level_called_na_is_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(changed("plan", lambda text: "NA" if text == "monthly" else text)))
    contract, notes = drafted(path)
    plan = next(feature for feature in contract["features"] if feature["name"] == "plan")
    assert (plan["levels"], plan["nullable"]) == (["NA", "one year", "two years"], False)
    assert "may be a level or mean nothing; it is kept as a level" in notes
    assert "missingValues" in notes


def test_one_odd_text_among_numbers_is_an_exception_and_no_category(tmp_path: Path) -> None:
    rows = customers()
    rows[5]["tenure"] = "72+"
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    assert next(feature["kind"] for feature in contract["features"] if feature["name"] == "tenure") == "integer"
    assert "tenure: 1 of 240 rows hold no number: '72+'" in notes
    report = check_file(path, read_contract(contract))
    assert (report.accepted, report.refused) == (N - 1, 1)
    (finding,) = report.findings
    assert (finding.column, finding.lines, finding.value) == ("tenure", (7,), "72+")
    assert "source.missingValues" in finding.mend


@pytest.mark.parametrize("footer", ["Total,,,,,\n", "(240 rows)\n", "Total,,,24210.15\n"])
def test_a_line_of_totals_is_refused_by_its_line_and_changes_no_kind(footer: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN + footer)
    contract, notes = drafted(path)
    assert [feature["nullable"] for feature in contract["features"]] == [False] * 4
    report = check_file(path, read_contract(contract))
    assert (report.accepted, report.refused) == (N, 1)
    assert {line for finding in report.findings for line in finding.lines} == {N + 2}
    assert "left out" in notes or "no outcome" in notes


def test_leakage_is_named_and_left_out_unless_it_is_kept(tmp_path: Path) -> None:
    rows = [
        {
            **row,
            "state": {"Yes": "gone", "No": "stays"}[row["left"]],
            "score": f"{(row['left'] == 'Yes') + int(row['tenure']) / 1000}",
        }
        for row in customers()
    ]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    assert {"state", "score"} & {feature["name"] for feature in contract["features"]} == set()
    assert "state: alone it tells the outcome (ROC-AUC 1.000)" in notes
    assert "--keep state" in notes
    kept, _ = drafted(path, keep=["state"])
    assert "state" in {feature["name"] for feature in kept["features"]}


def test_what_is_blank_only_for_those_who_stay_is_leakage_too(tmp_path: Path) -> None:
    rows = [{**row, "reason": "price" if row["left"] == "Yes" else ""} for row in customers()]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    assert "reason: alone it tells the outcome" in drafted(path)[1]


def test_constants_blanks_free_texts_and_second_ids_are_left_out_with_a_word(tmp_path: Path) -> None:
    rows = [
        {**row, "k": "x", "empty": "", "email": f"c{n}@example.com", "note": f"text {n // 1.1:.0f}"}
        for n, row in enumerate(customers())
    ]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    assert {feature["name"] for feature in contract["features"]} == {"tenure", "plan", "charges", "partner"}
    for says in ("k: it is always 'x'", "empty: it has no values", "email: every one of 240 rows", "note: it has"):
        assert says in notes


def test_codes_are_a_category_and_scales_are_numbers(tmp_path: Path) -> None:
    draw = random.Random(3)
    rows = [
        {**row, "region": draw.choice(["11", "52", "3", "27"]), "postcode": draw.choice(["02134", "10115", "20095"]),
         "grade": str(draw.randint(1, 5)), "months": draw.choice(["12", "24", "36"])}
        for row in customers()
    ]  # fmt: skip
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    kinds = {feature["name"]: feature["kind"] for feature in contract["features"]}
    assert [kinds[name] for name in ("region", "postcode", "grade", "months")] == [
        "categorical",
        "categorical",
        "integer",
        "integer",
    ]
    assert "region: it is an integer of 4 values without a step (3, 11, 27, 52)" in notes
    assert "postcode: its numbers have leading zeros" in notes
    assert (
        'grade: it is an integer of 5 values, 1 to 5; it is a number. If they are codes, set kind "categorical"'
        in notes
    )


def test_zeros_and_ones_leave_room_for_a_count(tmp_path: Path) -> None:
    rows = [{**row, "complaints": str(n % 2)} for n, row in enumerate(customers())]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    assert "complaints: it is 0 or 1 in every row; it is an integer" in notes
    path.write_text(text_of([{**row, "complaints": "7"} for row in rows]))
    assert check_file(path, read_contract(contract)).accepted == N


def test_a_draft_of_the_first_rows_takes_later_ones(tmp_path: Path) -> None:
    """Ten times what was seen, and levels that were not: a draft of spring must not refuse autumn."""
    draw = random.Random(5)
    first = [{**row, "shop": f"s{min(int(draw.expovariate(0.3)), 30)}"} for row in customers()]
    path = tmp_path / "a.csv"
    path.write_text(text_of(first))
    contract, notes = drafted(path)
    assert "shop:" in notes
    later = [{**row, "shop": f"s{n % 60}", "charges": f"{float(row['charges']) * 5:.2f}", "tenure": str(int(row["tenure"]) + 60)} for n, row in enumerate(first)]  # fmt: skip
    path.write_text(text_of(later))
    assert check_file(path, read_contract(contract)).refused == 0


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d-%b-%Y"])
def test_a_date_is_days_before_the_time_of_the_row_or_left_out(form: str, tmp_path: Path) -> None:
    from datetime import date, timedelta

    draw = random.Random(11)
    rows = [
        {
            **row,
            "signup": (date(2024, 1, 1) + timedelta(days=draw.randint(0, 500))).strftime(form),
            "seen": "2026-11-01T00:00:00Z",
        }
        for row in customers()
    ]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    _, notes = drafted(path)
    assert "signup: it is a date" in notes
    assert "it is left out" in notes
    contract, _ = drafted(path, time_column="seen")
    signup = next(feature for feature in contract["features"] if feature["name"] == "signup")
    assert (signup["kind"], signup["as"]) == ("date", "days_before")
    report = check_file(path, read_contract(contract))
    assert (report.accepted, report.findings) == (N, [])


def test_the_whole_column_tells_day_from_month_and_a_doubt_is_said(tmp_path: Path) -> None:
    rows = [
        {**row, "signup": f"0{1 + n % 9}/0{1 + n % 7}/2024", "seen": "2026-11-01"} for n, row in enumerate(customers())
    ]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    assert "or %m/%d/%Y: no day is above 12" in drafted(path, time_column="seen")[1]


@pytest.mark.parametrize(
    ("spell", "contract_says"),
    [
        ({"Yes": "YES", "No": "no"}, ("Yes", "no")),
        ({"Yes": "1", "No": "0"}, ("1", "0")),
        ({"Yes": "1.0", "No": "0"}, ("1", "0")),
        ({"Yes": "true", "No": "FALSE"}, ("true", "FALSE")),
    ],
)
def test_an_outcome_may_be_spelt_in_several_ways(
    spell: dict[str, str], contract_says: tuple[str, str], tmp_path: Path
) -> None:
    rows = customers()
    for place, row in enumerate(rows):
        if place % 3:
            row["left"] = spell[row["left"]]
        elif spell["Yes"].startswith("1"):
            row["left"] = {"Yes": "1", "No": "0"}[row["left"]]
        elif spell["Yes"] == "true":
            row["left"] = {"Yes": "True", "No": "False"}[row["left"]]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    positive = {"Y": "Yes", "1": "1", "t": "true"}[spell["Yes"][0]]
    made = draft_file(path, "left", positive)
    assert made.contract["target"]["positive"].casefold() == contract_says[0].casefold()
    assert check_file(path, read_contract(made.contract)).accepted == N


def test_every_column_that_hinders_a_draft_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        text_of([{"a": f"t{n // 1.2:.0f}", "b": "same", "left": "Yes" if n % 3 else "No"} for n in range(400)])
    )
    with pytest.raises(ContractInvalid) as caught:
        draft_file(path, "left", "Yes")
    assert "a: it has" in caught.value.detail
    assert "b: it is always 'same'" in caught.value.detail


def test_notes_are_structured(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of([{**row, "k": "x"} for row in customers()]))
    made = draft_file(path, "left", "Yes")
    assert {
        "column": "k",
        "seen": "it is always 'x'",
        "decided": "it is left out: a constant says nothing",
        "change": "",
    } in [note.to_dict() for note in made.notes]


def test_a_check_names_each_rule_once_with_an_example_the_lines_and_what_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN)
    contract = read_contract(drafted(path)[0] | {"time": None})
    rows = customers()
    for place in (3, 4, 9):
        rows[place]["plan"] = "weekly"
    rows[6]["left"] = "perhaps"
    rows[7]["tenure"] = ""
    rows[8]["charges"] = "1e9"
    path.write_text(text_of(rows))
    report = check_file(path, contract)
    findings = {(finding.column, finding.rule): finding for finding in report.findings}
    assert set(findings) == {("plan", "level"), ("left", "level"), ("tenure", "required"), ("charges", "range")}
    assert (findings["plan", "level"].rows, findings["plan", "level"].lines) == (3, (5, 6, 11))
    assert "'weekly'" in findings["plan", "level"].mend
    assert (report.rows, report.accepted) == (N, N - 6)
    done = ingest(contract, [("data/2026-11-01/a.csv", path.read_bytes())])
    assert (done.frame.n, len(done.refused)) == (report.accepted, report.refused)


def test_a_column_that_is_absent_is_refused_by_name_or_said_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN)
    raw = drafted(path)[0]
    next(feature for feature in raw["features"] if feature["name"] == "charges")["nullable"] = True
    contract = read_contract(raw)
    path.write_text(PLAIN.replace("charges", "Charges", 1))
    report = check_file(path, contract)
    assert (report.accepted, report.notes) == (
        N,
        [
            "The column charges is absent, but there is Charges: training reads blanks and counts them, batch refuses"
            " the file."
        ],
    )
    assert report.repaired == {"charges: column absent": N}
    path.write_text(PLAIN.replace("tenure", "Tenure", 1))
    assert "it has no column 'tenure', but 'Tenure'" in str(check_file(path, contract).problem)
    path.write_text(PLAIN.replace(",", ";"))
    assert "seems to be delimited by ;" in str(check_file(path, contract).problem)


@pytest.mark.parametrize("count", [200, 2000])
def test_the_same_draft_comes_of_the_same_file(count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(customers(count)))
    once, again = draft_file(path, "left", "Yes"), draft_file(path, "left", "Yes")
    assert json.dumps(once.contract) == json.dumps(again.contract)
    assert list(map(str, once.notes)) == list(map(str, again.notes))


def test_numbers_of_a_file_are_what_python_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN)
    numbers = as_numbers(path, PLAIN.encode(), drafted(path)[0])
    by_id = {row["customer"]: row for row in customers()}
    np.testing.assert_array_equal(numbers["charges"], [float(by_id[name]["charges"]) for name in numbers["id"]])


def test_the_first_sheet_of_a_workbook_is_read_as_its_csv_would_be(tmp_path: Path) -> None:
    from datetime import date

    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([*NAMES, "since"])
    for row in customers():
        sheet.append([row["customer"], int(row["tenure"]), row["plan"], float(row["charges"]), row["partner"] == "Yes", row["left"], date(2024, 5, 2)])  # fmt: skip
    book.create_sheet("notes").append(["not read"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    contract, notes = drafted(path)
    assert {feature["name"]: feature["kind"] for feature in contract["features"]} == {
        "tenure": "integer", "plan": "categorical", "charges": "numeric", "partner": "boolean"
    }  # fmt: skip
    assert "since: it is always '2024-05-02'" in notes
    assert check_file(path, read_contract(contract)).accepted == N


def test_what_is_no_workbook_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK not a workbook")
    with pytest.raises(TableUnreadable, match="no readable Excel workbook"):
        draft_file(path, "left", "Yes")


def test_percent_signs_beside_some_numbers_only_are_said(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    rows = [{**row, "charges": row["charges"] + "%" * (place % 2)} for place, row in enumerate(customers())]
    path.write_text(text_of(rows))
    _, notes = drafted(path, id_column="customer")
    assert f"charges: {len(rows) // 2} of {len(rows)} values have % beside them and the others have not" in notes


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("{day:02d}/{month:02d}/2024", "since: day and month cannot be told apart (such as '01/01/2024')"),
        ("17{day:02d}04{month:02d}00000", "since: its values are seconds or milliseconds since 1970"),
        ("2024{month:02d}{day:02d}", ""),
    ],
)
def test_a_time_that_may_be_read_in_two_ways_or_in_none_is_said(form: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    rows = [{**row, "since": form.format(day=1 + n % 12, month=1 + n // 12 % 12)} for n, row in enumerate(customers())]
    path.write_text(text_of(rows))
    _, notes = drafted(path, id_column="customer", time_column="since")
    assert said in notes if said else "since" not in notes


def test_utf_16_is_found_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes(text_of(customers()).encode(encoding))
        raw, _ = drafted(path, id_column="customer")
        assert check_file(path, read_contract(raw)).accepted == len(customers())


def test_rows_that_all_have_a_cell_too_many_are_told_from_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    header, _, rest = text_of(customers()).partition("\n")
    path.write_text(header + "\n" + rest.replace("\n", ",\n"))
    with pytest.raises(ContractInvalid, match=r"None of \d+ rows can be read: line 2 cannot be read"):
        drafted(path, id_column="customer")


@pytest.mark.parametrize(("name", "learnt"), [("rownames", False), ("row_name", False), ("Kunde", True)])
def test_numbers_that_may_name_rows_are_left_out_or_said(name: str, learnt: bool, tmp_path: Path) -> None:
    """R writes the names of rows as ``rownames``, with gaps where rows were dropped."""
    path = tmp_path / "numbers.csv"
    path.write_text(text_of([{name: str(4 + n * 37 % 9001), **row} for n, row in enumerate(customers())]))
    contract, notes = drafted(path, id_column="customer")
    assert (name in {feature["name"] for feature in contract["features"]}) is learnt
    assert f"{name}: every one of {N} rows has another" in notes


def accounting(text: str) -> str:
    """-1019.5 as "(1,019.50)"."""
    return f"({-float(text):,.2f})" if float(text) < 0 else f"{float(text):,.2f}"


@pytest.mark.parametrize(
    ("way", "write", "below"),
    [
        ("parentheses", accounting, 150),
        ("parentheses", accounting, 3),
        ("parentheses", lambda text: f"${accounting(text)}", 150),
        ("parentheses", lambda text: accounting(text).replace("(", "($"), 150),
        ("trailing", lambda text: f"{abs(float(text)):,.2f}" + "-" * (float(text) < 0), 150),
    ],
)
def test_amounts_below_zero_are_numbers_however_an_accountant_writes_them(
    way: str, write: Callable[[str], str], below: int, tmp_path: Path
) -> None:
    rows = customers()
    for place, row in enumerate(rows):
        row["charges"] = str(round((place - below) * 12.5, 2))
    amounts = [float(row["charges"]) for row in rows]
    written = [row | {"charges": write(row["charges"])} for row in rows]
    path = tmp_path / "a.csv"
    path.write_text(text_of(written))
    contract, notes = drafted(path)
    assert contract["source"]["negativeNumber"] == way
    assert [feature["kind"] for feature in contract["features"] if feature["name"] == "charges"] == ["numeric"]
    assert "below zero" in notes
    report = check_file(path, read_contract(contract))
    assert (report.accepted, report.findings) == (N, [])
    done = ingest(read_contract(contract), [("data/2026-11-01/a.csv", path.read_bytes())])
    assert sorted(done.frame.columns["charges"].tolist()) == sorted(amounts)


def test_parentheses_are_no_minus_where_the_contract_does_not_say_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN)
    contract = read_contract(drafted(path)[0])
    path.write_text(text_of(changed("charges", lambda text: f"({text})")))
    (finding,) = check_file(path, contract).findings
    assert (finding.column, finding.rule, finding.rows) == ("charges", "type", N)
    assert "negativeNumber" in finding.mend


@given(st.decimals(0, 10**9, places=2), st.sampled_from([("(", ")", "parentheses"), ("", "-", "trailing")]))
def test_a_number_in_the_way_of_accounting_is_the_number_below_zero(amount: Decimal, way: tuple[str, str, Any]) -> None:
    before, after, name = way
    source = Source(group_char=",", negative_number=name)
    assert Decimal(plain_number(f"{before}{amount:,.2f}{after}", source)) == -amount
    assert Decimal(plain_number(f"-{amount:,.2f}", source)) == -amount
    assert not NUMBER.fullmatch(plain_number(f"{before}-{amount:,.2f}{after}", source))
    assert not NUMBER.fullmatch(plain_number(f"{before}{amount:,.2f}{after}", Source(group_char=",")))


@pytest.mark.parametrize("unique", [True, False])
def test_whole_numbers_of_too_many_digits_are_codes_or_an_id(unique: bool, tmp_path: Path) -> None:
    rows = customers()
    for place, row in enumerate(rows):
        row["customer"] = str(place % 7)
        row["card"] = str(9007199254740993 + 2 * (place if unique else place % 3))
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path)
    kinds = {feature["name"]: feature["kind"] for feature in contract["features"]}
    if unique:
        assert contract["id"] == "card"
        assert "card" not in kinds
    else:
        assert kinds["card"] == "categorical"
        assert "more digits than a number keeps (such as '900719925474099" in notes


def test_a_check_says_which_integers_would_be_rounded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN)
    made, _ = drafted(path)
    for feature in made["features"]:
        if feature["name"] == "tenure":
            feature["maximum"] = 1e18
    rows = customers()
    rows[3]["tenure"] = "9007199254740993"
    rows[4]["tenure"] = "9007199254740994"
    path.write_text(text_of(rows))
    (finding,) = check_file(path, read_contract(made)).findings
    assert (finding.column, finding.rule, finding.rows, finding.lines) == ("tenure", "exact", 1, (5,))
    assert "make it categorical" in finding.mend


def test_rows_without_a_time_are_said_by_draft_and_check(tmp_path: Path) -> None:
    rows = [row | {"seen": "" if place < 5 else "2026-01-02"} for place, row in enumerate(customers())]
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    contract, notes = drafted(path, time_column="seen")
    assert "5 of 240 rows have no time" in notes
    assert check_file(path, read_contract(contract)).repaired == {f"seen: {BLANK_TIME}": 5}
