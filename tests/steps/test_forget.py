"""Forgetting one entity: it stands in no stored row any more, wherever rows are kept, and the log stays whole."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.cli.main import main
from stillgood.domain.errors import InvalidEvent, StoreUnavailable
from stillgood.steps.forget import ROW_PREFIXES, forget
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import MODELS_PREFIX, PLACES
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.testing.faulty import Crashed, FaultyObjectStore
from stillgood.wiring.in_process import InProcess

from local import datasets

WHO, OTHER = "C00007", "C00008"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOW


def everywhere(store: FolderObjectStore | MemoryObjectStore, who: str) -> list[str]:
    """The keys of objects in which ``who`` stands, packed ones opened."""
    keys = []
    for info in store.list(""):
        data = store.get(info.key).data
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        if info.key.endswith(".parquet"):
            data = json.dumps(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
        texts = [data, data.decode("utf-16-le", errors="ignore").encode()]
        if any(who.encode() in text for text in texts):
            keys.append(info.key)
    return keys


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which customers were learnt from, scored, labelled, refused and scored by batch."""
    root = tmp_path_factory.mktemp("lived")
    rows, today, labels = root / "rows.csv", root / "today.csv", root / "labels.csv"
    telco = datasets.telco()
    telco.iloc[:1200].to_csv(rows, index=False)
    telco.iloc[:40].drop(columns="churn").to_csv(today, index=False)
    store = root / "store"
    words = ["--target", "churn", "--positive", "Yes", "--id", "customer_id", "--store", str(store)]
    assert main(["try", str(rows), *words]) == 0
    assert main(["predict", str(today), "--store", str(store), "--out", str(root / "out.jsonl")]) == 0
    predictions = [json.loads(line) for line in (root / "out.jsonl").read_text().splitlines()]
    lines = ["prediction_id,label,event_time"]
    lines += [
        f"{prediction['prediction_id']},{'Yes' if prediction['row'] % 3 else 'No'},2026-11-28T12:00:00Z"
        for prediction in predictions
    ]
    labels.write_text("\n".join(lines) + "\n")
    assert main(["labels", "add", str(labels), "--store", str(store)]) == 0
    bad = root / "bad.csv"
    bad.write_text(
        f"entity_id,label,event_time\n{WHO},perhaps,2026-11-28T12:00:00Z\n{OTHER},perhaps,2026-11-28T12:00:00Z\n"
    )
    assert main(["labels", "add", str(bad), "--store", str(store)]) == 1
    return store


@pytest.fixture
def store(lived: Path) -> MemoryObjectStore:
    """The same in memory, with more kinds of files."""
    store = MemoryObjectStore()
    folder = FolderObjectStore(lived)
    for info in folder.list(""):
        store.put(info.key, folder.get(info.key).data)
    rows = datasets.telco().iloc[:20]
    text = rows.to_csv(index=False)
    store.put("data/2026-11-02/packed.csv.gz", gzip.compress(text.encode(), mtime=0))
    store.put("data/2026-11-03/wide.csv", b"\xff\xfe" + text.encode("utf-16-le"))
    store.put("data/2026-11-04/lines.jsonl", rows.to_json(orient="records", lines=True).encode())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), sink)
    store.put("data/2026-11-05/table.parquet", sink.getvalue().to_pybytes())
    store.put("batch/input/today.csv", text.encode())
    store.put(
        "batch/output/today-1/v/predictions.jsonl",
        f'{{"row":1,"entity_id":"{WHO}"}}\n{{"row":2,"entity_id":"{OTHER}"}}\n'.encode(),
    )
    store.put("monitoring/hours/20261128T120000Z.jsonl", f'{{"kind":"prediction","entity_id":"{WHO}"}}\n'.encode())
    return store


def test_every_place_that_holds_rows_is_searched() -> None:
    for place in PLACES:
        if place.people != "nothing":
            assert place.key.startswith((*ROW_PREFIXES, MODELS_PREFIX)), f"{place.key} holds {place.people}"


def test_the_entity_is_gone_from_everywhere_and_nobody_else_is(store: MemoryObjectStore) -> None:
    before = {info.key: store.get(info.key).data for info in store.list("")}
    stood, others = everywhere(store, WHO), everywhere(store, OTHER)
    assert {key.split("/")[0] for key in stood} == {"data", "capture", "labels", "quarantine", "batch", "monitoring"}

    dry = forget(store, WHO, clock, dry=True)
    assert {info.key: store.get(info.key).data for info in store.list("")} == before
    forgotten = forget(store, WHO, clock)

    assert (forgotten.rows, forgotten.objects) == (dry.rows, dry.objects)
    assert set(stood) <= set(forgotten.objects)
    assert everywhere(store, WHO) == []
    assert everywhere(store, OTHER) == others
    assert forgotten.unread == ()
    assert verify(store) == ()
    # Every other line of a text stays as it stood.
    kept = store.get("batch/input/today.csv").data.splitlines()
    assert kept == [line for line in before["batch/input/today.csv"].splitlines() if WHO.encode() not in line]
    # The labels by the id of its prediction, which name it by no letter of its own.
    assert sum(key.startswith("labels/") for key in forgotten.objects) == 3
    again = forget(store, WHO, clock)
    assert (again.rows, again.record) == (0, None)


