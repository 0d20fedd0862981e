"""A company that only ever scores by nightly batch: what it scored is watched like the API's predictions, through
drift, labels and a retrain to a promotion.

The real steps over a store in memory, in virtual time: no cloud is needed, and nothing is ever posted to the API. Each
night the schedule's question is asked ("what is new under batch/input/?"), and what is new is scored. The customers are
Telco's; what changes in the new quarter is simulated, as ``local/customers.py`` states it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.batch.job import plan
from stillgood.storage.champion import ChampionSource
from stillgood.storage.keys import BATCH_CAPTURE, CAPTURE_PREFIX, INCOMING_PREFIX
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.wiring.in_process import InProcess

from local import customers, datasets
from local.cloud import CloudError
from local.console import Screen

FIRST_NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
INPUT = "batch/input/"
NIGHTLY, USUAL_NIGHTS, NIGHTS = 450, 1, 8
# Of the new quarter fewer leave, so precision is lower whatever the model; a promotion should not wait for a person.
FLOORS = {"roc_auc": 0.7, "recall": 0.7, "precision": 0.2}


@dataclass(slots=True)
class Company:
    """One bucket and its clock. ``scored``: the predictions of a night, each with its label, which is still to come."""

    now: datetime = FIRST_NIGHT
    store: MemoryObjectStore = field(init=False)
    steps: InProcess = field(init=False)
    scored: list[tuple[dict[str, Any], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryObjectStore(lambda: self.now)
        self.steps = InProcess(self.store, lambda: self.now, {})

    @property
    def champion(self) -> str:
        pointer = Registry(self.store).pointer()
        if pointer is None:
            raise CloudError("there is no champion; the newest object under registry/decisions/ says why")
        return pointer.version

    def first_model(self, rows: pd.DataFrame) -> None:
        raw = json.loads(datasets.contract_text("telco"))
        raw["floors"], raw["monitoring"] = FLOORS, raw["monitoring"] | {"label_maturity_days": 1}
        self.store.put("contract.json", json.dumps(raw).encode())
        day = self.now - timedelta(days=90)
        self.store.put(f"data/{day:%Y-%m-%d}/customers.csv", rows.to_csv(index=False).encode())
        self.steps.run("train", {"request_id": "first", "reason": "the first model"})

    def score(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Upload tonight's customers without their outcome, and score whatever is new under the prefix."""
        name = f"{INPUT}{self.now:%Y-%m-%d}.csv"
        self.store.put(name, rows.drop(columns="churn").to_csv(index=False).encode())
        deps = BatchDeps(self.store, ChampionSource(self.store, lambda: self.now, ttl_seconds=0), lambda: self.now)
        job = plan({"prefix": INPUT, "new": True}, deps)
        if len(job["shards"]) != 1:
            raise CloudError(f"one new object lies under {INPUT}, and {len(job['shards'])} were planned")
        summary = batch({"input": job["shards"][0]}, deps)
        left = rows["churn"].to_list()
        made = [json.loads(line) for line in self.store.get(summary["output"]["predictions"]).data.splitlines()]
        self.scored = [(row, left[row["row"] - 1]) for row in made]
        return summary

    def labels_arrive(self) -> int:
        """What became of last night's customers, as a file of labels by prediction id."""
        lines = [
            {"prediction_id": row["prediction_id"], "label": label, "event_time": f"{self.now:%Y-%m-%dT%H:%M:%SZ}"}
            for row, label in self.scored
        ]
        if lines:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            self.store.put(f"{INCOMING_PREFIX}{self.now:%Y-%m-%d}.jsonl", text.encode())
        self.scored = []
        return len(lines)

    def judge(self) -> list[dict[str, Any]]:
        """Monitor the day that ends now, and do what it asks for."""
        return self.steps.run("monitor", {"scheduled_time": f"{self.now:%Y-%m-%dT%H:%M:%SZ}"})


def play() -> None:
    """Raises CloudError when it does not come out as told."""
    screen = Screen()
    screen.raw("Scored by nightly batch alone: no request is ever sent to the API.")
    company = Company()
    known, others = customers.split(datasets.telco())
    screen.step(f"{len(known):,} customers with their outcome, and a first model")
    company.first_model(known)
    first = company.champion
    screen.say(f"{first} serves.")
    drifted, asked = False, False
    for night, rows in nights(others):
        screen.step(f"Night {night}: " + ("as usual" if night <= USUAL_NIGHTS else "the new quarter (simulated)"))
        company.now = FIRST_NIGHT + timedelta(days=night - 1, hours=2)
        served = company.champion
        labelled = company.labels_arrive()
        summary = company.score(rows)
        screen.say(
            f"{labelled} labels of the night before arrive; {summary['predicted']} customers scored by"
            f" {summary['model_version']}, {summary['positive']} of them to get an offer."
        )
        company.now = FIRST_NIGHT + timedelta(days=night)
        judged, *followed = company.judge()
        screen.say(f"monitor: {judged['rows']} predictions judged -> {judged['result'].upper()}")
        screen.because(judged["reasons"], limit=3)
        if night <= USUAL_NIGHTS and judged["drifted"]:
            raise CloudError("monitor saw drift on a usual night")
        drifted, asked = drifted or bool(judged["drifted"]), asked or judged["result"] == "retrain"
        for answer in followed:
            screen.say(f"{answer['step']}: {answer['result'].upper()}")
            screen.because(answer.get("reasons") or (), limit=3)
        if served == company.champion != first:
            break
    if not (drifted and asked and company.champion != first):
        raise CloudError("the life of a bucket of batch did not come to drift, a retrain and a promotion")
    captured = [info.key for info in company.store.list(CAPTURE_PREFIX)]
    if not captured or not all(key.endswith(BATCH_CAPTURE) for key in captured):
        raise CloudError("something was captured that is not batch's")
    screen.say(
        f"{first} found drift, learnt from what batch had scored, and {company.champion} scores now. Every capture"
        f" names an output of batch: {len(captured)} of {len(captured)}."
    )
    screen.end()


def nights(others: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Which customers are scored on which night: usual ones first, then those of the new quarter."""
    usual = USUAL_NIGHTS * NIGHTLY
    quarter = customers.new_quarter(others.iloc[usual:], (NIGHTS - USUAL_NIGHTS) * 300)
    size = len(quarter) // (NIGHTS - USUAL_NIGHTS)
    for night in range(1, NIGHTS + 1):
        begin = (night - 1 - USUAL_NIGHTS) * size
        yield night, others.iloc[:usual] if night <= USUAL_NIGHTS else quarter.iloc[begin : begin + size]
