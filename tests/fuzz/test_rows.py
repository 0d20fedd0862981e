"""Files that people upload, in every state of disrepair: each row ends counted, accepted or refused with a reason."""

import csv
import io
import json
import random
from collections import Counter
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stillgood.api.gateway import LambdaHandler
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.drift.reference import build_reference
from stillgood.domain.errors import InvalidEvent
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.labels.ingest import ingest_label_files
from stillgood.steps.monitor.captures import CaptureReader
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode
from stillgood.storage.keys import INCOMING_PREFIX
from stillgood.storage.labels import ledger, read_batch
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.gateway import http_event
from stillgood.training.ingest import DUPLICATE, ingest

FILES = 400
PARQUET_FILES = 100  # each is read in a process of its own; benchmarks/strangers reads thousands

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0"]
CELLS = [
    *(
        "",
        " ",
        "0",
        "1",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
        "9" * 400,
        "0x10",
        "1_000",
        "\u0661",
        "1.",
        ".",
        "1.0.0",
        "true",
    ),
    *(
        '"',
        "'",
        "a\nb",
        "é",
        "\ufeff",
        "\0",
        "Yes",
        "Month-to-month",
        "../../x",
        "1\u2028",
        "x" * 200_000,
        "2026-01-01",
    ),
    *FORMULAS,
]
ODD_NAMES = ["", "(1)", "(target)", "(row)", "__class__", "x\0y", "=cmd", "tenure", " tenure "]
WEDGES = [
    b'"',
    b"\n",
    b"\r",
    b",",
    b"\0",
    b"\xff",
    b'""',
    b",,,",
    b"\n\n",
    b'"\n',
    b"\xef\xbb\xbf",
    b"{",
    b"NaN",
    b"1e999",
    b"\\ud800",
]


def clock() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def scoring(store: MemoryObjectStore, handler: LambdaHandler) -> BatchDeps:
    return BatchDeps(store, ChampionSource(store, clock, 0), clock)


def strict(line: bytes) -> Any:
    return json.loads(line, parse_constant=pytest.fail)


def rows(dice: random.Random, contract: Contract) -> list[dict[str, str]]:
    """Up to five rows, of which some cells are what nobody should write."""
    made = []
    for _ in range(dice.randrange(6)):
        row = {name: str(value) for name, value in contract.example().items()}
        row |= {"customer_id": f"c{dice.randrange(50)}", "churn": dice.choice(["Yes", "No"])}
        for _ in range(dice.randrange(3)):
            row[dice.choice(list(row))] = dice.choice(CELLS)
        made.append(row)
    return made


def as_csv(dice: random.Random, made: list[dict[str, str]], contract: Contract) -> bytes:
    names = [*contract.example(), "customer_id", "churn"]
    if dice.random() < 0.2:
        names = dice.sample(names, dice.randrange(1, len(names) + 1))
    if dice.random() < 0.2:
        names.append(dice.choice(ODD_NAMES))
    text = io.StringIO(newline="")
    quoting = dice.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
    table = csv.DictWriter(
        text, names, extrasaction="ignore", lineterminator=dice.choice(["\n", "\r\n", "\r"]), quoting=quoting
    )
    table.writeheader()
    table.writerows(made)
    return text.getvalue().encode()


def as_lines(dice: random.Random, made: list[dict[str, str]], contract: Contract) -> bytes:
    odd = [float("nan"), 10**400, [], {}, None, True, -1e308, "\ud800", [[[]]]]
    typed = contract.example()
    lines = [
        json.dumps(
            {name: dice.choice(odd) if dice.random() < 0.1 else typed.get(name, text) for name, text in row.items()}
        )
        for row in made
    ]
    return "\n".join([*lines, ""]).encode()


