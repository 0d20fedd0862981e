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

from lifecycle.domain.contract import Contract
from lifecycle.domain.decision import Decision
from lifecycle.storage.registry import Registry

from local import customers, datasets, keep, tracking
from local.api import Api, LiveTraffic
from local.cloud import ROOT, CloudError, stop
from local.deploy import Stack, bring_up
from local.screen import Screen

WINDOW_SECONDS = 10
QUARTER = 2400
PARAMETERS = keep.PARAMETERS | {
    "WindowHours": f"{WINDOW_SECONDS / 3600:.6f}",
    "SettleSeconds": "0",
    "ChampionTtlSeconds": "1",
    # The story calls monitor itself, at the end of each window; a firing in between would judge half a window.
    "MonitorSchedule": "rate(30 minutes)",
}

type Rows = Sequence[dict[str, Any]]


@dataclass(slots=True)
class Story:
    """What the acts share. ``window_end`` is the end of the last judged window (aware, UTC)."""

    screen: Screen
    stack: Stack
    api: Api
    contract: Contract
    window_end: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def registry(self) -> Registry:
        return Registry(self.stack.store)

    def champion(self) -> str:
        pointer = self.registry.pointer()
        if pointer is None:
            raise CloudError("there is no champion; the newest object under registry/decisions/ says why")
        return pointer.version

    def post(self, rows: Rows) -> int:
        """Predict all rows, a hundred a request; returns how many were decided positive."""
        positive = 0
        for some in customers.chunks(rows, 100):
            answer = self.api.predict(some)
            if answer.status != 200:
                raise CloudError(f"POST /predict answered {answer.status}: {answer.body}")
            positive += sum(one["decision"] for one in answer.body["predictions"])
        return positive

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
    new = labels_arrive(story, quarter.to_csv(index=False), shifted)
    roll_back(story, shifted, old, new)
    ending(story)


def start(screen: Screen) -> Story:
    screen.step("Start the cloud and deploy template.yaml")
    stop(keep.DEMO)
    shutil.rmtree(keep.DEMO, ignore_errors=True)
    stack = bring_up(keep.DEMO, PARAMETERS | {"MlflowTrackingUri": tracking.uri()})
    count = len(stack.cloud.client("cloudformation").describe_stack_resources(StackName="lifecycle")["StackResources"])
    screen.say(f"MiniStack, pid {stack.cloud.pid}, 127.0.0.1:{stack.cloud.port}; {count} resources by CloudFormation.")
    screen.say(
        f"Policy and gate are the template's defaults (guarded); a day is compressed into {WINDOW_SECONDS} seconds."
    )
    return Story(screen, stack, Api(stack.api_url), datasets.contract("telco"))


def before_the_first_model(story: Story, customer: dict[str, Any]) -> None:
    story.screen.step("Ask for a prediction before there is a model")
    answer = story.api.predict(customer)
    story.screen.say(f"POST /predict -> {answer.status} {answer.body['title']}: {answer.body['detail']}")
    expect(answer.status == 503, f"expected 503, got {answer.status}")


def first_model(story: Story, csv: str, rows: int) -> None:
    screen = story.screen
    screen.step("Train the first model, and let the gate judge it")
    day = f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%d}"
    keep.seed(story.stack, f"data/{day}/customers.csv", csv)
    screen.say(f"{rows} real customers with their outcome -> data/{day}/customers.csv")
    trained = story.stack.invoke(
        "train", {"request_id": "first-model", "reason": "there is no champion yet", "window": None}
    )
    screen.raw(json.dumps(trained, indent=1))
    tell_decision(story, keep.decision_for(story.stack, "first-model"))
    expect(story.registry.pointer() is not None, "the first model was refused")


def predictions(story: Story, usual: Rows) -> None:
    screen = story.screen
    screen.step("Predict over HTTP")
    answer = story.api.predict(usual[0]).body
    screen.say(
        f"Customer {usual[0]['customer_id']}: probability {answer['probability']:.3f}, threshold {answer['threshold']:.3f} -> "
        f"{'will leave' if answer['decision'] else 'will stay'}; the reasons add up to the logit {answer['logit']:+.3f}:"
    )
    screen.because((f"{one['feature']} = {one['value']}: {one['contribution']:+.3f}" for one in answer["reasons"]), 4)
    bad = usual[0] | {"tenure": -3, "contract": "Weekly", "monthly_charges": "cheap"}
    refused = story.api.predict(bad)
    screen.say(f"A customer with three wrong values -> {refused.status} {refused.body['title']}, all of them at once:")
    screen.because(f"{one['field']}: {one['message']}" for one in refused.body["violations"])
    expect(refused.status == 422, f"expected 422, got {refused.status}")


