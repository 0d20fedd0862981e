"""What was refused is found, mended by a person, and accepted once."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from stillgood.domain.contract.contract import Contract, Source
from stillgood.domain.errors import DocumentUnusable, InvalidRows, MalformedRequest, StillgoodError
from stillgood.steps.labels.ingest import ingest_label_files
from stillgood.steps.labels.quarantine import REASON, escape_formula, export, listing, reingest, unescape_formula
from stillgood.storage.codec import encode
from stillgood.storage.keys import INCOMING_PREFIX
from stillgood.storage.memory import MemoryObjectStore
from stillgood.training.ingest import DUPLICATE, ingest

TODAY = date(2026, 11, 23)
REFUSED = "quarantine/train/abc/refused.jsonl"


def clock() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def store(telco: Contract) -> MemoryObjectStore:
    """Three rows were uploaded; one of them is right."""
    store = MemoryObjectStore()
    right = telco.example() | {"customer_id": "=C1", "churn": "Yes"}
    rows = [right, right | {"customer_id": "=C2", "tenure": -5}, right | {"customer_id": "C3", "contract": "@SUM(A1)"}]
    store.put("data/2026-11-01/customers.csv", as_csv(rows))
    train(store, telco)
    return store


def train(store: MemoryObjectStore, contract: Contract) -> Any:
    """As the train step ingests, and keeps what it refuses."""
    ingested = ingest(contract, [(info.key, store.get(info.key).data) for info in store.list("data/")], latest=clock())
    store.put(REFUSED, b"".join(encode(row.to_dict()) for row in ingested.refused))
    return ingested


def test_refused_rows_are_found_mended_and_accepted_once(store: MemoryObjectStore, telco: Contract) -> None:
    (listed,) = listing(store)
    assert (listed.key, listed.rows, listed.rules) == (REFUSED, 2, {"tenure: range": 1, "contract: level": 1})

    rows = read(export(store, REFUSED))
    assert [row[REASON] for row in rows] == [
        "tenure must be within 0 and 120, not '-5'.",
        "contract must be one of Month-to-month, One year, Two year, not '@SUM(A1)'.",
    ]
    assert [row["customer_id"] for row in rows] == ["'=C2", "C3"]
    assert rows[1]["contract"] == "'@SUM(A1)"
    with pytest.raises(InvalidRows, match="2 of 2 rows are still wrong"):
        reingest(store, as_csv(rows), telco, TODAY)

    rows[0]["tenure"], rows[1]["contract"] = "5", "One year"
    key = reingest(store, as_csv(rows), telco, TODAY)
    assert key is not None
    assert key.startswith("data/2026-11-23/mended-")
    assert reingest(store, as_csv(rows[::-1]), telco, TODAY) is None
    assert reingest(store, as_csv(rows), telco, date(2026, 11, 24)) is None

    again = train(store, telco)
    assert sorted(again.ids.tolist()) == ["=C1", "=C2", "C3"]
    assert (len(again.refused), again.repaired.get(DUPLICATE, 0)) == (2, 0)


def test_refused_labels_are_found_mended_and_accepted_once(telco: Contract) -> None:
    store = MemoryObjectStore()
    label = {"prediction_id": "p1", "label": "Yes", "event_time": "2026-11-01T00:00:00Z"}
    store.put(f"{INCOMING_PREFIX}a.csv", as_csv([label, label | {"prediction_id": "p2", "label": "maybe"}]))
    assert ingest_label_files(store, telco.target, clock) == {"files": 1, "accepted": 1, "refused": 1}

    (listed,) = listing(store)
    assert (listed.rows, listed.rules) == (1, {"label: label": 1})
    (row,) = read(export(store, listed.key))
    key = reingest(store, as_csv([row | {"label": "No"}]), telco, TODAY)
    assert key is not None
    assert key.startswith(INCOMING_PREFIX)
    assert reingest(store, as_csv([row | {"label": "No"}]), telco, TODAY) is None
    assert ingest_label_files(store, telco.target, clock) == {"files": 1, "accepted": 1, "refused": 0}


@pytest.mark.parametrize("data", [b"", b"\xff\xfea", b'a,b\n"1', b"a,a\n1,2\n", b"a,b\n1\n", b"\0"])
def test_what_is_no_table_is_refused_as_such(data: bytes, telco: Contract) -> None:
    with pytest.raises((MalformedRequest, InvalidRows)):
        reingest(MemoryObjectStore(), data, telco, TODAY)


@pytest.mark.parametrize("data", [b"[", b"1\n", b'"x"\n', b"\xff", b"[" * 100_000])
def test_a_damaged_quarantine_is_told_and_not_read(data: bytes) -> None:
    store = MemoryObjectStore()
    store.put(REFUSED, data)
    with pytest.raises(DocumentUnusable, match=REFUSED):
        list(listing(store))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+a", "-a", "@x", "\tx", "\rx", "'=1", "''@x", "'x", "-1.5", "+1e5", "", "C-1"]
)
def test_what_a_spreadsheet_would_run_comes_back_as_it_was(cell: str) -> None:
    shown = escape_formula(cell)
    assert unescape_formula(shown) == cell
    assert shown[:1] not in set("=@\t\r")
    assert shown[:1] not in set("+-") or float(shown)


def test_every_error_is_one_of_ours(telco: Contract) -> None:
    with pytest.raises(StillgoodError):
        export(MemoryObjectStore(), "quarantine/none.jsonl")


def test_mended_rows_are_read_in_the_dialect_of_the_contract_and_kept_plain(telco: Contract) -> None:
    """A German export, mended in a German spreadsheet, which saves with semicolons and in Windows' encoding."""
    german = replace(telco, source=Source(delimiter=";", decimal_char=",", encoding="cp1252"))
    store = MemoryObjectStore()
    right = {
        **telco.example(),
        "customer_id": "Jürgen",
        "churn": "Yes",
        "monthly_charges": "70,5",
        "total_charges": "99,25",
    }
    text = as_csv([right | {"tenure": "-5"}]).decode().replace('"70,5"', "70;5").replace('"99,25"', "99;25")
    store.put("data/2026-11-01/a.csv", text.translate(str.maketrans(",;", ";,")).encode("cp1252"))
    assert len(train(store, german).refused) == 1
    mended = export(store, REFUSED).replace(",-5,", ",5,")
    rows = list(csv.reader(io.StringIO(mended, newline="")))
    saved = "\r\n".join(";".join(row) for row in rows).encode("cp1252")
    assert reingest(store, saved, german, TODAY) is not None
    learnt = train(store, german)
    assert learnt.frame.columns["monthly_charges"].tolist() == [70.5]
    assert learnt.frame.columns["total_charges"].tolist() == [99.25]
    assert reingest(store, saved, german, TODAY) is None