def damaged(dice: random.Random, data: bytes) -> bytes:
    for _ in range(dice.randrange(3)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
            case 2:
                data = data[:at] + dice.choice(WEDGES) + data[at:]
            case 3:
                data += data[at:]
            case 4:
                data = data[at:]
            case 5 if dice.random() < 0.3:
                data = data.decode(errors="replace").encode(dice.choice(["utf-16", "utf-8-sig", "latin-1"]), "replace")
    return data


def test_every_row_of_a_damaged_training_file_is_accepted_or_refused_with_a_reason(telco: Contract, count: Any) -> None:
    dice, ends = random.Random(1), Counter[str]()
    for number in range(FILES):
        data = damaged(dice, as_csv(dice, rows(dice, telco), telco))
        ingested = ingest(telco, [(f"data/2026-01-01/{number}.csv", data)], latest=clock())
        ends |= {"files": number + 1}
        ends["accepted"] += ingested.frame.n
        ends["duplicates"] += ingested.repaired[DUPLICATE]
        for refused in ingested.refused:
            ends["refused rows" if refused.row else "refused files"] += 1
            assert refused.violations
            assert all(violation.message for violation in refused.violations)
            encode(refused.to_dict())
    assert min(ends["accepted"], ends["refused rows"], ends["refused files"]) > 20
    print(dict(ends))
    count("fuzz: damaged training files", FILES)


def test_every_row_of_a_damaged_batch_file_is_predicted_or_rejected_with_a_reason(
    telco: Contract, scoring: BatchDeps, count: Any
) -> None:
    dice, ends = random.Random(2), Counter[str]()
    for number in range(FILES):
        made = rows(dice, telco)
        for key, data in (
            (f"batch/{number}.csv", as_csv(dice, made, telco)),
            (f"batch/{number}.jsonl", as_lines(dice, made, telco)),
        ):
            scoring.store.put(key, damaged(dice, data))
            try:
                summary = batch({"input": key, "reasons": dice.random() < 0.3}, scoring)
            except InvalidEvent:
                ends["refused files"] += 1
                continue
            predicted, rejected = (
                [strict(line) for line in scoring.store.get(summary["output"][part]).data.split(b"\n")[:-1]]
                for part in ("predictions", "rejected")
            )
            assert (len(predicted), len(rejected)) == (summary["predicted"], summary["rejected"])
            assert sorted(line["row"] for line in predicted + rejected) == list(range(1, summary["rows"] + 1))
            assert all(rejection["violations"] and rejection["violations"][0]["message"] for rejection in rejected)
            ends += Counter(predicted=len(predicted), rejected=len(rejected))
    assert min(ends["predicted"], ends["rejected"], ends["refused files"]) > 20
    print(dict(ends))
    count("fuzz: damaged batch files", 2 * FILES)


def parquet(table: pa.Table) -> bytes:
    data = io.BytesIO()
    pq.write_table(table, data, compression="none")
    return data.getvalue()


NOT_UTF8 = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"], pa.binary()).buffers())


@pytest.mark.parametrize(
    ("column", "other"),
    [
        (pa.array([10**15, 0], pa.timestamp("s")), {}),
        (pa.array([2**31 - 1, 0], pa.date32()), {}),
        # The other row is read, and what it says is no id.
        (pa.array([2**62, 0], pa.duration("s")), {"customer_id: id": 1}),
        (pa.array([[10**15], []], pa.list_(pa.timestamp("s"))), {"customer_id: id": 1}),
        (NOT_UTF8, {}),
    ],
    ids=["timestamp", "date", "duration", "nested", "text"],
)
def test_a_parquet_value_that_python_cannot_hold_costs_its_row_only(
    column: pa.Array, other: dict[str, int], telco: Contract, scoring: BatchDeps
) -> None:
    rows = {name: [value, value] for name, value in telco.example().items()}
    table = pa.table(rows).append_column("customer_id", column)
    scoring.store.put("batch/odd.parquet", parquet(table))
    summary = batch({"input": "batch/odd.parquet"}, scoring)
    assert (summary["rows"], summary["predicted"], summary["rules"]) == (2, 1 - len(other), {"parquet": 1, **other})
    first, *others = [strict(line) for line in scoring.store.get(summary["output"]["rejected"]).data.splitlines()]
    assert (first["row"], [rejection["row"] for rejection in others]) == (1, [2] * len(other))
    assert first["violations"][0]["message"].startswith("customer_id holds a value that cannot be read")


def test_nanoseconds_are_read_to_the_microsecond_with_or_without_pandas(telco: Contract, scoring: BatchDeps) -> None:
    example = {name: [value] for name, value in telco.example().items()}
    table = pa.table(example).append_column("customer_id", pa.array([1_500], pa.timestamp("ns")))
    scoring.store.put("batch/ns.parquet", parquet(table))
    summary = batch({"input": "batch/ns.parquet"}, scoring)
    assert strict(scoring.store.get(summary["output"]["predictions"]).data)["entity_id"] == "1970-01-01T00:00:00.000001"


def test_a_damaged_parquet_file_is_refused_as_such_or_its_rows_are_counted(
    telco: Contract, scoring: BatchDeps, count: Any
) -> None:
    whole = parquet(pa.table({name: [value] * 30 for name, value in telco.example().items()}))
    dice, ends = random.Random(3), Counter[str]()
    for number in range(PARQUET_FILES):
        data = bytearray(whole)
        for _ in range(dice.choice([1, 1, 2, 5, 20])):
            at = dice.randrange(len(data)) if dice.random() < 0.5 else len(data) - 1 - dice.randrange(2_000)
            data[at] = dice.choice([0, 255, data[at] ^ (1 << dice.randrange(8))])
        scoring.store.put(f"batch/{number}.parquet", bytes(data))
        try:
            summary = batch({"input": f"batch/{number}.parquet"}, scoring)
        except InvalidEvent:
            ends["refused"] += 1
        else:
            ends["read"] += 1
            assert summary["rows"] == summary["predicted"] + summary["rejected"]
    assert min(ends.values()) > 5
    count("fuzz: damaged Parquet files", ends.total())


def test_every_label_of_a_damaged_file_is_kept_or_quarantined_once(telco: Contract, count: Any) -> None:
    dice, ends = random.Random(4), Counter[str]()
    ids = ["p1", "", *FORMULAS, None, 1, 1.5, "x" * 300, "\u2028", "../x"]
    times = ["2026-01-01T00:00:00Z", "2026-01-01", "", None, "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]
    for _ in range(FILES):
        store = MemoryObjectStore()
        labels = [
            {
                "prediction_id": dice.choice(ids),
                "label": dice.choice(["Yes", "No", "No", "maybe", None, 1]),
                "event_time": dice.choice([times[0], *times]),
            }
            for _ in range(dice.randrange(1, 6))
        ]
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, list(labels[0]))
        table.writeheader()
        table.writerows(labels)
        store.put(f"{INCOMING_PREFIX}a.csv", damaged(dice, text.getvalue().encode()))
        store.put(f"{INCOMING_PREFIX}b.jsonl", damaged(dice, "\n".join(map(json.dumps, labels)).encode()))
        counts = ingest_label_files(store, telco.target, clock)
        kept = {label for info in ledger(store, date(1, 1, 1)) for label in read_batch(store, info.key).labels}
        aside = [
            strict(line) for info in store.list("quarantine/labels/") for line in store.get(info.key).data.splitlines()
        ]
        assert len(kept) <= counts["accepted"]
        assert len(aside) <= counts["refused"]
        assert (counts["refused"] == 0) == (aside == [])
        assert all(label["message"] for label in aside)
        assert ingest_label_files(store, telco.target, clock) == {"files": 0, "accepted": 0, "refused": 0}
        ends += Counter(accepted=counts["accepted"], refused=counts["refused"])
    assert min(ends.values()) > 50
    print(dict(ends))
    count("fuzz: damaged label files", 2 * FILES)


def test_every_captured_line_is_profiled_or_counted_as_unreadable(
    telco: Contract, store: MemoryObjectStore, handler: LambdaHandler, count: Any
) -> None:
    body = json.dumps(telco.example() | {"customer_id": "c"}).encode()
    event = http_event("/predict", body.decode(), headers={"content-type": "application/json"})
    assert handler(event, None)["statusCode"] == 200
    (info,) = store.list("capture/")
    whole = store.get(info.key).data
    model = SimpleNamespace(version="20261123-fuzz", contract=telco, pairs=())
    frame = Frame.from_values(telco, [RowChecker(telco).check(telco.example()).values] * 30)
    reader = CaptureReader(telco, build_reference(model, frame, np.linspace(0, 1, 30)))
    dice, ends = random.Random(5), Counter[str]()
    wedges = [*WEDGES, b"[" * 5_000, b'{"a":' * 5_000, b"1" * 5_000, b'"score":2,', b'"kind":"rejection",']
    for _ in range(4 * FILES):
        at = dice.randrange(len(whole))
        line = dice.choice([whole[:at], whole[:at] + dice.choice(wedges) + whole[at:], damaged(dice, whole)])
        seen = reader.read([line.replace(b"\n", b" ") + b"\n", whole])
        assert seen.rows + seen.refused + seen.unreadable >= 1 + bool(line.strip())
        ends += Counter(rows=seen.rows, unreadable=seen.unreadable)
    assert min(ends.values()) > 50
    count("fuzz: damaged captures", 4 * FILES)


def test_ids_that_a_spreadsheet_would_run_come_back_as_they_were_and_only_as_json(
    telco: Contract, scoring: BatchDeps
) -> None:
    """Outputs are JSON Lines, which no spreadsheet runs as formulas: ids round-trip untouched. See
    docs/decisions/0013. Those with control characters are no ids.
    """
    ids = [formula for formula in FORMULAS if formula.isprintable()]
    example = [str(value) for value in telco.example().values()]
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerows([[*telco.example(), "customer_id"], *([*example, formula] for formula in FORMULAS)])
    scoring.store.put("batch/formulas.csv", text.getvalue().encode())
    summary = batch({"input": "batch/formulas.csv"}, scoring)
    lines = scoring.store.get(summary["output"]["predictions"]).data.splitlines()
    assert [strict(line)["entity_id"] for line in lines] == ids
    assert summary["rules"] == {"customer_id: id": len(FORMULAS) - len(ids)} == {"customer_id: id": 2}
    assert all(line.startswith(b'{"row":') for line in lines)
    columns = summary["output"].pop("columns")  # for monitor: features by column, without ids
    assert columns.endswith(".bin")
    assert not [
        identifier
        for identifier in ids
        if len(identifier) > 2 and identifier.encode() in scoring.store.get(columns).data
    ]
    assert {key.rpartition(".")[2] for key in summary["output"].values()} == {"jsonl"}
