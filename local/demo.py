"""``make demo``: the whole lifecycle on real customers, deployed from the real template, told step by step.

One day of traffic is compressed into one analysis window of ten seconds. What is simulated about the customers is said
where it happens and stated in ``local/customers.py``.
"""

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from stillgood.domain.contract.contract import Contract
from stillgood.domain.promotion.decision import Decision
from stillgood.storage.registry import Registry

from local import customers, datasets, tracking
from local import up as keep
from local.api import Api, LiveTraffic
from local.cloud import ROOT, CloudError, stop
from local.console import Screen
from local.deploy import Stack, bring_up
from local.inbox import Inbox

WINDOW_SECONDS = 10
DAY = 800  # customers
QUARTER = 3 * DAY
PARAMETERS = keep.PARAMETERS | {
    "WindowHours": f"{WINDOW_SECONDS / 3600:.6f}",
    "SettleSeconds": "0",
    "ChampionTtlSeconds": "1",
    # So that the stack has a topic: its messages are shown at the end. Nothing is sent to this address.
    "NotifyEmail": "demo@example.org",
    # The story calls monitor itself, at the end of each window; a firing in between would judge half a window.
    "MonitorSchedule": "rate(30 minutes)",
}

FIGURES = {"ROC-AUC": "roc_auc", "recall": "recall", "precision": "precision", "F1": "f1"}

type Rows = Sequence[dict[str, Any]]


@dataclass(slots=True)
class Story:
    """What the acts share. ``window_end`` is the end of the last judged window (aware, UTC)."""

    screen: Screen
    stack: Stack
    api: Api
    contract: Contract
    inbox: Inbox
    messages: list[str] = field(default_factory=list)
    window_end: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def registry(self) -> Registry:
        return Registry(self.stack.store)

    def champion(self) -> str:
        pointer = self.registry.pointer()
        if pointer is None:
            raise CloudError("there is no champion; the newest object under registry/decisions/ says why")
        return pointer.version

    def post(self, rows: Rows) -> list[bool]:
        """Predict all rows, a hundred a request; returns the decisions."""
        decisions: list[bool] = []
        for some in customers.chunks(rows, 100):
            answer = self.api.predict(some)
            if answer.status != 200:
                raise CloudError(f"POST /predict answered {answer.status}: {answer.body}")
            decisions += [prediction["decision"] for prediction in answer.body["predictions"]]
        return decisions

    def close_window(self) -> str:
        """Wait for the end of a window that begins after the last one ended; returns it as a scheduled time."""
        after_traffic = datetime.fromtimestamp(math.ceil(time.time()), tz=UTC)
        self.window_end = max(after_traffic, self.window_end + timedelta(seconds=WINDOW_SECONDS)).replace(microsecond=0)
        time.sleep(max(0.0, (self.window_end - datetime.now(UTC)).total_seconds()))
        return f"{self.window_end:%Y-%m-%dT%H:%M:%SZ}"

    def monitor(self) -> dict[str, Any]:
        """Invoke monitor as the schedule would, and say what it decided and why."""
        scheduled_time = self.close_window()
        result: dict[str, Any] = self.stack.invoke("monitor", {"scheduled_time": scheduled_time})
        self.screen.say(
            f"monitor, scheduled {scheduled_time}: {result['rows']} predictions judged -> {result['result'].upper()}"
        )
        self.screen.because(result["reasons"])
        return result


def main() -> None:
    """Tell the story on a fresh cloud; leaves it running.

    Raises:
        CloudError: it did not come out as told.
    """
    screen = Screen()
    screen.raw(
        "A model's life on an embedded cloud: real Telco customers, the real template.yaml, no Docker, no AWS account."
    )
    story = start(screen)
    first, others = customers.split(datasets.telco())
    usual = customers.as_requests(others, story.contract)
    quarter = customers.new_quarter(others, QUARTER)
    shifted = customers.as_requests(quarter, story.contract)
    before_the_first_model(story, usual[0])
    first_model(story, first.to_csv(index=False), len(first))
    predictions(story, usual)
    usual_days(story, usual)
    the_shift(story, shifted)
    old = story.champion()
    new = labels_arrive(story, quarter, shifted)
    roll_back(story, shifted, old, new)
    ending(story, usual[0])


def start(screen: Screen) -> Story:
    screen.step("Start the cloud and deploy template.yaml")
    stop(keep.DEMO)
    shutil.rmtree(keep.DEMO, ignore_errors=True)
    stack = bring_up(keep.DEMO, PARAMETERS | {"MlflowTrackingUri": tracking.uri()})
    count = len(stack.cloud.client("cloudformation").describe_stack_resources(StackName="stillgood")["StackResources"])
    screen.say(f"MiniStack, pid {stack.cloud.pid}, 127.0.0.1:{stack.cloud.port}; {count} resources by CloudFormation.")
    screen.say(
        f"Policy and gate are the template's defaults (guarded); a day is compressed into {WINDOW_SECONDS} seconds."
    )
    return Story(screen, stack, Api(stack.api_url), datasets.contract("telco"), Inbox.of(stack))


