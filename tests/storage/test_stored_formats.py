"""Buckets of the formats that ever were: today's steps walk over each, and documents of the next version are refused.

``bucket_before_rename``: of before the project's name; ``bucket_outcomes_1``: of before control groups; and one of each
release. CONTRIBUTING.md tells how to add one.
"""

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stillgood.domain.errors import StillgoodError
from stillgood.domain.formats import NEWEST, WORD, current_format
from stillgood.domain.policy.policies import POLICIES
from stillgood.steps.monitor.again import judge_again
from stillgood.steps.monitor.replay import replay_windows
from stillgood.steps.predict import status
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.codec import decode_any, encode
from stillgood.storage.keys import CONTRACT_KEY, DECISIONS_PREFIX, POINTER_KEY, STATE_KEY
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.outcomes import ledger_days, read_day
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso
from stillgood.testing.fakes import FakeInvoker
from stillgood.wiring.in_process import InProcess

from tests.faults import story

DATA = Path(__file__).parent.parent / "data"
BUCKETS = sorted(path.name.removesuffix(".tar.xz") for path in DATA.glob("bucket_*.tar.xz"))
RELEASES = [name for name in BUCKETS if name.removeprefix("bucket_")[0].isdigit()]
WORK = ("label files", "POST /labels", "compact", "monitor", "train", "promote", "refuse", "batch", "rollback")
TOMORROW = story.TODAY + timedelta(days=1)
NOW = TOMORROW + timedelta(hours=2)


def unpacked(name: str) -> MemoryObjectStore:
    store = MemoryObjectStore(clock=lambda: NOW)
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            store.put(member.name, file.read())
    return store


@pytest.fixture(scope="module")
def written() -> MemoryObjectStore:
    """What today's code makes of the story; WRITE_BUCKET=file keeps it as the bucket of a release."""
    store, invoker = story.write(MemoryObjectStore(clock=lambda: story.NOW)), FakeInvoker()
    for name in WORK:
        story.WORK[name](store, invoker)
    window = Window.ending(story.TODAY, 24)
    judge_again(store, window, POLICIES["simple"], because="mended", by="ada", now=story.NOW)
    boosted = story.CONTRACT | {"version": "2", "training": {"min_rows": 100, "family": "boosted"}}
    store.put(CONTRACT_KEY, encode(boosted))
    InProcess(store, clock=lambda: story.NOW, environ={}).run("train", {"request_id": "boosted", "reason": "asked"})
    store.put(CONTRACT_KEY, encode(story.CONTRACT))
    if path := os.environ.get("WRITE_BUCKET"):
        with tarfile.open(path, "w:xz", format=tarfile.PAX_FORMAT) as archive:
            for key in sorted(info.key for info in store.list("")):
                data = store.get(key).data
                entry = tarfile.TarInfo(key)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return store


@pytest.mark.parametrize("name", BUCKETS)
def test_todays_steps_walk_over_a_bucket_of_every_format(name: str) -> None:
    """predict, label, judge, learn, promote, tell and audit, as on the day after an upgrade."""
    store = unpacked(name)
    before = len(list(Registry(store).decisions()))
    assert verify(store) == ()
    assert {decision.same for decision in replay(store)} == {True}
    steps = InProcess(store, clock=lambda: NOW, environ={})
    serving = steps.serving()
    assert serving.champions.current().model.version == Registry(store).pointer().version  # type: ignore[union-attr]
    story.capture(store, TOMORROW - timedelta(hours=5), 300, 17, 1.0, "next")
    days = len(ledger_days(store))
    (report, *_) = steps.run("monitor", {"scheduled_time": iso(TOMORROW)})
    assert (report["step"], report["duplicate"]) == ("monitor", False)
    assert report["rows"] >= 300  # and what batch scored on that day, where it was captured
    assert len(ledger_days(store)) > days
    assert all(read_day(store, day)[0] is not None for day in ledger_days(store))  # also those of then
    store.put("data/2026-11-25/b.csv", story.table(400, 21))
    trained, decided = steps.run("train", {"request_id": "after the upgrade", "reason": "asked"})
    assert trained["result"] == "trained"
    assert decided["decision"] >= before + 1
    assert verify(store) == ()
    assert {decision.same for decision in replay(store)} == {True}
    windows = list(replay_windows(store))
    assert [window.detail for window in windows if not (window.same or window.old)] == []
    assert windows[-1].same
    assert status(serving)["serving"]


