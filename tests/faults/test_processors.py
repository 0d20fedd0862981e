"""A log written on one processor replays on another: only the rounding of figures may differ, and a forgery still
shows.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.errors import DocumentUnusable
from stillgood.steps.monitor.replay import replay_windows
from stillgood.steps.promote.agreement import agrees
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.codec import encode
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import DECISIONS_PREFIX, REPORTS_PREFIX, decision_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.records import read_decision

from tests.conftest import ROOT
from tests.faults import story
from tests.faults.shop_life import live
from tests.steps.monitor.feed import Shop

# What a deployed Lambda sets, what an older processor lacks, other OpenBLAS kernels, and more threads.
PROCESSORS = [
    {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
    {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
    {},
    {"OPENBLAS_CORETYPE": "Haswell"},
    {"OPENBLAS_CORETYPE": "SkylakeX"},
    {"OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "2"},
]
FOLDERS = ("faults", "steps/monitor")
WRITE = """
import sys
from pathlib import Path
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.folder import FolderObjectStore
import story
store = FolderObjectStore(Path(sys.argv[1]))
story.write(store)
deps = PromoteDeps(store, lambda: story.NOW)
promote(story.REFUSE, deps)
promote(story.PROMOTE, deps)
roll_back(story.ROLLBACK, deps)
"""


by_processor = pytest.mark.parametrize(
    "processor", PROCESSORS, ids=lambda variables: " ".join(f"{k}={v}" for k, v in variables.items()) or "as it is"
)


def written(folder, processor, script):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NPY_", "OPENBLAS_", "OMP_"))
    }
    environment |= processor | {"PYTHONPATH": os.pathsep.join(str(ROOT / "tests" / part) for part in FOLDERS)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(folder)], cwd=ROOT, env=environment, check=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The bucket with a log of five decisions that a processor wrote, as a function of its variables."""

    @cache
    def written_by(processor):
        folder = tmp_path_factory.mktemp("log")
        written(folder, dict(processor), WRITE)
        store = FolderObjectStore(folder)
        return {info.key: store.get(info.key).data for info in store.list("")}

    def log(processor):
        store = MemoryObjectStore()
        for key, data in written_by(tuple(processor.items())).items():
            store.put(key, data)
        return store

    return log


@by_processor
def test_a_log_of_any_processor_replays_here(logs, processor, count):
    store = logs(processor)
    assert verify(store) == ()
    assert [(replayed.n, replayed.same) for replayed in replay(store)] == [(n, True) for n in range(1, 6)]
    count("logs: written under another setting of the processor, and replayed", 1, ">= 6")


def blamed(store):
    """The keys that an audit with ``--replay all`` names."""
    problems = [*verify(store)]
    for info in store.list(DECISIONS_PREFIX):
        with suppress(DocumentUnusable):
            problems += check_inputs(store, read_decision(store.get(info.key).data, what=info.key))
    keys = {problem.key for problem in problems}
    return keys | {decision_key(replayed.n) for replayed in replay(store) if not replayed.same}


def forgeries(store):
    """By name: what a forger does to a bucket, and the keys that are touched by it."""
    records = {n: store.get(decision_key(n)).data for n in range(1, 6)}
    models = [info.key for info in store.list("models/") if info.key.endswith("/model.json")]
    used = {
        source["key"] for data in records.values() for source in json.loads(data)["inputs"].values() if "key" in source
    }
    for n, data in records.items():
        yield f"removed {n}", {decision_key(n): None}
        other = "refuse" if json.loads(data)["action"] == "promote" else "promote"
        yield f"decided otherwise {n}", {decision_key(n): encode(json.loads(data) | {"action": other})}
        for place in [found.start() for found in re.finditer(rb"\d(?=[,}])", data) if b"." in data[: found.start()]][
            -1:
        ]:
            digit = b"%d" % ((int(data[place : place + 1]) + 1) % 10)
            yield f"a digit of {n}", {decision_key(n): data[:place] + digit + data[place + 1 :]}
    for n in range(1, 5):
        yield f"swapped {n} and {n + 1}", {decision_key(n): records[n + 1], decision_key(n + 1): records[n]}
    for key in sorted(used.intersection(models)):
        model = json.loads(store.get(key).data)
        yield f"rewrote {key}", {key: encode(model | {"baseline": model["baseline"] + 1e-9})}


