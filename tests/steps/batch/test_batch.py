import csv
import gzip
import hashlib
import io
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stillgood.domain.contract.contract import Contract, Source
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import InvalidEvent, NoChampion, ObjectNotFound, PreconditionFailed, StoreUnavailable
from stillgood.domain.model.model import Model
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.predict import PredictDeps, predict
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode
from stillgood.storage.keys import POINT_STATUS_KEY
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore, ObjectWriter

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
type Draw = Callable[..., Model]
type Enthrone = Callable[[ObjectStore, Model], None]


@pytest.fixture
def model(store: MemoryObjectStore, telco: Contract, draw_model: Draw, make_champion: Enthrone) -> Model:
    model = draw_model(telco, "20261123-first")
    make_champion(store, model)
    return model


def customers(telco: Contract, n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows as the API takes them, all of them fine."""
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        row: dict[str, Any] = {"customer_id": f"c{number}"}
        for feature in telco.features:
            low, high = feature.minimum or 0.0, feature.maximum or 10_000.0
            if feature.kind == "categorical":
                row[feature.name] = draw.choice(feature.levels)
            elif feature.kind == "boolean":
                row[feature.name] = draw.random() < 0.5
            else:
                row[feature.name] = (
                    draw.randint(int(low), int(high))
                    if feature.kind == "integer"
                    else round(draw.uniform(low, high), 2)
                )
        rows.append(row)
    return rows


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink, row_group_size=700)
    return sink.getvalue()


WRITTEN = {"csv": as_csv, "jsonl": as_json_lines, "parquet": as_parquet}


def lines(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.get(key).data.splitlines()]


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("reasons", [False, True])
def test_it_decides_as_the_api_does_to_the_last_bit(
    suffix: str, reasons: bool, store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    rows = customers(telco, 2900)  # more than 256 KiB in each format of text, so that Arrow reads it
    store.put(f"batch/input/people.{suffix}", WRITTEN[suffix](rows))
    summary = batch({"input": f"batch/input/people.{suffix}", "reasons": reasons}, deps)
    assert (summary["rows"], summary["predicted"], summary["rejected"]) == (2900, 2900, 0)

    class Nowhere:
        def write(self, records: Any, now: datetime, unique: str, *, required: bool = False) -> None:
            pass

        def status(self) -> dict[str, object]:
            return {}

    serving = PredictDeps(deps.champions, Nowhere(), lambda: NOW, lambda: "", max_rows=3000, max_bytes=10_000_000)
    answered: Any = predict(json.dumps(rows).encode(), serving).body["predictions"]
    predicted = lines(store, summary["output"]["predictions"])
    fields = (
        "entity_id",
        "probability",
        "decision",
        "score",
        "logit",
        *(("reasons", "threshold", "baseline") if reasons else ()),
    )
    for number, (ours, theirs) in enumerate(zip(predicted, answered, strict=True), 1):
        assert ours["row"] == number
        assert {name: ours[name] for name in fields} == {name: theirs[name] for name in fields}
    assert summary["positive"] == sum(prediction["decision"] for prediction in predicted)
    assert 0 < summary["positive"] < 2900


def test_bad_rows_are_listed_apart_with_their_reasons_and_nothing_is_lost(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    rows = customers(telco, 6)
    rows[1]["tenure"] = 500
    rows[3]["contract"] = "Weekly"
    rows[3]["monthly_charges"] = "many"
    text = as_csv(rows).decode().splitlines()
    text[5] = "c4,one cell too few"
    data = "\n".join(text).encode()
    store.put("batch/input/people.csv", data)
    summary = batch({"input": "batch/input/people.csv"}, deps)
    assert (summary["rows"], summary["predicted"], summary["rejected"]) == (6, 3, 3)
    assert summary["rules"] == {"csv": 1, "tenure: range": 1, "contract: level": 1, "monthly_charges: type": 1}
    assert [line["row"] for line in lines(store, summary["output"]["predictions"])] == [1, 3, 6]
    rejected = lines(store, summary["output"]["rejected"])
    assert [line["row"] for line in rejected] == [2, 4, 5]
    assert [[(v["field"], v["rule"]) for v in line["violations"]] for line in rejected] == [
        [("tenure", "range")],
        [("contract", "level"), ("monthly_charges", "type")],
        [("", "csv")],
    ]
    assert rejected[0]["raw"] == {name: str(value) for name, value in rows[1].items()}
    assert rejected[2]["raw"] == "c4,one cell too few"
    assert summary["input"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_rejected_rows_can_be_mended_and_scored_again(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    rows = customers(telco, 3)
    rows[1]["tenure"] = -1
    store.put("batch/input/a.jsonl", as_json_lines(rows))
    first = batch({"input": "batch/input/a.jsonl"}, deps)
    mended = [{**line["raw"], "tenure": 1} for line in lines(store, first["output"]["rejected"])]
    store.put("batch/input/mended.jsonl", as_json_lines(mended))
    again = batch({"input": "batch/input/mended.jsonl"}, deps)
    assert (again["predicted"], again["rejected"]) == (1, 0)


def test_json_lines_are_held_to_what_the_api_takes(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    good = json.dumps(telco.example())
    bad = [
        json.dumps({**telco.example(), "colour": "red"}),
        good.replace("{", '{"tenure": 1,'),
        good[:-1],
        "[1]",
        json.dumps({**telco.example(), "total_charges": 10**30}),
        json.dumps({**telco.example(), "tenure": True}),
    ]
    store.put("batch/input/a.jsonl", "\n".join([good, *bad, good]).encode())
    summary = batch({"input": "batch/input/a.jsonl"}, deps)
    assert [line["row"] for line in lines(store, summary["output"]["predictions"])] == [1, 8]
    rules = [line["violations"][0]["rule"] for line in lines(store, summary["output"]["rejected"])]
    assert rules == ["unknown", "json", "json", "json", "range", "type"]
    assert lines(store, summary["output"]["rejected"])[4]["raw"]["total_charges"] == 10**30


def test_a_table_may_have_columns_of_its_own(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    store.put("batch/input/a.csv", as_csv([{"note": "=1+1", **row} for row in customers(telco, 3)]))
    assert batch({"input": "batch/input/a.csv"}, deps)["predicted"] == 3


def test_parquet_types_are_read_as_json_ones(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    rows = [
        {**row, "total_charges": Decimal("12.50"), "churn": datetime(2026, 1, 2, 3, tzinfo=UTC), "seen": "not read"}
        for row in customers(telco, 2)
    ]
    rows[1] |= {"total_charges": None, "tenure": None}
    store.put("batch/input/a.parquet", as_parquet(rows))
    summary = batch({"input": "batch/input/a.parquet"}, deps)
    assert summary["predicted"] >= 1
    (rejected,) = lines(store, summary["output"]["rejected"])
    assert ("tenure", "required") in [(v["field"], v["rule"]) for v in rejected["violations"]]
    assert rejected["raw"]["churn"] == "2026-01-02T03:00:00+00:00"
    assert "seen" not in rejected["raw"]


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("parquet", b""),
        ("parquet", b"PAR1 not really PAR1"),
        ("csv", b"a,a\n1,2\n"),
        ("csv", b"\xff\xfea\x00\n"),
        ("csv", b""),
    ],
)
def test_an_object_that_is_not_what_its_name_says_is_refused_and_leaves_nothing(
    suffix: str, data: bytes, store: MemoryObjectStore, deps: BatchDeps, model: Model
) -> None:
    store.put(f"batch/input/a.{suffix}", data)
    with pytest.raises(InvalidEvent):
        batch({"input": f"batch/input/a.{suffix}"}, deps)
    assert list(store.list("batch/output/")) == []


def test_a_header_alone_has_no_rows(store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract) -> None:
    store.put("batch/input/a.csv", as_csv(customers(telco, 1)).splitlines(keepends=True)[0])
    summary = batch({"input": "batch/input/a.csv"}, deps)
    assert (summary["rows"], store.get(summary["output"]["predictions"]).data) == (0, b"")


def test_the_same_work_is_done_once(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    store.put("batch/input/a.csv", as_csv(customers(telco, 5)))
    first = batch({"input": "batch/input/a.csv"}, deps)
    before = {info.key: (info.etag, info.modified) for info in store.list("")}
    again = batch({"input": "batch/input/a.csv"}, deps)
    assert {info.key: (info.etag, info.modified) for info in store.list("")} == before
    assert (again, again["repeated"]) == ({**first, "repeated": True}, True)
    store.put("batch/input/a.csv", as_csv(customers(telco, 5, seed=1)))
    changed = batch({"input": "batch/input/a.csv"}, deps)
    make_champion(store, draw_model(telco, "20261124-second", 1))
    promoted = batch({"input": "batch/input/a.csv"}, deps)
    assert len({summary["output"]["predictions"] for summary in (first, changed, promoted)}) == 3
    assert promoted["output"]["predictions"] == f"batch/output/a-{promoted['job']}/20261124-second/predictions.jsonl"


def test_a_run_that_broke_off_is_repeated_to_the_same_bytes(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    store.put("batch/input/a.csv", as_csv(customers(telco, 50)))
    summary = batch({"input": "batch/input/a.csv"}, deps)
    first = store.get(summary["output"]["predictions"]).data
    for info in list(store.list("batch/output/")):
        if not info.key.endswith("rejected.jsonl"):
            store.delete(info.key)
    assert batch({"input": "batch/input/a.csv"}, deps)["repeated"] is False
    assert store.get(summary["output"]["predictions"]).data == first


class Breaking(MemoryObjectStore):
    """A store that stops taking pieces after the first, or whose input is replaced while it is read."""

    def __init__(self, replaced: bool) -> None:
        super().__init__()
        self.replaced = replaced

    def stream(self, key: str) -> Iterator[bytes]:
        yield from super().stream(key)
        if self.replaced:
            self.put(key, b"something else")

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        with super().writer(key) as sink:
            yield sink
            if not self.replaced:
                raise StoreUnavailable("S3 does not answer.")


@pytest.mark.parametrize(("replaced", "error"), [(True, PreconditionFailed), (False, StoreUnavailable)])
def test_nothing_is_visible_of_a_run_that_fails(
    replaced: bool, error: type[Exception], telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    store = Breaking(replaced)
    make_champion(store, draw_model(telco, "v1"))
    store.put("batch/input/a.csv", as_csv(customers(telco, 5)))
    with pytest.raises(error):
        batch({"input": "batch/input/a.csv"}, BatchDeps(store, ChampionSource(store, lambda: NOW, 0), lambda: NOW))
    assert list(store.list("batch/output/")) == []


def test_events_of_s3_and_eventbridge_name_their_object(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    store.put("batch/input/new people+more.csv", as_csv(customers(telco, 2)))
    s3 = {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "batch/input/new+people%2Bmore.csv"}}}]}
    bridge = {"detail-type": "Object Created", "detail": {"object": {"key": "batch/input/new people+more.csv"}}}
    assert batch(s3, deps)["predicted"] == 2
    assert batch(bridge, deps)["repeated"] is True


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"input": 7},
        {"input": ""},
        {"input": "batch/input/a.csv", "reasons": "yes"},
        {"input": "batch/input/a.exe"},
        {"input": "batch/input/a"},
        {"input": "data/2026/a.csv"},
        {"input": "registry/production_metrics.json"},
        {"input": "batch/../registry/a.csv"},
        {"input": "batch/./a.csv"},
        {"input": "/batch/input/a.csv"},
        {"input": "batch//a.csv"},
        {"input": "batch\\a.csv"},
        {"input": "batch/input/a\n.csv"},
        {"input": "batch/input/\ud800.csv"},
        {"input": "batch/output/a-1/v1/predictions.jsonl"},
        {"input": "batch/input/" + "a" * 2000 + ".csv"},
        {"Records": []},
        {"Records": [{"s3": {}}]},
        {"Records": [{"s3": {"object": {"key": "batch/input/%FF.csv"}}}]},
        {"Records": [{"s3": {"object": {"key": "batch/%2E%2E/models/a.csv"}}}]},
        {"detail": None},
        {"detail": {"object": {"key": None}}},
    ],
)
def test_events_that_name_no_input_are_refused(event: dict[str, Any], deps: BatchDeps, model: Model) -> None:
    with pytest.raises(InvalidEvent):
        batch(event, deps)


def test_an_input_that_is_not_there_and_a_champion_that_is_not_there_are_told(
    store: MemoryObjectStore, deps: BatchDeps, telco: Contract
) -> None:
    store.put("batch/input/a.csv", b"x")
    with pytest.raises(ObjectNotFound, match="upload"):
        batch({"input": "batch/input/a.cs.csv"}, deps)
    with pytest.raises(NoChampion):
        batch({"input": "batch/input/a.csv"}, deps)


def test_a_row_that_overflows_the_model_is_rejected_as_the_api_does(
    store: MemoryObjectStore, deps: BatchDeps, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    free = replace(telco, features=tuple(replace(feature, minimum=None, maximum=None) for feature in telco.features))
    drawn = draw_model(free, "v1")
    terms = tuple(replace(term, scale=1e-6) if term.name == "total_charges" else term for term in drawn.terms)
    make_champion(store, replace(drawn, terms=terms))
    rows = customers(telco, 3)
    rows[1]["total_charges"] = 1e308
    store.put("batch/input/a.csv", as_csv(rows))
    summary = batch({"input": "batch/input/a.csv"}, deps)
    assert (summary["predicted"], summary["rules"]) == (2, {"total_charges: overflow": 1})


def test_repairs_are_counted(
    store: MemoryObjectStore, deps: BatchDeps, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    mended = tuple(
        replace(feature, if_missing=12.0) if feature.name == "tenure" else feature for feature in telco.features
    )
    make_champion(store, draw_model(replace(telco, features=mended), "v1"))
    store.put("batch/input/a.csv", as_csv([{**row, "tenure": ""} for row in customers(telco, 4)]))
    assert batch({"input": "batch/input/a.csv"}, deps)["repaired"] == {"tenure": 4}


class Discarding(MemoryObjectStore):
    """Takes what is written and forgets it, and streams one object out of a small block."""

    block, times = b"", 0

    def stream(self, key: str) -> Iterator[bytes]:
        yield self.get(key).data
        yield from (self.block for _ in range(self.times))

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        class Forgetful:
            def write(self, data: bytes) -> None:
                pass

        yield Forgetful()


def test_memory_is_flat_in_the_number_of_rows(telco: Contract, draw_model: Draw, make_champion: Enthrone) -> None:
    def peak(times: int) -> int:
        store = Discarding()
        make_champion(store, draw_model(telco, "v1"))
        head, _, store.block = as_csv(customers(telco, 1000)).partition(b"\n")
        store.times = times
        store.put("batch/input/a.csv", head + b"\n")
        tracemalloc.start()
        summary = batch(
            {"input": "batch/input/a.csv"}, BatchDeps(store, ChampionSource(store, lambda: NOW, 0), lambda: NOW)
        )
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert summary["predicted"] == 1000 * times
        return highest

    peak(1)
    assert peak(12) < 1.25 * peak(3)


def test_an_id_of_any_characters_stands_in_the_output_as_it_was_given(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    ids = ['a,b"c', "ü\u2028\\", "%s {}", "plain", ","]
    rows = [row | {"customer_id": identifier} for row, identifier in zip(customers(telco, len(ids)), ids, strict=True)]
    store.put("batch/input/ids.jsonl", as_json_lines(rows))
    summary = batch({"input": "batch/input/ids.jsonl"}, deps)
    assert [line["entity_id"] for line in lines(store, summary["output"]["predictions"])] == ids


def german(model: Model) -> Model:
    """The model whose contract reads German files: semicolons, decimal commas, n/a for nothing, Windows' encoding."""
    source = Source(delimiter=";", encoding="cp1252", decimal_char=",", group_char=".", missing_values=("", "n/a"))
    return replace(model, contract=replace(model.contract, source=source))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "jsonl.gz", "parquet"])