def before_the_first_model(story: Story, customer: dict[str, Any]) -> None:
    story.screen.step("Ask for a prediction before there is a model")
    answer = story.api.predict(customer)
    story.screen.say(f"POST /predict -> {answer.status} {answer.body['title']}: {answer.body['detail']}")
    expect(answer.status == 503, f"expected 503, got {answer.status}")


def first_model(story: Story, csv: str, rows: int) -> None:
    screen = story.screen
    screen.step("Train the first model, and let the gate judge it")
    day = f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%d}"
    keep.seed(story.stack, f"data/{day}/customers.csv", csv.encode(), datasets.contract_text("telco"))
    screen.say(f"{rows} real customers with their outcome -> data/{day}/customers.csv")
    decision = keep.train_first(story.stack)
    tell_candidate(story, decision)
    tell_decision(story, decision)
    expect(story.registry.pointer() is not None, "the first model was refused")


def predictions(story: Story, usual: Rows) -> None:
    screen = story.screen
    screen.step("Predict over HTTP")
    answer = story.api.predict(usual[0]).body
    screen.say(
        f"Customer {usual[0]['customer_id']}: probability {answer['probability']:.3f}, threshold"
        f" {answer['threshold']:.3f} -> {'will leave' if answer['decision'] else 'will stay'}; the reasons add up to"
        f" the logit {answer['logit']:+.3f}:"
    )
    screen.because(
        (f"{reason['feature']} = {reason['value']}: {reason['contribution']:+.3f}" for reason in answer["reasons"]), 4
    )
    bad = usual[0] | {"tenure": -3, "contract": "Weekly", "monthly_charges": "cheap"}
    refused = story.api.predict(bad)
    screen.say(f"A customer with three wrong values -> {refused.status} {refused.body['title']}, all of them at once:")
    screen.because(f"{violation['field']}: {violation['message']}" for violation in refused.body["violations"])
    expect(refused.status == 422, f"expected 422, got {refused.status}")


def usual_days(story: Story, usual: Rows) -> None:
    story.screen.step("A usual day")
    offers = sum(story.post(usual[:DAY]))
    story.screen.say(f"{DAY} customers predicted, {offers} of them to get an offer.")
    story.monitor()


def the_shift(story: Story, shifted: Rows) -> None:
    screen = story.screen
    screen.step(
        "A new quarter: prices up 5%, more monthly contracts, and a fibre tariff that makes people stay (simulated)"
    )
    for day in (1, 2):
        offers = sum(story.post(shifted[(day - 1) * DAY : day * DAY]))
        screen.say(f"Day {day}: {DAY} customers predicted, {offers} of them to get an offer.")
        result = story.monitor()
        expect(result["drifted"], "monitor did not see the shift")
    screen.say("What would change it:")
    screen.because(result["would_change"])


def labels_arrive(story: Story, quarter: pd.DataFrame, shifted: Rows) -> str:
    screen = story.screen
    screen.step("Labels arrive; monitor, train and promote do their work under live traffic")
    old = story.champion()
    key = f"data/{datetime.now(UTC):%Y-%m-%d}/quarter.csv"
    story.stack.store.put(key, quarter.to_csv(index=False).encode())
    screen.say(f"{QUARTER} customers of the new quarter with their outcome -> {key}")
    with LiveTraffic(story.api, shifted) as traffic:
        before = story.post(shifted[2 * DAY :])
        result = story.monitor()
        expect(result["result"] == "retrain", f"monitor decided {result['result']}, not retrain")
        screen.say("monitor has invoked train, train invokes promote; requests keep coming ...")
        decision = keep.decision_for(story.stack, f"monitor:{result['window']}")
        tell_candidate(story, decision)
        tell_decision(story, decision)
        if decision.action == "ask":
            screen.say(
                "It is better, and under a floor of the contract: that takes a person. Ada looks at it and approves."
            )
            event = {"action": "approve", "case": decision.n, "request_id": f"approve-{decision.n}", "by": "Ada"}
            story.stack.invoke("promote", event | {"reason": "The best there is this quarter."})
            tell_decision(story, keep.decision_for(story.stack, f"approve-{decision.n}"))
        new = story.champion()
        expect(new != old, "the gate refused: the champion stays, for the reasons above")
        keep.wait_for(lambda: traffic.versions[new] >= 20 or None, "answers of the new champion", seconds=30)
    tell_traffic(story, traffic)
    left = (quarter["churn"] == "Yes").to_list()[2 * DAY :]
    screen.say(f"The same {DAY} customers, whose outcome is known by now, one in five of them held out from training:")
    screen.because((f"{old}: {offers(before, left)}", f"{new}: {offers(story.post(shifted[2 * DAY :]), left)}"))
    return new