def test_the_record_says_that_something_was_forgotten_and_not_what(store: MemoryObjectStore) -> None:
    forgotten = forget(store, WHO, clock)
    assert forgotten.record is not None
    data = store.get(forgotten.record).data
    record = json.loads(data)
    assert WHO.encode() not in data
    assert record["at"] == "2026-11-28T12:00:00Z"
    assert sum(record["rows"].values()) == forgotten.rows
    (version,) = {info.key.split("/")[1] for info in store.list(MODELS_PREFIX)}
    assert record["models"] == [version]


def held_out(store: MemoryObjectStore) -> str:
    """A customer whose row the gate keeps."""
    import hashlib

    (key,) = [info.key for info in store.list(MODELS_PREFIX) if info.key.endswith("holdout.json")]
    digests = set(json.loads(store.get(key).data)["entities"])
    return next(
        customer
        for customer in (f"C{n:05d}" for n in range(1, 1200))
        if hashlib.sha256(customer.encode()).hexdigest()[:16] in digests
    )


def test_a_row_that_the_gate_keeps_goes_too_and_the_audit_knows_it_from_a_forgery(store: MemoryObjectStore) -> None:
    who = held_out(store)
    decision = Registry(store).decision(1)
    key = decision.inputs["holdout"]["key"]
    rows = json.loads(store.get(key).data)["frame"]["rows"]

    forget(store, who, clock)

    after = json.loads(store.get(key).data)
    assert after["frame"]["rows"] == len(after["target"]) == len(after["entities"]) == rows - 1
    assert {len(column) for column in after["frame"]["columns"].values()} == {rows - 1}
    assert check_inputs(store, decision) == ()
    (replayed,) = replay(store)
    assert (replayed.same, replayed.forgotten) == (False, True)
    # A second entity on top, and the log is still explained.
    forget(store, held_out(store), clock)
    assert check_inputs(store, decision) == ()
    store.put(
        key,
        store.get(key).data.replace(b'"target":[0', b'"target":[1', 1).replace(b'"target":[1', b'"target":[0', 1)
        + b" ",
    )
    assert [problem.kind for problem in check_inputs(store, decision)] == ["input"]


def test_what_was_forgotten_is_not_learnt_from_again(store: MemoryObjectStore) -> None:
    forget(store, WHO, clock)
    # By today's clock, like the rows: by another their dates may lie in the future.
    today = InProcess(store, lambda: datetime.now(UTC), {})
    answers = today.run("train", {"request_id": "after", "reason": "a test"})
    assert answers[0]["result"] == "trained"
    assert everywhere(store, WHO) == []


def test_what_cannot_be_read_is_named(store: MemoryObjectStore) -> None:
    store.put("data/2026-11-06/half.csv.gz", gzip.compress(b"customer_id\nC00007\n")[:-9])
    assert [message.split(":")[0] for message in forget(store, WHO, clock).unread] == ["data/2026-11-06/half.csv.gz"]


def test_after_a_crash_at_any_write_the_next_run_removes_what_is_left() -> None:
    crashed = 0
    for at in range(1, 20):
        inner = MemoryObjectStore(clock)
        line = f'{{"kind":"prediction","prediction_id":"p1","entity_id":"{WHO}","probability":0.5}}\n'
        label = b'{"prediction_id":"p1","label":"yes","event_time":"2026-11-28T00:00:00Z"}\n'
        other = b'{"prediction_id":"p2","label":"no","event_time":"2026-11-28T00:00:00Z"}\n'
        inner.put("capture/dt=2026-11-28/hour=12/1.jsonl", line.encode())
        inner.put("labels/dt=2026-11-28/a.jsonl", label + other)
        inner.put("labels/incoming/a.jsonl", label)
        faulty = FaultyObjectStore(inner, at, "after", "crash")
        try:
            forget(faulty, WHO, clock)
        except Crashed:
            crashed += 1
        forget(inner, WHO, clock)
        assert everywhere(inner, "p1") == everywhere(inner, WHO) == [], f"crashed after write {at}"
        assert inner.get("labels/dt=2026-11-28/a.jsonl").data == other
    assert crashed >= 4  # the record, and three objects


class Overtaken(MemoryObjectStore):
    """Others write ``key`` just before it is written for the first time, or for ever."""

    def __init__(self, key: str, added: bytes, *, times: int) -> None:
        super().__init__(clock)
        self.key, self.added, self.times = key, added, times

    def swap(self, key: str, data: bytes, etag: str) -> str:
        if key == self.key and self.times:
            self.times -= 1
            self.put(key, self.get(key).data + self.added)
        return super().swap(key, data, etag)