def documents(store: ObjectStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every stored JSON document, or first line of one, that says its format."""
    for info in store.list(""):
        try:
            head = json.loads(store.get(info.key).data.partition(b"\n")[0])
        except ValueError:
            continue
        if isinstance(head, dict) and str(head.get("format")).startswith((f"{WORD}.", "lifecycle.")):
            yield info.key, head


def fields(value: Any, path: str = "", depth: int = 3) -> set[str]:
    """The names in a document, down to ``depth``; what a list holds counts as one."""
    if isinstance(value, dict) and depth:
        return {f"{path}.{name}" for name in value}.union(
            *(fields(part, f"{path}.{name}", depth - 1) for name, part in value.items())
        )
    if isinstance(value, list):
        return set().union(*(fields(part, f"{path}[]", depth) for part in value)) if value else set()
    return set()


def schema(store: ObjectStore) -> dict[tuple[str, int], set[str]]:
    found: dict[tuple[str, int], set[str]] = {}
    for _, document in documents(store):
        key = str(current_format(document["format"])), int(document["format_version"])
        found.setdefault(key, set()).update(fields(document))
    return found


@pytest.mark.parametrize("name", RELEASES)
def test_within_a_version_of_a_format_no_field_is_removed(name: str, written: MemoryObjectStore) -> None:
    """So the code of the release reads what today's code writes: it passes over what is new."""
    then, now = schema(unpacked(name)), schema(written)
    assert {form for form, _ in then} <= {form for form, _ in now}
    for form, names in then.items():
        if form in now:
            assert names - now[form] == set(), form


def test_every_format_is_written_in_its_newest_version(written: MemoryObjectStore) -> None:
    for form, version in schema(written):
        assert version == NEWEST.get(form.partition(".")[2], 1), form


def test_each_release_has_a_bucket() -> None:
    changelog = (DATA.parents[1] / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert [f"bucket_{version.replace('.', '_')}" for version in reversed(versions)] == RELEASES


def test_a_document_of_the_next_version_is_refused_by_name(written: MemoryObjectStore) -> None:
    for key, document in documents(written):
        later = document | {"format_version": document["format_version"] + 1}
        with pytest.raises(StillgoodError, match="which later code wrote; deploy that code") as refused:
            decode_any(encode(later), what=key)
        assert key in refused.value.detail
        assert decode_any(encode(document | {"of_the_next_release": {"x": [1]}}), what=key)


@pytest.mark.parametrize("key", [POINTER_KEY, STATE_KEY, CONTRACT_KEY, DECISIONS_PREFIX])
def test_no_step_goes_on_over_a_document_of_the_next_version(key: str) -> None:
    """Of the decision log: over its newest record."""
    store = unpacked(RELEASES[-1])
    key = max(info.key for info in store.list(key))
    document = json.loads(store.get(key).data)
    store.put(key, encode(document | {"format_version": document["format_version"] + 1}))
    objects = [(info.key, info.etag) for info in store.list("registry/")]
    steps = InProcess(store, clock=lambda: NOW, environ={})
    ran = {
        POINTER_KEY: lambda: steps.serving().champions.current(),
        STATE_KEY: lambda: steps.run("monitor", {"scheduled_time": iso(TOMORROW)}),
        CONTRACT_KEY: lambda: steps.run("train", {"request_id": "later", "reason": "asked"}),
    }.get(key, lambda: steps.run("promote", story.PROMOTE | {"request_id": "later"}))
    with pytest.raises(StillgoodError, match="format_version"):
        ran()
    assert [(info.key, info.etag) for info in store.list("registry/")] == objects


def test_what_the_next_release_adds_to_state_and_contractless_documents_is_passed_over() -> None:
    """Not so the contract's: a person writes it, and an unknown name there is a mistake."""
    store = unpacked(RELEASES[-1])
    for key in (STATE_KEY, POINTER_KEY):
        document = json.loads(store.get(key).data)
        store.put(key, encode(document | {"of_the_next_release": {"x": [1]}}))
    steps = InProcess(store, clock=lambda: NOW, environ={})
    assert steps.serving().champions.current().model.version
    assert steps.run("monitor", {"scheduled_time": iso(TOMORROW)})[0]["duplicate"] is False