def test_a_file_in_the_contracts_dialect_is_scored_as_the_plain_one(
    suffix: str, store: MemoryObjectStore, deps: BatchDeps, telco: Contract, draw_model: Draw, make_champion: Enthrone
) -> None:
    model = draw_model(telco, "20261123-first")
    if not suffix.startswith("json"):
        model = german(model)
    make_champion(store, model)
    rows = customers(telco, 60)
    written = [
        {
            name: f"{value:,}".translate(str.maketrans(",.", ".,")) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(written)
    table = text.getvalue().encode("cp1252")
    data = {
        "csv": table,
        "tsv": table,
        "csv.gz": gzip.compress(table),
        "jsonl.gz": gzip.compress(as_json_lines(rows)),
        "parquet": as_parquet(rows),
    }[suffix]
    store.put(f"batch/input/a.{suffix}", data)
    summary = batch({"input": f"batch/input/a.{suffix}"}, deps)
    assert (summary["predicted"], summary["rejected"], summary["rules"]) == (60, 0, {})
    expected = [
        model.score(RowChecker(telco).check({k: v for k, v in row.items() if k != "customer_id"}).values).logit
        for row in rows
    ]
    assert [line["logit"] for line in lines(store, summary["output"]["predictions"])] == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize("renamed", ["total_charges", "customer_id", "tenure"])
def test_a_column_that_was_renamed_upstream_is_refused_and_never_read_as_blank(
    renamed: str, store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    rows = [
        {("x_" + name if name == renamed else name): value for name, value in row.items()}
        for row in customers(telco, 5)
    ]
    store.put("batch/input/a.csv", as_csv(rows))
    with pytest.raises(InvalidEvent, match=f"it lacks the column {renamed}"):
        batch({"input": "batch/input/a.csv"}, deps)


def test_a_file_with_none_of_the_columns_is_refused_at_once(
    store: MemoryObjectStore, deps: BatchDeps, model: Model
) -> None:
    store.put("batch/input/a.parquet", as_parquet([{"int_col": 1, "bool_col": True}]))
    with pytest.raises(InvalidEvent, match="none of the 20 columns is there; it has 'int_col', 'bool_col'"):
        batch({"input": "batch/input/a.parquet"}, deps)


def test_a_file_as_its_own_population_honours_the_correction_by_labels(
    store: MemoryObjectStore, deps: BatchDeps, model: Model, telco: Contract
) -> None:
    store.put("batch/input/a.csv", as_csv(customers(telco, 300)))
    event = {"input": "batch/input/a.csv", "population": "file"}
    plain = batch(event, deps)
    status = {"champion": {"version": model.version}, "correction": 0.1}
    store.put(POINT_STATUS_KEY, encode(status))
    corrected = batch(event, deps)
    assert corrected["positive"] > plain["positive"]
    assert corrected["threshold"] < plain["threshold"]
    store.put(POINT_STATUS_KEY, encode(status | {"champion": {"version": "another"}}))
    assert batch(event, deps) == plain | {"repeated": True}  # another champion's correction says nothing of this one
