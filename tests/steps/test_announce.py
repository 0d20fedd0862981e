"""Decisions, alerts and states are told as CloudEvents: once, in the published shape, and never in a step's way."""

import json

import boto3
import pytest
from botocore.stub import ANY, Stubber
from jsonschema import Draft202012Validator
from stillgood.aws.announcer import EventBridgeAnnouncer
from stillgood.domain.errors import InvocationFailed
from stillgood.domain.policy.announcement import of_window
from stillgood.pages.writer import write_pages
from stillgood.steps.announce import announce
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeAnnouncer, FakeInvoker

from tests.conftest import ROOT
from tests.faults import story

SCHEMA = Draft202012Validator(json.loads((ROOT / "contracts/event.schema.json").read_text()))
WINDOW = {"id": "20261123T000000Z_20261124T000000Z", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"}


@pytest.fixture
def told():
    """The events of a life: a window that retrains, a promotion, a refusal, a rollback, and the promotion asked for
    again.
    """
    store, announcer = MemoryObjectStore(), FakeAnnouncer()
    story.write(store)
    for name in ("monitor", "promote", "refuse", "rollback", "promote"):
        answer = story.WORK[name](store, FakeInvoker())
        write_pages(store, answer)
        announce(store, answer, announcer)
    return store, announcer.events


def report(action="nothing", standing=()):
    return {
        "window": WINDOW,
        "made_at": "2026-11-24T00:01:00Z",
        "champion": {"version": "v1"},
        "decision": {"action": action, "reasons": ["because"]},
        "standing": list(standing),
    }


def test_every_decision_is_told_once_with_its_reasons_and_its_page(told):
    store, events = told
    assert [event["type"] for event in events] == [
        "stillgood.window.retrain",
        "stillgood.decision.promoted",
        "stillgood.decision.refused",
        "stillgood.decision.rolled-back",
    ]
    for event in events:
        assert event["data"]["reasons"]
        assert store.get(event["data"]["page"]).data.startswith(b"<!doctype html>")


def test_events_have_the_published_shape_and_their_own_ids(told):
    _, events = told
    for event in events:
        assert list(SCHEMA.iter_errors(event)) == []
    assert len({event["id"] for event in events}) == len(events)
    assert list(SCHEMA.iter_errors({**events[0], "type": "stillgood.lunch"}))


def test_a_person_is_asked_to_look_at_what_changed_and_not_at_a_refusal(told):
    _, events = told
    assert [event["data"]["notify"] for event in events] == [False, True, False, True]


def test_a_state_is_told_when_it_begins_and_when_it_ends_and_not_in_between():
    deaf = "no labels since 12 May"
    began = of_window(report(standing=[deaf]), [], "p")
    lasts = of_window(report(standing=[{"message": deaf}]), [deaf], "p")
    ended = of_window(report(), [deaf], "p")
    assert [(one.type, one.notify) for one in began] == [("stillgood.state.began", True)]
    assert lasts == []
    assert [one.message for one in ended] == [f"Over: {deaf}"]


def test_a_quiet_window_tells_nobody():
    assert of_window(report(), [], "p") == []


@pytest.fixture
def client():
    return boto3.client("events", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")


def test_events_go_to_the_bus_ten_at_a_time(client):
    event = {"type": "stillgood.window.alert", "id": "1"}
    with Stubber(client) as stub:
        for size in (10, 2):
            entry = {"Source": "stillgood", "DetailType": event["type"], "Detail": ANY, "EventBusName": "default"}
            stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": []}, {"Entries": [entry] * size})
        EventBridgeAnnouncer("default", client).announce([event] * 12)
        stub.assert_no_pending_responses()


def test_a_bus_that_refuses_is_an_error_with_a_name(client):
    with Stubber(client) as stub:
        stub.add_response("put_events", {"FailedEntryCount": 1, "Entries": []})
        with pytest.raises(InvocationFailed, match="Event bus default refused 1"):
            EventBridgeAnnouncer("default", client).announce([{"type": "t"}])
        stub.add_client_error("put_events", "AccessDeniedException")
        with pytest.raises(InvocationFailed, match="did not take the events"):
            EventBridgeAnnouncer("default", client).announce([{"type": "t"}])
