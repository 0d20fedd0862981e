"""A shop whose contract has one feature of each sort, and CSV text of its rows."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping

import pytest
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract

SHOP = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "shop",
    "version": "1",
    "id": "customer",
    "time": "seen_at",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "age", "kind": "integer", "minimum": 0, "maximum": 120},
        {"name": "spend", "kind": "numeric", "minimum": 0, "nullable": True},
        {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"]},
        {"name": "newsletter", "kind": "boolean", "if_missing": 0},
        {"name": "city", "kind": "categorical", "levels": ["Ulm", "Bonn"], "nullable": True, "unseen": "accept"},
        {"name": "iban", "kind": "categorical", "levels": ["DE1", "DE2"], "pii": True, "if_missing": "DE1"},
    ],
    "floors": {"recall": 0.8},
    "training": {"min_rows": 20},
}
HEADER = ("customer", "seen_at", "age", "spend", "plan", "newsletter", "city", "iban", "left")
ROW = {
    "customer": "c1",
    "seen_at": "2026-11-01T00:00:00Z",
    "age": "30",
    "spend": "9.5",
    "plan": "basic",
    "newsletter": "yes",
    "city": "Ulm",
    "iban": "DE2",
    "left": "no",
}

type Csv = Callable[..., bytes]


@pytest.fixture
def shop() -> Contract:
    return read_contract(SHOP)


@pytest.fixture
def rows_as_csv() -> Csv:
    """CSV of rows, each a good one but for what it is told."""

    def make(rows: Iterable[Mapping[str, str]], header: Iterable[str] = HEADER) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(header), extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**ROW, "customer": f"c{number}", **row} for number, row in enumerate(rows, start=1))
        return text.getvalue().encode()

    return make