def offers(decisions: Sequence[bool], left: Sequence[bool]) -> str:
    """What a model's decisions came to, given who left."""
    reached = sum(decision and gone for decision, gone in zip(decisions, left, strict=True))
    return f"{sum(decisions)} offers, {reached} of them to the {sum(left)} who left"


def roll_back(story: Story, shifted: Rows, old: str, new: str) -> None:
    screen = story.screen
    screen.step("Somebody complains: roll back by events/rollback.json, under live traffic")
    event = json.loads((ROOT / "events" / "rollback.json").read_text())
    with LiveTraffic(story.api, shifted) as traffic:
        keep.wait_for(lambda: traffic.versions[new] >= 10 or None, "answers of the champion", seconds=30)
        result = story.stack.invoke("promote", event)
        screen.say(
            f"decision {result['decision']}: {result['result'].upper()}: {result['old_version']} ->"
            f" {result['new_version']}"
        )
        screen.because(result["reasons"])
        keep.wait_for(lambda: traffic.versions[old] >= 10 or None, "answers of the earlier champion", seconds=30)
    tell_traffic(story, traffic)
    expect(story.champion() == old, "the rollback did not bring back the earlier champion")


def ending(story: Story, customer: dict[str, Any]) -> None:
    screen = story.screen
    screen.step("Who was told")
    for message in story.inbox.messages():
        sentence, _, link = message.partition(" The page, for the next 12 hours: ")
        screen.say(sentence)
        screen.because([f"the page, for twelve hours: {link.partition('?')[0]}?..."] * bool(link))
        story.messages.append(sentence)
    expect(any("was rolled back" in sentence for sentence in story.messages), "nobody was told of the rollback")
    screen.step("The record")
    for decision in story.registry.decisions():
        screen.say(
            f"registry/decisions/{decision.n:08d}.json  {decision.at[:19]}Z  {decision.action:8}  {decision.candidate}"
        )
    print(f"\nDone in {screen.end():.0f} s. The cloud keeps running; `make down` stops it.")
    keep.where_to_look(story.stack, customer)


def tell_candidate(story: Story, decision: Decision) -> None:
    """What train learned from, by its record of the request, and how well, by the candidate's metrics."""
    store = story.stack.store
    records = (json.loads(store.get(info.key).data) for info in store.list("training/"))
    rows = next(record["rows"] for record in records if record["request_id"] == decision.request_id)
    repairs = ", ".join(f"{count} by rule '{rule}'" for rule, count in rows["repaired"].items()) or "none"
    story.screen.say(
        f"train: {rows['accepted']} rows accepted, {repairs} repaired, {rows['refused_rows']} refused ->"
        f" {decision.candidate}"
    )
    figures = json.loads(store.get(f"models/{decision.candidate}/metrics.json").data)["out_of_fold"]
    story.screen.say("out of fold: " + ", ".join(f"{name} {interval(figures[key])}" for name, key in FIGURES.items()))


def interval(estimate: Mapping[str, float]) -> str:
    """A figure with its 95% interval."""
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


VERDICTS = {
    "promote": "PROMOTED",
    "refuse": "REFUSED",
    "rollback": "ROLLED BACK",
    "release": "RELEASED",
    "ask": "ASKED A PERSON ABOUT",
    "mode": "MODE SET",
    "settings": "SETTINGS IN FORCE",
}


def tell_decision(story: Story, decision: Decision) -> None:
    verdict = VERDICTS[decision.action]
    story.screen.say(
        f"promote, decision {decision.n}: {verdict} {decision.candidate} (gate: {decision.figures.get('gate')})"
    )
    story.screen.because(decision.reasons)


def tell_traffic(story: Story, traffic: LiveTraffic) -> None:
    shares = ", ".join(f"{count} by {version}" for version, count in traffic.versions.items())
    story.screen.say(
        f"Live traffic: {traffic.sent} requests, {len(traffic.failures)} failed; {shares}; slowest"
        f" {traffic.slowest_seconds * 1000:.0f} ms"
    )
    expect(not traffic.failures, f"requests failed: {traffic.failures[:3]}")


def expect(true: object, otherwise: str) -> None:
    """The story is a promise: what does not come out as told ends it with an error."""
    if not true:
        raise CloudError(otherwise)
