"""Whatever JSON a handler is invoked with: it does what was asked, or raises a typed refusal, and writes nowhere it
should not.
"""

import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stillgood.api.gateway import LambdaHandler
from stillgood.domain.errors import InvalidEvent, StillgoodError
from stillgood.domain.policy.policies import POLICIES
from stillgood.steps.batch.batch import BatchDeps
from stillgood.steps.monitor.monitor import MonitorDeps
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.steps.train.train import TrainDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.keys import OUTPUT_PREFIX
from stillgood.storage.memory import MemoryObjectStore

ROOT = Path(__file__).parents[2]

# Paths as somebody might try them, where a key, a version or a request id is expected.
PATHS = [
    *(
        "../x",
        "/etc/passwd",
        "registry/production_metrics.json",
        "batch/../registry/production_metrics.json",
        "batch//a.csv",
    ),
    *(
        "batch/output/x.csv",
        "batch/a.csv/",
        "batch/\u202egpj.csv",
        "batch/é.csv",
        "batch/ .csv",
        "batch/\ud800.csv",
        "batch/",
    ),
    *(
        "batch/.csv",
        "batch/..csv",
        "batch/a..csv",
        "batch/a\\b.csv",
        "batch/a\nb.csv",
        "batch/%2e%2e/x.csv",
        "contract.json",
    ),
    *(f"batch/{'x' * 2000}.csv", f"batch/{'x' * 1000}.csv", "a/b", "v1/../v2", "v1\n", "models/v1", "v1 ", "."),
]


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Context:
    aws_request_id = "fuzz"


class Sent:
    """An invoker that only checks that the event can be sent."""

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        json.dumps(event, allow_nan=False)


@pytest.fixture
def handlers(store: MemoryObjectStore, handler: LambdaHandler) -> dict[str, Callable[[object, object], Any]]:
    """Every function's own handler, over a store in memory that has a champion and nothing else."""

    def clock() -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    wired: dict[str, tuple[str, Callable[[], Any]]] = {
        "predict/app.py": ("api", lambda: handler),
        "batch/app.py": ("scoring", lambda: BatchDeps(store, ChampionSource(store, clock, 0), clock)),
        "monitor/app.py": ("monitoring", lambda: MonitorDeps(store, Sent(), clock, print, POLICIES["guarded"])),
        "train/app.py": ("training", lambda: TrainDeps(store, Sent(), clock, tracking=None)),  # type: ignore[arg-type]
        "promote/app.py": ("deciding", lambda: PromoteDeps(store, clock)),
    }
    by_path = {}
    for path, (name, make) in wired.items():
        module = load(f"functions/{path}")
        setattr(module, name, make)
        by_path[path] = module.handler
    return by_path


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("predict/app.py", "predict"),
        ("predict/app.py", "labels"),
        ("predict/app.py", "status"),
        ("batch/app.py", "batch"),
        ("monitor/app.py", "monitor"),
        ("train/app.py", "train"),
        ("train/app.py", "recalibrate"),
        ("promote/app.py", "promote"),
        ("promote/app.py", "rollback"),
        ("promote/app.py", "release"),
    ],
)
def test_a_forged_event_is_done_or_refused_by_a_typed_error(
    path: str, event: str, handlers: Any, store: MemoryObjectStore, places: Any, changed: Any, nasty: Any, count: Any
) -> None:
    whole = json.loads((ROOT / "events" / f"{event}.json").read_text())
    pointer = store.get("registry/production_metrics.json").data
    forged = (
        [
            changed(whole, place, put)
            for place in places(whole)
            for put in [*nasty, *PATHS]
            if place[-1] != "method"
            or isinstance(put, str)  # a router needs a text there, and no gateway sends anything else
        ]
        + nasty[1:]
    )
    ends: Counter[str] = Counter()
    for forgery in forged:
        try:
            answer = handlers[path](forgery, Context())
        except StillgoodError as error:
            ends[error.slug] += 1
        else:
            ends[str(answer.get("statusCode", "done"))] += 1
    print(dict(ends))
    assert set(ends) <= {
        "200",
        "400",
        "404",
        "405",
        "415",
        "422",
        "done",
        "invalid-event",
        "unknown-version",
        "object-not-found",
    }
    assert store.get("registry/production_metrics.json").data == pointer
    prefixes = {info.key.split("/")[0] for info in store.list("")}
    assert prefixes <= {"models", "registry", "capture", "labels", "quarantine", "pages", "operating_points"}
    assert not [info.key for info in store.list("models/") if not info.key.startswith("models/20261123-fuzz/")]
    count(f"fuzz: forged {event} events", len(forged))


@pytest.mark.parametrize("key", PATHS)
def test_batch_reads_and_writes_below_its_own_prefix_whatever_key_it_is_given(
    key: str, handlers: Any, store: MemoryObjectStore
) -> None:
    with suppress(InvalidEvent):  # S3 would not hold it either
        store.put(key, b"tenure\n1\n")
    before = {info.key for info in store.list("")}
    for event in (
        {"input": key},
        {"input": "batch/none.csv", "output_prefix": key},
        {"Records": [{"s3": {"object": {"key": key}}}]},
        {"detail": {"object": {"key": key}}},
    ):
        try:
            handlers["batch/app.py"](event, Context())
        except StillgoodError as error:
            assert error.slug in ("invalid-event", "table-unreadable", "object-not-found")  # noqa: PT017
    written = {info.key for info in store.list("")} - before
    assert all(path.startswith(OUTPUT_PREFIX) and ".." not in path.split("/") for path in written)
