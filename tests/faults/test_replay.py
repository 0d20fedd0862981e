"""Every recorded decision is made again to the same bytes; what was changed since shows."""

import json

import pytest
from stillgood.cli.main import main
from stillgood.domain.errors import ObjectNotFound
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.codec import encode
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import decision_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry

from tests.faults import story


@pytest.fixture
def store():
    """Promotions by both gates, refusals (one cannot be judged), rollbacks (one refused): A -> B -> A is among them."""
    store = MemoryObjectStore()
    story.write(store)
    deps = PromoteDeps(store, lambda: story.NOW)
    promote(story.REFUSE, deps)
    promote(story.PROMOTE, deps)
    roll_back(story.ROLLBACK, deps)
    promote(story.PROMOTE | {"request_id": "again", "force": True}, deps)
    roll_back(story.ROLLBACK | {"request_id": "unknown", "to": "v9"}, deps)
    roll_back(story.ROLLBACK | {"request_id": "far", "to": "v0"}, deps)
    store.put("models/v4/model.json", b"{}")
    promote(story.PROMOTE | {"request_id": "broken", "candidate": "v4"}, deps)
    actions = [decision.action for decision in Registry(store).decisions()]
    assert actions == ["promote", "promote", "refuse", "promote", "rollback", "promote", "refuse", "rollback", "refuse"]
    return store


def everything(store):
    return [(info.key, info.etag) for info in store.list("")]


def test_every_decision_replays_to_the_same_bytes_and_nothing_is_written(store, count):
    before = everything(store)
    results = list(replay(store))
    assert [(replayed.n, replayed.same) for replayed in results] == [(n, True) for n in range(1, 10)]
    for n in range(1, 10):
        assert [(replayed.n, replayed.same) for replayed in replay(store, [n])] == [(n, True)]
    assert everything(store) == before
    count("audit: decisions replayed to the same bytes", sum(replayed.same for replayed in results), ">= 9")


@pytest.mark.parametrize(
    "changes",
    [
        {"reasons": ["Because."]},
        {"at": "2026-11-24T01:00:00.5Z"},
        {"figures": {"asked": {"action": "promote", "version": "v3"}}},
        {"inputs": {}},
    ],
)
def test_an_edited_record_does_not_replay(store, changes):
    record = json.loads(store.get(decision_key(4)).data)
    store.put(decision_key(4), encode(record | changes))
    (replayed,) = replay(store, [4])
    assert not replayed.same


def test_a_changed_input_is_named_and_later_decisions_still_replay(store):
    key = "models/v3/holdout.json"
    store.put(key, story.draw("v3", story.POOR, rows=800)["holdout.json"])
    by_number = {replayed.n: replayed for replayed in replay(store)}
    assert [n for n, replayed in by_number.items() if not replayed.same] == [3]
    assert "figures" in by_number[3].detail
    assert "holdout of registry/decisions/00000003.json has changed since." in by_number[3].detail


def test_an_input_that_is_gone_cannot_be_replayed(store):
    store.delete("models/v3/model.json")
    (replayed,) = replay(store, [3])
    assert (replayed.same, replayed.detail[:22]) == (False, "cannot be replayed: Th")


def test_a_record_that_is_not_there_is_an_error(store):
    with pytest.raises(ObjectNotFound):
        list(replay(store, [10]))


@pytest.mark.parametrize(("word", "status", "says"), [("all", 0, "9 of 9 decisions"), ("5", 0, "1 of 1 decisions")])
def test_replaying_from_the_command_line(store, monkeypatch, capsys, word, status, says):
    monkeypatch.setattr("stillgood.aws.s3_boto3.Boto3ObjectStore", lambda bucket: store)
    assert main(["audit", "--bucket", "state", "--replay", word]) == status
    assert says in capsys.readouterr().out
    edited = json.loads(store.get(decision_key(5)).data) | {"at": "2020-01-01T00:00:00Z"}
    store.put(decision_key(5), encode(edited))
    assert main(["audit", "--bucket", "state", "--replay", word]) == 1


def test_a_decision_is_named_by_its_number(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "--bucket", "state", "--replay", "../1"])


def test_after_a_record_that_is_gone_nothing_is_replayed_and_the_audit_names_it(tmp_path, store, capsys):
    store.delete(decision_key(4))
    results = list(replay(store))
    assert [(replayed.n, replayed.same) for replayed in results] == [(1, True), (2, True), (3, True), (4, False)]
    assert results[-1].detail == "is gone, and nothing after it can be replayed"
    folder = FolderObjectStore(tmp_path / "bucket")
    for info in store.list(""):
        folder.put(info.key, store.get(info.key).data)
    assert main(["audit", "--replay", "all", "--store", str(tmp_path / "bucket")]) == 1
    said = capsys.readouterr().out
    assert decision_key(4) in said
    assert "decision 4: is gone" in said
