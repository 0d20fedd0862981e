"""One bad object, of whatever kind and wherever it lies, keeps no step from its work."""

from collections.abc import Callable
from typing import Any

import pytest
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import Window, read_report
from stillgood.testing.fakes import FakeInvoker

from tests.faults import story

PAYLOADS = {
    "empty": b"",
    "nested without end": b"[" * 100_000,
    "Latin-1": "customer,first,second,left\né,1,2,yes\n".encode("latin-1"),
    "half of a surrogate": b'{"prediction_id":"\\ud800","label":"yes","event_time":"2026-11-01T00:00:00Z"}\n',
    "a time that is none": b'{"prediction_id":"a","label":"yes","event_time":"soon"}\n',
    "numbers beyond all": b'{"format_version":1e999,"rows":1e400,"objects":1e999}\n',
}
KEYS = (
    "capture/dt=2026-11-23/hour=19/zzz-bad.jsonl", "capture/dt=2026-11-23/hour=19/zz-a.batch.json", "capture/odd.txt",
    "labels/dt=2026-11-20/bad.jsonl", "labels/incoming/bad.csv", "labels/incoming/bad.parquet", "labels/incoming/b.xls",
    "labels/actions/dt=2026-11-20/bad.jsonl", "labels/actions/incoming/bad.csv", "labels/taken/bad.json",
    "data/2026-11-21/bad.csv", "data/2026-11-21/bad.parquet", "data/labels-2025.csv", "models/odd",
    "registry/odd.json", "monitoring/reports/odd.json", "monitoring/outcomes/2026-10-21.bin",
    "monitoring/outcomes/progress.bin", "monitoring/touched.json", "monitoring/counted.json",
    "monitoring/standing.json", "monitoring/hours/20261123T190000Z.jsonl",
    "monitoring/summaries/v1/20261123T190000Z.json", "quarantine/labels/bad.jsonl", "contracts/bad.json",
    "operating_points/bad.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def before() -> dict[str, bytes]:
    store = story.write(MemoryObjectStore(lambda: story.TODAY))
    return {info.key: store.get(info.key).data for info in store.list("")}


@pytest.mark.parametrize("name", PAYLOADS)
def test_monitor_judges_its_window_whatever_lies_beside(
    before: dict[str, bytes], name: str, count: Callable[..., None]
) -> None:
    for key in KEYS:
        store = MemoryObjectStore(lambda: story.TODAY)
        for other, data in before.items():
            store.put(other, data)
        store.put(key, PAYLOADS[name])
        story.WORK["monitor"](store, FakeInvoker())
        report: Any = read_report(store, Window.ending(story.TODAY, 24))
        assert report["rows"] == 304, key
        if key.startswith("labels/dt=") and name != "empty":
            assert report["labels"]["unreadable"] == [key]
    count("bad objects lived with", len(KEYS))