def usual_days(story: Story, usual: Rows) -> None:
    story.screen.step("A usual day")
    positive = story.post(usual[:800])
    story.screen.say(f"800 customers predicted, {positive} of them to get an offer.")
    story.monitor()


def the_shift(story: Story, shifted: Rows) -> None:
    screen = story.screen
    screen.step(
        "A new quarter: prices up 5%, more monthly contracts, and a fibre tariff that makes people stay (simulated)"
    )
    for day in (1, 2):
        positive = story.post(shifted[(day - 1) * 800 : day * 800])
        screen.say(f"Day {day}: 800 customers predicted, {positive} of them to get an offer.")
        result = story.monitor()
        expect(result["drifted"], "monitor did not see the shift")
    screen.say("What would change it:")
    screen.because(result["would_change"])


def labels_arrive(story: Story, csv: str, shifted: Rows) -> str:
    screen = story.screen
    screen.step("Labels arrive; monitor, train and promote work on under live traffic")
    old = story.champion()
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    story.stack.store.put(f"data/{day}/quarter.csv", csv.encode())
    screen.say(f"{QUARTER} customers of the new quarter with their outcome -> data/{day}/quarter.csv")
    with LiveTraffic(story.api, shifted) as traffic:
        story.post(shifted[1600:])
        result = story.monitor()
        expect(result["result"] == "retrain", f"monitor decided {result['result']}, not retrain")
        screen.say("monitor has invoked train, train will invoke promote; requests keep coming ...")
        decision = keep.decision_for(story.stack, f"monitor:{result['window']}")
        tell_decision(story, decision)
        new = story.champion()
        expect(new != old, "the gate refused: the champion stays, for the reasons above")
        keep.wait_for(lambda: traffic.versions[new] >= 20 or None, "answers of the new champion", seconds=30)
    tell_traffic(story, traffic)
    return new


def roll_back(story: Story, shifted: Rows, old: str, new: str) -> None:
    screen = story.screen
    screen.step("Somebody complains: roll back by events/rollback.json, under live traffic")
    event = json.loads((ROOT / "events" / "rollback.json").read_text())
    with LiveTraffic(story.api, shifted) as traffic:
        keep.wait_for(lambda: traffic.versions[new] >= 10 or None, "answers of the champion", seconds=30)
        result = story.stack.invoke("promote", event)
        screen.say(
            f"decision {result['decision']}: {result['result'].upper()}: {result['old_version']} -> {result['new_version']}"
        )
        screen.because(result["reasons"])
        keep.wait_for(lambda: traffic.versions[old] >= 10 or None, "answers of the earlier champion", seconds=30)
    tell_traffic(story, traffic)
    expect(story.champion() == old, "the rollback did not bring back the earlier champion")


def ending(story: Story) -> None:
    screen = story.screen
    screen.step("The record")
    for one in story.registry.decisions():
        screen.say(f"registry/decisions/{one.n:08d}.json  {one.at}  {one.action:8}  {one.candidate}")
    seconds = screen.end()
    print(f"\nDone in {seconds:.0f} s. The cloud keeps running; `make down` stops it.")
    keep.where_to_look(story.stack)


def tell_decision(story: Story, decision: Decision) -> None:
    verdict = {"promote": "PROMOTED", "refuse": "REFUSED", "rollback": "ROLLED BACK"}[decision.action]
    story.screen.say(
        f"promote, decision {decision.n}: {verdict} {decision.candidate} (gate: {decision.figures.get('gate')})"
    )
    story.screen.because(decision.reasons)


def tell_traffic(story: Story, traffic: LiveTraffic) -> None:
    shares = ", ".join(f"{count} by {version}" for version, count in traffic.versions.items())
    story.screen.say(
        f"Live traffic: {traffic.sent} requests, {len(traffic.failures)} failed; {shares}; slowest {traffic.slowest_seconds * 1000:.0f} ms"
    )
    expect(not traffic.failures, f"requests failed: {traffic.failures[:3]}")


def expect(true: object, otherwise: str) -> None:
    """The story is a promise: what does not come out as told ends it with an error."""
    if not true:
        raise CloudError(otherwise)


def figures(metrics: Mapping[str, Any]) -> str:
    """The metrics of a model with their intervals, in one line."""
    return ", ".join(f"{name} {value}" for name, value in metrics.items())
