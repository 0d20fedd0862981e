"""Decisions, alerts and states are told as CloudEvents: once, in the published shape, and never in a step's way."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber
from jsonschema import Draft202012Validator
from stillgood.aws.announcer import EventBridgeAnnouncer, Links
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
def announced():
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


def test_every_decision_is_told_once_with_its_reasons_and_its_page(announced):
    store, events = announced
    assert [event["type"] for event in events] == [
        "stillgood.window.retrain",
        "stillgood.decision.promoted",
        "stillgood.decision.refused",
        "stillgood.decision.rolled-back",
    ]
    for event in events:
        assert event["data"]["reasons"]
        assert store.get(event["data"]["page"]).data.startswith(b"<!doctype html>")


def test_events_have_the_published_shape_and_their_own_ids(announced):
    _, events = announced
    for event in events:
        assert list(SCHEMA.iter_errors(event)) == []
    assert len({event["id"] for event in events}) == len(events)
    assert list(SCHEMA.iter_errors({**events[0], "type": "stillgood.lunch"}))


def test_a_person_is_asked_to_look_at_what_changed_and_not_at_a_refusal(announced):
    _, events = announced
    assert [event["data"]["notify"] for event in events] == [False, True, False, True]


def deaf(since):
    return {"name": "labels", "message": f"deaf since {since}"}


def test_a_state_is_told_when_it_begins_changes_and_ends_and_not_in_between():
    messages = []
    before = None
    for standing in ([deaf("12 May")], [deaf("12 May")], [deaf("14 May")], [], []):
        now = report(standing=standing)
        messages.append([(event.type, event.message, event.notify) for event in of_window(now, before, "p")])
        before = now
    assert messages == [
        [("stillgood.state.began", "This began: deaf since 12 May.", True)],
        [],
        [("stillgood.state.changed", "This changed: deaf since 14 May. Before: deaf since 12 May.", True)],
        [("stillgood.state.ended", "This is over: deaf since 14 May.", True)],
        [],
    ]


def test_a_state_of_an_older_report_is_its_message():
    assert of_window(report(standing=["no labels"]), report(standing=["no labels"]), "p") == []


def test_an_alert_is_one_message_while_its_reasons_stay_and_a_state_is_not_told_twice():
    def alert(*reasons, standing=()):
        return report("alert", standing) | {"decision": {"action": "alert", "reasons": list(reasons)}}

    first = alert("price drifted by 0.31")
    events = [of_window(now, before, "p")[0] for now, before in (
        (first, None),
        (alert("price drifted by 0.35"), first),
        (alert("tenure drifted by 0.35"), first),
        (alert("deaf since 12 May", standing=[deaf("12 May")]), None),
    )]  # fmt: skip
    assert [event.notify for event in events] == [True, False, True, False]
    assert events[0].message == (
        "Please look at the window up to 24 November 2026, 00:00 UTC. Why: price drifted by 0.31."
    )


def test_a_quiet_window_tells_nobody():
    assert of_window(report(), None, "p") == []


def test_a_message_for_a_person_has_a_link_that_ends_after_twelve_hours(client):
    s3 = boto3.client(
        "s3",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(signature_version="s3v4"),
    )
    announcer = EventBridgeAnnouncer("default", client, Links("customers", s3).to)
    sent = []
    client.meta.events.register("before-parameter-build", lambda params, **_: sent.extend(params["Entries"]))
    events = [{"type": "t", "data": {"notify": notify, "page": "pages/decisions/1.html"}} for notify in (True, False)]
    with Stubber(client) as stub:
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": []})
        announcer.announce(events)
    seen, quiet = (json.loads(entry["Detail"])["data"] for entry in sent)
    assert seen["link"].startswith("https://customers.s3.amazonaws.com/pages/decisions/1.html?")
    assert "X-Amz-Expires=43200" in seen["link"]
    assert "link" not in quiet


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
