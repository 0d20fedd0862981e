"""Each window's decision is made again from its report; whatever was changed, removed, moved or put in is named."""

import json
from typing import Any

import pytest
from stillgood.cli.main import main
from stillgood.domain.policy.policies import POLICIES
from stillgood.steps.monitor.monitor import monitor
from stillgood.steps.monitor.replay import ReplayedWindow, replay_windows
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import REPORTS_PREFIX, STATE_KEY, report_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore

from tests.steps.monitor.feed import VERSION, Shop
from tests.steps.monitor.test_monitor import EVENT, World, at, drifting

DAYS = 10


@pytest.fixture(scope="module")
def lived() -> dict[str, bytes]:
    """Ten windows of labelled customers, whose outcomes turn after the fifth day: quiet, then a retrain."""
    shop = Shop(per_day=250, maturity=1)
    for day in range(DAYS):
        shop.monitor(day)
        shop.send(shop.predict(day, truth=1.5 if day < 4 else -1.0), day + 0.9, event=0.5)
    return {info.key: shop.store.get(info.key).data for info in shop.store.list("")}


@pytest.fixture
def store(lived: dict[str, bytes]) -> MemoryObjectStore:
    store = MemoryObjectStore()
    for key, data in lived.items():
        store.put(key, data)
    return store


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list(REPORTS_PREFIX)]


def name(key: str) -> str:
    return key.removeprefix(REPORTS_PREFIX).removesuffix(".json")


def wrong(store: ObjectStore) -> list[ReplayedWindow]:
    return [replayed for replayed in replay_windows(store) if not replayed.same]


def change(store: ObjectStore, key: str, *path: Any, to: Any) -> None:
    """Put ``to`` at ``path`` of a report; a callable gets the old value."""
    report = json.loads(store.get(key).data)
    place = report
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    store.put(key, encode(report))


def hash_anew(store: ObjectStore) -> None:
    """What a forger does next: every later report, and the state, name the changed bytes."""
    for before, key in zip(keys(store), keys(store)[1:], strict=False):
        change(store, key, "before", "sha256", to=sha256(store.get(before).data))
    state = json.loads(store.get(STATE_KEY).data)
    store.put(STATE_KEY, encode(state | {"report": json.loads(store.get(keys(store)[-1]).data)}))


def test_every_window_replays_and_nothing_is_written(store: MemoryObjectStore) -> None:
    before = [(info.key, info.etag) for info in store.list("")]
    results = list(replay_windows(store))
    actions = {json.loads(store.get(key).data)["decision"]["action"] for key in keys(store)}
    assert actions == {"nothing", "alert", "retrain"}
    assert [(replayed.window, replayed.same) for replayed in results] == [(name(key), True) for key in keys(store)]
    assert [(info.key, info.etag) for info in store.list("")] == before


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("drift", "checks", 0, "p"), lambda p: p * (1 - 1e-12)),
        (("evidence", "realised", "metrics", "roc_auc", "value"), lambda auc: auc + 1e-15),
        (("labels",), {}),
        (("rows",), 251),
    ],
)
@pytest.mark.parametrize("which", [5, -1])
def test_one_forged_digit_is_named_by_the_report_after_it_or_the_state(
    store: MemoryObjectStore, which: int, path: tuple[Any, ...], to: Any
) -> None:
    key = keys(store)[which]
    change(store, key, *path, to=to)
    assert any(replayed.window == name(key) and "was changed" in replayed.detail for replayed in wrong(store))


@pytest.mark.parametrize(
    ("path", "to", "says"),
    [
        (("decision", "action"), "roll_back", "decision"),
        (("decision", "reasons"), ["Because."], "decision"),
        (("decision", "figures", "rows"), 1000, "decision"),
        (("evidence", "realised", "metrics", "roc_auc", "value"), lambda auc: auc - 0.005, "realised_performance"),
        (("evidence", "refused"), 200, "decision"),
        (("effect",), {"step": "promote", "event": {}}, "effect"),
        (("state_before", "streaks"), {"performance": 9}, "begins with another state"),
        (("champion", "model_sha256"), "0" * 64, "decision log does not"),
    ],
)
def test_a_forgery_that_hashes_all_later_reports_anew_is_named_by_its_decision(
    store: MemoryObjectStore, path: tuple[Any, ...], to: Any, says: str
) -> None:
    key = keys(store)[6]
    change(store, key, *path, to=to)
    hash_anew(store)
    assert any(replayed.window == name(key) and says in replayed.detail for replayed in wrong(store))


def test_a_removed_report_is_named(store: MemoryObjectStore) -> None:
    key = keys(store)[4]
    store.delete(key)
    assert [(replayed.window, replayed.detail[:11]) for replayed in wrong(store)] == [(name(key), "was removed")]


def test_two_reports_in_each_other_s_place_are_named(store: MemoryObjectStore) -> None:
    early, late = keys(store)[3], keys(store)[6]
    first, second = store.get(early).data, store.get(late).data
    store.put(early, second)
    store.put(late, first)
    moved = [replayed.window for replayed in wrong(store) if "is the report of window" in replayed.detail]
    assert moved == [name(early), name(late)]


def test_a_report_that_was_put_in_is_named(store: MemoryObjectStore) -> None:
    report = json.loads(store.get(keys(store)[5]).data)
    window = "20260905T120000Z_20260906T120000Z"
    report["window"]["id"] = report["evidence"]["window"] = window
    store.put(report_key(window), encode(report))
    assert any("was inserted" in replayed.detail for replayed in wrong(store))


def test_a_rewritten_model_is_named(store: MemoryObjectStore) -> None:
    key = f"models/{VERSION}/model.json"
    store.put(key, store.get(key).data.replace(b"1.5", b"1.6"))
    assert all(f"{key} was rewritten" in replayed.detail for replayed in wrong(store))
    assert len(wrong(store)) == DAYS


def test_the_command_names_windows_beside_decisions(
    store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stillgood.aws.s3_boto3.Boto3ObjectStore", lambda bucket: store)
    assert main(["audit", "--bucket", "state", "--replay", "all"]) == 1  # the fake champion's own model was not judged
    assert f"{DAYS} of {DAYS} windows" in capsys.readouterr().out
    removed = name(keys(store)[2])
    store.delete(report_key(removed))
    main(["audit", "--bucket", "state", "--replay", "all"])
    out = capsys.readouterr().out
    assert f"window {removed}: was removed" in out
    assert f"{DAYS - 1} of {DAYS} windows" in out


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_drift_alone_replays_under_every_policy_and_so_does_a_late_window(policy: str) -> None:
    world = drifting()
    for day in (-1, 0, -2):  # the last one comes late
        monitor(at(day), world.deps(policy=policy))
    assert [replayed.same for replayed in replay_windows(world.store)] == [True, True, True]


def test_a_state_that_was_deleted_goes_on_with_the_newest_report() -> None:
    world = World()
    monitor(at(-1), world.deps())
    world.store.delete(STATE_KEY)
    monitor(EVENT, world.deps())
    assert [replayed.same for replayed in replay_windows(world.store)] == [True, True]


def test_reports_of_before_there_was_evidence_are_said_to_be_old(store: MemoryObjectStore) -> None:
    for key in keys(store):
        report = json.loads(store.get(key).data)
        store.put(key, encode({part: value for part, value in report.items() if part not in ("evidence", "before")}))
    store.delete(STATE_KEY)
    assert [(replayed.same, replayed.old) for replayed in replay_windows(store)] == [(False, True)] * DAYS