def test_what_others_write_since_an_object_was_searched_stays() -> None:
    key = "labels/dt=2026-11-28/a.jsonl"
    own, other, late = (f'{{"entity_id":"{who}","label":"yes"}}\n'.encode() for who in (WHO, OTHER, "C00009"))
    store = Overtaken(key, late, times=1)
    store.put(key, own + other)

    forget(store, WHO, clock)

    assert store.get(key).data == other + late


def test_an_object_that_others_change_again_and_again_is_an_outage_and_nothing_of_theirs_is_lost() -> None:
    key, own = "labels/dt=2026-11-28/a.jsonl", f'{{"entity_id":"{WHO}","label":"yes"}}\n'.encode()
    store = Overtaken(key, b'{"entity_id":"C00009","label":"yes"}\n', times=9)
    store.put(key, own + own.replace(WHO.encode(), OTHER.encode()))

    with pytest.raises(StoreUnavailable, match="run it again"):
        forget(store, WHO, clock)

    assert store.get(key).data.count(b"C00009") == 5


def test_an_empty_id_forgets_nobody(store: MemoryObjectStore) -> None:
    with pytest.raises(InvalidEvent):
        forget(store, " ", clock)


@pytest.fixture
def versioned(aws_environment: None) -> Iterator[Boto3ObjectStore]:
    """The empty bucket "state", which keeps what is overwritten and deleted."""
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="state")
        client.put_bucket_versioning(Bucket="state", VersioningConfiguration={"Status": "Enabled"})
        yield Boto3ObjectStore("state")


def test_old_versions_of_a_versioned_bucket_go_too(versioned: Boto3ObjectStore) -> None:
    store, client = versioned, boto3.client("s3")
    for line in ("a", "b"):
        store.put(
            "capture/dt=2026-11-28/hour=12/1.jsonl", f'{{"entity_id":"{WHO}"}}\n{{"entity_id":"{line}"}}\n'.encode()
        )
    store.put("capture/dt=2026-11-28/hour=12/2.jsonl", f'{{"entity_id":"{WHO}"}}\n'.encode())
    assert forget(store, WHO, clock).rows == 2
    left = client.list_object_versions(Bucket="state", Prefix="capture/")
    assert [version["Key"] for version in left["Versions"]] == ["capture/dt=2026-11-28/hour=12/1.jsonl"]
    assert "DeleteMarkers" not in left
    assert store.get("capture/dt=2026-11-28/hour=12/1.jsonl").data == b'{"entity_id":"b"}\n'


def test_old_versions_that_alone_hold_a_row_go_too(versioned: Boto3ObjectStore) -> None:
    """A label that was taken back, an upload that was deleted, an hour that was packed and emptied again."""
    store, client = versioned, boto3.client("s3")
    line = f'{{"kind":"prediction","prediction_id":"p1","entity_id":"{WHO}"}}\n'.encode()
    store.put("capture/dt=2026-11-28/hour=12/1.jsonl", line)
    hour = "monitoring/hours/20261128T120000Z.jsonl"
    for data in (line, b""):
        store.put(hour, data)
    for text in ("p1", "p2"):
        store.put("labels/dt=2026-11-28/1.jsonl", f'{{"prediction_id":"{text}"}}\n'.encode())
    store.put("data/2026-11-28/rows.csv", f"entity_id,x\n{WHO},1\n".encode())
    store.delete("data/2026-11-28/rows.csv")
    store.put("data/2026-11-28/other.csv", f"entity_id,x\n{OTHER},1\n".encode())
    store.delete("data/2026-11-28/other.csv")

    told = ("labels/dt=2026-11-28/1.jsonl", "data/2026-11-28/rows.csv")
    assert forget(store, WHO, clock, dry=True).former == told
    forgotten = forget(store, WHO, clock)

    assert (forgotten.rows, forgotten.former) == (1, told)
    left = client.list_object_versions(Bucket="state")
    kept = sorted(version["Key"] for version in left["Versions"] if not version["Key"].startswith("forgotten/"))
    assert kept == ["data/2026-11-28/other.csv", "labels/dt=2026-11-28/1.jsonl", hour]
    assert [mark["Key"] for mark in left["DeleteMarkers"]] == ["data/2026-11-28/other.csv"]
    assert forgotten.record is not None
    named = json.loads(store.get(forgotten.record).data)["objects"]
    assert {*told, hour} <= set(named)  # so that the run after a crash purges them


def test_the_command_says_what_went_and_which_models_had_learnt_from_it(
    lived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    root = tmp_path / "store"
    shutil.copytree(lived, root)
    assert main(["forget", "--entity", WHO, "--dry", "--store", str(root)]) == 0
    assert "would be removed" in capsys.readouterr().out
    assert main(["forget", "--entity", WHO, "--store", str(root)]) == 0
    said = capsys.readouterr().out
    assert "models that had learnt from it" in said
    assert "recorded as forgotten/2" in said
    assert main(["forget", "--entity", WHO, "--store", str(root)]) == 1
    assert "no stored row names it" in capsys.readouterr().out
    assert main(["audit", "--store", str(root)]) == 0