@by_processor
def test_a_forgery_in_a_log_of_any_processor_is_named(logs, processor, count):
    for name, changes in forgeries(logs(processor)):
        store = logs(processor)
        for key, data in changes.items():
            if data is None:
                store.delete(key)
            else:
                store.put(key, data)
        assert blamed(store) & changes.keys(), name
        count("logs: forgeries of such a log, each named by its key", 1, ">= 100")


@pytest.fixture
def store():
    store = MemoryObjectStore()
    story.write(store)
    promote(story.PROMOTE, PromoteDeps(store, lambda: story.NOW))
    return store


def test_a_figure_forged_in_its_last_digit_breaks_the_chain(store):
    record = json.loads(store.get(decision_key(2)).data)
    record["figures"]["candidate"]["roc_auc"]["value"] += 1e-14
    store.put(decision_key(2), encode(record))
    assert any(problem.key == decision_key(2) or "00000002" in problem.detail for problem in verify(store))


@pytest.mark.parametrize(
    "forge",
    [
        lambda record: record["figures"]["candidate"]["roc_auc"].update(value=0.99),
        lambda record: record.update(action="refuse", pointer_after=None),
        lambda record: record.update(candidate="v3"),
        lambda record: record["figures"]["candidate"].update(flagged=record["figures"]["candidate"]["flagged"] + 1),
        lambda record: record["reasons"].__setitem__(0, record["reasons"][0].replace("0.", "0.9", 1)),
    ],
)
def test_a_forgery_does_not_replay(store, forge):
    record = json.loads(store.get(decision_key(3)).data)
    forge(record)
    store.put(decision_key(3), encode(record))
    (replayed,) = replay(store, [3])
    assert not replayed.same


@given(st.floats(0.001, 1), st.floats(-1e-3, 1e-3))
def test_figures_agree_to_the_tolerance_and_no_further(value, apart):
    other = value + apart
    assert agrees({"x": value}, {"x": other}) == (abs(value - other) <= 1e-9 * max(1, abs(value), abs(other)))


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_counts_agree_exactly(count, more):
    assert not agrees({"rows": count}, {"rows": count + more})
    assert not agrees(f"{count} rows were refused", f"{count + more} rows were refused")


LIVE = """
import sys
from pathlib import Path
from stillgood.storage.folder import FolderObjectStore
from feed import Shop
from shop_life import live
store, lived = FolderObjectStore(Path(sys.argv[1])), live(Shop(maturity=1))
for info in lived.list(""):
    store.put(info.key, lived.get(info.key).data)
"""
# What a report says that was computed; the rest names documents and times.
COMPUTED = (
    "rows",
    "drift",
    "estimated_performance",
    "realised_performance",
    "scores",
    "decision",
    "effect",
    "standing",
)


def reports(store):
    return [json.loads(store.get(info.key).data) for info in store.list(REPORTS_PREFIX)]


@pytest.fixture(scope="module")
def lived():
    return reports(live(Shop(maturity=1)))


@by_processor
def test_windows_of_any_processor_replay_here_and_are_judged_alike(tmp_path, lived, processor, count):
    written(tmp_path, processor, LIVE)
    store = FolderObjectStore(tmp_path)
    assert [replayed for replayed in replay_windows(store) if not replayed.same] == []
    there = reports(store)
    assert {report["decision"]["action"] for report in there} == {"nothing", "alert", "retrain"}
    for one, other in zip(lived, there, strict=True):
        assert [name for name in COMPUTED if not agrees(one[name], other[name])] == []
    count("logs: windows judged under another setting of the processor, and replayed", len(there), ">= 48")


def test_a_figure_of_a_window_beyond_rounding_does_not_agree(lived):
    forged = json.loads(json.dumps(lived[-1]))
    forged["drift"]["checks"][0]["statistic"] += 1e-6
    assert not agrees(lived[-1]["drift"], forged["drift"])
